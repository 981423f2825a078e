"""A wheel of the checkout, installed where nothing of the checkout is seen, and commands that use it."""

import importlib.metadata
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

__all__ = ["Installed", "build_wheel", "install", "shell_blocks"]

_SCRIPT = """\
#!{python}
import sys

from {module} import {name}

sys.argv[0] = {program!r}
sys.exit({call}())
"""


@dataclass(frozen=True)
class Installed:
    """Programs of a virtual environment in the folder ``bin`` that has the wheel, and whatever is installed
    beside the tests.
    """

    bin: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def environment(self) -> dict[str, str]:
        """Variables with which its programs come first, and nothing of the checkout is found."""
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "PATH": f"{self.bin}{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(self.bin.parent)}

    def run(
        self,
        *command: str | Path,
        cwd: Path,
        timeout: float = 600,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What a command puts out. What it has left in its background is ended with it. Errors:
        ``AssertionError`` with all of it when it fails or hangs.
        """
        with TemporaryFile("w+") as out:
            child = subprocess.Popen(
                [str(word) for word in command],
                cwd=cwd,
                env={**self.environment(), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code: int | str = child.wait(timeout)
            except subprocess.TimeoutExpired:
                code = f"not done in {timeout} s"
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            out.seek(0)
            text = out.read()
        assert code == 0, f"{code}: {text}"
        return text


def build_wheel(root: Path, folder: Path) -> Path:
    """The wheel of the checkout ``root``, in ``folder``."""
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder))
    _pip("wheel", *options, str(root))
    (path,) = folder.glob("*.whl")
    return path


def install(wheel: Path, folder: Path) -> Installed:
    """A virtual environment in ``folder`` with the wheel and all that this interpreter has, but for what an
    editable install of the checkout adds.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = Installed(folder / "bin")
    _pip("--python", str(found.python), "install", "--no-deps", "--quiet", str(wheel))
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    # A path in a .pth file is added as it is; files of the same kind in it are not looked at.
    (Path(paths["purelib"]) / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for point in importlib.metadata.entry_points(group="console_scripts"):
        path = found.bin / point.name
        if not path.exists() and point.dist is not None:
            name = point.attr.partition(".")[0]
            words = {"module": point.module, "name": name, "call": point.attr, "program": point.name}
            path.write_text(_SCRIPT.format(python=found.python, **words))
            path.chmod(0o755)
    return found


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    hidden = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=hidden, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def shell_blocks(text: str) -> list[tuple[list[str], str]]:
    """The fenced blocks of a page in Markdown whose language is ``sh``: the further words behind the
    language, and the lines.
    """
    blocks: list[tuple[list[str], str]] = []
    lines: list[str] | None = None
    words: list[str] = []
    for line in text.splitlines():
        if lines is None and line.startswith("```"):
            words, lines = line[3:].split(), []
        elif lines is not None and line == "```":
            if words[:1] == ["sh"]:
                blocks.append((words[1:], "\n".join(lines) + "\n"))
            lines = None
        elif lines is not None:
            lines.append(line)
    return blocks
