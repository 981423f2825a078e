"""The world behind a device, where a target lets a check reach it."""

from abc import ABC, abstractmethod

__all__ = ["ConsoleMedium", "DiskMedium", "Medium", "NetMedium"]


class Medium:
    """What is behind the device."""


class NetMedium(Medium, ABC):
    """The other end of the cable."""

    @abstractmethod
    async def send(self, frame: bytes) -> None:
        """Let a frame come from outside."""

    @abstractmethod
    async def received(self) -> list[bytes]:
        """The frames that the device has sent since the last call."""

    async def set_link(self, up: bool) -> bool:
        """Put the link up or down; False where that cannot be done."""
        return False


class ConsoleMedium(Medium, ABC):
    """The terminal."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Type something."""

    @abstractmethod
    async def received(self) -> bytes:
        """What the device has put out since the last call."""

    async def resize(self, cols: int, rows: int) -> bool:
        """Change the size of the terminal; False where that cannot be done."""
        return False


class DiskMedium(Medium, ABC):
    """The disk behind the device."""

    @abstractmethod
    async def read(self, sector: int, count: int) -> bytes:
        """What the disk holds."""

    async def resize(self, sectors: int) -> bool:
        """Change the capacity; False where that cannot be done."""
        return False

    async def change_unmap(self) -> bool:
        """Change whether a write of zeroes may deallocate sectors; False where that cannot be done."""
        return False
