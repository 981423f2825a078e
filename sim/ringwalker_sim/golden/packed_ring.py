"""The device's half of a packed virtqueue. Ref: virtio 1.4, 2.8."""

from collections.abc import Iterator

from ringwalker.spec.packed import (
    DESC_F_AVAIL,
    DESC_F_USED,
    EVENT_FLAGS_OFFSET,
    PLACE_WRAP,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    is_available,
)
from ringwalker.spec.ring import DESC_BYTES, DESC_F_NEXT, DESC_F_WRITE

from ..memory import dtype_of
from .dma import Dma
from .rings import DeviceRing, QueueState, RingFault, TakenChain

__all__ = ["PackedDeviceRing"]

_DESCRIPTOR = dtype_of(PackedDescriptor)
_EVENT = dtype_of(EventSuppression)


class PackedDeviceRing(DeviceRing):
    """A packed ring. Places in it count descriptors from its start; the first lap has wrap counter 1."""

    def __init__(self, dma: Dma, queue: QueueState, features: int):
        super().__init__(dma, queue, features)
        self._next = self._used = self._before = 0

    def wrap(self, place: int) -> int:
        """The wrap counter at a place."""
        return 1 - place // self.queue.size % 2

    def bits(self, place: int) -> int:
        """A place as an event suppression structure holds it."""
        return place % self.queue.size | (PLACE_WRAP if self.wrap(place) else 0)

    # --- what the driver writes ----------------------------------------------------------------------------

    def read_place(self, place: int) -> tuple[int, ...]:
        """Address, length, id and flags of the descriptor at a place."""
        return self.read_descriptor(self.queue.desc, place % self.queue.size, _DESCRIPTOR)

    def is_next_available(self) -> bool:
        """Whether the driver has made the next descriptor available."""
        return bool(is_available(self.read_place(self._next)[3], self.wrap(self._next)))

    def read_driver_event(self) -> tuple[int, ...]:
        """The place of which the driver wants to be notified, and flags."""
        return self.dma.read_fields(self.queue.driver, _EVENT)

    def chains(self) -> Iterator[TakenChain]:
        """See :meth:`DeviceRing.chains`."""
        while True:
            while self.is_next_available():
                chain = self.walk_chain()
                self.taken += 1
                yield chain
            if not self.event_idx:
                return
            self.write_device_event(self._next)
            if not self.is_next_available():
                return

    def walk_chain(self) -> TakenChain:
        """The chain that begins at the next descriptor, which is available."""
        chain, start = TakenChain(0), self._next
        while self._next - start < self.queue.size:
            address, length, key, flags = self.read_place(self._next)
            if not is_available(flags, self.wrap(self._next)):
                raise RingFault("a chain whose rest is not available")
            self._next += 1
            if self.is_indirect(flags):
                self.walk_table(chain, address, self.indirect_entries(address, length, flags))
            else:
                self.add_piece(chain, address, length, flags)
            if not flags & DESC_F_NEXT:
                chain.key, chain.span = key, self._next - start
                return chain
        raise RingFault("a chain longer than its queue")

    def walk_table(self, chain: TakenChain, table: int, entries: int) -> None:
        """Add all descriptors of an indirect table; of their flags only WRITE counts."""
        for at in range(entries):
            address, length, _key, flags = self.read_descriptor(table, at, _DESCRIPTOR)
            self.add_piece(chain, address, length, flags)

    # --- what the device writes ----------------------------------------------------------------------------

    def write_device_event(self, place: int) -> None:
        """Ask for a notification when the descriptor at a place is made available."""
        number = self.bits(place) | EventFlags.DESC << 8 * EVENT_FLAGS_OFFSET
        self.dma.write_number(self.queue.device, number, _EVENT.itemsize)

    def used_flags(self, place: int, written: int) -> int:
        """The flags of a used descriptor at a place."""
        both = DESC_F_AVAIL | DESC_F_USED
        return (both if self.wrap(place) else 0) | (DESC_F_WRITE if written else 0)

    def write_used_descriptor(self, place: int, key: int, written: int) -> None:
        """Write the used descriptor at a place, its flags behind all else."""
        at = self.queue.desc + place % self.queue.size * DESC_BYTES
        offsets = {name: spot[1] for name, spot in (_DESCRIPTOR.fields or {}).items()}
        rest = written.to_bytes(4, "little") + key.to_bytes(2, "little")
        self.dma.write(at + offsets["len"], rest)
        self.dma.write_number(at + offsets["flags"], self.used_flags(place, written), 2)

    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """See :meth:`DeviceRing.use`."""
        chain, written = batch[-1]
        self.write_used_descriptor(self._used, chain.key, written)
        self._before, self._used = self._used, self._used + sum(taken.span for taken, _length in batch)

    def wants_interrupt(self) -> bool:
        """See :meth:`DeviceRing.wants_interrupt`."""
        place, flags = self.read_driver_event()
        wanted = flags & 0b11
        if wanted == EventFlags.DESC and self.event_idx:
            return any(self.bits(used) == place for used in range(self._before, self._used))
        return wanted != EventFlags.DISABLE
