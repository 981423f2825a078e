"""The ring of a packed virtqueue in guest memory, and what the driver writes into it.

Ref: virtio 1.4, 2.8, 2.8.7 (indirect descriptors), 2.8.10 (event suppression), 2.8.21 (supplying buffers).
"""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from ringwalker.spec.packed import (
    EVENT_BYTES,
    PLACE_WRAP,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    available_flags,
)
from ringwalker.spec.ring import (
    DESC_ALIGN,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    MAX_QUEUE_SIZE,
)

from ..memory import GuestMemory
from .ring_queue import IndirectTables, QueueControl, RingVirtqueue
from .virtqueue import Chain, Virtqueue

__all__ = ["PackedRings", "Place", "event_passed"]


class Place:
    """A descriptor of a ring of ``size`` and a wrap counter, which both go on with :meth:`advance`."""

    __slots__ = ("offset", "size", "wrap")

    def __init__(self, size: int):
        self.size = size
        self.offset = 0
        self.wrap = 1

    def advance(self, count: int) -> None:
        """Go on by ``count`` descriptors, at most once round the ring."""
        self.offset += count
        if self.offset >= self.size:
            self.offset -= self.size
            self.wrap ^= 1

    def after(self, count: int) -> "Place":
        """The place ``count`` descriptors further on."""
        place = Place(self.size)
        place.offset, place.wrap = self.offset, self.wrap
        place.advance(count)
        return place

    @property
    def bits(self) -> int:
        """As 16 bits of an event suppression structure, or of a notification."""
        return self.offset | self.wrap * PLACE_WRAP


def event_passed(event: int, place: Place, count: int) -> bool:
    """Whether the descriptor that ``event`` (16 bits) names is one of the last ``count`` before ``place``."""
    offset, wrap = event % PLACE_WRAP, event // PLACE_WRAP
    return 1 <= place.offset - offset + (wrap != place.wrap) * place.size <= count


class PackedRings(RingVirtqueue):
    """The areas of a queue, and what the driver writes to them; the rest is
    :class:`~.packed_queue.PackedVirtqueue`.

    The parameters are those of :class:`~.ring_queue.RingVirtqueue`. Errors: ``ValueError`` for a size that is
    not from 1 to ``MAX_QUEUE_SIZE``.
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
        if not 1 <= size <= MAX_QUEUE_SIZE:
            raise ValueError(f"size is {size!r}; it must be from 1 to {MAX_QUEUE_SIZE}")
        super().__init__(
            memory, size, index=index, callback=callback, control=control, vdev=vdev, features=features
        )
        self._tables = IndirectTables(memory, size, PackedDescriptor)
        self._areas = (
            memory.allocate(size * DESC_BYTES, DESC_ALIGN),
            memory.allocate(EVENT_BYTES, EVENT_BYTES),
            memory.allocate(EVENT_BYTES, EVENT_BYTES),
        )
        self.desc_address, self.driver_address, self.device_address = (area.address for area in self._areas)
        self._rows = memory.struct_view(self.desc_address, PackedDescriptor, size)
        self._driver_event = memory.struct_view(self.driver_address, EventSuppression)[0]
        self._device_event = memory.struct_view(self.device_address, EventSuppression)[0]
        self.reset()

    def reset(self) -> None:
        """Empty the rings, as a device expects them when the queue is enabled. For transports."""
        for area in self._areas:
            area.array[:] = 0
        for chain in self._chains.values():
            chain.place = None
        self._chains.clear()
        self._ready: deque[tuple[Chain, int]] = deque()
        if self._tables is not None:
            self._tables.forget()
        self._ids: deque[int] = deque(range(self.size))
        self._free = self.size
        # Where the next descriptor goes, where the device sees the end, and where it is to use the next.
        self._next, self._shown, self._used = Place(self.size), Place(self.size), Place(self.size)
        self._hidden: list[tuple[int, int]] = []
        self._added = 0
        self.broken = False
        if self._suppressed:
            self._ask_interrupts(False)

    @property
    def num_free(self) -> int:
        """Free descriptors."""
        return self._free

    # --- the driver's writes -------------------------------------------------------------------------------

    def _expose(self, chain: Chain) -> None:
        pieces = len(chain.sg)
        count = self.descriptors(pieces)
        key, rows = self._ids.popleft(), self._rows
        for position in range(count):
            at, flags = self._next.offset, available_flags(self._next.wrap)
            if count < pieces:
                address, length = self._write_table(key, chain), pieces * DESC_BYTES
                flags |= DESC_F_INDIRECT
            else:
                address, length = chain.sg[position]
                flags |= DESC_F_WRITE if position >= chain.out_num else 0
                flags |= DESC_F_NEXT if position < pieces - 1 else 0
            rows["addr"][at], rows["len"][at], rows["id"][at] = address, length, key
            # The flags of the first make the chain available, so kick writes them.
            if position:
                rows["flags"][at] = flags
            else:
                self._hidden.append((at, flags))
            self._next.advance(1)
        self._free -= count
        self._added += count
        chain.place = (key, count)
        self._chains[key] = chain

    def _write_table(self, key: int, chain: Chain) -> int:
        """Write the indirect table of a chain; its address. Only the flag WRITE counts in there."""
        assert self._tables is not None
        rows, first, address = self._tables.take(key, len(chain.sg))
        for position, (start, length) in enumerate(chain.sg):
            at = first + position
            rows["addr"][at], rows["len"][at], rows["id"][at] = start, length, 0
            rows["flags"][at] = DESC_F_WRITE if position >= chain.out_num else 0
        return address

    def _release(self, chain: Chain) -> None:
        """Free the descriptors of a used chain."""
        assert self._tables is not None
        key, count = chain.place
        self._tables.release(key)
        self._ids.append(key)
        self._free += count
        chain.place = None

    @property
    def shown(self) -> int:
        """Offset and wrap counter of the first descriptor that the device does not see yet."""
        return self._shown.bits

    def _show(self) -> bool:
        flags = self._rows["flags"]
        # The first of them goes last: a device that sees it sees all.
        for at, value in reversed(self._hidden):
            flags[at] = value
        self._hidden.clear()
        added, self._added = self._added, 0
        self._shown = self._next.after(0)
        return self._wants_notice(added)

    def _wants_notice(self, added: int) -> bool:
        """Whether the device wants a notification for the ``added`` descriptors."""
        wanted = int(self._device_event["flags"]) & 3
        if wanted == EventFlags.DESC and self.event_idx:
            return event_passed(int(self._device_event["place"]), self._shown, added)
        return wanted != EventFlags.DISABLE

    def _ask_interrupts(self, wanted: bool) -> None:
        event = self._driver_event
        if not wanted or not self.event_idx:
            event["flags"] = EventFlags.ENABLE if wanted else EventFlags.DISABLE
            return
        before = max(0, min(self.interrupt_after, len(self._chains)) - 1)
        span = sum(chain.place[1] for chain in islice(self._chains.values(), before))
        # The place counts as soon as the flags say so.
        event["place"] = self._used.after(span).bits
        event["flags"] = EventFlags.DESC

    # --- many at once --------------------------------------------------------------------------------------

    def _places(self, start: Place, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next ``count`` descriptors from ``start`` on, and the wrap counter at each."""
        offsets = start.offset + np.arange(count)
        over = offsets >= self.size
        return offsets - self.size * over, start.wrap ^ over
