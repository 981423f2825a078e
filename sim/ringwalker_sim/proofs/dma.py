"""Addresses stay in what was granted; posted requests leave whole and in order."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Mux, Signal

from ringwalker.dma.cutter import Run
from ringwalker.spec.tlp import RequestKind

from ..mutants.change import Change
from .bench import Bench
from .property import statement

__all__ = ["PROPERTIES"]


def _taken(one: Any) -> Any:
    return one.valid & one.ready


def _cutter(b: Bench, cls: Any) -> tuple[Any, Any, Any, Any]:
    """A cutter; what was left of a run before the piece on ``o``; its limit; whether that piece is new."""
    it = b.block(cls())
    b.input_holds(it.i)
    b.assume(reduce(or_, (it.limit == 1 << bit for bit in range(4, 13))))
    left: Any = Signal(Run)
    now: Any = Signal(Run)
    limit, limit_now, new = Signal(13), Signal(13), Signal()
    begins, incoming = b.past(_taken(it.i)), Signal(Run)
    b.m.d.sync += incoming.eq(it.i.p)
    b.m.d.comb += [
        new.eq(b.past(~it.o.valid | it.o.ready) & it.o.valid),
        now.eq(left),
        limit_now.eq(limit),
    ]
    with b.m.If(new):
        b.m.d.comb += [
            now.address.eq(left.address + it.o.p.length),
            now.length.eq(left.length - it.o.p.length),
        ]
    with b.m.If(begins):
        b.m.d.comb += [now.eq(incoming), limit_now.eq(b.past(it.limit))]
    b.m.d.sync += [left.eq(now), limit.eq(limit_now)]
    # What makes it inductive: the block's own copy is the same.
    run, mask, room, ends = (b.inside(name) for name in ("run", "mask", "room", "ends"))
    same = (run.as_value() == now.as_value()) & (mask + 1 == limit_now)
    b.prove(~b.inside("busy") | (same & (ends | (run.length > room))))
    b.prove(~b.inside("busy") | reduce(or_, (limit_now == 1 << bit for bit in range(4, 13))))
    b.prove(~b.inside("busy") | (room == limit_now - (run.address[:12] & mask)))
    fits = (run.length <= limit_now - run.address[:2]) & (run.length <= 4096 - run.address[:12])
    b.prove(~b.inside("busy") | ~ends | fits)
    return it, left, limit, new


@statement(
    "dma.cutter",
    "Cutter",
    "all, limits from 16 bytes",
    2,
    Change("the next piece begins a byte late", "(run.address | mask) + 1", "(run.address | mask) + 2"),
    mutant_depth=8,
)
def cutter_covers_the_run(b: Bench, cls: Any) -> None:
    """The pieces of a run follow each other without gap or overlap, begin with it and end with it."""
    it, left, _limit, new = _cutter(b, cls)
    piece = it.o.p
    b.prove(~new | ((piece.address == left.address) & (piece.length <= left.length)))
    b.prove(~new | ~(piece.last | piece.done) | (piece.length == left.length))
    whole = piece.length == left.length
    b.prove(~new | ((piece.last == (left.last & whole)) & (piece.done == (left.done & whole))))


@statement(
    "dma.cutter",
    "Cutter",
    "all, limits from 16 bytes",
    2,
    Change(
        "a run across 4 KiB stays whole",
        "\n                & (incoming.length[:13] + incoming.address[:12] <= 4096)",
        "",
    ),
    mutant_depth=6,
)
def cutter_keeps_the_limits(b: Bench, cls: Any) -> None:
    """A piece touches at most ``limit`` bytes of whole dwords, and does not cross 4 KiB."""
    it, _left, limit, new = _cutter(b, cls)
    piece = it.o.p
    b.prove(~new | (piece.length + piece.address[:2] <= limit))
    b.prove(~new | (piece.length + piece.address[:12] <= 4096))


@statement(
    "dma.planner",
    "WritePlanner",
    "all",
    2,
    Change(
        "a reply longer than its segment goes on behind it",
        "Mux(fits, left, segment.length)",
        "left",
    ),
    mutant_depth=8,
)
def planner_stays_in_the_segment(b: Bench, cls: Any) -> None:
    """What is written lies within the segment that was taken last before, whatever replies say."""
    it = b.block(cls())
    granted: Any = Signal(Run)
    b.assume(~it.segments.valid | (it.segments.p.address + it.segments.p.length < 1 << 64))
    with b.m.If(_taken(it.segments)):
        b.m.d.sync += granted.eq(it.segments.p)
    end = granted.address + granted.length
    start, stop = b.past(granted.address), b.past(end)
    run, new = it.runs.p, it.runs.valid & ~b.past(it.runs.valid)
    b.prove(~new | (run.length == 0) | ((run.address >= start) & (run.address + run.length <= stop)))
    # What makes it inductive: what is left of the segment ends where the segment does.
    segment = b.inside("segment")
    inside = (segment.address >= granted.address) & (segment.address + segment.length == end)
    b.prove((end < 1 << 64) & (~b.inside("segment_valid") | inside))


def _well_formed(b: Bench, one: Any) -> tuple[Any, Any]:
    """Whether a beat on ``one`` has ``first`` where a packet begins; whether a packet is in progress."""
    inside = Signal()
    with b.m.If(_taken(one)):
        b.m.d.sync += inside.eq(~one.p.last)
    return ~one.valid | (one.p.first == ~inside), inside


@statement(
    "dma.posted",
    "PostedGate",
    "64 bits",
    2,
    Change(
        "each beat is decided for itself",
        "Mux(self.i.p.first, self.abort & write, dropping)",
        "self.abort & write",
    ),
    mutant_depth=6,
)
def gate_drops_whole_packets(b: Bench, cls: Any) -> None:
    """If packets that come in are whole, those that come out are, whenever ``abort`` rises and falls."""
    it = b.block(cls(64))
    b.input_holds(it.i)
    right_in, inside_in = _well_formed(b, it.i)
    right_out, inside_out = _well_formed(b, it.o)
    b.assume(right_in)
    b.prove(right_out)
    # What makes it inductive: where the next beat that passes will be in its packet.
    after = Mux(it.o.valid, ~it.o.p.last, inside_out)
    b.prove(inside_in == b.inside("inside"))
    b.prove(after == (inside_in & ~b.inside("dropping")))


@statement(
    "dma.posted",
    "PostedGate",
    "64 bits",
    2,
    Change("reads are dropped, too", "self.abort & write", "self.abort"),
    mutant_depth=4,
)
def gate_lets_reads_pass(b: Bench, cls: Any) -> None:
    """A request that is no memory write, and begins a packet, is offered in the cycle after it was taken."""
    it = b.block(cls(64))
    read = it.i.p.first & (it.i.p.header.kind != RequestKind.MEMORY_WRITE)
    b.prove(~b.past(_taken(it.i) & read) | (it.o.valid & (it.o.p.as_value() == b.past(it.i.p.as_value()))))


def _buffer(b: Bench, cls: Any) -> Any:
    it = b.block(cls(64, 4))
    b.input_holds(it.i)
    return it


@statement(
    "dma.posted",
    "PacketBuffer",
    "64 bits, 4 beats",
    9,
    Change(
        "each beat is released",
        "released.eq(Mux(self.i.p.last, written_next, released))",
        "released.eq(written_next)",
    ),
    inductive=False,
)
def packet_buffer_waits_for_the_whole(b: Bench, cls: Any) -> None:
    """No beat of a packet is offered before its last beat is in, and none is missing once it has begun."""
    it = _buffer(b, cls)
    whole = Signal(4)
    b.m.d.sync += whole.eq(whole + (_taken(it.i) & it.i.p.last) - (_taken(it.o) & it.o.p.last))
    _right, inside = _well_formed(b, it.o)
    b.prove(~it.o.valid | (whole != 0))
    b.prove(~inside | it.o.valid)


@statement(
    "dma.posted",
    "PacketBuffer",
    "64 bits, 4 beats; any data, since it looks at `last` alone",
    9,
    Change("a beat is put where one waits", "self.i.ready.eq(room)", "self.i.ready.eq(1)"),
    inductive=False,
)
def packet_buffer_keeps_order(b: Bench, cls: Any) -> None:
    """Beats leave in the order in which they came, each once."""
    it = _buffer(b, cls)
    inward, outward = Signal(4), Signal(4)
    b.assume(it.i.p.data == inward)
    b.m.d.sync += [inward.eq(inward + _taken(it.i)), outward.eq(outward + _taken(it.o))]
    b.prove(~it.o.valid | (it.o.p.data == outward))


@statement(
    "tlp.arbiter",
    "TlpArbiter",
    "64 bits, 2 inputs",
    2,
    Change("a change takes effect at once", "with m.If(arbiter.between):", "with m.If(1):"),
    mutant_depth=6,
)
def requester_id_stays_within_a_packet(b: Bench, cls: Any) -> None:
    """All beats of a request have the same requester ID, though it changes meanwhile."""
    it = b.block(cls(64, 2))
    first = Signal(16)
    _right, inside = _well_formed(b, it.o)
    identity = it.o.p.header.requester_id
    with b.m.If(_taken(it.o)):
        b.m.d.sync += first.eq(identity)
    b.prove(~it.o.valid | ~inside | (identity == first))
    # What makes it inductive: what is in progress has the stamp.
    held = Mux(it.o.valid, ~it.o.p.last, inside)
    arbiter = b.inside("arbiter")
    turn, chosen = b.inside("turn", arbiter), b.inside("chosen", arbiter)
    b.prove(b.inside("inside", arbiter) == held)
    b.prove(((turn == 1) & (chosen == 0)) | ((turn == 2) & (chosen == 1)))
    b.prove(~held | (b.inside("stamp") == Mux(it.o.valid, identity, first)))


@statement(
    "dma.byte_packer",
    "BytePacker",
    "64 bits",
    16,
    Change("a beat leaves a byte early", "(total >= size)", "(total >= size - 1)"),
    inductive=False,
)
def byte_packer_fills_its_beats(b: Bench, cls: Any) -> None:
    """All beats of a packet but the last are full, and the last has a byte at least."""
    it = b.block(cls(64))
    b.input_holds(it.i)
    b.assume((it.i.p.count != 0) & (it.i.p.count <= 8 - it.i.p.start))
    right, _inside = _well_formed(b, it.o)
    b.prove(right)
    b.prove(~it.o.valid | Mux(it.o.p.last, (it.o.p.count != 0) & (it.o.p.count <= 8), it.o.p.count == 8))


PROPERTIES = (
    byte_packer_fills_its_beats,
    cutter_covers_the_run,
    cutter_keeps_the_limits,
    planner_stays_in_the_segment,
    gate_drops_whole_packets,
    gate_lets_reads_pass,
    packet_buffer_waits_for_the_whole,
    packet_buffer_keeps_order,
    requester_id_stays_within_a_packet,
)
