"""A screen that nobody sees, for programs with a window: what they say, and how they look."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Screen", "missing_programs", "screen"]

_PROGRAMS = ("Xvfb", "import")
_POLL_S = 0.2
_STILL_S = 1.5
"""For so long nothing may change on a screen that is done."""


def missing_programs(*more: str) -> list[str]:
    """Those of what a screen needs, and of ``more``, that are not installed."""
    return [name for name in (*_PROGRAMS, *more) if shutil.which(name) is None]


class Screen:
    """A screen, on which :meth:`start` starts programs."""

    def __init__(self, display: str):
        self._environment = {**os.environ, "DISPLAY": display}
        self._programs: list[subprocess.Popen] = []

    def start(self, command: Sequence[str | Path], folder: Path) -> None:
        """Start a program in ``folder``."""
        self._programs.append(
            subprocess.Popen(
                list(map(str, command)),
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def wait_for(self, path: Path, seconds: float) -> str:
        """What a program has written to the file ``path`` once that is there. Errors: ``TimeoutError``."""
        end = time.monotonic() + seconds
        while not path.exists():
            if time.monotonic() > end or any(program.poll() for program in self._programs):
                raise TimeoutError(f"{path} was not written")
            time.sleep(_POLL_S)
        return path.read_text()

    def picture(self, path: Path, *options: str) -> None:
        """Write a picture of the whole screen; ``options`` are those of ImageMagick."""
        command = ["import", "-window", "root", *options, str(path)]
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def settle(self, path: Path, seconds: float) -> None:
        """Write a picture of the screen once it no longer changes. Errors: ``TimeoutError``."""
        end = time.monotonic() + seconds
        before = b""
        while time.monotonic() < end:
            time.sleep(_STILL_S)
            self.picture(path, "-define", "png:exclude-chunks=date,time")
            if path.read_bytes() == before:
                return
            before = path.read_bytes()
        raise TimeoutError(f"the screen still changes after {seconds:g} s")

    def end(self) -> None:
        """End the programs."""
        for program in self._programs:
            program.terminate()
            program.wait()


@contextmanager
def screen(width: int, height: int) -> Iterator[Screen]:
    """A screen of so many pixels; its programs end with the block. Errors: ``OSError`` without ``Xvfb``."""
    reads, writes = os.pipe()
    size = f"{width}x{height}x24"
    command = ["Xvfb", "-displayfd", str(writes), "-screen", "0", size, "-nolisten", "tcp"]
    server = subprocess.Popen(
        command, pass_fds=(writes,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writes)
    try:
        with os.fdopen(reads) as answer:
            number = answer.readline().strip()
        if not number:
            raise OSError("Xvfb did not start")
        shown = Screen(f":{number}")
        try:
            yield shown
        finally:
            shown.end()
    finally:
        server.terminate()
        server.wait()
