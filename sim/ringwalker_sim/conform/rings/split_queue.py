"""A split ring of the checks. Ref: virtio 1.4, 2.7."""

from collections.abc import Sequence

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

from ...memory import GuestMemory
from .queues import Offer, Piece, Queue, Used

__all__ = ["SplitQueue"]


class SplitQueue(Queue):
    """A split ring; ``legacy``: in one piece, as the legacy interface lays it out.

    ``rows``, ``avail``, ``avail_ring``, ``used`` and ``elements`` are views of the rings.
    """

    def __init__(self, memory: GuestMemory, index: int, size: int, legacy: bool = False):
        super().__init__(memory, index, size)
        if legacy:
            area = memory.allocate(legacy_queue_bytes(size), LEGACY_QUEUE_ALIGN)
            if area.address == 0:  # Page 0 says that there is no queue.
                page, area = area, memory.allocate(legacy_queue_bytes(size), LEGACY_QUEUE_ALIGN)
                page.free()
            self.areas = (area,)
            offsets = (0, legacy_driver_offset(size), legacy_device_offset(size))
            addresses = [area.address + offset for offset in offsets]
        else:
            self.areas = (
                memory.allocate(descriptor_area_bytes(size), DESC_ALIGN),
                memory.allocate(driver_area_bytes(size), DRIVER_ALIGN),
                memory.allocate(device_area_bytes(size), DEVICE_ALIGN),
            )
            addresses = [area.address for area in self.areas]
        self.desc_address, self.driver_address, self.device_address = addresses
        self.rows = memory.struct_view(self.desc_address, Descriptor, size)
        self.avail = memory.struct_view(self.driver_address, RingHeader)
        self.used = memory.struct_view(self.device_address, RingHeader)
        start = self.driver_address + AVAIL_RING_OFFSET
        self.avail_ring = memory.view(start, size * AVAIL_ENTRY_BYTES).view("<u2")
        self.used_event = self._word(self.driver_address + used_event_offset(size))
        self.avail_event = self._word(self.device_address + avail_event_offset(size))
        self.elements = memory.struct_view(self.device_address + USED_RING_OFFSET, UsedElement, size)
        self.reset()

    def _word(self, address: int) -> np.ndarray:
        return self.memory.view(address, AVAIL_ENTRY_BYTES).view("<u2")

    def reset(self) -> None:
        """Empty the rings, as when the queue is set up."""
        self._forget()
        for area in self.areas:
            area.array[:] = 0
        self.free_places = list(range(self.size))
        self.described: list[Offer] = []
        self.avail_idx = self._before = self.last_used = 0

    def offer(
        self,
        pieces: Sequence[Piece],
        *,
        indirect: int = 0,
        places: Sequence[int] | None = None,
        table_flags: int = 0,
    ) -> Offer:
        """See :meth:`Queue.offer`."""
        made = Offer(list(pieces))
        direct = made.pieces[: len(pieces) - indirect]
        count = len(direct) + (indirect > 0)
        made.places = list(places) if places is not None else self.free_places[:count]
        assert len(made.places) == count, "there are not enough free descriptors"
        self.free_places = [place for place in self.free_places if place not in made.places]
        entries = [(piece.address, piece.length, DESC_F_WRITE * piece.writable) for piece in direct]
        if indirect:
            table = self._table(made.pieces[-indirect:], Descriptor, True)
            made.tables.append(table)
            entries.append((table.address, table.length, DESC_F_INDIRECT | table_flags))
        for at, (place, entry) in enumerate(zip(made.places, entries, strict=True)):
            more = at + 1 < count
            self.describe(place, *entry, following=made.places[at + 1] if more else None)
        made.key = made.places[0]
        self.described.append(made)
        return made

    def describe(
        self, place: int, address: int, length: int, flags: int, following: int | None = None
    ) -> None:
        """Write a descriptor, as it is said; ``following`` adds NEXT."""
        row = self.rows[place]
        row["addr"], row["len"] = address, length
        row["flags"] = flags | (0 if following is None else DESC_F_NEXT)
        row["next"] = following or 0

    def publish(self, count: int | None = None) -> None:
        """See :meth:`Queue.publish`."""
        now, self.described = self.described[:count], self.described[count:] if count is not None else []
        self._before = self.avail_idx
        for made in now:
            self.avail_ring[self.avail_idx % self.size] = made.key
            self.avail_idx = (self.avail_idx + 1) & 0xFFFF
            self.in_flight[made.key] = made
            self.order.append(made)
        self.avail[0]["idx"] = self.avail_idx

    @property
    def vacant(self) -> int:
        """See :meth:`Queue.vacant`."""
        return len(self.free_places)

    @property
    def shown(self) -> int:
        """The available index."""
        return self.avail_idx

    def suppress(self, on: bool) -> None:
        """See :meth:`Queue.suppress`."""
        self.avail[0]["flags"] = AVAIL_F_NO_INTERRUPT if on else 0

    def ask_after(self, count: int, span: int = 1) -> None:
        """See :meth:`Queue.ask_after`."""
        self.used_event[0] = (self.last_used + count - 1) & 0xFFFF

    def take(self) -> list[Used]:
        """See :meth:`Queue.take`."""
        found = []
        while self.waiting:
            element = self.elements[self.last_used % self.size]
            used = self._used(int(element["id"]), int(element["len"]))
            for item in used:
                self.free_places += item.offer.places if item.offer is not None else []
            self.last_used = (self.last_used + len(used)) & 0xFFFF
            found += used
        return found

    @property
    def waiting(self) -> bool:
        """Whether the used index is ahead."""
        return int(self.used[0]["idx"]) != self.last_used

    @property
    def wants_kick(self) -> bool:
        """By the flags, or by the event index with ``event_idx``."""
        if not self.event_idx:
            return not int(self.used[0]["flags"]) & USED_F_NO_NOTIFY
        behind = (self.avail_idx - int(self.avail_event[0]) - 1) & 0xFFFF
        return behind < (self.avail_idx - self._before) & 0xFFFF

    def _ring_areas(self) -> dict[str, np.ndarray]:
        return {
            "descriptor table": self.memory.view(self.desc_address, self.size * DESC_BYTES),
            "available ring": self.memory.view(self.driver_address, driver_area_bytes(self.size)),
        }
