"""The device's half of a split virtqueue. Ref: virtio 1.4, 2.7."""

from collections.abc import Iterator

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_FLAGS_OFFSET,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    DESC_F_NEXT,
    EVENT_INDEX_BYTES,
    USED_ENTRY_BYTES,
    USED_IDX_OFFSET,
    USED_RING_OFFSET,
    Descriptor,
    UsedElement,
    avail_event_offset,
    used_event_offset,
)

from ..memory import dtype_of
from .dma import Dma
from .rings import DeviceRing, QueueState, RingFault, TakenChain

__all__ = ["SplitDeviceRing"]

_DESCRIPTOR = dtype_of(Descriptor)
_FIELD = dtype_of(UsedElement)["id"].itemsize
_WRAP = 0xFFFF


class SplitDeviceRing(DeviceRing):
    """A split ring."""

    def __init__(self, dma: Dma, queue: QueueState, features: int):
        super().__init__(dma, queue, features)
        self.last_avail = self.used = self._before = 0

    # --- what the driver writes ----------------------------------------------------------------------------

    def read_avail_index(self) -> int:
        """The available index."""
        return self.dma.read_number(self.queue.driver + AVAIL_IDX_OFFSET, AVAIL_ENTRY_BYTES)

    def read_avail_entry(self, index: int) -> int:
        """The head that stands at ``index`` of the available ring."""
        at = AVAIL_RING_OFFSET + index % self.queue.size * AVAIL_ENTRY_BYTES
        return self.dma.read_number(self.queue.driver + at, AVAIL_ENTRY_BYTES)

    def read_avail_flags(self) -> int:
        """The flags of the available ring."""
        return self.dma.read_number(self.queue.driver + AVAIL_FLAGS_OFFSET, AVAIL_ENTRY_BYTES)

    def read_used_event(self) -> int:
        """The used index of which the driver wants to be notified."""
        return self.dma.read_number(self.queue.driver + used_event_offset(self.queue.size), EVENT_INDEX_BYTES)

    def waiting(self) -> int:
        """How many chains are available and were not taken."""
        return self.read_avail_index() - self.last_avail & _WRAP

    def chains(self) -> Iterator[TakenChain]:
        """See :meth:`DeviceRing.chains`."""
        while waiting := self.waiting():
            if waiting > self.queue.size:
                raise RingFault(f"{waiting} chains are available, in a queue of {self.queue.size}")
            for _ in range(waiting):
                head = self.read_avail_entry(self.last_avail)
                self.last_avail = self.last_avail + 1 & _WRAP
                self.taken += 1
                yield self.walk_chain(head)
            if self.event_idx:
                self.write_avail_event(self.last_avail)

    def walk_chain(self, head: int) -> TakenChain:
        """The chain that begins at descriptor ``head``."""
        table, entries, nested, at = self.queue.desc, self.queue.size, False, head
        chain = TakenChain(head)
        while at < entries:
            address, length, flags, following = self.read_descriptor(table, at, _DESCRIPTOR)
            if self.is_indirect(flags):
                if nested:
                    raise RingFault("an indirect table in another")
                entries = self.indirect_entries(address, length, flags)
                table, nested, at = address, True, 0
                continue
            self.add_piece(chain, address, length, flags)
            if not flags & DESC_F_NEXT:
                return chain
            at = following
        raise RingFault(f"descriptor {at} of a table of {entries}")

    # --- what the device writes ----------------------------------------------------------------------------

    def write_avail_event(self, index: int) -> None:
        """Ask for a notification when ``index`` is made available."""
        self.dma.write_number(
            self.queue.device + avail_event_offset(self.queue.size), index, EVENT_INDEX_BYTES
        )

    def write_used_element(self, index: int, key: int, written: int) -> None:
        """Write the used element at ``index``."""
        at = self.queue.device + USED_RING_OFFSET + index % self.queue.size * USED_ENTRY_BYTES
        content = key.to_bytes(_FIELD, "little") + written.to_bytes(_FIELD, "little")
        self.dma.write(at, content)

    def write_used_index(self, index: int) -> None:
        """Write the used index."""
        self.dma.write_number(self.queue.device + USED_IDX_OFFSET, index, AVAIL_ENTRY_BYTES)

    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """See :meth:`DeviceRing.use`."""
        chain, written = batch[-1]
        self.write_used_element(self.used, chain.key, written)
        self._before, self.used = self.used, self.used + len(batch) & _WRAP
        self.write_used_index(self.written_index(self.used) & _WRAP)

    def wants_interrupt(self) -> bool:
        """See :meth:`DeviceRing.wants_interrupt`."""
        if self.has(Feature.NOTIFY_ON_EMPTY) and self.used == self.last_avail and not self.waiting():
            return True
        if self.event_idx:
            passed = self.read_used_event() - self._before & _WRAP
            return passed < self.used - self._before & _WRAP
        return not self.read_avail_flags() & AVAIL_F_NO_INTERRUPT
