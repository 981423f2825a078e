"""A device with its driver and its machine, in this process."""

import warnings
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, Self, TypeVar

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import BlkFeature
from ringwalker.spec.console import ConsoleFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetFeature

from ..disk_image import DiskImage
from ..errors import RingwalkerError
from ..guest.opening import OpenDevice
from ..guest.transport.pci_transport import PciTransport
from ..memory import GuestMemory
from ..waves.fst_join import require_whole
from ..workload.job import model_behind
from .checks import check_integer
from .counters import Counters
from .latencies import Latencies
from .memory_map import MemoryMap
from .operation import LibraryError, Procedure, Runner
from .options import Chosen
from .pci import PciFunction
from .tables import html_table, page
from .waves import WaveRecorder

__all__ = ["Device"]

R = TypeVar("R")

_OWN_FEATURES: dict[int, Any] = {
    DeviceType.BLK: BlkFeature,
    DeviceType.NET: NetFeature,
    DeviceType.CONSOLE: ConsoleFeature,
}
_FIRST_SHARED = 24
"""Feature bits below are those of a device type. Ref: virtio 1.4, 2.2."""


def _feature_name(bit: int, device_type: int) -> str:
    names = Feature if bit >= _FIRST_SHARED else _OWN_FEATURES.get(device_type, ())
    return next((item.name for item in names if item == bit), f"bit {bit}")


class Device:
    """A device that is simulated in this process, with its guest driver: what ``ringwalker_sim.open`` gives.

    Time passes while something is done with it, and only then. What is an operation is done by a call, or as
    ``await device.read.aio(...)`` under asyncio. Two devices have nothing to do with each other. A device is
    closed by its ``with`` block or by :meth:`close`; one that is forgotten gives a ``ResourceWarning``.
    An exception in the block leaves the device as it is, and whole waves behind.
    """

    driver: Any
    """The guest's driver: a ``BlkDevice``, ``NetDevice``, ... Its coroutines are for :meth:`run`."""

    def __init__(self, chosen: Chosen, port: Any, opened: OpenDevice, stack: ExitStack):
        self._stack: ExitStack | None = stack
        self._chosen = chosen
        self._opened = opened
        self._port = port
        self._runner = Runner(port)
        self.driver = opened.driven
        self.config: DeviceConfig = chosen.config
        """What was chosen about the device."""
        self.engine: str = chosen.engine
        """What simulates it: ``"native"`` or ``"model"``."""
        self.memory: GuestMemory = port.memory
        """The guest's RAM: ``memory.array`` is all of it as numpy array of bytes, in place."""
        self.waves = WaveRecorder(port, chosen.waves)
        """Waves on and off."""
        transport = opened.device.config
        self._pci = (
            PciFunction(self._runner, transport.pci, self.config.kind)
            if isinstance(transport, PciTransport)
            else None
        )

    # --- life ----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._stack is None

    def close(self) -> None:
        """Remove the driver, which resets the device, and end the simulation. May be called again."""
        if self._stack is None:
            return
        try:
            self._runner.run(self._opened.close())
        finally:
            self._end()
        self._check_waves()

    async def close_aio(self) -> None:
        """The same under asyncio."""
        if self._stack is None:
            return
        try:
            await self._runner.run_aio(self._opened.close())
        finally:
            self._end()
        self._check_waves()

    def _check_waves(self) -> None:
        """See that the disk had room for the waves. Errors: ``OutputError``."""
        if self.waves.path is not None:
            require_whole(self.waves.path)

    def _end(self) -> None:
        """End the simulation, whatever the driver is doing; waves are complete then."""
        stack, self._stack = self._stack, None
        self._runner.close()
        if stack is not None:
            for task in self._port.running():
                task.cancel()
            stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            self.close()
            return
        try:
            self._end()
        except RingwalkerError as another:
            error.add_note(f"and the device could not be closed: {another}")

    def __del__(self) -> None:
        if getattr(self, "_stack", None) is not None:
            warnings.warn(f"{self!r} was not closed; use it in a with block", ResourceWarning, 2, self)
            self._end()

    # --- running -------------------------------------------------------------------------------------------

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine of the guest, one of ``driver`` or ``device.read.coroutine(...)``; its result.

        Tasks that it starts go on whenever the device runs. Errors: its own; :class:`LibraryError`.
        """
        return self._runner.run(coroutine)

    async def run_aio(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """The same under asyncio, where several may be in flight."""
        return await self._runner.run_aio(coroutine)

    @Procedure
    async def gather(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run coroutines of the guest at the same time; their results in order. When one fails the others are
        ended. Errors: the first one.
        """
        tasks = [self._port.start(coroutine) for coroutine in coroutines]
        try:
            return [await task.join() for task in tasks]
        finally:
            for task in tasks:
                task.cancel()

    @Procedure
    async def wait(self, cycles: int | None = None, *, ns: float | None = None) -> None:
        """Let time pass: cycles of the device's clock, or ns. Errors: ``ValueError`` unless one is given."""
        if (cycles is None) == (ns is None):
            raise ValueError("wait needs cycles or ns=, one of them")
        wanted = cycles if ns is None else round(ns * self.config.clock_mhz / 1000)
        check_integer("cycles", wanted or 0, 0)
        await self._port.sleep(wanted)

    # --- looking -------------------------------------------------------------------------------------------

    @property
    def cycles(self) -> int:
        """Cycles of the device's clock since the start."""
        return self._port.now()

    @property
    def ns(self) -> float:
        """Time since the start, in ns."""
        return self.cycles * 1000 / self.config.clock_mhz

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that device and driver have agreed on."""
        mask: int = getattr(self._opened.device.config, "features", 0)
        kind = self.config.device_type
        return tuple(_feature_name(bit, kind) for bit in range(mask.bit_length()) if mask >> bit & 1)

    @property
    def pci(self) -> PciFunction:
        """The PCI function. Errors: :class:`LibraryError` on a transport without one."""
        if self._pci is None:
            transport = self._chosen.job.transport
            raise LibraryError(
                f"a device on transport {transport} is no PCI function; open it with transport='pci'"
            )
        return self._pci

    @property
    def counters(self) -> Counters:
        """The counters of device and link as they are now; the difference of two says what came between."""
        engine = getattr(self._port, "engine", None)
        values = self._port.tlps() if engine is None else engine.stats()
        for name in ("cycles", "skipped_cycles", "most_reads_in_flight"):
            values.pop(name, None)
        rate = self._chosen.job.host.link_bytes_per_cycle
        return Counters(values, self.cycles, self.config.clock_mhz, rate)

    @property
    def latencies(self) -> Latencies:
        """How long operations took, in time of the simulation."""
        return self._runner.latencies

    @property
    def memory_map(self) -> MemoryMap:
        """Which address is what."""
        return MemoryMap.of(self._port, {} if self._pci is None else self._pci.bars)

    @property
    def disk(self) -> DiskImage | None:
        """The store behind a function that has one, as the device has written it; None for others."""
        return self._port.disk

    @property
    def model(self) -> Any:
        """The device in Python on engine ``model``; None on ``native``."""
        return model_behind(self._opened)

    @property
    def port(self) -> Any:
        """The machine as drivers see it: a :class:`~..guest.port.Port`, with what the engine has besides."""
        return self._port

    def _facts(self) -> list[tuple[str, object]]:
        config, job = self.config, self._chosen.job
        if self._pci is None:
            place = f"transport {job.transport}"
        else:
            pci = self._pci
            place = f"PCI {pci.name} {pci.vendor_id:04x}:{pci.device_id:04x}, {config.face} registers"
        link = job.host.link_bytes_per_cycle
        return [
            ("function", config.function),
            ("engine", self.engine),
            ("place", place),
            ("data width", f"{config.data_width} bits at {config.clock_mhz} MHz"),
            ("queues", f"{config.queues} of {config.queue_size} entries, {config.ring}"),
            ("link", f"{link:.1f} bytes a cycle" if link else "no limit"),
            ("waves", str(self.waves.path) if self.waves.path else "none"),
            ("time", f"{self.cycles:,} cycles, {self.ns:,.0f} ns"),
            ("features", ", ".join(self.features)),
        ]

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"cycle {self._port.now()}"
        return f"<{type(self).__name__} {self.config.function} on engine {self.engine}, {state}>"

    def _repr_html_(self) -> str:
        """What it is and how far it is; no time passes."""
        return page(repr(self)) if self.closed else page(type(self).__name__, html_table(self._facts()))
