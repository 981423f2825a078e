"""The registers of one queue, on every transport."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

from ..port import Port

__all__ = ["QueueRegisters", "QueueSelection"]


class QueueRegisters(ABC):
    """Registers, named as in :data:`ringwalker.spec.fields.QUEUE_FIELD`: size, enable, desc, ..., reset."""

    @abstractmethod
    async def read(self, name: str) -> int:
        """Read a register."""

    @abstractmethod
    async def write(self, name: str, value: int) -> None:
        """Write a register."""

    @abstractmethod
    async def ring(self, index: int, shown: int | None = None) -> None:
        """Send an available buffer notification for this queue, ``index``; ``shown`` is the available index
        that it carries, None for a notification without one.
        """


class QueueSelection:
    """Keeps coroutines from selecting a queue while another one works with the queue that it has selected.

    ``select(index)`` writes the register that selects.
    """

    def __init__(self, port: Port, select: Callable[[int], Awaitable[None]]):
        self._select = select
        self._taken = False
        self._free = port.event()

    @asynccontextmanager
    async def of(self, index: int):
        """Keep queue ``index`` selected for the time of a ``with`` block."""
        while self._taken:
            self._free.clear()
            await self._free.wait()
        self._taken = True
        try:
            await self._select(index)
            yield
        finally:
            self._taken = False
            self._free.set()
