"""What the golden model reads and writes on the bus. No other part of it reaches memory or sends messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..memory import Access, GuestMemory

__all__ = ["END_OF_ADDRESSES", "MESSAGE", "READ", "WRITE", "Dma", "DmaAccess", "DmaFault"]

END_OF_ADDRESSES = 1 << 64

READ, WRITE, MESSAGE = "read", "write", "message"


class DmaFault(Exception):
    """A read found no memory, or bus mastering is off: the device cannot go on."""


@dataclass(frozen=True)
class DmaAccess:
    """One access of the device: the cycle, one of READ, WRITE and MESSAGE, and what was read or written.

    ``lost``: there is nothing at the address, so what was written is gone.
    """

    cycle: int
    kind: str
    address: int
    content: bytes
    lost: bool = False


class Dma:
    """The accesses of a device to ``memory``, in the order in which it makes them.

    ``now()`` gives their time. ``may_master()`` is False while the device must make none: a
    :class:`DmaFault` then. Each function of ``observers`` is called with each access; watches of the memory
    see those that are not messages.
    """

    def __init__(self, memory: GuestMemory, now: Callable[[], int] = lambda: 0):
        self.memory = memory
        self.now = now
        self.may_master: Callable[[], bool] = lambda: True
        self.observers: list[Callable[[DmaAccess], None]] = []

    def _check(self, address: int, length: int) -> None:
        if not self.may_master():
            raise DmaFault(f"{length} bytes at {address:#x} while bus mastering is off")
        if address + length > END_OF_ADDRESSES:
            raise DmaFault(f"{length} bytes at {address:#x} go beyond the last address")

    def _note(self, kind: str, address: int, content: Any, lost: bool = False) -> None:
        if self.memory.watches and kind != MESSAGE:
            self.memory.note_access(Access(self.now(), address, len(content), kind == WRITE))
        if self.observers:
            access = DmaAccess(self.now(), kind, address, bytes(content), lost)
            for observe in tuple(self.observers):
                observe(access)

    def read(self, address: int, length: int) -> np.ndarray:
        """A copy of ``length`` bytes, shape (length,), uint8. Errors: :class:`DmaFault`."""
        self._check(address, length)
        if not length:
            return np.empty(0, np.uint8)
        if not self.memory.contains(address, length):
            raise DmaFault(f"there are no {length} bytes at {address:#x}")
        content = self.memory.view(address, length).copy()
        self._note(READ, address, content)
        return content

    def read_number(self, address: int, length: int) -> int:
        """A little-endian number of ``length`` bytes. Errors: :class:`DmaFault`."""
        return int.from_bytes(self.read(address, length).tobytes(), "little")

    def read_fields(self, address: int, layout: np.dtype) -> tuple[int, ...]:
        """The fields of the struct ``layout`` at ``address``. Errors: :class:`DmaFault`."""
        return self.read(address, layout.itemsize).view(layout)[0].item()

    def write(self, address: int, content: Any) -> None:
        """Write bytes. Writes are posted, so one to where nothing is gets lost. Errors: :class:`DmaFault`."""
        self._check(address, len(content))
        if not len(content):
            return
        exists = self.memory.contains(address, len(content))
        if exists:
            self.memory.view(address, len(content))[:] = np.frombuffer(content, np.uint8)
        self._note(WRITE, address, content, not exists)

    def write_number(self, address: int, value: int, length: int) -> None:
        """Write a little-endian number of ``length`` bytes. Errors: :class:`DmaFault`."""
        self.write(address, value.to_bytes(length, "little"))

    def send_message(self, address: int, data: int) -> None:
        """Write a message of 32 bits, an interrupt to whoever decodes its address."""
        content = data.to_bytes(4, "little")
        if self.memory.contains(address, len(content)):
            self.memory.write(address, content)
        self._note(MESSAGE, address, content)
