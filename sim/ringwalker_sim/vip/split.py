"""Follows a split ring: what the driver makes available, what the device writes, what has to be notified of.

Ref: virtio 1.4, 2.7.5 to 2.7.8.
"""

from dataclasses import dataclass, field

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_FLAGS_OFFSET,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    USED_ENTRY_BYTES,
    USED_F_NO_NOTIFY,
    USED_FLAGS_OFFSET,
    USED_IDX_OFFSET,
    USED_RING_OFFSET,
    avail_event_offset,
    used_event_offset,
)

from .chains import Span, read_chain
from .ring_checker import Expectation, RingChecker

__all__ = ["SplitChecker"]

_MASK = 0xFFFF
_WHOLE = (1 << USED_ENTRY_BYTES) - 1


@dataclass
class SplitChecker(RingChecker):
    """See :class:`.RingChecker`."""

    _available: int = 0
    _used: int = 0
    _entries: dict[int, int] = field(default_factory=dict)
    """Slots of the used ring that were written since they were last shown, with a bit for each byte."""

    def __post_init__(self) -> None:
        areas = self.queue.areas(False)
        self._desc, self._avail, self._ring = (areas[name][0] for name in ("desc", "driver", "device"))
        self._available = self._used = 0

    def _number(self, address: int, size: int = 2) -> int:
        if not self.memory.contains(address, size):
            return 0
        return int.from_bytes(self.memory.read(address, size), "little")

    # --- the driver's side ---------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """See :meth:`.RingChecker.catch_up`."""
        index = self._number(self._avail + AVAIL_IDX_OFFSET)
        count = (index - self._available) & _MASK
        if count > self.queue.size:
            return  # The driver is at fault; the device cannot be judged by it.
        for position in range(self._available, self._available + count):
            slot = position % self.queue.size
            head = self._number(self._avail + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * slot)
            self.chains[head] = read_chain(self.memory, self._desc, self.queue.size, head)
        self._available = index

    @property
    def _flags(self) -> int:
        return self._number(self._avail + AVAIL_FLAGS_OFFSET)

    @property
    def _event(self) -> int:
        return self._number(self._avail + used_event_offset(self.queue.size))

    @property
    def suppressed(self) -> bool:
        """Whether the flags suppress notifications."""
        return not self.has(Feature.EVENT_IDX) and bool(self._flags & AVAIL_F_NO_INTERRUPT)

    # --- the device's side ---------------------------------------------------------------------------------

    def area_written(self, span: Span, start: int, end: int) -> bool:
        """See :meth:`.RingChecker.area_written`."""
        if span.kind != "device":
            text = f"{end - start} bytes at {start:#x} of the {span.kind} area are written"
            self.report("rings_not_written", "core-07.04", text)
            return False
        offset, stop = start - span.address, end - span.address
        if offset < USED_FLAGS_OFFSET + 2:
            self._check_flags()
        ring_end = avail_event_offset(self.queue.size)
        for at in range(max(offset, USED_RING_OFFSET), min(stop, ring_end)):
            slot, byte = divmod(at - USED_RING_OFFSET, USED_ENTRY_BYTES)
            self._entries[slot] = self._entries.get(slot, 0) | 1 << byte
        return offset < USED_IDX_OFFSET + 2 and stop > USED_IDX_OFFSET

    def _check_flags(self) -> None:
        flags = self._number(self._ring + USED_FLAGS_OFFSET)
        self.look("used_flags")
        if self.has(Feature.EVENT_IDX) and flags:
            self.report("used_flags", "core-11.03", f"the flags of the used ring become {flags:#x}")
        elif flags & ~USED_F_NO_NOTIFY:
            self.report("used_flags", "core-11.01", f"the flags of the used ring become {flags:#x}")

    def shown(self) -> None:
        """See :meth:`.RingChecker.shown`."""
        before, after = self._used, self._number(self._ring + USED_IDX_OFFSET)
        count = (after - before) & _MASK
        if not count:
            return
        self._used = after
        self.look("buffer_available")
        if count > len(self.chains):
            text = (
                f"the used index goes from {before} to {after}, and {len(self.chains)} buffers are available"
            )
            self.report("buffer_available", "core-10.01", text)
            self._entries.clear()
            return
        position = 0
        while position < count:
            position += self._check_entry(before + position & _MASK, count - position)
        self.count_use()
        self._expect(before, after)

    def _check_entry(self, number: int, left: int) -> int:
        """Check the used entry ``number``; how many buffers it is about."""
        slot = number % self.queue.size
        where = f"used entry {number}"
        missing = _WHOLE & ~self._entries.pop(slot, 0)
        self.look("entry_before_index")
        if missing:
            part = "" if missing == _WHOLE else "whole "
            text = f"the used index {number + 1 & _MASK} shows {where}, which was not {part}written before"
            self.report("entry_before_index", "core-10.01", text)
            return 1
        address = self._ring + USED_RING_OFFSET + USED_ENTRY_BYTES * slot
        head, length = self._number(address, 4), self._number(address + 4, 4)
        used = self.take_back(head, where)
        if len(used) > left:
            text = (
                f"{where} is of buffer {head}, number {len(used)} of those available; the index shows {left}"
            )
            self.report("in_order", "core-15.05", text)
        for chain in used[:-1]:
            self.use(chain, chain.room, where, False)
        for chain in used[-1:]:
            self.use(chain, length, where)
        return max(1, len(used))

    # --- notifications -------------------------------------------------------------------------------------

    def _expect(self, before: int, after: int) -> None:
        if not self.has(Feature.EVENT_IDX):
            if not self._flags & AVAIL_F_NO_INTERRUPT:
                text = f"the used index became {after}, flags did not suppress a notification, and none came"
                self.expect(Expectation(self.notifications, "core-09.03", text, lambda: not self.suppressed))
            return
        event = self._event
        if (after - event - 1) & _MASK < (after - before) & _MASK:
            text = (
                f"the used index went from {before} to {after} past used_event {event}, and no notification"
            )
            same = Expectation(self.notifications, "core-09.05", f"{text} came", lambda: self._event == event)
            self.expect(same)
