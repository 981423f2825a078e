"""Makes chains available, as operations: on a split ring or a packed one."""

from collections.abc import Sequence

from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED, PLACE_WRAP, available_flags
from ringwalker.spec.ring import (
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_IDX_OFFSET,
)

from .operations import Operation, descriptor, expect_memory, memory, packed
from .scene import Queue

__all__ = ["PackedRing", "Piece", "SplitRing", "ring_of"]

Piece = tuple[int, int, bool]
"""Address and length of a buffer, and whether the device writes it."""


class SplitRing:
    """A split ring that goes on where ``queue`` says; its first descriptor is number ``first``."""

    def __init__(self, queue: Queue, first: int = 0):
        self.queue = queue
        self.index = queue.index
        self._slot = first % queue.size

    @property
    def place(self) -> int:
        """What a notification with data carries."""
        return self.index & 0xFFFF

    def offer(
        self,
        pieces: Sequence[Piece],
        table: int | None = None,
        rows: Sequence[int] | None = None,
        table_bytes: int | None = None,
    ) -> list[Operation]:
        """Descriptors of a chain, in the ring's table or in an indirect one at ``table``, and its entry. They
        are ``rows`` of an indirect table, of which the first is 0, or those from 0 on; it is said to have
        ``table_bytes``, or as many as the chain takes."""
        queue, operations = self.queue, []
        count = len(pieces)
        slots = [(self._slot + n) % queue.size for n in range(1 if table is not None else count)]
        self._slot = (slots[-1] + 1) % queue.size
        if table is not None:
            places = [*(rows or range(count)), count]
            for n, (address, length, written) in enumerate(pieces):
                flags = (DESC_F_NEXT if n + 1 < count else 0) | (DESC_F_WRITE if written else 0)
                at = table + DESC_BYTES * places[n]
                operations.append(descriptor(at, address, length, flags, places[n + 1]))
            at = queue.desc + DESC_BYTES * slots[0]
            said = DESC_BYTES * count if table_bytes is None else table_bytes
            operations.append(descriptor(at, table, said, DESC_F_INDIRECT))
        else:
            for n, (address, length, written) in enumerate(pieces):
                flags = (DESC_F_NEXT if n + 1 < count else 0) | (DESC_F_WRITE if written else 0)
                following = slots[n + 1] if n + 1 < count else 0
                at = queue.desc + DESC_BYTES * slots[n]
                operations.append(descriptor(at, address, length, flags, following))
        entry = queue.driver + AVAIL_RING_OFFSET + 2 * (self.index % queue.size)
        operations.append(memory(entry, slots[0].to_bytes(2, "little")))
        self.index = self.index + 1 & 0xFFFF
        return operations

    def publish(self) -> list[Operation]:
        """The index that makes available what was offered."""
        return [memory(self.queue.driver + AVAIL_IDX_OFFSET, self.index.to_bytes(2, "little"))]

    def expect(self, cycles: int) -> Operation:
        """All that was offered is used in time, unless the device is broken."""
        return expect_memory(self.queue.device + USED_IDX_OFFSET, 2, self.index, cycles, unless=True)


class PackedRing:
    """A packed ring that goes on where ``queue`` says. The head of a chain is written last. Buffer ids count
    from ``first`` on by ``step``. ``number`` is the next one, ``at`` where the next descriptor comes."""

    def __init__(self, queue: Queue, first: int = 0, step: int = 1):
        self.queue = queue
        self.at, self._wrap = queue.at, queue.wrap
        self.number, self._step = first, step
        self._last = (queue.at, queue.wrap)

    @property
    def place(self) -> int:
        """What a notification with data carries."""
        return self.at | self._wrap * PLACE_WRAP

    def offer(self, pieces: Sequence[Piece], table: int | None = None) -> list[Operation]:
        """Descriptors of a chain, in the ring, or in an indirect table at ``table``."""
        queue, operations = self.queue, []
        number = self.number & 0xFFFF
        self.number += self._step
        flags = [DESC_F_WRITE if written else 0 for _address, _length, written in pieces]
        rows = [(address, length) for address, length, _written in pieces]
        if table is not None:
            for n, (address, length) in enumerate(rows):
                operations.append(packed(table + DESC_BYTES * n, address, length, flags[n]))
            rows, flags = [(table, DESC_BYTES * len(pieces))], [DESC_F_INDIRECT]
        self._last = (self.at, self._wrap)
        ring = []
        for n, (address, length) in enumerate(rows):
            more = DESC_F_NEXT if n + 1 < len(rows) else 0
            at = queue.desc + DESC_BYTES * self.at
            ring.append(packed(at, address, length, flags[n] | more | available_flags(self._wrap), number))
            self.at += 1
            if self.at == queue.size:
                self.at, self._wrap = 0, 1 - self._wrap
        return [*operations, *ring[1:], ring[0]]

    def publish(self) -> list[Operation]:
        """Nothing: the head of a chain has made it available."""
        return []

    def expect(self, cycles: int) -> Operation:
        """The one chain that was offered is used in time, unless the device is broken."""
        at, wrap = self._last
        both = DESC_F_AVAIL | DESC_F_USED
        address = self.queue.desc + DESC_BYTES * at + 14
        return expect_memory(address, 2, both * wrap, cycles, mask=both, unless=True)


def ring_of(queue: Queue, first: int = 0) -> SplitRing | PackedRing:
    """The ring of a queue, by its format; ``first`` is a descriptor, or a buffer id, of 16 bits."""
    return PackedRing(queue, first) if queue.packed else SplitRing(queue, first)
