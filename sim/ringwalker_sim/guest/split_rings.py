"""The rings of a split virtqueue in guest memory: their addresses, and what the driver writes into them.

Ref: virtio 1.4, 2.7, 2.7.5.3 (indirect descriptors), 2.7.7 and 2.7.10 (notification suppression).
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
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
    used_event_offset,
)

from ..memory import Buffer, GuestMemory
from .virtqueue import Chain, Virtqueue

__all__ = ["INDEX_MASK", "RING_FEATURES", "QueueControl", "SplitRings"]

INDEX_MASK = 0xFFFF

RING_FEATURES = 1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX
"""Features that a split virtqueue uses when they are negotiated."""

_TABLE = 16
"""Descriptors of the indirect table that each ring entry has; longer tables are allocated as needed."""


class QueueControl:
    """The operations of a transport for a split virtqueue. This base class reaches no device."""

    async def notify(self, vq: "SplitRings") -> None:
        """Notify the device of new buffers."""
        return

    def can_resume(self, vq: "SplitRings") -> bool:
        """Whether the queue can be stopped without a reset of the device."""
        return False

    def holds(self, vq: "SplitRings") -> bool:
        """Whether the device knows the queue, and may touch its buffers."""
        return False

    async def quiesce(self, vq: "SplitRings") -> bool:
        """Stop the queue; when this returns the device accesses neither its rings nor its buffers.

        Chains in flight were completed into the used ring, or dropped. False: this took a device reset, and
        the queue cannot be resumed.
        """
        return False

    async def resume(self, vq: "SplitRings") -> None:
        """Set the queue up on the device again, with empty rings."""
        return


class _Table:
    """``count`` descriptors in memory from ``address`` on, by field."""

    def __init__(self, memory: GuestMemory, address: int, count: int):
        self.address = address
        self.rows = memory.struct_view(address, Descriptor, count)
        self.addr, self.len = self.rows["addr"], self.rows["len"]
        self.flags, self.next = self.rows["flags"], self.rows["next"]

    def put(self, chain: Chain, places: Any, first: int = 0) -> None:
        """Write ``chain`` into descriptors ``places``; ``next`` counts from ``first`` on."""
        last = len(chain.sg) - 1
        for position, (address, length) in enumerate(chain.sg):
            at = places[position]
            flags = DESC_F_WRITE if position >= chain.out_num else 0
            if position != last:
                flags |= DESC_F_NEXT
                self.next[at] = places[position + 1] - first
            else:
                self.next[at] = 0
            self.addr[at] = address
            self.len[at] = length
            self.flags[at] = flags


class SplitRings(Virtqueue):
    """The areas of a queue and the driver's writes to them; :class:`~.split_queue.SplitVirtqueue` reads them.

    ``features`` is the negotiated mask, of which ``RING_FEATURES`` are used. With INDIRECT_DESC a buffer of
    two pieces or more occupies one descriptor of the table. With EVENT_IDX each side writes the index at
    which it wants the next notification. ``interrupt_after`` is then the number of used buffers (or all
    outstanding ones, if fewer) after which the driver wants an interrupt.
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
    ):
        if not 1 <= size <= MAX_QUEUE_SIZE or size & (size - 1):
            raise ValueError(f"size is {size!r}; it must be a power of two from 1 to {MAX_QUEUE_SIZE}")
        super().__init__(size, index=index, callback=callback, vdev=vdev)
        self.memory = memory
        self.indirect = bool(features >> Feature.INDIRECT_DESC & 1)
        self.event_idx = bool(features >> Feature.EVENT_IDX & 1)
        self.interrupt_after = 1
        self._control = control or QueueControl()
        self._stopping = False
        self._small: Buffer | None = None
        self._tables: _Table | None = None
        self._large: dict[int, Buffer] = {}
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        memory, size = self.memory, self.size
        self._areas = (
            memory.allocate(size * DESC_BYTES, DESC_ALIGN),
            memory.allocate(used_event_offset(size) + AVAIL_ENTRY_BYTES, DRIVER_ALIGN),
            memory.allocate(avail_event_offset(size) + AVAIL_ENTRY_BYTES, DEVICE_ALIGN),
        )
        self.desc_address, self.driver_address, self.device_address = (area.address for area in self._areas)
        self._table = table = _Table(memory, self.desc_address, size)
        self._addr, self._len, self._flags, self._next = table.addr, table.len, table.flags, table.next
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

    def reset(self) -> None:
        """Empty the rings, as a device expects them when the queue is enabled. For transports."""
        for area in self._areas:
            area.array[:] = 0
        self._free: deque[int] = deque(range(self.size))
        for chain in self._chains.values():
            chain.place = None
        self._chains.clear()
        self._forget_tables()
        self._added = self._shown = 0
        self._last_used = 0
        self.broken = False
        if self._suppressed:
            self._ask_interrupts(False)

    def free(self) -> None:
        """Free the memory of the rings. The queue must be disabled on the device."""
        self.broken = True
        self._forget_tables()
        for area in self._areas:
            area.free()
        if self._small is not None:
            self._small.free()
        self._small = self._tables = None
        self._areas = ()

    def _forget_tables(self) -> None:
        for table in self._large.values():
            table.free()
        self._large.clear()

    @property
    def num_free(self) -> int:
        """Free descriptors."""
        return len(self._free)

    def descriptors(self, pieces: int) -> int:
        """1 with indirect descriptors, else ``pieces``."""
        return 1 if self.indirect else pieces

    # --- the driver's area ---------------------------------------------------------------------------------

    def _expose(self, chain: Chain) -> None:
        count = len(chain.sg)
        places = [self._free.popleft() for _ in range(self.descriptors(count))]
        head = places[0]
        if len(places) == count:
            self._table.put(chain, places)
        else:
            table, first = self._indirect_table(head, count)
            table.put(chain, range(first, first + count), first)
            self._next[head] = 0
            self._addr[head] = table.address + first * DESC_BYTES
            self._len[head] = count * DESC_BYTES
            self._flags[head] = DESC_F_INDIRECT
        chain.place = places
        self._chains[head] = chain
        self._room[head] = chain.writable
        # The entries become visible with the index, which kick writes.
        self._avail_ring[self._added & (self.size - 1)] = head
        self._added = (self._added + 1) & INDEX_MASK

    def _indirect_table(self, head: int, count: int) -> tuple[_Table, int]:
        """The table for ``count`` pieces of the chain with that head, and its first row there."""
        if count > _TABLE:
            self._large[head] = area = self.memory.allocate(count * DESC_BYTES, DESC_ALIGN)
            return _Table(self.memory, area.address, count), 0
        if self._tables is None:
            self._small = self.memory.allocate(self.size * _TABLE * DESC_BYTES, DESC_ALIGN)
            self._tables = _Table(self.memory, self._small.address, self.size * _TABLE)
        return self._tables, head * _TABLE

    def _release(self, chain: Chain) -> None:
        """Free the descriptors of a used chain."""
        if self._large and chain.place[0] in self._large:
            self._large.pop(chain.place[0]).free()
        self._free.extend(chain.place)
        chain.place = None

    @property
    def shown(self) -> int:
        """The available index as the device sees it."""
        return self._shown

    async def kick(self) -> None:
        """Show the device all added buffers, and notify it unless it suppresses notifications."""
        if self._stopping:
            return  # The added buffers are shown when the queue goes on.
        before, self._shown = self._shown, self._added
        self._avail_idx[0] = self._added
        if self.broken or not self._wants_notice(before):
            return
        self.kicks += 1
        await self._control.notify(self)

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
