"""The device's half of rings in guest memory, in plain Python: chains in, used buffers out.

Ref: virtio 1.4, 2.7 (split virtqueues), 2.8 (packed virtqueues), 2.7.9 and 2.8.8 (in-order use).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.packed import (
    DESC_F_AVAIL,
    DESC_F_USED,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    is_available,
)
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
    avail_event_offset,
    used_event_offset,
)

from ..guest.packed_rings import Place, event_passed
from ..memory import GuestMemory, ScatterGather

__all__ = ["DeviceRing", "PackedDeviceRing", "QueueState", "SplitDeviceRing", "TakenChain", "device_ring"]


@dataclass
class QueueState:
    """The registers of a queue, on the device."""

    size: int
    desc: int = 0
    driver: int = 0
    device: int = 0
    enable: int = 0
    vector: int = NO_VECTOR
    epoch: int = 0
    """Number of resets. A completion from before a reset is dropped."""


@dataclass
class TakenChain:
    """A chain that was available: ``key`` is what the driver knows it by, ``span`` the number of descriptors
    of the ring that it takes; its pieces are (address, length)."""

    key: int
    span: int = 1
    readable: ScatterGather = field(default_factory=list)
    writable: ScatterGather = field(default_factory=list)

    def add(self, memory: GuestMemory, piece: tuple[int, int], writable: bool) -> None:
        """The next piece. Errors: ``ValueError`` for one that may not follow, :class:`MemoryFault`."""
        memory.view(*piece)
        if self.writable and not writable:
            raise ValueError("a readable piece after a writable one")
        (self.writable if writable else self.readable).append(piece)

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return len(self.readable) + len(self.writable)


class DeviceRing(ABC):
    """The rings of ``queue`` in ``memory``; ``features`` are those that were negotiated.

    ``written_index(index)`` may change the used index of a split ring, for tests of a faulty device. Errors:
    ``ValueError`` and :class:`MemoryFault` for what a driver must not do.
    """

    def __init__(self, memory: GuestMemory, queue: QueueState, features: int):
        self.memory = memory
        self.queue = queue
        self.event_idx = bool(features >> Feature.EVENT_IDX & 1)
        self.indirect = bool(features >> Feature.INDIRECT_DESC & 1)
        self.notify_on_empty = bool(features >> Feature.NOTIFY_ON_EMPTY & 1)
        self.taken = 0
        """How many chains were taken so far."""
        self.written_index: Callable[[int], int] = lambda index: index

    @abstractmethod
    def chains(self) -> Iterator[TakenChain]:
        """What became available since the last call. With EVENT_IDX then ask for a notification of more."""

    @abstractmethod
    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """Say that chains are used, each with the bytes that were written. Several are in the order in which
        they were taken, and of all but the last all writable bytes were written."""

    @abstractmethod
    def wants_interrupt(self) -> bool:
        """Whether the driver wants a notification of what was used last."""

    def _table(self, address: int, length: int, struct: Any) -> Any:
        """An indirect table."""
        if not self.indirect or not length or length % DESC_BYTES:
            raise ValueError(f"an indirect table of {length} bytes, or without VIRTIO_F_INDIRECT_DESC")
        return self.memory.struct_view(address, struct, length // DESC_BYTES)


class SplitDeviceRing(DeviceRing):
    """A split ring."""

    def __init__(self, memory: GuestMemory, queue: QueueState, features: int):
        super().__init__(memory, queue, features)
        self.last_avail = self.used = self._before = 0

    def chains(self) -> Iterator[TakenChain]:
        """See :meth:`DeviceRing.chains`."""
        queue, memory = self.queue, self.memory
        waiting = self._waiting()
        if waiting > queue.size:
            raise ValueError("more chains than the queue holds")
        for _ in range(waiting):
            at = queue.driver + AVAIL_RING_OFFSET + self.last_avail % queue.size * AVAIL_ENTRY_BYTES
            head = int.from_bytes(memory.read(at, AVAIL_ENTRY_BYTES), "little")
            self.last_avail = (self.last_avail + 1) & 0xFFFF
            self.taken += 1
            yield self._chain(head)
        if self.event_idx:
            self._event(queue.device + avail_event_offset(queue.size))[0] = self.last_avail

    def _waiting(self) -> int:
        """How many chains are available and were not taken."""
        index = int(self.memory.struct_view(self.queue.driver, RingHeader)[0]["idx"])
        return (index - self.last_avail) & 0xFFFF

    def _event(self, address: int) -> np.ndarray:
        return self.memory.view(address, AVAIL_ENTRY_BYTES).view("<u2")

    def _chain(self, head: int) -> TakenChain:
        table = self.memory.struct_view(self.queue.desc, Descriptor, self.queue.size)
        chain, nested, at = TakenChain(head), False, head
        while chain.pieces < self.queue.size:
            if at >= len(table):
                raise ValueError("descriptor outside the table")
            entry = table[at]
            address, length, flags = int(entry["addr"]), int(entry["len"]), int(entry["flags"])
            if flags & DESC_F_INDIRECT:
                if nested or flags & DESC_F_NEXT:
                    raise ValueError("an indirect table in another, or in front of more descriptors")
                table, nested, at = self._table(address, length, Descriptor), True, 0
                continue
            chain.add(self.memory, (address, length), bool(flags & DESC_F_WRITE))
            if not flags & DESC_F_NEXT:
                return chain
            at = int(entry["next"])
        raise ValueError("a chain without end")

    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """See :meth:`DeviceRing.use`."""
        queue = self.queue
        chain, written = batch[-1]
        elements = self.memory.struct_view(queue.device + USED_RING_OFFSET, UsedElement, queue.size)
        element = elements[self.used % queue.size]
        element["id"], element["len"] = chain.key, written
        self._before, self.used = self.used, (self.used + len(batch)) & 0xFFFF
        self.memory.struct_view(queue.device, RingHeader)[0]["idx"] = self.written_index(self.used) & 0xFFFF

    def wants_interrupt(self) -> bool:
        """See :meth:`DeviceRing.wants_interrupt`."""
        queue = self.queue
        if self.notify_on_empty and self.used == self.last_avail and self._waiting() == 0:
            return True
        if self.event_idx:
            wanted = int(self._event(queue.driver + used_event_offset(queue.size))[0])
            return (wanted - self._before) & 0xFFFF < (self.used - self._before) & 0xFFFF
        flags = int(self.memory.struct_view(queue.driver, RingHeader)[0]["flags"])
        return not flags & AVAIL_F_NO_INTERRUPT


class PackedDeviceRing(DeviceRing):
    """A packed ring."""

    def __init__(self, memory: GuestMemory, queue: QueueState, features: int):
        super().__init__(memory, queue, features)
        self._next, self._used = Place(queue.size), Place(queue.size)
        self._span = 0
        self._rows = memory.struct_view(queue.desc, PackedDescriptor, queue.size)

    def chains(self) -> Iterator[TakenChain]:
        """See :meth:`DeviceRing.chains`."""
        while True:
            flags = int(self._rows[self._next.offset]["flags"])
            if is_available(flags, self._next.wrap):
                chain = self._chain()
                self.taken += 1
                yield chain
            elif not self._ask():
                return

    def _ask(self) -> bool:
        """Ask for a notification of the next descriptor; whether it was made available meanwhile."""
        if not self.event_idx:
            return False
        event = self.memory.struct_view(self.queue.device, EventSuppression)[0]
        event["place"], event["flags"] = self._next.bits, EventFlags.DESC
        return bool(is_available(int(self._rows[self._next.offset]["flags"]), self._next.wrap))

    def _chain(self) -> TakenChain:
        chain, span = TakenChain(0), 0
        while span < self.queue.size:
            entry = self._rows[self._next.offset]
            address, length, flags = int(entry["addr"]), int(entry["len"]), int(entry["flags"])
            if not is_available(flags, self._next.wrap):
                raise ValueError("a chain whose rest is not available")
            self._next.advance(1)
            span += 1
            if flags & DESC_F_INDIRECT:
                if span > 1 or flags & DESC_F_NEXT:
                    raise ValueError("an indirect table in a list of descriptors")
                table = self._table(address, length, PackedDescriptor)
                if len(table) > self.queue.size:
                    raise ValueError("a chain longer than the queue")
                # No other flag counts in a table. Ref: virtio 1.4, 2.8.7.
                for row in table:
                    piece = int(row["addr"]), int(row["len"])
                    chain.add(self.memory, piece, bool(int(row["flags"]) & DESC_F_WRITE))
            else:
                chain.add(self.memory, (address, length), bool(flags & DESC_F_WRITE))
            if not flags & DESC_F_NEXT:
                chain.key, chain.span = int(entry["id"]), span
                return chain
        raise ValueError("a chain without end")

    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """See :meth:`DeviceRing.use`."""
        chain, written = batch[-1]
        row, both = self._rows[self._used.offset], DESC_F_AVAIL | DESC_F_USED
        row["id"], row["len"] = chain.key, written
        row["flags"] = (both if self._used.wrap else 0) | (DESC_F_WRITE if written else 0)
        self._span = sum(taken.span for taken, _written in batch)
        self._used.advance(self._span)

    def wants_interrupt(self) -> bool:
        """See :meth:`DeviceRing.wants_interrupt`."""
        event = self.memory.struct_view(self.queue.driver, EventSuppression)[0]
        wanted = int(event["flags"]) & 3
        if wanted == EventFlags.DESC and self.event_idx:
            return event_passed(int(event["place"]), self._used, self._span)
        return wanted != EventFlags.DISABLE


def device_ring(memory: GuestMemory, queue: QueueState, features: int) -> DeviceRing:
    """The ring of the format that was negotiated."""
    packed = features >> Feature.RING_PACKED & 1
    return (PackedDeviceRing if packed else SplitDeviceRing)(memory, queue, features)
