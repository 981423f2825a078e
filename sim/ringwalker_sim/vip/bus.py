"""A device on a memory-mapped bus: what a testbench offers of it, and how its registers are watched."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from ringwalker.spec.mmio import MMIO_CONFIG_BASE

from ..errors import EXIT_FAILED, RingwalkerError
from ..guest.port import Port
from ..guest.transport.mmio import MmioRegisters
from ..memory import GuestMemory
from .dma import GuestDma
from .monitor import Monitor
from .view import mmio_access

__all__ = ["Bus", "BusError", "ObservedRegisters"]


class BusError(RingwalkerError):
    """The bus did not carry out an access: no answer in time, or an error response."""

    exit_code = EXIT_FAILED


class Bus(ABC):
    """The bus of a testbench with one virtio device, by its virtio-mmio registers.

    A testbench derives from it what it has; :class:`.axi.AxiMmio` is the one for AXI. ``clock_mhz`` is the
    device's clock, in which time-outs count. ``granule``: bytes that one read of the device moves at least.
    """

    clock_mhz: float = 100
    granule: int = 4

    @abstractmethod
    async def read(self, offset: int, size: int) -> int:
        """Read ``size`` (1, 2 or 4) bytes of the registers at byte ``offset``. Errors: :class:`BusError`."""

    @abstractmethod
    async def write(self, offset: int, size: int, value: int) -> None:
        """Write registers; returns when the device has the write. Errors: :class:`BusError`."""

    @abstractmethod
    def listen(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed(asserted)`` whenever the interrupt line changes."""

    @abstractmethod
    def connect(self, dma: GuestDma) -> None:
        """From now on the device's accesses to memory go through ``dma``.

        A bus whose device reaches the guest's RAM past it (a buffer that the testbench has handed out) does
        nothing here; then only registers are checked.
        """

    def port(self, memory: GuestMemory) -> Port:
        """The guest's machine with ``memory``: its time is that of cocotb."""
        from .timed_port import TimedPort

        return TimedPort(memory, self.clock_mhz)


class ObservedRegisters(MmioRegisters):
    """The registers on ``bus``, whose accesses ``monitor`` sees."""

    def __init__(self, bus: Bus, monitor: Monitor):
        self._bus = bus
        self._monitor = monitor

    async def read(self, offset: int, size: int) -> int:
        """See :class:`MmioRegisters`."""
        value = await self._bus.read(offset, size)
        if offset >= MMIO_CONFIG_BASE:
            self._monitor.config_read(offset - MMIO_CONFIG_BASE, size, value)
        elif (access := mmio_access(offset, value)) is not None:
            self._monitor.register_read(access)
        return value

    async def write(self, offset: int, size: int, value: int) -> None:
        """See :class:`MmioRegisters`."""
        if offset >= MMIO_CONFIG_BASE:
            self._monitor.config_written(offset - MMIO_CONFIG_BASE, size)
        elif (access := mmio_access(offset, value)) is not None:
            self._monitor.register_written(access)
        await self._bus.write(offset, size, value)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        """See :class:`MmioRegisters`."""

        def changed(asserted: bool) -> None:
            self._monitor.line_changed(asserted)
            if asserted:
                callback()

        self._bus.listen(changed)
