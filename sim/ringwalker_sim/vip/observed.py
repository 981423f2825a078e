"""A port that a monitor listens to, and which ends the driver's waiting when the device has broken a rule."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.modern import CapabilityType

from ..guest.pci import PciDevice
from ..guest.port import Event, Port, Task
from ..guest.transport.virtio_pci_structures import Structure
from .monitor import Monitor
from .rules import Finding, Findings
from .view import common_accesses

__all__ = ["ObservedEvent", "ObservedPort"]


class ObservedEvent:
    """An :class:`~..guest.port.Event`. Whoever waits with a time-out is ended by a finding that stops.

    Errors: :class:`.rules.ProtocolError`.
    """

    def __init__(self, inner: Event, port: "ObservedPort"):
        self._inner = inner
        self._port = port

    def set(self) -> None:
        """Raise the flag."""
        self._inner.set()

    def clear(self) -> None:
        """Lower the flag."""
        self._inner.clear()

    async def wait(self, timeout_cycles: int | None = None) -> bool:
        """See :class:`~..guest.port.Event`."""
        if timeout_cycles is None:
            return await self._inner.wait()
        self._port.check()
        self._port.waiting.add(self)
        try:
            up = await self._inner.wait(timeout_cycles)
        finally:
            self._port.waiting.discard(self)
        self._port.check()
        return up


@dataclass(frozen=True)
class _Window:
    """Addresses of a virtio structure, and whose it is."""

    addresses: range
    kind: int
    monitor: Monitor


class ObservedPort(Port):
    """``inner``, with all that the driver does there shown to monitors.

    ``findings`` are those of all monitors. ``stop``: the first one of a clause that binds ends what waits.
    """

    def __init__(self, inner: Port, findings: Findings, stop: bool = True):
        self.inner = inner
        self.memory = inner.memory
        self.disk = inner.disk
        self.recorder = inner.recorder
        self.clock_mhz = inner.clock_mhz
        self.max_payload, self.max_read_request = inner.max_payload, inner.max_read_request
        self.mmio32, self.mmio64, self.io = inner.mmio32, inner.mmio64, inner.io
        self.findings = findings
        self.stop = stop
        self.waiting: set[ObservedEvent] = set()
        self.watched: list[tuple[PciDevice, Monitor]] = []
        self._windows: list[_Window] = []

    def __getattr__(self, name: str) -> Any:
        """What else the port has: a medium behind the device, for instance."""
        if name == "inner":  # It is being made.
            raise AttributeError(name)
        return getattr(self.inner, name)

    def check(self) -> None:
        """Errors: :class:`.rules.ProtocolError` when something was found that stops."""
        if self.stop:
            self.findings.check()

    def wake(self, finding: Finding) -> None:
        """End what waits, if a finding stops."""
        if self.stop and finding.binding:
            for event in tuple(self.waiting):
                event.set()

    def watch(self, pci: PciDevice, places: dict[int, Structure], monitor: Monitor) -> None:
        """Show ``monitor`` what happens at the virtio structures of a function."""
        self.watched.append((pci, monitor))
        for kind, place in places.items():
            start = pci.bars[place.bar].address + place.offset
            self._windows.append(_Window(range(start, start + place.size), kind, monitor))

    # --- accesses ------------------------------------------------------------------------------------------

    def _window(self, address: int) -> _Window | None:
        return next((item for item in self._windows if address in item.addresses), None)

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """See :class:`Port`."""
        return await self.inner.config_read(bdf, offset, size)

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """See :class:`Port`."""
        await self.inner.config_write(bdf, offset, size, value)

    async def memory_read(self, address: int, size: int) -> int:
        """See :class:`Port`."""
        value = await self.inner.memory_read(address, size)
        window = self._window(address)
        if window is not None:
            offset = address - window.addresses.start
            if window.kind == CapabilityType.COMMON:
                for access in common_accesses(offset, size, value):
                    window.monitor.register_read(access)
            elif window.kind == CapabilityType.DEVICE:
                window.monitor.config_read(offset, size, value)
        return value

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """See :class:`Port`."""
        window = self._window(address)
        if window is not None:
            offset = address - window.addresses.start
            if window.kind == CapabilityType.COMMON:
                for access in common_accesses(offset, size, value):
                    window.monitor.register_written(access)
            elif window.kind == CapabilityType.DEVICE:
                window.monitor.config_written(offset, size)
        await self.inner.memory_write(address, size, value)

    async def io_read(self, address: int, size: int) -> int:
        """See :class:`Port`."""
        return await self.inner.io_read(address, size)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """See :class:`Port`."""
        await self.inner.io_write(address, size, value)

    # --- interrupts ----------------------------------------------------------------------------------------

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """See :class:`Port`."""
        message: list[tuple[int, int]] = []

        def arrived() -> None:
            for pci, monitor in self.watched:
                if message[0] in pci.messages:
                    monitor.interrupted(pci.messages.index(message[0]))
                elif not pci.messages:
                    monitor.interrupted(None)
            callback()

        message.append(self.inner.msi_target(arrived))
        return message[0]

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """See :class:`Port`."""

        def asserted() -> None:
            for _pci, monitor in self.watched:
                monitor.interrupted(None)
            callback()

        self.inner.intx_handler(asserted)

    # --- time ----------------------------------------------------------------------------------------------

    def now(self) -> int:
        """See :class:`Port`."""
        return self.inner.now()

    async def sleep(self, cycles: int) -> None:
        """See :class:`Port`."""
        await self.inner.sleep(cycles)

    def event(self) -> ObservedEvent:
        """See :class:`Port`."""
        return ObservedEvent(self.inner.event(), self)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """See :class:`Port`."""
        return self.inner.start(coroutine)

    def trace(self, on: bool) -> None:
        """See :class:`Port`."""
        self.inner.trace(on)

    def tlps(self) -> dict[str, int]:
        """See :class:`Port`."""
        return self.inner.tlps()
