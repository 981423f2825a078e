"""The receiving half of a reader: checks completions against what was asked for, and places their data."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.tlp import CompletionStatus
from ..streams import completion_beat
from .tags import TagRange

__all__ = ["CompletionIntake", "Expected"]


class Expected(data.Struct):
    """What a slot waits for: ``dwords`` in all, the bytes of the first dword before (``offset``) and of
    the last dword after (``tail``) those that were asked for."""

    dwords: unsigned(11)
    offset: unsigned(2)
    tail: unsigned(2)


class CompletionIntake(wiring.Component):
    """Takes a completion beat every cycle, finds the slot of its tag, checks it and says where its data goes.

    A completion is good when its slot is outstanding, its status is success, it has data, its byte count
    is exactly what the slot still waits for, and its length does not exceed that. Anything else with an
    outstanding tag finishes the slot with an error, and the rest of that TLP is dropped. Good completions
    of one request may be of any length, must come in order, and finish it when all dwords are there.

    The checks happen one cycle after a beat was taken (``slot`` and the events of that cycle are
    combinational from registers), the data goes out to the slot memory one cycle later.

    Members: ``completions`` In (ready always 1); ``outstanding``, ``fresh`` In, a bit a slot (fresh: no
    completion yet); ``open_en``, ``open_slot``, ``open`` In: a slot is opened; ``active`` Out: a beat
    of an outstanding tag is checked in this cycle; ``slot`` Out: which the events below are about;
    ``begin`` (first good completion), ``finish`` (slot is complete), ``fail`` (with an error),
    ``malformed`` (more completions may follow an error), ``settled`` (the last completion of a tag that is
    not outstanding), ``unexpected``, ``unsupported``, ``aborted`` Out 1; ``write_*`` Out as in
    :class:`~ringwalker.dma.slots.SlotMemory`.
    Ref: PCI Express Base Specification 3.1, 2.2.9 and 2.3.2.
    """

    completions: Any
    outstanding: Any
    fresh: Any
    open_en: Any
    open_slot: Any
    open: Any
    active: Any
    slot: Any
    begin: Any
    finish: Any
    fail: Any
    malformed: Any
    settled: Any
    unexpected: Any
    unsupported: Any
    aborted: Any
    write_en: Any
    write_slot: Any
    write_position: Any
    write_data: Any
    write_mask: Any

    def __init__(self, data_width: int, tags: TagRange, slot_bytes: int):
        self.data_width = data_width
        self.tags = tags
        slot = range(tags.slots)
        events = ("begin", "finish", "fail", "malformed", "settled", "unexpected", "unsupported", "aborted")
        super().__init__(
            {
                "completions": In(stream.Signature(completion_beat(data_width))),  # pyright: ignore[reportArgumentType]
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
        beat = Signal(completion_beat(self.data_width))
        known, arrived = Signal(), Signal()
        tag = self.completions.p.header.tag
        m.d.comb += self.completions.ready.eq(1)
        m.d.sync += [
            arrived.eq(self.completions.valid),
            beat.eq(self.completions.p),
            self.slot.eq(self.tags.slot_value(tag)),
            known.eq(self.tags.contains_value(tag)),
        ]
        wanted = Signal()
        m.d.comb += [
            wanted.eq(known & self.outstanding.bit_select(self.slot, 1)),
            self.active.eq(arrived & wanted),
        ]
        position, good, final = self._check(m, beat)
        self._decide(m, beat, arrived, wanted, good, final, position)
        return m

    def _check(self, m: Any, beat: Any) -> tuple[Signal, Signal, Signal]:
        """Where a completion's first dword goes, whether it fits what is awaited, whether it ends that."""
        expected: Any = Memory(shape=Expected, depth=self.tags.slots, init=[])
        m.submodules.expected = expected
        left: Any = Memory(shape=11, depth=self.tags.slots, init=[])
        m.submodules.left = left
        opening, looking = expected.write_port(), expected.read_port(domain="comb")
        counting, left_before = left.write_port(), left.read_port(domain="comb")
        header = beat.header
        fresh = self.fresh.bit_select(self.slot, 1)
        entry: Any = Signal(Expected)
        waiting = Signal(11)
        slack = Signal(3)
        position, good, final = Signal(11), Signal(), Signal()
        m.d.comb += [
            opening.en.eq(self.open_en),
            opening.addr.eq(self.open_slot),
            opening.data.eq(self.open),
            looking.addr.eq(self.slot),
            left_before.addr.eq(self.slot),
            entry.eq(looking.data),
            waiting.eq(Mux(fresh, entry.dwords, left_before.data)),
            slack.eq(entry.tail + Mux(fresh, entry.offset, 0)),
            position.eq(entry.dwords - waiting),
            final.eq(header.length == waiting),
            good.eq(
                (header.status == CompletionStatus.SUCCESS)
                & header.has_data
                & (header.byte_count + slack == Cat(0, 0, waiting))
                & (header.length <= waiting)
                & (header.length != 0)
            ),
            counting.addr.eq(self.slot),
            counting.data.eq(waiting - header.length),
            counting.en.eq(self.begin),
        ]
        return position, good, final

    def _decide(
        self,
        m: Any,
        beat: Any,
        arrived: Signal,
        wanted: Signal,
        good: Signal,
        final: Signal,
        position: Signal,
    ) -> None:
        """The events of a beat, and its way to the slot memory."""
        header = beat.header
        taking, ends, next_position = Signal(), Signal(), Signal(11)
        stray, ends_stray = Signal(), Signal()
        accept, ends_now, success = Signal(), Signal(), Signal()
        m.d.comb += success.eq(header.status == CompletionStatus.SUCCESS)
        with m.If(arrived & beat.first):
            with m.If(~wanted):
                m.d.comb += self.unexpected.eq(1)
            with m.Elif(good):
                m.d.comb += [
                    self.begin.eq(1),
                    accept.eq(1),
                    ends_now.eq(final),
                    self.fail.eq(header.poisoned),
                ]
            with m.Else():
                m.d.comb += [self.finish.eq(1), self.fail.eq(1), self.malformed.eq(success)]
                m.d.comb += [
                    self.unsupported.eq(header.status == CompletionStatus.UNSUPPORTED_REQUEST),
                    self.aborted.eq(header.status == CompletionStatus.COMPLETER_ABORT),
                ]
            remaining = Cat(header.lower_address[:2]) + header.byte_count
            m.d.comb += [ends_stray.eq(~success | (remaining <= Cat(0, 0, header.length)))]
            m.d.sync += [taking.eq(accept), ends.eq(final), stray.eq(ends_stray & ~wanted)]
        with m.Elif(arrived):
            m.d.comb += [accept.eq(taking & wanted), ends_now.eq(ends)]
        with m.If(arrived & beat.last):
            with m.If(accept & ends_now):
                m.d.comb += self.finish.eq(1)
            m.d.comb += self.settled.eq(Mux(beat.first, ends_stray & ~wanted, stray))
        here = Mux(beat.first, position, next_position)
        m.d.sync += [
            next_position.eq(Mux(arrived, here + self.data_width // 32, next_position)),
            self.write_en.eq(accept),
            self.write_slot.eq(self.slot),
            self.write_position.eq(here),
            self.write_data.eq(beat.data),
            self.write_mask.eq(beat.dwords),
        ]
