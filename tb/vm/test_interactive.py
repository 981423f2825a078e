"""A person at the console: a shell on a terminal, which is afterwards as it was."""

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pytest

from ringwalker_sim.vm.setup import GuestSetup
from ringwalker_sim.workload.images import make_file_system

pytestmark = pytest.mark.slow

PROMPT = b"/root # "


class Terminal:
    """``ringwalker guest --interactive`` on a terminal of its own."""

    def __init__(self, image: Path):
        command = [
            sys.executable,
            "-m",
            "ringwalker_sim.cli.main",
            "guest",
            "--interactive",
            *("--data-width", "64", "--image"),
            str(image),
        ]
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, command)
        self.modes = termios.tcgetattr(self.descriptor)

    def until(self, wanted: bytes, timeout_s: float = 90) -> bytes:
        """What comes up to ``wanted``."""
        seen = b""
        deadline = time.monotonic() + timeout_s
        while wanted not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.descriptor], [], [], 1)[0]:
                seen += os.read(self.descriptor, 4096)
        return seen

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """The exit code, once the terminal is as it was."""
        _, status = os.waitpid(self.pid, 0)
        assert termios.tcgetattr(self.descriptor) == self.modes
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("way_out", ["exit", "keys"])
def test_a_shell_in_the_guest(setup: GuestSetup, tmp_path: Path, way_out: str) -> None:
    terminal = Terminal(make_file_system(tmp_path / "disk.img", 4 << 20))
    terminal.until(PROMPT)
    assert termios.tcgetattr(terminal.descriptor) != terminal.modes
    terminal.type(b"mount -t ext4 /dev/vda /mnt && echo $((6 * 7))\n")
    assert b"\n42\r" in terminal.until(PROMPT + b"\x1b")
    terminal.type(b"sleep 1000\n")
    time.sleep(1)
    terminal.type(b"\x03")
    terminal.until(PROMPT)
    terminal.type(b"exit 3\n" if way_out == "exit" else b"\x01x")
    terminal.until(b"Power down" if way_out == "exit" else b"Terminated")
    assert terminal.end() == (3 if way_out == "exit" else 0)
