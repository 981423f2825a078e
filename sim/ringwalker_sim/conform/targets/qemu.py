"""QEMU's own virtio devices as targets, through its test socket.

The device has both register faces and both formats of rings, as far as its properties leave them: so each
check is run split, packed and through the legacy face on one machine.
"""

import contextlib
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES

from ...errors import ParameterError
from ...vm.machine import OwnDevice, comma_option
from ...vm.monitor import Monitor
from ...vm.qemu import Qemu, find_qemu
from ...vm.qtest import QtestError, qtest_machine
from ..medium import ConsoleMedium, DiskMedium, Medium, NetMedium
from .target import REAL_TIME, Target

__all__ = ["QEMU_DEVICES", "open_qemu"]

_SECTORS = 4096
_NODE, _NET, _DEVICE = "disk", "net", "device"
_CONNECT_S = 10.0
_RECEIVE_BYTES = 1 << 17


class _Surroundings:
    """What is behind a device: ``options`` before it, its own ``properties``, and ``after`` behind it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.options: list[str] = []
        self.properties: dict[str, object] = {}
        self.after: list[str] = []

    def medium(self, monitor: Monitor) -> Medium | None:
        """The medium, once the machine runs."""
        return None

    def close(self) -> None:
        """Close what this process has opened."""


class _Disk(_Surroundings, DiskMedium):
    """A disk with random content."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.image = folder / "disk.img"
        np.random.default_rng(2007).integers(0, 256, _SECTORS * SECTOR_BYTES, np.uint8).tofile(self.image)
        file = {"driver": "raw", "node-name": _NODE, "file.driver": "file", "file.filename": self.image}
        first, *others = file.items()
        self.options = ["-blockdev", comma_option(f"{first[0]}={first[1]}", dict(others))]
        self.properties = {"drive": _NODE, "serial": "conformance"}

    def medium(self, monitor: Monitor) -> Medium:
        self.monitor = monitor
        return self

    async def read(self, sector: int, count: int) -> bytes:
        with self.image.open("rb") as file:
            file.seek(sector * SECTOR_BYTES)
            return file.read(count * SECTOR_BYTES)

    async def resize(self, sectors: int) -> bool:
        self.monitor.execute("block_resize", node_name=_NODE, size=sectors * SECTOR_BYTES)
        return True


class _Net(_Surroundings, NetMedium):
    """A pair of datagram sockets; each datagram is a frame.

    A thread takes the device's frames: it uses no buffer while the few that a socket holds are not taken.
    """

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.theirs, ours = folder / "theirs", folder / "ours"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(ours))
        ends = {
            "local.type": "unix",
            "local.path": self.theirs,
            "remote.type": "unix",
            "remote.path": ours,
        }
        self.options = ["-netdev", comma_option("dgram", {"id": _NET, **ends})]
        # Without a file: a card needs no firmware to be tested.
        self.properties = {"netdev": _NET, "romfile": ""}
        self.frames: deque[bytes] = deque()
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while frame := self.socket.recv(_RECEIVE_BYTES):
                self.frames.append(frame)

    def medium(self, monitor: Monitor) -> Medium:
        self.monitor = monitor
        return self

    async def send(self, frame: bytes) -> None:
        self.socket.sendto(frame, str(self.theirs))

    async def received(self) -> list[bytes]:
        return [self.frames.popleft() for _ in range(len(self.frames))]

    async def set_link(self, up: bool) -> bool:
        self.monitor.execute("set_link", name=_NET, up=up)
        return True

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class _Console(_Surroundings, ConsoleMedium):
    """A terminal on port 0, at the other end of a socket."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "console"))
        self.listener.listen(1)
        self.socket: socket.socket | None = None
        self.options = ["-chardev", comma_option("socket", {"id": "terminal", "path": folder / "console"})]
        port = {"chardev": "terminal", "bus": f"{_DEVICE}.0"}
        self.after = ["-device", comma_option("virtconsole", port)]

    def medium(self, monitor: Monitor) -> Medium:
        self.listener.settimeout(_CONNECT_S)
        try:
            self.socket, _ = self.listener.accept()
        except TimeoutError:
            raise QtestError("QEMU has not opened the terminal of its console") from None
        self.socket.setblocking(False)
        return self

    async def send(self, data: bytes) -> None:
        assert self.socket is not None
        self.socket.sendall(data)

    async def received(self) -> bytes:
        assert self.socket is not None
        data = b""
        with contextlib.suppress(BlockingIOError):
            while part := self.socket.recv(_RECEIVE_BYTES):
                data += part
        return data

    def close(self) -> None:
        self.listener.close()
        if self.socket is not None:
            self.socket.close()


QEMU_DEVICES: Mapping[str, type[_Surroundings]] = {
    "virtio-blk-pci": _Disk,
    "virtio-net-pci": _Net,
    "virtio-serial-pci": _Console,
    "virtio-rng-pci": _Surroundings,
}
"""The devices of QEMU that can be tested, and what is put behind each."""


@contextlib.contextmanager
def open_qemu(
    driver: str, properties: Mapping[str, object] | None = None, qemu: Qemu | None = None
) -> Iterator[Target]:
    """A device of QEMU with ``properties``, transitional and with packed rings if they do not say otherwise.

    Without ``qemu`` it is the one that :func:`~ringwalker_sim.vm.qemu.find_qemu` finds. Errors:
    :class:`~ringwalker_sim.errors.ParameterError` for a device that is not one of :data:`QEMU_DEVICES`;
    :class:`.QtestError` when QEMU does not start; ``ToolError`` when there is none.
    """
    if driver not in QEMU_DEVICES:
        raise ParameterError(f"device is {driver!r}; it must be one of {', '.join(QEMU_DEVICES)}")
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ringwalker-"))
        behind = QEMU_DEVICES[driver](Path(name))
        stack.callback(behind.close)
        usual = {"id": _DEVICE, "disable-legacy": False, "packed": True}
        own = OwnDevice(
            driver, usual | behind.properties | dict(properties or {}), behind.options, behind.after
        )
        monitor = Path(name) / "monitor"
        port = stack.enter_context(qtest_machine(qemu or find_qemu(), [own], monitor))
        opened = stack.enter_context(Monitor(monitor))
        yield Target(port, behind.medium(opened), REAL_TIME)
