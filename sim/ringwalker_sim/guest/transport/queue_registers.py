"""The registers of one queue, on every transport."""

from abc import ABC, abstractmethod

__all__ = ["QueueRegisters"]


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
