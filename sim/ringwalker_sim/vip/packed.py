"""Follows a packed ring. Ref: virtio 1.4, 2.8."""

from dataclasses import dataclass

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.packed import (
    PLACE_WRAP,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    is_available,
    is_used,
)
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE

from ..memory import dtype_of
from .chains import Chain, Span
from .ring_checker import Expectation, RingChecker

__all__ = ["PackedChecker"]

_DESCRIPTOR: np.dtype = dtype_of(PackedDescriptor)
_EVENT: np.dtype = dtype_of(EventSuppression)
_FLAGS_AT = 14
"""Where the flags stand in a descriptor."""


@dataclass
class PackedChecker(RingChecker):
    """See :class:`.RingChecker`. Places count descriptors; the first lap has wrap counter 1."""

    _next: int = 0
    """Where the driver goes on."""
    _used: int = 0
    """Where the device goes on."""
    packed = True

    def __post_init__(self) -> None:
        areas = self.queue.areas(True)
        self._ring, self._driver = areas["desc"][0], areas["driver"][0]

    def _wrap(self, place: int) -> int:
        return 1 - place // self.queue.size % 2

    def _row(self, address: int) -> tuple[int, int, int, int]:
        """Address, length, id and flags of a descriptor."""
        if not self.memory.contains(address, DESC_BYTES):
            return 0, 0, 0, 0
        return self.memory.struct_view(address, _DESCRIPTOR)[0].item()

    def _place(self, place: int) -> tuple[int, int, int, int]:
        return self._row(self._ring + DESC_BYTES * (place % self.queue.size))

    # --- the driver's side ---------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """See :meth:`.RingChecker.catch_up`."""
        while self._next - self._used < self.queue.size:
            if not is_available(self._place(self._next)[3], self._wrap(self._next)):
                return
            self._take()

    def _take(self) -> None:
        """Take the buffer that begins where the driver goes on."""
        chain, start, key, flags = Chain(0), self._next, 0, DESC_F_NEXT
        while flags & DESC_F_NEXT and self._next - start < self.queue.size:
            address, length, key, flags = self._place(self._next)
            self._next += 1
            if not flags & DESC_F_INDIRECT:
                chain.add(address, length, bool(flags & DESC_F_WRITE))
                continue
            chain.spans.append(Span("table", address, length))
            for at in range(length // DESC_BYTES):
                piece = self._row(address + DESC_BYTES * at)
                chain.add(piece[0], piece[1], bool(piece[3] & DESC_F_WRITE))
        chain.head, chain.count = key, self._next - start
        self.chains[key] = chain

    def _event(self) -> tuple[int, int]:
        """The place of which the driver wants to be notified, and the flags."""
        place, flags = self.memory.struct_view(self._driver, _EVENT)[0].item()
        return place, flags & 0b11

    @property
    def suppressed(self) -> bool:
        """See :class:`.RingChecker`."""
        return self._event()[1] == EventFlags.DISABLE

    # --- the device's side ---------------------------------------------------------------------------------

    def area_written(self, span: Span, start: int, end: int) -> bool:
        """See :meth:`.RingChecker.area_written`."""
        if span.kind == "driver":
            text = f"{end - start} bytes at {start:#x} of the driver area are written"
            self.report("write_granted", "core-13.01", text)
        if span.kind != "desc":
            return False
        offset, stop = start - span.address, end - span.address
        for slot in range(offset // DESC_BYTES, -(-stop // DESC_BYTES)):
            self.look("late_data")
            if (slot - self._used) % self.queue.size >= self._next - self._used:
                text = f"descriptor {slot} is written, which is not available"
                self.report("late_data", "core-13.04", text)
        return any(at % DESC_BYTES >= _FLAGS_AT for at in range(offset, stop))

    def shown(self) -> None:
        """See :meth:`.RingChecker.shown`."""
        before = self._used
        while True:
            _address, length, key, flags = self._place(self._used)
            if not is_used(flags, self._wrap(self._used)) or self._used == self._next:
                break
            where = f"used descriptor {self._used % self.queue.size}"
            used = self.take_back(key, where)
            for chain in used[:-1]:
                self.use(chain, chain.room, where, False)
            for chain in used[-1:]:
                self.use(chain, length if flags & DESC_F_WRITE else 0, where)
            self._used += sum(chain.count for chain in used)
            if not used:
                break
        if self._used != before:
            self.count_use()
            self._expect(before)

    # --- notifications -------------------------------------------------------------------------------------

    def _expect(self, before: int) -> None:
        event, flags = self._event()
        passed = range(before, self._used)
        if flags == EventFlags.DESC and self.has(Feature.EVENT_IDX):
            places = [at % self.queue.size | (PLACE_WRAP if self._wrap(at) else 0) for at in passed]
            if event in places:
                text = (
                    f"descriptor {event & ~PLACE_WRAP} was used, of which a notification is wanted; none came"
                )
                self.expect(
                    Expectation(
                        self.notifications, "core-09.05", text, lambda: self._event() == (event, flags)
                    )
                )
        elif flags == EventFlags.ENABLE:
            text = f"descriptors up to {self._used % self.queue.size} were used, and no notification came"
            wanted = Expectation(
                self.notifications, "core-09.03", text, lambda: self._event()[1] == EventFlags.ENABLE
            )
            self.expect(wanted)
