"""The registers of one queue, wherever they are."""

from abc import ABC, abstractmethod

__all__ = ["QueueRegisters"]


class QueueRegisters(ABC):
    """Names are those of :data:`ringwalker.spec.fields.QUEUE_FIELD`: size, enable, desc, ..., reset."""

    @abstractmethod
    async def read(self, name: str) -> int:
        """Read a register."""

    @abstractmethod
    async def write(self, name: str, value: int) -> None:
        """Write a register."""

    @abstractmethod
    async def ring(self, index: int, shown: int | None = None) -> None:
        """Tell the device that queue ``index``, this one, has new buffers; and its available index, if it
        is ``shown`` to a device that takes that."""
