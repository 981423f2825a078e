"""A guest without a processor: drivers in Python access a QEMU machine through its test socket.

Ref: QEMU, docs/devel/testing/qtest.rst and the comment at the head of system/qtest.c (the protocol).
"""

import contextlib
import mmap
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ringwalker.spec.pci import CONFIG_SPACE_BYTES

from ..guest.loop import Loop, StuckError
from ..guest.port import Port
from ..memory import GuestMemory
from ..toolchain import ToolError
from .machine import OwnDevice, OwnDisk, VfioUserDevice, device_options, machine_options
from .qemu import Qemu

__all__ = ["QtestError", "QtestPort", "SharedMemory", "qtest_machine"]

_RAM_MIB = 64
_RAM_BASE = 16 << 20
"""Start of the drivers' memory. Below it are the holes of a PC, and unused RAM."""
_CONFIG_ADDRESS, _CONFIG_DATA = 0xCF8, 0xCFC
_CONFIG_ENABLE = 1 << 31
_ECAM_REGISTER, _ECAM_ENABLE = 0x60, 1
"""PCIEXBAR of the host bridge, 00:00.0. Ref: Intel, 3 Series Express Chipset Family, 5.1.15."""
_ECAM_BASE = 0xB000_0000
"""Where firmware puts extended configuration space."""
_LETTERS = {1: "b", 2: "w", 4: "l"}
_MESSAGE_BASE, _MESSAGES = 8 << 20, 1 << 16
"""Address and number of the words that messages write to; they are not in the drivers' memory."""
_POLL_S = 50e-6
_HANG_S = 20.0
_CONNECT_S = 30.0


class QtestError(ToolError):
    """QEMU broke the test protocol or did not start; the message has its line or its output."""


def _mapped(file: Path, base: int, size: int) -> np.ndarray:
    """Bytes of a file, shared."""
    with open(file, "r+b") as opened:
        return np.frombuffer(mmap.mmap(opened.fileno(), size, offset=base), np.uint8)


class SharedMemory(GuestMemory):
    """Guest RAM in ``file``, from offset ``base`` to its end; addresses are offsets in the file."""

    def __init__(self, file: Path, base: int):
        size = file.stat().st_size - base
        super().__init__(size, base)
        self.array: np.ndarray = _mapped(file, base, size)


class QtestPort(Loop, Port):
    """A :class:`~..guest.port.Port` on the test socket of a QEMU machine, on a ``connection``. ``messages``
    are the words, uint32, that messages write to.

    One cycle is a microsecond of real time, so the drivers' time limits are some seconds. A message of the
    device is written to a word of RAM, which is polled. INTA is observed at the input of the interrupt
    controller.
    """

    clock_mhz = 1

    def __init__(self, connection: socket.socket, memory: GuestMemory, messages: np.ndarray):
        Loop.__init__(self)
        self.memory = memory
        self._connection = connection
        self._received = b""
        self._started = time.monotonic()
        self._last_event = self._started
        self._messages: list[Callable[[], None]] = []
        self._words = messages
        self._intx: list[Callable[[], None]] = []
        self._raised = 0
        self._ecam = False
        self.message_counts: list[int] = []
        """Messages received so far, in the order of :meth:`msi_target`."""

    # --- the socket ---------------------------------------------------------------------------------------

    def _line(self, timeout_s: float) -> str | None:
        """Receive a line; None after ``timeout_s``."""
        while b"\n" not in self._received:
            if not select.select([self._connection], [], [], timeout_s)[0]:
                return None
            data = self._connection.recv(65536)
            if not data:
                raise QtestError("QEMU has closed its test socket")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def _note_interrupt(self, line: str) -> bool:
        """Whether the line reports an interrupt input; rising edges are counted."""
        if not line.startswith("IRQ "):
            return False
        self._raised += line.startswith("IRQ raise")
        return True

    def command(self, *words: object) -> str:
        """Send a command; the text behind OK in the answer. Errors: :class:`QtestError`."""
        text = " ".join(f"{word:#x}" if isinstance(word, int) else str(word) for word in words)
        try:
            self._connection.sendall(text.encode() + b"\n")
        except OSError:
            raise QtestError("QEMU has closed its test socket") from None
        while True:
            line = self._line(_HANG_S)
            if line is None:
                raise QtestError(f"{text!r} was not answered in {_HANG_S:g} s")
            if self._note_interrupt(line):
                continue
            if not line.startswith("OK"):
                raise QtestError(f"{text!r} was answered with {line!r}")
            return line[2:].strip()

    # --- the loop -----------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds since the start."""
        return int((time.monotonic() - self._started) * 1e6)

    def advance(self, deadline: int | None) -> None:
        """Wait for an interrupt, or until ``deadline``."""
        begin = time.monotonic()
        while not self._happened():
            if deadline is not None:
                if self.now() >= deadline:
                    return
            elif time.monotonic() - begin > _HANG_S:
                raise StuckError(f"nothing has happened for {_HANG_S:g} s")
            line = self._line(_POLL_S)
            if line is not None and not self._note_interrupt(line):
                raise QtestError(f"{line!r} came without a command")

    def _happened(self) -> bool:
        """Run the callbacks of received interrupts; whether there were any."""
        due = []
        for number in np.flatnonzero(self._words[: len(self._messages)].copy()):
            self._words[number] = 0
            self.message_counts[number] += 1
            due.append(self._messages[number])
        raised, self._raised = self._raised, 0
        due += self._intx if raised else []
        for callback in due:
            callback()
        return bool(due)

    # --- the port -----------------------------------------------------------------------------------------

    def _read(self, letter: str, address: int, size: int) -> int:
        return int(self.command(letter + _LETTERS[size], address), 0) & (1 << 8 * size) - 1

    def _select(self, bdf: int, offset: int) -> int:
        self.command("outl", _CONFIG_ADDRESS, _CONFIG_ENABLE | bdf << 8 | offset & 0xFC)
        return _CONFIG_DATA + (offset & 3)

    def _extended(self, bdf: int, offset: int) -> int:
        """The address of a register of extended configuration space, which I/O ports do not reach."""
        if not self._ecam:
            place = self._select(0, _ECAM_REGISTER)
            self.command("outl", place, _ECAM_BASE | _ECAM_ENABLE)
            self._ecam = True
        return _ECAM_BASE + (bdf << 12) + offset

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        if offset >= CONFIG_SPACE_BYTES:
            return self._read("read", self._extended(bdf, offset), size)
        return self._read("in", self._select(bdf, offset), size)

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if offset >= CONFIG_SPACE_BYTES:
            self.command("write" + _LETTERS[size], self._extended(bdf, offset), value)
        else:
            self.command("out" + _LETTERS[size], self._select(bdf, offset), value)

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space."""
        return self._read("read", address, size)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space; the write has reached the device on return."""
        self.command("write" + _LETTERS[size], address, value)

    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space."""
        return self._read("in", address, size)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space."""
        self.command("out" + _LETTERS[size], address, value)

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """The address of a word in RAM, and the data of a message. Errors: :class:`QtestError`."""
        place = len(self._messages)
        if place == _MESSAGES:
            raise QtestError(f"there are no more than {_MESSAGES} messages")
        self._messages.append(callback)
        self.message_counts.append(0)
        return _MESSAGE_BASE + 4 * place, place + 1

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs on every assertion of INTA."""
        if not self._intx:
            self.command("irq_intercept_in", "ioapic")
        self._intx.append(callback)


def _accept(listener: socket.socket, process: subprocess.Popen[bytes], errors: Path) -> socket.socket:
    begin = time.monotonic()
    listener.settimeout(0.1)
    while time.monotonic() - begin < _CONNECT_S:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if process.poll() is None:
                continue
            break
        connection.setblocking(True)
        return connection
    raise _not_started(errors)


def _not_started(errors: Path) -> QtestError:
    """The error with what QEMU has said last."""
    said = errors.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    return QtestError(f"QEMU did not start: {said[0]}")


@contextlib.contextmanager
def qtest_machine(
    qemu: Qemu, devices: Sequence[OwnDevice | OwnDisk | VfioUserDevice], monitor: Path | None = None
) -> Iterator[QtestPort]:
    """A port on a q35 machine with ``devices`` and an idle processor, for the time of a ``with`` block.

    The ``memory`` of the port is the machine's RAM from 16 MiB on. ``monitor``: a socket to make for QEMU's
    machine protocol (:class:`.monitor.Monitor`). Errors: :class:`QtestError` when QEMU does not start.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name, socket.socket(socket.AF_UNIX) as listener:
        folder = Path(name)
        ram, errors, path = folder / "ram", folder / "stderr", folder / "qtest.socket"
        with open(ram, "wb") as file:
            os.truncate(file.fileno(), _RAM_MIB << 20)
        listener.bind(str(path))
        listener.listen(1)
        command = [*qemu.command, *machine_options(_RAM_MIB, ram, "qtest")]
        command += ["-qtest", f"unix:{path}", "-qtest-log", "none", *device_options(devices)]
        if monitor is not None:
            command += ["-qmp", f"unix:{monitor},server=on,wait=off"]
        with open(errors, "wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=qemu.variables()
            )
        try:
            with _accept(listener, process, errors) as connection:
                words = _mapped(ram, _MESSAGE_BASE, 4 * _MESSAGES).view("<u4")
                port = QtestPort(connection, SharedMemory(ram, _RAM_BASE), words)
                try:
                    port.command("readl", 0)  # It is answered when all devices are there.
                except (QtestError, OSError):
                    raise _not_started(errors) from None
                yield port
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
