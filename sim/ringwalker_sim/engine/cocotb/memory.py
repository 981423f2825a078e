"""Regions of the host's address space: guest RAM over its numpy array, and the place of INTx messages."""

from collections.abc import Callable
from typing import Any

from cocotbext.axi.address_space import Region

from ...memory import Access, GuestMemory

__all__ = ["GuestRegion", "IntxRegion"]


class GuestRegion(Region):
    """Guest RAM as cocotbext-pcie sees it; ``now`` gives the cycle for reports to watches."""

    def __init__(self, memory: GuestMemory, now: Callable[[], int]):
        super().__init__(memory.size)
        self.memory = memory
        self.now = now

    async def _read(self, address: int, length: int, **_kwargs: Any) -> bytes:
        guest = address + self.memory.base
        if self.memory.watches:
            self.memory.note_access(Access(self.now(), guest, length, False))
        return self.memory.read(guest, length)

    async def _write(self, address: int, data: Any, **_kwargs: Any) -> None:
        guest = address + self.memory.base
        if self.memory.watches:
            self.memory.note_access(Access(self.now(), guest, len(data), True))
        self.memory.write(guest, data)


class IntxRegion(Region):
    """Takes the level of INTA that the root port writes; ``callbacks`` run when it is asserted."""

    def __init__(self) -> None:
        super().__init__(16)
        self.level = 0
        self.callbacks: list[Callable[[], None]] = []

    async def _read(self, _address: int, length: int, **_kwargs: Any) -> bytes:
        return bytes(length)

    async def _write(self, _address: int, data: Any, **_kwargs: Any) -> None:
        level = data[0]
        rising, self.level = level and not self.level, level
        if rising:
            for callback in self.callbacks:
                callback()
