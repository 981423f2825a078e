"""A packed ring of the checks. Ref: virtio 1.4, 2.8."""

from collections.abc import Sequence

import numpy as np

from ringwalker.spec.packed import (
    DESC_F_AVAIL,
    DESC_F_USED,
    PLACE_WRAP,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    available_flags,
    is_used,
)
from ringwalker.spec.ring import DESC_ALIGN, DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE

from ...memory import GuestMemory
from .queues import Offer, Piece, Queue, Used

__all__ = ["PackedQueue"]


class PackedQueue(Queue):
    """A packed ring. ``rows``, ``driver_event`` and ``device_event`` are views of its areas.

    ``place`` and ``wrap`` are where the driver goes on, ``next_used`` and ``used_wrap`` where it looks for
    used descriptors.
    """

    def __init__(self, memory: GuestMemory, index: int, size: int):
        super().__init__(memory, index, size)
        self.areas = (
            memory.allocate(size * DESC_BYTES, DESC_ALIGN),
            memory.allocate(4, 4),
            memory.allocate(4, 4),
        )
        self.desc_address, self.driver_address, self.device_address = (area.address for area in self.areas)
        self.rows = memory.struct_view(self.desc_address, PackedDescriptor, size)
        self.driver_event = memory.struct_view(self.driver_address, EventSuppression)
        self.device_event = memory.struct_view(self.device_address, EventSuppression)
        self.reset()

    def reset(self) -> None:
        """Empty the ring, as when the queue is set up."""
        self._forget()
        for area in self.areas:
            area.array[:] = 0
        self.place = self.next_used = 0
        self.wrap = self.used_wrap = 1
        self.room = self.size
        self.free_keys = list(range(self.size))
        self.described: list[tuple[Offer, int, int]] = []
        self._shown = (0, 1)
        self._before = (0, 1)

    def _advance(self, place: int, wrap: int, count: int) -> tuple[int, int]:
        place += count
        return (place - self.size, wrap ^ 1) if place >= self.size else (place, wrap)

    def offer(
        self,
        pieces: Sequence[Piece],
        *,
        indirect: int = 0,
        places: Sequence[int] | None = None,
        table_flags: int = 0,
    ) -> Offer:
        """See :meth:`Queue.offer`. All descriptors but the flags of the first are written at once."""
        assert places is None, "a packed ring has one place for the next buffer"
        made = Offer(list(pieces), self.free_keys.pop(0))
        entries = [(piece.address, piece.length, DESC_F_WRITE * piece.writable) for piece in made.pieces]
        if indirect:
            table = self._table(made.pieces, PackedDescriptor, False)
            made.tables.append(table)
            entries = [(table.address, table.length, DESC_F_INDIRECT | table_flags)]
        assert len(entries) <= self.room, "there are not enough free descriptors"
        self.room -= len(entries)
        place, wrap = self.place, self.wrap
        for at, (address, length, flags) in enumerate(entries):
            more = DESC_F_NEXT if at + 1 < len(entries) else 0
            row = self.rows[place]
            row["addr"], row["len"], row["id"] = address, length, made.key
            word = flags | more | available_flags(wrap)
            if at:
                row["flags"] = word
            else:
                self.described.append((made, place, word))
            made.places.append(place)
            place, wrap = self._advance(place, wrap, 1)
        self.place, self.wrap = place, wrap
        return made

    def publish(self, count: int | None = None) -> None:
        """See :meth:`Queue.publish`. The flags of the first descriptors are written last buffer first."""
        now, self.described = self.described[:count], self.described[count:] if count is not None else []
        self._before = self._shown
        for made, place, word in reversed(now):
            self.rows[place]["flags"] = word
            self.in_flight[made.key] = made
        self.order += [made for made, _place, _word in now]
        if now:
            self._shown = self._after(now[-1][0])

    def _after(self, made: Offer) -> tuple[int, int]:
        last = made.places[-1]
        wrap = int(bool(int(self.rows[last]["flags"]) & DESC_F_AVAIL))
        return self._advance(last, wrap, 1)

    @property
    def vacant(self) -> int:
        """See :meth:`Queue.vacant`."""
        return self.room

    @property
    def shown(self) -> int:
        """Offset and wrap counter of where the driver goes on."""
        place, wrap = self._shown
        return place | (PLACE_WRAP if wrap else 0)

    def suppress(self, on: bool) -> None:
        """See :meth:`Queue.suppress`."""
        self.driver_event[0]["flags"] = EventFlags.DISABLE if on else EventFlags.ENABLE

    def ask_after(self, count: int, span: int = 1) -> None:
        """See :meth:`Queue.ask_after`."""
        if not count:
            self.driver_event[0]["flags"] = EventFlags.DISABLE
            return
        place, wrap = self._advance(self.next_used, self.used_wrap, (count - 1) * span)
        self.driver_event[0]["place"] = place | (PLACE_WRAP if wrap else 0)
        self.driver_event[0]["flags"] = EventFlags.DESC

    def take(self) -> list[Used]:
        """See :meth:`Queue.take`."""
        found = []
        while self.waiting:
            row = self.rows[self.next_used]
            flags = int(row["flags"]) & ~(DESC_F_AVAIL | DESC_F_USED)
            used = self._used(int(row["id"]), int(row["len"]), flags)
            offers = [item.offer for item in used if item.offer is not None]
            count = sum(len(offer.places) for offer in offers)
            self.free_keys += [offer.key for offer in offers]
            self.room += count
            self.next_used, self.used_wrap = self._advance(self.next_used, self.used_wrap, count or 1)
            found += used
        return found

    @property
    def waiting(self) -> bool:
        """Whether the next descriptor is used."""
        return bool(is_used(int(self.rows[self.next_used]["flags"]), self.used_wrap))

    @property
    def wants_kick(self) -> bool:
        """By the device's event suppression structure."""
        flags = int(self.device_event[0]["flags"]) & 3
        if flags != EventFlags.DESC or not self.event_idx:
            return flags != EventFlags.DISABLE
        event = int(self.device_event[0]["place"])
        return self._between(event & ~PLACE_WRAP, int(bool(event & PLACE_WRAP)))

    def _between(self, place: int, wrap: int) -> bool:
        """Whether a place is among those that the last :meth:`publish` made available."""
        start, start_wrap = self._before
        end, end_wrap = self._shown
        length = end - start + (self.size if end_wrap != start_wrap else 0)
        distance = place - start + (self.size if wrap != start_wrap else 0)
        return 0 <= distance < length

    def _ring_areas(self) -> dict[str, np.ndarray]:
        return {"driver event suppression": self.areas[1].array}
