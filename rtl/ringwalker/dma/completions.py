"""The receiving half of a reader: checks completions against what was asked for, and places their data."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.tlp import CompletionStatus
from ..streams import completion_beat, stream_of
from ..tlp.tags import TagRange

__all__ = ["CompletionIntake", "Expected"]


class Expected(data.Struct):
    """What a slot waits for: ``dwords`` in all, the bytes of the first dword before (``offset``) and of
    the last dword after (``tail``) those that were asked for."""

    dwords: unsigned(11)
    offset: unsigned(2)
    tail: unsigned(2)


class CompletionIntake(Component):
    """Takes a completion beat every cycle, finds the slot of its tag, checks it and says where its data goes.

    A completion is good when its slot is outstanding, its status is success, it has data, its byte count
    is exactly what the slot still waits for, and its length does not exceed that. Anything else with an
    outstanding tag finishes the slot with an error, and the rest of that TLP is dropped. Good completions
    of one request may be of any length, must come in order, and finish it when all dwords are there.

    What the slot of a beat waits for is looked up one cycle after the beat was taken, the checks happen one
    cycle later, and the data goes out to the slot memory, with the events, one cycle after that. So
    ``outstanding`` and ``fresh`` may follow an event with the next clock edge.

    Members: ``completions`` In (ready always 1); ``outstanding``, ``fresh`` In, a bit a slot (fresh: no
    completion yet); ``open_en``, ``open_slot``, ``open`` In: a slot is opened; ``active`` Out: a beat
    of an outstanding tag is looked up or checked in this cycle, or ends; ``slot`` Out: which the events below
    are about; ``begin`` (first good completion), ``finish`` (slot is complete), ``fail`` (with an error),
    ``malformed`` (more completions may follow an error), ``settled`` (the last completion of a tag that is
    not outstanding), ``unexpected``, ``unsupported``, ``aborted`` Out 1; ``write_*`` Out as in
    :class:`~ringwalker.dma.slots.SlotMemory`.
    Ref: PCI Express Base Specification 3.1, 2.2.9 and 2.3.2.
    """

    def __init__(self, data_width: int, tags: TagRange, slot_bytes: int):
        self.data_width = data_width
        self.tags = tags
        slot = range(tags.slots)
        events = ("begin", "finish", "fail", "malformed", "settled", "unexpected", "unsupported", "aborted")
        # What is checked, and what comes of it a cycle before it is told.
        self._slot, self._begin, self._finish = Signal(slot), Signal(), Signal()
        super().__init__(
            {
                "completions": In(stream_of(completion_beat(data_width))),
                "outstanding": In(tags.slots),
                "fresh": In(tags.slots),
                "open_en": In(1),
                "open_slot": In(slot),
                "open": In(Expected),
                "active": Out(1),
                "slot": Out(slot),
                **{event: Out(1) for event in events},
                "write_en": Out(1),
                "write_slot": Out(slot),
                "write_position": Out(range(slot_bytes // 4)),
                "write_data": Out(data_width),
                "write_mask": Out(data_width // 32),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        taken: Any = Signal(completion_beat(self.data_width))
        beat: Any = Signal(completion_beat(self.data_width))
        here, same_slot, arrived, told = (Signal() for _ in range(4))
        looking = Signal.like(self.slot)
        tag = self.completions.p.header.tag
        slot = self.tags.slot_value(tag)[: len(looking)]
        m.d.comb += self.completions.ready.eq(1)
        m.d.sync += [
            here.eq(self.completions.valid),
            taken.eq(self.completions.p),
            looking.eq(slot),
            same_slot.eq(slot == looking),
            arrived.eq(here),
            beat.eq(taken),
            self._slot.eq(looking),
            self.slot.eq(self._slot),
            self.begin.eq(self._begin),
            self.finish.eq(self._finish),
        ]
        # What the last two beats did to their slots is not in ``outstanding`` and ``fresh`` yet.
        follows, outstanding = Signal(), Signal()
        found, wanted = Signal(), Signal()
        m.d.comb += [
            told.eq(looking == self.slot),
            found.eq(self.outstanding.bit_select(looking, 1) & ~(told & self.finish)),
            wanted.eq(outstanding & ~(follows & self.finish)),
            self.active.eq((here & found) | (arrived & wanted) | self.finish),
        ]
        m.d.sync += [outstanding.eq(found), follows.eq(same_slot)]
        fresh = self.fresh.bit_select(looking, 1) & ~(told & self.begin)
        position, good, final = self._check(m, taken.header, looking, fresh, beat.header, follows)
        self._decide(m, taken.header, beat, arrived, wanted, good, final, position)
        return m

    def _check(
        self, m: Any, before: Any, looking: Signal, fresh: Any, header: Any, follows: Signal
    ) -> tuple[Signal, ...]:
        """Where a completion's first dword goes, whether it fits what is awaited, whether it ends that.

        ``before`` is the header whose slot, ``looking``, is looked up while ``header`` is checked.
        """
        expected: Any = Memory(shape=Expected, depth=self.tags.slots, init=[])
        m.submodules.expected = expected
        left: Any = Memory(shape=11, depth=self.tags.slots, init=[])
        m.submodules.left = left
        opening, entry_read = expected.write_port(), expected.read_port(domain="comb")
        counting, left_before = left.write_port(), left.read_port(domain="comb")
        entry: Any = Signal(Expected)
        # As looked up; and, if the beat before was of the same slot, as that has left it.
        dwords, waiting_then, waiting_now, waiting = (Signal(11, name=f"waiting_{k}") for k in range(4))
        bytes_then, bytes_now = Signal(14), Signal(14)
        moved, usual = Signal(), Signal()
        position, good, final = Signal(11), Signal(), Signal()
        m.d.comb += [
            opening.en.eq(self.open_en),
            opening.addr.eq(self.open_slot),
            opening.data.eq(self.open),
            entry_read.addr.eq(looking),
            left_before.addr.eq(looking),
            entry.eq(entry_read.data),
        ]
        m.d.sync += [
            dwords.eq(entry.dwords),
            waiting_then.eq(Mux(fresh, entry.dwords, left_before.data)),
            # The bytes that would be left, counted from the first dword's start to the last dword's end.
            bytes_then.eq(before.byte_count + (entry.tail + Mux(fresh, entry.offset, 0))),
            bytes_now.eq(before.byte_count + entry.tail),
            usual.eq((before.status == CompletionStatus.SUCCESS) & before.has_data & (before.length != 0)),
            waiting_now.eq(counting.data),
        ]
        m.d.comb += [
            moved.eq(follows & self.begin),
            waiting.eq(Mux(moved, waiting_now, waiting_then)),
            position.eq(dwords - waiting),
            # Both are compared before it is known which counts.
            final.eq(Mux(moved, header.length == waiting_now, header.length == waiting_then)),
            good.eq(
                usual
                & Mux(
                    moved,
                    (bytes_now == Cat(0, 0, waiting_now)) & (header.length <= waiting_now),
                    (bytes_then == Cat(0, 0, waiting_then)) & (header.length <= waiting_then),
                )
            ),
            counting.addr.eq(self._slot),
            counting.data.eq(waiting - header.length),
            counting.en.eq(self._begin),
        ]
        return position, good, final

    def _decide(
        self,
        m: Any,
        before: Any,
        beat: Any,
        arrived: Signal,
        wanted: Signal,
        good: Signal,
        final: Signal,
        position: Signal,
    ) -> None:
        """The events of a beat, and its way to the slot memory. ``before`` is its header a cycle earlier."""
        header = beat.header
        taking, ends, next_position = Signal(), Signal(), Signal(11)
        stray, ends_stray = Signal(), Signal()
        accept, ends_now, success = Signal(), Signal(), Signal()
        m.d.comb += success.eq(header.status == CompletionStatus.SUCCESS)
        m.d.sync += ends_stray.eq(
            (before.status != CompletionStatus.SUCCESS)
            | (before.lower_address[:2] + before.byte_count <= Cat(0, 0, before.length))
        )
        events = (self.unexpected, self.fail, self.malformed, self.unsupported, self.aborted, self.settled)
        m.d.sync += [event.eq(0) for event in events]
        with m.If(arrived & beat.first):
            with m.If(~wanted):
                m.d.sync += self.unexpected.eq(1)
            with m.Elif(good):
                m.d.comb += [self._begin.eq(1), accept.eq(1), ends_now.eq(final)]
                m.d.sync += self.fail.eq(header.poisoned)
            with m.Else():
                m.d.comb += self._finish.eq(1)
                m.d.sync += [
                    self.fail.eq(1),
                    self.malformed.eq(success),
                    self.unsupported.eq(header.status == CompletionStatus.UNSUPPORTED_REQUEST),
                    self.aborted.eq(header.status == CompletionStatus.COMPLETER_ABORT),
                ]
            m.d.sync += [taking.eq(accept), ends.eq(final), stray.eq(ends_stray & ~wanted)]
        with m.Elif(arrived):
            m.d.comb += [accept.eq(taking & wanted), ends_now.eq(ends)]
        with m.If(arrived & beat.last):
            with m.If(accept & ends_now):
                m.d.comb += self._finish.eq(1)
            m.d.sync += self.settled.eq(Mux(beat.first, ends_stray & ~wanted, stray))
        here = Mux(beat.first, position, next_position)
        m.d.sync += [
            next_position.eq(Mux(arrived, here + self.data_width // 32, next_position)),
            self.write_en.eq(accept),
            self.write_slot.eq(self._slot),
            self.write_position.eq(here),
            self.write_data.eq(beat.data),
            self.write_mask.eq(beat.dwords),
        ]
