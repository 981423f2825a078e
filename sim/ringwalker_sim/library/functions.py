"""The devices of Ringwalker's own functions: what can be done with each."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ..errors import DataError
from ..guest.blk import BlkDevice
from ..guest.console import ConsoleDevice
from ..guest.errors import RequestTimeout
from ..guest.net import NetDevice
from ..guest.opening import OpenDevice
from ..guest.rng import RngDevice
from ..workload.block_task import Workload, run_phase
from ..workload.synthetic import Synthetic
from .checks import check_integer
from .device import Device
from .operation import Operation, Procedure
from .options import Chosen
from .outside import Cable, Terminal

__all__ = ["DEVICES", "Console", "Disk", "Entropy", "Network"]

_PATIENCE_NS = 1_000_000
"""How long the guest waits for something from outside, if nothing is said."""


_LAST_SECTOR = (1 << 64) - 1
"""The last one that a request can name."""


class Disk(Device):
    """A block device. Sectors have 512 bytes.

    >>> import ringwalker_sim as rw
    >>> with rw.open("blk", engine="model") as disk:
    ...     disk.write(8, b"ring" * 128)
    ...     disk.read(8)[:4]
    b'ring'
    """

    driver: BlkDevice

    @property
    def sectors(self) -> int:
        """The capacity."""
        return self.driver.capacity

    @Operation
    async def read(self, sector: int, count: int = 1, queue: int = 0) -> bytes:
        """Read ``count`` sectors from ``sector`` on. Errors: ``VirtioError`` of the request."""
        check_integer("count", count, 1)
        self._check(sector, queue)
        return await self.driver.read(sector, count, queue)

    @Operation
    async def write(self, sector: int, content: bytes, queue: int = 0) -> None:
        """Write whole sectors from ``sector`` on. Errors: the request's; ``ValueError`` for part of one."""
        self._check(sector, queue)
        await self.driver.write(sector, content, queue)

    def _check(self, sector: int, queue: int) -> None:
        """A sector that the device can be asked for: behind the last one it has to refuse by itself."""
        check_integer("sector", sector, 0, _LAST_SECTOR)
        check_integer("queue", queue, 0, self.driver.queues - 1)

    @Operation
    async def flush(self) -> None:
        """Bring what was written to the store."""
        await self.driver.flush()

    @Operation
    async def serial(self) -> str:
        """The serial number that the device gives."""
        return await self.driver.get_id()

    @Procedure
    async def workload(
        self,
        workload: str = "randread",
        *,
        block_size: int = 4096,
        queue_depth: int = 32,
        requests: int = 1000,
        seed: int = 1,
    ) -> dict[str, Any]:
        """Do what ``ringwalker run blk --workload`` does, with every byte checked; the figures, as there.

        The latency of each request is in ``latencies``, by the name of the workload. Those that write
        overwrite what is on the disk. Errors: ``DataError`` for wrong data and failed requests;
        ``WorkloadError`` for what the disk cannot do.
        """
        load = Workload(workload, block_size, queue_depth, requests, seed)
        phase = Synthetic(self.driver, self.disk, load.kind, block_size, requests, seed)
        pump, summary = await run_phase(self._port, self.driver, phase, queue_depth)
        self.latencies.extend(workload, pump.latencies)
        if pump.errors:
            raise DataError(f"{workload}: {pump.errors} errors; {'; '.join(pump.messages[:3])}")
        return summary


class _Arrivals:
    """What comes to the guest from outside, until it is taken."""

    def __init__(self, device: Device):
        self.waiting: deque[bytes] = deque()
        self._event = device.port.event()
        self._clock_mhz = device.config.clock_mhz

    def __call__(self, content: bytes) -> None:
        self.waiting.append(content)
        self._event.set()

    async def until(self, ready: Callable[[], bool], what: str, timeout_ns: float) -> None:
        """Wait. Errors: ``RequestTimeout`` if nothing comes for so long."""
        while not ready():
            self._event.clear()
            if not await self._event.wait(round(timeout_ns * self._clock_mhz / 1000)):
                raise RequestTimeout(f"{what} in {timeout_ns} ns")


class Network(Device):
    """A network device. Frames are bytes, from destination address to payload.

    >>> import ringwalker_sim as rw
    >>> with rw.open("net", engine="model") as card:
    ...     frame = bytes.fromhex("ffffffffffff 525700000002 0800") + bytes(46)
    ...     card.send(frame)
    ...     card.cable.receive() == [frame]
    ...     card.cable.send(frame)
    ...     card.receive() == frame
    True
    True
    """

    driver: NetDevice

    def __init__(self, chosen: Chosen, port: Any, opened: OpenDevice, stack: ExitStack):
        super().__init__(chosen, port, opened, stack)
        self.cable = Cable(port, self.model)
        """What is on the other side."""
        self._arrivals = self.driver.on_frame = _Arrivals(self)

    @property
    def mac(self) -> bytes:
        """The address, six bytes."""
        return self.driver.mac

    @property
    def link_up(self) -> bool:
        """Whether the cable is plugged in, as the driver knows."""
        return self.driver.link_up

    @Operation
    async def send(self, *frames: bytes) -> None:
        """Send frames; returns when the device has sent them. Errors: ``ValueError`` for their lengths."""
        for frame in frames:
            await self.driver.send(frame)
        await self.driver.drain()

    @Operation
    async def receive(self, timeout_ns: float = _PATIENCE_NS) -> bytes:
        """The next frame that came to the guest. Errors: ``RequestTimeout`` if none comes."""
        waiting = self._arrivals.waiting
        await self._arrivals.until(lambda: bool(waiting), "no frame came", timeout_ns)
        return waiting.popleft()

    @Operation
    async def set_promiscuous(self, on: bool) -> None:
        """Receive every frame, or those for the device's address only."""
        await self.driver.set_promiscuous(on)


class Console(Device):
    """A console.

    >>> import ringwalker_sim as rw
    >>> with rw.open("console", engine="model") as console:
    ...     console.write(b"login: ")
    ...     console.terminal.shown()
    ...     console.terminal.type(b"root")
    ...     console.read(4)
    b'login: '
    b'root'
    """

    driver: ConsoleDevice

    def __init__(self, chosen: Chosen, port: Any, opened: OpenDevice, stack: ExitStack):
        super().__init__(chosen, port, opened, stack)
        self.terminal = Terminal(port, self.model)
        """What is on the other side."""
        self._arrivals = self.driver.on_bytes = _Arrivals(self)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as the driver knows."""
        return self.driver.size

    @Operation
    async def write(self, content: bytes) -> None:
        """Write bytes; returns when the device has them, which may be before they are shown."""
        await self.driver.write(content)

    @Operation
    async def read(self, count: int, timeout_ns: float = _PATIENCE_NS) -> bytes:
        """``count`` bytes of what was typed. Errors: ``RequestTimeout`` if they do not come."""
        check_integer("count", count, 0)
        waiting = self._arrivals.waiting
        await self._arrivals.until(lambda: sum(map(len, waiting)) >= count, "no byte came", timeout_ns)
        content = b"".join(waiting)
        waiting.clear()
        if content[count:]:
            waiting.append(content[count:])
        return content[:count]


class Entropy(Device):
    """A source of random bytes: the same for the same ``seed``.

    >>> import ringwalker_sim as rw
    >>> with rw.open("rng", engine="model", seed=7) as source:
    ...     len(source.read(16))
    16
    """

    driver: RngDevice

    @Operation
    async def read(self, count: int) -> bytes:
        """``count`` random bytes."""
        check_integer("count", count, 0)
        return await self.driver.read(count)


DEVICES: dict[str, type[Device]] = {"blk": Disk, "net": Network, "console": Console, "rng": Entropy}
"""By the function's name; a function of one's own is a :class:`Device`."""
