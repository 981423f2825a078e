"""A machine without a PCI function: guest memory and time only."""

from collections.abc import Callable, Coroutine
from typing import Any

from ..memory import GuestMemory
from .loop import Loop, LoopEvent, LoopTask, StuckError
from .port import Port

__all__ = ["EmptyBus", "SecondGuest", "SoftwarePort"]


def _all_ones(size: int) -> int:
    return (1 << 8 * size) - 1


class EmptyBus(Port):
    """A port without any PCI function."""

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """There is no function."""
        return _all_ones(size)

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """There is no function."""

    async def memory_read(self, address: int, size: int) -> int:
        """Nothing answers."""
        return _all_ones(size)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Nothing takes it."""

    async def io_read(self, address: int, size: int) -> int:
        """Nothing answers."""
        return _all_ones(size)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Nothing takes it."""

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """An address and data of a message that is never sent."""
        return 0xFEE0_0000, 0

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """INTA is never asserted."""


class SoftwarePort(Loop, EmptyBus):
    """Time jumps from one scheduled event to the next (:meth:`Loop.schedule`)."""

    def __init__(self, memory: GuestMemory):
        super().__init__()
        self.memory = memory
        self._now = 0

    def now(self) -> int:
        """Cycles since the start."""
        return self._now

    def advance(self, deadline: int | None) -> None:
        """Jump to ``deadline``, the time of the next event."""
        if deadline is None:
            raise StuckError(f"no event is due after cycle {self._now}")
        self._now = max(self._now, deadline)


class SecondGuest(EmptyBus):
    """A second guest with its own ``memory``. The loop of ``first`` runs both."""

    def __init__(self, first: Loop, memory: GuestMemory):
        self.memory = memory
        self._first = first

    def now(self) -> int:
        """Cycles since the start."""
        return self._first.now()

    async def sleep(self, cycles: int) -> None:
        """Let ``cycles`` pass."""
        await self._first.sleep(cycles)

    def event(self) -> LoopEvent:
        """A new event."""
        return self._first.event()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> LoopTask:
        """Run ``coroutine`` concurrently."""
        return self._first.start(coroutine)

    def schedule(self, cycles: int, action: Callable[[], None]) -> None:
        """Run ``action`` in ``cycles`` cycles."""
        self._first.schedule(cycles, action)
