"""A machine without hardware: guest memory and time, and nothing on its PCI bus."""

from collections.abc import Callable

from ..memory import GuestMemory
from .loop import Loop, StuckError
from .port import Port

__all__ = ["SoftwarePort"]


def _all_ones(size: int) -> int:
    return (1 << 8 * size) - 1


class SoftwarePort(Loop, Port):
    """Time is a list of what happens when (:meth:`Loop.schedule`); it jumps from one to the next."""

    def __init__(self, memory: GuestMemory):
        super().__init__()
        self.memory = memory
        self._now = 0
        self._intx: Callable[[], None] = lambda: None
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}

    def now(self) -> int:
        """Cycles since the start."""
        return self._now

    def advance(self, deadline: int | None) -> None:
        """Jump to ``deadline``, when the next thing happens."""
        if deadline is None:
            raise StuckError(f"nothing can happen any more after cycle {self._now}")
        self._now = max(self._now, deadline)

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
        """A message address and data."""
        place = (0xFEE0_0000, len(self._messages) + 1)
        self._messages[place] = callback
        return place

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs when INTA is asserted."""
        self._intx = callback
