"""Reads of guest memory for one client: many in flight, completed in any order, answered in order."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import DmaReadPort
from ..spec.tlp import RequestKind
from ..streams import completion_beat, request_beat, stream_of
from ..tlp.tags import TagRange
from .byte_enables import DwordSpan, dword_span
from .completions import ReadCompletions
from .slots import SlotMemory, check_slot_bytes

__all__ = ["TIMEOUT_STEPS", "DmaReader"]

TIMEOUT_STEPS = 64
"""Steps in a time-out whose length is not fixed."""


class DmaReader(Component):
    """Serves a client's reads in order, with as many in flight as ``tags`` has tags.

    Each read gets the next slot of buffer, in a circle, before it is asked for, so completions always have
    room. A response starts when all of its data is there, because ``error`` is the same in all of its beats.
    It has ``ceil((address % 4 + length) / (data_width / 8))`` beats.

    Time-out: while reads are outstanding, ``timeout_cycles`` without a completion for one of them and
    without a request that leaves end all of them with an error. After that their tags are in quarantine,
    and so is the tag of a malformed completion, since more may follow it: no read is sent until each of
    those tags has had its last completion after all, or another ``timeout_cycles`` have passed. Reads under
    ``abort`` are answered meanwhile. A completion that comes still later, for a tag in use again, is caught
    only by its byte count.

    Parameters: ``data_width`` (W); ``tags`` of the reader, a slot for each; ``slot_bytes``, the size of a
    slot; ``timeout_cycles``; ``stepped``: the time-out is ``TIMEOUT_STEPS`` pulses of ``timeout_step``, and
    only a quarantine is ``timeout_cycles``.

    Members:

    - ``port`` In(DmaReadPort(W)): the client. The dwords that a read touches must fit a slot. Ready of its
      requests depends on ``abort`` and registers only.
    - ``requests`` Out stream of request_beat(W): memory reads, one beat each, ``requester_id`` 0.
    - ``completions`` In stream of completion_beat(W): completions with a tag of ``tags``. Ready is always 1.
    - ``abort`` In 1: reads that are not yet on ``requests`` are answered at once, with error. Those that are
      there are waited for.
    - ``extended_tags`` In 1: tags above 31 may be used. A change takes effect when nothing is in flight.
    - ``timeout_step`` In 1, if ``stepped``.
    - ``flush`` In 1: forget the client and its reads; a request that was not taken from ``requests`` is
      withdrawn. Reads are taken again once the host has answered all requests that were, or has timed out.
    - ``idle`` Out 1: no read is in flight and no response is waiting. A quarantine does not count.
    - ``quarantined`` Out 1: a tag is in quarantine, so reads wait, unless they are under ``abort``.
    - ``answered`` Out 1: no answer of the host is to come, so no tag is in use but those in quarantine.
    - ``failed`` Out 1, pulse: the host failed a read (error status, poisoned, malformed, timed out). One
      pulse if several time out together, and none for reads that were forgotten.
    - ``unsupported``, ``aborted`` Out 1, pulses with ``failed``: the completion status was Unsupported
      Request, or Completer Abort.
    - ``unexpected`` Out 1, pulse: a completion was dropped because its tag was not outstanding, or its
      request has not left yet.
    - ``timed_out`` Out 1, pulse: reads ended since no completion came, also reads that were forgotten.

    Latency: 1 cycle from a read to its request; 5 cycles from the last completion beat to the first beat of
    data. Throughput: a request every two cycles, a completion beat and a data beat a cycle.
    Errors: ``ValueError`` for a slot size that is no power of two, or a time-out below 1.
    Ref: PCI Express Base Specification 3.1, 2.2.9, 2.3.2, 2.8 (completion timeout).
    """

    def __init__(
        self, data_width: int, tags: TagRange, slot_bytes: int, timeout_cycles: int, stepped: bool = False
    ):
        if timeout_cycles < 1:
            raise ValueError(f"timeout_cycles must be at least 1, not {timeout_cycles!r}")
        check_slot_bytes(data_width, slot_bytes)
        self.data_width = data_width
        self.tags = tags
        self.slot_bytes = slot_bytes
        self.timeout_cycles = timeout_cycles
        self._stepped = stepped
        slot = range(tags.slots)
        self._opened = Signal()
        self._open_slot = Signal(slot)
        self._loaded = Signal()
        self._head = Signal(slot)
        self._freed = Signal()
        self._in_use = Signal(range(tags.slots + 1))
        self._outstanding = Signal(tags.slots)
        self._fresh = Signal(tags.slots)
        self._done = Signal(tags.slots)
        self._error = Signal(tags.slots)
        self._blocked = Signal()
        self._sent = Signal(range(tags.slots + 1))
        self._forgets = Signal()
        self._unsent = Signal()
        self._unsent_slot = Signal(slot)
        self._last_slot = Signal(slot, init=tags.low_count - 1)
        super().__init__(
            {
                "port": In(DmaReadPort(data_width)),
                "requests": Out(stream_of(request_beat(data_width))),
                "completions": In(stream_of(completion_beat(data_width))),
                "abort": In(1),
                "extended_tags": In(1),
                **({"timeout_step": In(1)} if stepped else {}),
                "flush": In(1),
                "idle": Out(1, init=1),
                "quarantined": Out(1),
                "answered": Out(1, init=1),
                "failed": Out(1),
                "unexpected": Out(1),
                "unsupported": Out(1),
                "aborted": Out(1),
                "timed_out": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.slots = slots = SlotMemory(self.data_width, self.tags.slots, self.slot_bytes)
        m.submodules.completions = completions = ReadCompletions(self.data_width, self.tags, self.slot_bytes)
        wiring.connect(m, wiring.flipped(self.completions), completions.i)
        wiring.connect(m, completions.write, slots.write)
        m.d.comb += [
            completions.fresh.eq(self._fresh),
            self.quarantined.eq(self._blocked),
            self.idle.eq((self._in_use == 0) & ~self.requests.valid & ~self.port.data.valid),
        ]
        request = self.port.requests.p
        span = dword_span(m, request.address[:2], request.length)
        self._issue(m, span, completions)
        self._deliver(m, span, slots, completions)
        self._track(m, completions)
        return m

    def _next(self, slot: Any) -> Any:
        return Mux(slot == self._last_slot, 0, slot + 1)

    def _issue(self, m: Any, span: DwordSpan, completions: ReadCompletions) -> None:
        """Take a read, give it the next slot, and put the request out unless it is to be aborted."""
        request = self.port.requests
        highest = Signal.like(self._last_slot, init=self.tags.low_count - 1)
        pause, room = Signal(), Signal()
        has_room = (highest == self._last_slot) & (self._in_use != self._last_slot + 1)
        m.d.sync += highest.eq(Mux(self.extended_tags, self.tags.slots - 1, self.tags.low_count - 1))
        # All of it from registers, so that no client waits for the way to the link. ``room`` is a cycle
        # old: it does not see a read that was taken in the cycle before, so none is taken in the one after.
        m.d.sync += [pause.eq(self._opened), room.eq(has_room & ~self._forgets & ~self.flush)]
        m.d.comb += [
            request.ready.eq(room & ~pause & (self.abort | (~self._blocked & ~self.requests.valid))),
            self._opened.eq(request.valid & request.ready),
            completions.open_en.eq(self._opened),
            completions.open_slot.eq(self._open_slot),
            completions.open.dwords.eq(span.dwords),
            completions.open.offset.eq(request.p.address[:2]),
            completions.open.tail.eq(-span.total),
        ]
        with m.If(self.requests.ready):
            m.d.sync += self.requests.valid.eq(0)
            with m.If(self.requests.valid):
                m.d.sync += self._unsent.eq(0)
        with m.If(self._opened):
            m.d.sync += self._open_slot.eq(self._next(self._open_slot))
            with m.If(~self.abort):
                header = self.requests.p.header
                m.d.sync += [
                    self.requests.valid.eq(1),
                    self._unsent.eq(1),
                    self._unsent_slot.eq(self._open_slot),
                    header.kind.eq(RequestKind.MEMORY_READ),
                    header.address.eq(request.p.address & ~Const(3, 64)),
                    header.length.eq(span.dwords),
                    header.first_be.eq(span.first_be),
                    header.last_be.eq(span.last_be),
                    header.tag.eq(self.tags.tag_value(self._open_slot)),
                ]
        m.d.comb += [self.requests.p.first.eq(1), self.requests.p.last.eq(1)]
        with m.If(self.flush):
            m.d.sync += self.requests.valid.eq(0)
        with m.If(self._forgets):
            m.d.sync += self._open_slot.eq(0)
        with m.Elif((highest != self._last_slot) & (self._in_use == 0) & ~room & ~pause):
            m.d.sync += [self._last_slot.eq(highest), self._open_slot.eq(0), self._head.eq(0)]

    def _deliver(self, m: Any, span: DwordSpan, slots: SlotMemory, completions: ReadCompletions) -> None:
        """Read finished slots out of memory, in order."""
        rows: Any = Memory(shape=max(1, (slots.rows - 1).bit_length()), depth=self.tags.slots, init=[])
        m.submodules.rows = rows
        row_write, row_read = rows.write_port(), rows.read_port(domain="comb")
        data = self.port.data
        active, first, error = Signal(), Signal(), Signal()
        slot, row = Signal.like(self._head), Signal(range(slots.rows))
        last_row = Signal.like(row)
        advance, at_end, ends = Signal(), Signal(), Signal()
        lanes = (slots.banks - 1).bit_length()
        m.d.comb += [
            row_write.en.eq(self._opened),
            row_write.addr.eq(self._open_slot),
            row_write.data.eq((span.dwords - 1)[lanes:]),
            row_read.addr.eq(self._head),
            advance.eq(~data.valid | data.ready),
            at_end.eq(row == last_row),
            ends.eq(completions.finish & (completions.slot == self._head)),
            self._loaded.eq(
                (self._done.bit_select(self._head, 1) | ends) & (~active | (advance & at_end)),
            ),
            self._freed.eq(active & advance & at_end),
            slots.read_en.eq(active & advance),
            slots.read_slot.eq(slot),
            slots.read_row.eq(row),
            data.p.data.eq(slots.read_data),
        ]
        with m.If(advance):
            m.d.sync += [data.valid.eq(active), data.p.first.eq(first), data.p.last.eq(at_end)]
            m.d.sync += [data.p.error.eq(error), row.eq(row + active), first.eq(0)]
            with m.If(at_end):
                m.d.sync += active.eq(0)
        with m.If(self._loaded):
            m.d.sync += [
                active.eq(1),
                first.eq(1),
                row.eq(0),
                slot.eq(self._head),
                last_row.eq(row_read.data),
            ]
            m.d.sync += error.eq(self._error.bit_select(self._head, 1) | (ends & completions.fail))
            m.d.sync += self._head.eq(self._next(self._head))
        with m.If(self.flush | self._forgets):
            m.d.sync += [data.valid.eq(0), active.eq(0), self._head.eq(0)]

    def _track(self, m: Any, completions: ReadCompletions) -> None:
        """The state of all slots, one bit each, and the two clocks that bound it."""
        count = self.tags.slots
        quarantine, quarantine_next = Signal(count), Signal(count)
        # They count up to their highest bit, from a constant that is also their reset: that takes no LUTs.
        bits = (self.timeout_cycles - 1).bit_length()
        begin = (1 << bits) - self.timeout_cycles
        quarantine_timer = Signal(bits + 1, init=begin)
        timer = Signal(TIMEOUT_STEPS.bit_length()) if self._stepped else Signal(bits + 1, init=begin)
        expired = Signal()
        waiting = Signal()
        timed_out = Mux(expired, self._outstanding, Const(0, count))

        def only(event: Any, slot: Signal) -> Signal:
            mask = Signal(count, name=f"mask_{len(masks)}")
            masks.append(mask)
            m.d.comb += mask.eq(Mux(event, Const(1, count) << slot, 0))
            return mask

        masks: list[Signal] = []
        opened = only(self._opened, self._open_slot)
        dropped = only(self._opened & self.abort, self._open_slot)
        finished, failed = (
            only(completions.finish, completions.slot),
            only(completions.fail, completions.slot),
        )
        malformed, settled = (
            only(completions.malformed, completions.slot),
            only(completions.settled, completions.slot),
        )
        begun, loaded = only(completions.begun, completions.slot), only(self._loaded, self._head)
        m.d.comb += [
            # Nothing can answer a request that has not left, also not one that was withdrawn.
            completions.outstanding.eq(self._outstanding & ~only(self._unsent, self._unsent_slot)),
            waiting.eq((self._outstanding != 0) & ~completions.active & ~self.requests.valid),
            expired.eq(waiting & timer[-1]),
            quarantine_next.eq(
                ((quarantine & Mux(quarantine_timer[-1], 0, ~Const(0, count))) & ~settled)
                | malformed
                | timed_out
            ),
        ]
        m.d.sync += [
            self._in_use.eq(self._in_use + self._opened - self._freed),
            self._outstanding.eq((self._outstanding & ~finished & ~timed_out) | (opened & ~dropped)),
            self._fresh.eq((self._fresh & ~begun) | opened),
            self._done.eq((self._done | finished | timed_out | dropped) & ~loaded),
            self._error.eq((self._error & ~opened) | failed | timed_out | dropped),
            quarantine.eq(quarantine_next),
            self._blocked.eq(quarantine_next != 0),
            timer.eq(
                Mux(waiting & ~expired, timer + (self.timeout_step if self._stepped else 1), timer.init)
            ),
            quarantine_timer.eq(
                Mux(
                    expired | completions.malformed,
                    begin,
                    quarantine_timer + (self._blocked & (quarantine_timer[-1] == 0)),
                )
            ),
            self.failed.eq((completions.fail | expired) & ~self._forgets),
            self.unexpected.eq(completions.unexpected),
            self.unsupported.eq(completions.unsupported),
            self.aborted.eq(completions.aborted),
            self.timed_out.eq(expired),
        ]
        self._forget(m, expired, completions)

    def _forget(self, m: Any, expired: Signal, completions: ReadCompletions) -> None:
        """After a flush all slots are free once no request is in flight; one that was withdrawn is not."""
        sends = self.requests.valid & self.requests.ready
        # A time-out ends all of them, and none is sent in that cycle.
        m.d.sync += self._sent.eq(Mux(expired, 0, self._sent + sends - completions.finish))
        m.d.comb += self.answered.eq(self._sent == 0)
        with m.If(self.flush):
            m.d.sync += self._forgets.eq(1)
        with m.Elif(self._forgets & self.answered):
            m.d.sync += self._forgets.eq(0)
            state = (self._in_use, self._outstanding, self._done, self._unsent)
            m.d.sync += [one.eq(0) for one in state]
