"""The receiving half of a reader: checks completions against what was asked for, and places their data."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.tlp import CompletionHeader, CompletionStatus
from ..streams import completion_beat, stream_of
from ..tlp.tags import TagRange
from .slots import SlotWrite

__all__ = ["Expected", "ReadCompletions"]


class Expected(data.Struct):
    """What a slot waits for.

    - ``dwords``: how many in all.
    - ``offset``: bytes of the first dword before those that were asked for.
    - ``tail``: bytes of the last dword after them.
    """

    dwords: unsigned(11)
    offset: unsigned(2)
    tail: unsigned(2)


class _WaitingDwords(Component):
    """How many dwords each slot still waits for, and whether a completion fits.

    A completion is looked up one cycle before it is checked: ``next_header``, ``next_slot`` and
    ``next_fresh`` are of that which is checked in the next cycle, with ``header`` and ``slot``.

    Parameters: ``slots``, how many.

    Members:

    - ``open_en`` In 1, ``open_slot`` In, ``open`` In Expected: a slot is opened.
    - ``next_header`` In CompletionHeader, ``next_slot`` In, ``next_fresh`` In 1 (the slot has had no
      completion yet): what is looked up.
    - ``header`` In CompletionHeader, ``slot`` In: what is checked.
    - ``moved`` In 1: the completion before this one was of the same slot, and was taken.
    - ``take`` In 1: this completion is taken.
    - ``position`` Out 11: the dword of the slot that its first dword is for.
    - ``good`` Out 1: it has data, status and byte count are right, and it is not longer than what is left.
    - ``final`` Out 1: nothing is left after it.
    """

    def __init__(self, slots: int):
        self._slots = slots
        slot = range(slots)
        super().__init__(
            {
                "open_en": In(1),
                "open_slot": In(slot),
                "open": In(Expected),
                "next_header": In(CompletionHeader),
                "next_slot": In(slot),
                "next_fresh": In(1),
                "header": In(CompletionHeader),
                "slot": In(slot),
                "moved": In(1),
                "take": In(1),
                "position": Out(11),
                "good": Out(1),
                "final": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        expected: Any = Memory(shape=Expected, depth=self._slots, init=[])
        left: Any = Memory(shape=11, depth=self._slots, init=[])
        m.submodules.expected, m.submodules.left = expected, left
        opening, entry_read = expected.write_port(), expected.read_port(domain="comb")
        counting, left_before = left.write_port(), left.read_port(domain="comb")
        entry: Any = Signal(Expected)
        before, header = self.next_header, self.header
        # As looked up; and, if the completion before was of the same slot, as that has left it.
        dwords, waiting_then, waiting_now, waiting = (Signal(11, name=f"waiting_{k}") for k in range(4))
        bytes_then, bytes_now, usual = Signal(14), Signal(14), Signal()
        m.d.comb += [
            opening.en.eq(self.open_en),
            opening.addr.eq(self.open_slot),
            opening.data.eq(self.open),
            entry_read.addr.eq(self.next_slot),
            left_before.addr.eq(self.next_slot),
            entry.eq(entry_read.data),
        ]
        m.d.sync += [
            dwords.eq(entry.dwords),
            waiting_then.eq(Mux(self.next_fresh, entry.dwords, left_before.data)),
            # The bytes that would be left, counted from the first dword's start to the last dword's end.
            bytes_then.eq(before.byte_count + (entry.tail + Mux(self.next_fresh, entry.offset, 0))),
            bytes_now.eq(before.byte_count + entry.tail),
            usual.eq((before.status == CompletionStatus.SUCCESS) & before.has_data & (before.length != 0)),
            waiting_now.eq(counting.data),
        ]
        m.d.comb += [
            waiting.eq(Mux(self.moved, waiting_now, waiting_then)),
            self.position.eq(dwords - waiting),
            # Both are compared before it is known which counts.
            self.final.eq(Mux(self.moved, header.length == waiting_now, header.length == waiting_then)),
            self.good.eq(
                usual
                & Mux(
                    self.moved,
                    (bytes_now == Cat(0, 0, waiting_now)) & (header.length <= waiting_now),
                    (bytes_then == Cat(0, 0, waiting_then)) & (header.length <= waiting_then),
                )
            ),
            counting.addr.eq(self.slot),
            counting.data.eq(waiting - header.length),
            counting.en.eq(self.take),
        ]
        return m


class ReadCompletions(Component):
    """Takes completions of the tags of one reader, checks each, and says where its data goes.

    A completion is good when its slot is outstanding, its status is success, it has data, its byte count is
    exactly what the slot still waits for, and its length does not exceed that. Good completions of one
    request may be of any length and come in order; they finish it when all dwords are there. Anything else
    for an outstanding slot finishes it with an error, and the rest of that TLP is dropped.

    Parameters: ``data_width`` (W); ``tags`` of the reader; ``slot_bytes``, the size of a slot.

    Members:

    - ``i`` In stream of completion_beat(W): completions with a tag of ``tags``. Ready is always 1.
    - ``outstanding``, ``fresh`` In, a bit a slot: it waits for completions; it has had none of them yet.
    - ``open_en`` In 1, ``open_slot`` In, ``open`` In Expected: a slot is opened.
    - ``active`` Out 1: a beat of an outstanding slot is looked up or checked in this cycle, or ends.
    - ``slot`` Out: which slot the events are about.
    - ``begun``, ``finish``, ``fail`` Out 1, events: a good completion has begun; the slot is complete; it has
      failed.
    - ``malformed`` Out 1, event with ``fail``: more completions may follow.
    - ``settled`` Out 1, event: the last completion of a slot that is not outstanding.
    - ``unexpected``, ``unsupported``, ``aborted`` Out 1, events: a completion of a slot that is not
      outstanding; one with status Unsupported Request; one with status Completer Abort.
    - ``write`` Out(SlotWrite(...)): the data.

    Latency: 3 cycles from a beat to its events and its write. What the slot waits for is looked up in the
    first cycle after it was taken, and checked in the second. ``outstanding`` and ``fresh`` follow an event
    with the next clock edge. Throughput: a beat a cycle.
    Ref: PCI Express Base Specification 3.1, 2.2.9 and 2.3.2.
    """

    def __init__(self, data_width: int, tags: TagRange, slot_bytes: int):
        self.data_width = data_width
        self._tags = tags
        slot = range(tags.slots)
        super().__init__(
            {
                "i": In(stream_of(completion_beat(data_width))),
                "outstanding": In(tags.slots),
                "fresh": In(tags.slots),
                "open_en": In(1),
                "open_slot": In(slot),
                "open": In(Expected),
                "active": Out(1),
                "slot": Out(slot),
                "begun": Out(1),
                "finish": Out(1),
                "fail": Out(1),
                "malformed": Out(1),
                "settled": Out(1),
                "unexpected": Out(1),
                "unsupported": Out(1),
                "aborted": Out(1),
                "write": Out(SlotWrite(data_width, tags.slots, slot_bytes)),
            }
        )

    def elaborate(self, platform):
        # i ──► taken, looking ──► beat, checking ──► write, slot, events
        #       (is looked up)     (is checked)
        m: Any = Module()
        m.submodules.waiting = waiting = _WaitingDwords(self._tags.slots)
        taken: Any = Signal(completion_beat(self.data_width))
        beat: Any = Signal(completion_beat(self.data_width))
        here, arrived, begin, finish = Signal(), Signal(), Signal(), Signal()
        looking, checking, same_slot = Signal.like(self.slot), Signal.like(self.slot), Signal()
        slot = self._tags.slot_value(self.i.p.header.tag)[: len(looking)]
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += here.eq(self.i.valid)
        # What is behind these rests while other readers get theirs.
        with m.If(self.i.valid):
            m.d.sync += [taken.eq(self.i.p), looking.eq(slot), same_slot.eq(slot == looking)]

        # --- Looked up. What the last two beats did to their slots is not in ``outstanding`` and ``fresh``
        # --- yet.
        follows, outstanding = Signal(), Signal()
        ended, found, wanted = Signal(), Signal(), Signal()
        before = taken.header
        ends_stray = Signal()
        m.d.comb += [
            ended.eq(looking == self.slot),
            found.eq(self.outstanding.bit_select(looking, 1) & ~(ended & self.finish)),
            wanted.eq(outstanding & ~(follows & self.finish)),
            self.active.eq((here & found) | (arrived & wanted) | self.finish),
            waiting.open_en.eq(self.open_en),
            waiting.open_slot.eq(self.open_slot),
            waiting.open.eq(self.open),
            waiting.next_header.eq(before),
            waiting.next_slot.eq(looking),
            waiting.next_fresh.eq(self.fresh.bit_select(looking, 1) & ~(ended & self.begun)),
        ]
        m.d.sync += [
            follows.eq(same_slot),
            outstanding.eq(found),
            arrived.eq(here),
            beat.eq(taken),
            checking.eq(looking),
            ends_stray.eq(
                (before.status != CompletionStatus.SUCCESS)
                | (before.lower_address[:2] + before.byte_count <= Cat(0, 0, before.length))
            ),
        ]

        # --- Checked. The first beat decides for all of its TLP.
        header = beat.header
        taking, ends, next_position, stray = Signal(), Signal(), Signal(11), Signal()
        accept, ends_now, success = Signal(), Signal(), Signal()
        m.d.comb += [
            success.eq(header.status == CompletionStatus.SUCCESS),
            waiting.header.eq(header),
            waiting.slot.eq(checking),
            waiting.moved.eq(follows & self.begun),
            waiting.take.eq(begin),
        ]
        events = (self.unexpected, self.fail, self.malformed, self.unsupported, self.aborted, self.settled)
        m.d.sync += [event.eq(0) for event in events]
        with m.If(arrived & beat.first):
            with m.If(~wanted):
                m.d.sync += self.unexpected.eq(1)
            with m.Elif(waiting.good):
                m.d.comb += [begin.eq(1), accept.eq(1), ends_now.eq(waiting.final)]
                m.d.sync += self.fail.eq(header.poisoned)
            with m.Else():
                m.d.comb += finish.eq(1)
                m.d.sync += [
                    self.fail.eq(1),
                    self.malformed.eq(success),
                    self.unsupported.eq(header.status == CompletionStatus.UNSUPPORTED_REQUEST),
                    self.aborted.eq(header.status == CompletionStatus.COMPLETER_ABORT),
                ]
            m.d.sync += [taking.eq(accept), ends.eq(waiting.final), stray.eq(ends_stray & ~wanted)]
        with m.Elif(arrived):
            m.d.comb += [accept.eq(taking & wanted), ends_now.eq(ends)]
        with m.If(arrived & beat.last):
            with m.If(accept & ends_now):
                m.d.comb += finish.eq(1)
            m.d.sync += self.settled.eq(Mux(beat.first, ends_stray & ~wanted, stray))

        # --- Placed.
        here_position = Mux(beat.first, waiting.position, next_position)
        m.d.sync += [
            self.slot.eq(checking),
            self.begun.eq(begin),
            self.finish.eq(finish),
            next_position.eq(Mux(arrived, here_position + self.data_width // 32, next_position)),
            self.write.en.eq(accept),
            self.write.slot.eq(checking),
            self.write.position.eq(here_position),
            self.write.data.eq(beat.data),
            self.write.mask.eq(beat.dwords),
        ]
        return m
