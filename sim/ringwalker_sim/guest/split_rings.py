"""The rings of a split virtqueue in guest memory: their addresses, and what the driver writes into them.

Ref: virtio 1.4, 2.7, 2.7.5.3 (indirect descriptors), 2.7.7 and 2.7.10 (notification suppression).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.legacy import (
    LEGACY_QUEUE_ALIGN,
    legacy_device_offset,
    legacy_driver_offset,
    legacy_queue_bytes,
)
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_ALIGN,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    DEVICE_ALIGN,
    DRIVER_ALIGN,
    MAX_QUEUE_SIZE,
    USED_ENTRY_BYTES,
    USED_F_NO_NOTIFY,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
    avail_event_offset,
    descriptor_area_bytes,
    device_area_bytes,
    driver_area_bytes,
    used_event_offset,
)

from ..memory import GuestMemory
from .ring_queue import IndirectTables, QueueControl, QueueSignals, RingVirtqueue
from .virtqueue import Chain, Virtqueue

__all__ = ["INDEX_MASK", "RingState", "SplitRings"]

INDEX_MASK = 0xFFFF


def _put(rows: Any, chain: Chain, places: Any, first: int = 0) -> None:
    """Write ``chain`` into descriptors ``places`` of ``rows``; ``next`` counts from ``first`` on."""
    addresses, lengths, all_flags, following = rows["addr"], rows["len"], rows["flags"], rows["next"]
    last = len(chain.sg) - 1
    for position, (address, length) in enumerate(chain.sg):
        at = places[position]
        flags = DESC_F_WRITE if position >= chain.out_num else 0
        if position != last:
            flags |= DESC_F_NEXT
            following[at] = places[position + 1] - first
        else:
            following[at] = 0
        addresses[at] = address
        lengths[at] = length
        all_flags[at] = flags


@dataclass
class RingState:
    """What a driver knows of a split queue: free descriptors, the next in front; its available index, the
    used entries that it has taken, buffers ever added; kicks, interrupts and spurious ones; and the chains
    that the device has, in the order of adding.
    """

    free: list[int]
    added: int
    last_used: int
    number: int
    counts: tuple[int, int, int]
    outstanding: list[Chain]


class SplitRings(RingVirtqueue):
    """The areas of a queue and the driver's writes to them; :class:`~.split_queue.SplitVirtqueue` reads them.

    The parameters are those of :class:`~.ring_queue.RingVirtqueue`. ``legacy``: the areas are in one piece,
    as the legacy interface lays them out; otherwise each is by itself. Errors: ``ValueError`` for a size that
    is no power of two up to ``MAX_QUEUE_SIZE``.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        *,
        index: int = 0,
        callback: Callable[[Virtqueue], bool] | None = None,
        control: QueueControl | None = None,
        vdev: Any = None,
        features: int = 0,
        legacy: bool = False,
    ):
        if not 1 <= size <= MAX_QUEUE_SIZE or size & (size - 1):
            raise ValueError(f"size is {size!r}; it must be a power of two from 1 to {MAX_QUEUE_SIZE}")
        super().__init__(
            memory, size, index=index, callback=callback, control=control, vdev=vdev, features=features
        )
        self._legacy = legacy
        self._tables = IndirectTables(memory, size, Descriptor)
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        memory, size = self.memory, self.size
        if self._legacy:
            self._allocate_one_piece()
        else:
            self._allocate_areas()
        self._rows = rows = memory.struct_view(self.desc_address, Descriptor, size)
        self._addr, self._len, self._flags, self._next = (
            rows[name] for name in ("addr", "len", "flags", "next")
        )
        avail = memory.struct_view(self.driver_address, RingHeader)
        self._avail_flags, self._avail_idx = avail["flags"], avail["idx"]
        ring = self.driver_address + AVAIL_RING_OFFSET
        self._avail_ring = memory.view(ring, size * AVAIL_ENTRY_BYTES).view("<u2")
        used_event, avail_event = self.driver_address + used_event_offset(size), avail_event_offset(size)
        self._used_event = memory.view(used_event, AVAIL_ENTRY_BYTES).view("<u2")
        self._avail_event = memory.view(self.device_address + avail_event, AVAIL_ENTRY_BYTES).view("<u2")
        used = memory.struct_view(self.device_address, RingHeader)
        self._used_flags, self._used_idx = used["flags"], used["idx"]
        elements = memory.struct_view(self.device_address + USED_RING_OFFSET, UsedElement, size)
        assert elements.itemsize == USED_ENTRY_BYTES
        self._used_id, self._used_len = elements["id"], elements["len"]
        self._room = np.zeros(size, np.int64)

    def _allocate_areas(self) -> None:
        memory, size = self.memory, self.size
        self._areas = (
            memory.allocate(descriptor_area_bytes(size), DESC_ALIGN),
            memory.allocate(driver_area_bytes(size), DRIVER_ALIGN),
            memory.allocate(device_area_bytes(size), DEVICE_ALIGN),
        )
        self.desc_address, self.driver_address, self.device_address = (area.address for area in self._areas)

    def _allocate_one_piece(self) -> None:
        length = legacy_queue_bytes(self.size)
        area = self.memory.allocate(length, LEGACY_QUEUE_ALIGN)
        if area.address == 0:  # Page 0 says that there is no queue.
            page, area = area, self.memory.allocate(length, LEGACY_QUEUE_ALIGN)
            page.free()
        self._areas = (area,)
        self.desc_address = area.address
        self.driver_address = area.address + legacy_driver_offset(self.size)
        self.device_address = area.address + legacy_device_offset(self.size)

    def reset(self) -> None:
        """Empty the rings, as a device expects them when the queue is enabled. For transports."""
        for area in self._areas:
            area.array[:] = 0
        self._free: deque[int] = deque(range(self.size))
        for chain in self._chains.values():
            chain.place = None
        self._chains.clear()
        self._ready: deque[tuple[Chain, int]] = deque()
        if self._tables is not None:
            self._tables.forget()
        self._added = self._shown = 0
        self._last_used = 0
        self.broken = False
        if self._suppressed:
            self._ask_interrupts(False)

    def state(self) -> RingState:
        """What the driver knows of the queue beside what is in memory. For who goes on in its place."""
        chains = sorted(self._chains.values(), key=lambda chain: chain.number)
        counts = (self.kicks, self.interrupts, self.spurious)
        return RingState(list(self._free), self._added, self._last_used, self._number, counts, chains)

    def restore(self, state: RingState) -> None:
        """Go on from what :meth:`state` has become; all added buffers are shown."""
        self._free = deque(state.free)
        self._added = self._shown = state.added
        self._last_used, self._number = state.last_used, state.number
        self.kicks, self.interrupts, self.spurious = state.counts
        self._chains = {chain.place[0]: chain for chain in state.outstanding}
        for head, chain in self._chains.items():
            self._room[head] = chain.writable

    @property
    def plain(self) -> bool:
        """Whether buffers may be used in any order, and nothing of the queue is held back."""
        at_rest = not (self.broken or self._stopping or self._done or self._suppressed)
        return at_rest and not self.in_order and self._added == self._shown

    def signals(self) -> QueueSignals | None:
        """See :meth:`.QueueControl.signals`."""
        return self._control.signals(self)

    def indirect_tables(self) -> int:
        """The address of the indirect tables, 16 descriptors for each entry of the ring; 0 without them."""
        assert self._tables is not None
        return self._tables.take(0, 1)[2] if self.indirect else 0

    @property
    def num_free(self) -> int:
        """Free descriptors."""
        return len(self._free)

    # --- the driver's area ---------------------------------------------------------------------------------

    def _expose(self, chain: Chain) -> None:
        count = len(chain.sg)
        # The device uses descriptors of IN_ORDER in the order of the table, and so they become free.
        places = [self._free.popleft() for _ in range(self.descriptors(count))]
        head = places[0]
        if len(places) == count:
            _put(self._rows, chain, places)
        else:
            assert self._tables is not None
            rows, first, address = self._tables.take(head, count)
            _put(rows, chain, range(first, first + count), first)
            self._next[head], self._addr[head] = 0, address
            self._len[head], self._flags[head] = count * DESC_BYTES, DESC_F_INDIRECT
        chain.place = places
        self._chains[head] = chain
        self._room[head] = chain.writable
        # The entries become visible with the index, which kick writes.
        self._avail_ring[self._added & (self.size - 1)] = head
        self._added = (self._added + 1) & INDEX_MASK

    def _release(self, chain: Chain) -> None:
        """Free the descriptors of a used chain."""
        assert self._tables is not None
        self._tables.release(chain.place[0])
        self._free.extend(chain.place)
        chain.place = None

    @property
    def shown(self) -> int:
        """The available index as the device sees it."""
        return self._shown

    def _show(self) -> bool:
        before, self._shown = self._shown, self._added
        self._avail_idx[0] = self._added
        return self._wants_notice(before)

    def _wants_notice(self, before: int) -> bool:
        """Whether the device wants a notification for the index going on from ``before``."""
        if not self.event_idx:
            return not self._used_flags[0] & USED_F_NO_NOTIFY
        after_event = (self._added - int(self._avail_event[0]) - 1) & INDEX_MASK
        return after_event < (self._added - before) & INDEX_MASK

    def _ask_interrupts(self, wanted: bool) -> None:
        if not self.event_idx:
            self._avail_flags[0] = 0 if wanted else AVAIL_F_NO_INTERRUPT
            return
        # An event index as far away as possible suppresses interrupts.
        after = max(1, min(self.interrupt_after, len(self._chains))) if wanted else 0
        self._used_event[0] = (self._last_used + after - 1) & INDEX_MASK
