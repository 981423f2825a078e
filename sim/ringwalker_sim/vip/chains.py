"""Buffers that a driver has made available, as a monitor reads them from guest memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ringwalker.spec.ring import (
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    Descriptor,
)

from ..memory import GuestMemory, dtype_of

__all__ = ["Chain", "Span", "read_chain"]

DESCRIPTOR: np.dtype = dtype_of(Descriptor)


@dataclass(frozen=True)
class Span:
    """``length`` bytes of guest memory at ``address``, of which the first is byte ``offset`` of its whole.

    ``kind`` is ``desc``, ``driver`` or ``device`` for an area of a queue, ``table`` for an indirect table,
    ``readable`` or ``writable`` for a buffer.
    """

    kind: str
    address: int
    length: int
    offset: int = 0

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.length


@dataclass
class Chain:
    """A buffer in flight. ``head`` is what names it in the ring, ``count`` its descriptors in the ring.

    ``written`` has a 1 for each device-writable byte that the device has written.
    """

    head: int
    spans: list[Span] = field(default_factory=list)
    count: int = 1
    written: bytearray = field(default_factory=bytearray)

    def add(self, address: int, length: int, writable: bool) -> None:
        """Add a buffer of one descriptor."""
        offset = len(self.written) if writable else 0
        self.spans.append(Span("writable" if writable else "readable", address, length, offset))
        if writable:
            self.written.extend(bytes(length))

    @property
    def room(self) -> int:
        """Device-writable bytes."""
        return len(self.written)

    def missing(self, length: int) -> int | None:
        """The first of the ``length`` bytes that was not written; None when all were."""
        at = self.written.find(0, 0, length)
        return None if at < 0 else at


def _walk(memory: GuestMemory, table: int, count: int, first: int) -> Iterator[tuple[int, int, int]]:
    """Address, length and flags of the descriptors of a chain; it ends where it leaves the table."""
    at = first
    for _ in range(count):
        if at >= count or not memory.contains(table + DESC_BYTES * at, DESC_BYTES):
            return
        row = memory.struct_view(table + DESC_BYTES * at, DESCRIPTOR)[0]
        flags = int(row["flags"])
        yield int(row["addr"]), int(row["len"]), flags
        if not flags & DESC_F_NEXT:
            return
        at = int(row["next"])


def read_chain(memory: GuestMemory, table: int, size: int, head: int) -> Chain:
    """The buffer of a split ring that begins with descriptor ``head`` of the ``size`` ones at ``table``."""
    chain = Chain(head)
    for address, length, flags in _walk(memory, table, size, head):
        if not flags & DESC_F_INDIRECT:
            chain.add(address, length, bool(flags & DESC_F_WRITE))
            continue
        chain.spans.append(Span("table", address, length))
        for item in _walk(memory, address, length // DESC_BYTES, 0):
            chain.add(item[0], item[1], bool(item[2] & DESC_F_WRITE))
    return chain
