"""tshark, for tests that look at captures as a person does."""

import shutil
import subprocess
from pathlib import Path

from ..captures.tlp_link import DISSECTOR

__all__ = ["TSHARK", "tshark"]

TSHARK = shutil.which("tshark")
"""Its file, if it is installed."""


def tshark(capture: Path, *words: str) -> list[str]:
    """The lines that tshark prints of ``capture``, with the dissector for TLPs, after two passes over it.

    Errors: ``AssertionError`` with what it says when something is wrong, such as a mistake in the dissector.
    """
    assert TSHARK is not None
    command = [TSHARK, "-2", "-X", f"lua_script:{DISSECTOR}", "-r", str(capture), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
    assert not lines, "\n".join(lines)
    assert not done.returncode
    assert "Lua Error" not in done.stdout, done.stdout
    return done.stdout.splitlines()
