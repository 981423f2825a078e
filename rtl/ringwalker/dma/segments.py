"""Walks the list of segments of a chain, and cuts what it finds into the requests of TLPs."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import SegmentRead
from ..streams import SEGMENT_BITS

__all__ = ["Cutter", "Piece", "Run", "SegmentList", "SegmentWalker"]


class SegmentList(data.Struct):
    """A linked list in the segment store: ``count`` segments from ``first`` on."""

    first: unsigned(SEGMENT_BITS)
    count: unsigned(SEGMENT_BITS)


class Run(data.Struct):
    """``length`` bytes of guest memory from ``address`` on. ``last``: the last of its list, or its packet.

    ``done`` goes along to the last piece of the run.
    """

    address: unsigned(64)
    length: unsigned(32)
    last: unsigned(1)
    done: unsigned(1)


class Piece(data.Struct):
    """A part of a run that fits one TLP. ``last`` and ``done`` are set in the last piece of a run that has
    them."""

    address: unsigned(64)
    length: unsigned(13)
    last: unsigned(1)
    done: unsigned(1)


class SegmentWalker(wiring.Component):
    """Reads lists of segments from the segment store, one segment in two cycles, and frees each as it is
    read. A list of several takes one cycle more.

    Segments of length 0 are left out. Each list gives at least one run and exactly one with ``last``, which
    has length 0 when the list has no bytes.

    Members: ``lists`` In stream of SegmentList, ``segments`` Out(SegmentRead()), ``frees`` Out stream of
    16-bit indices, ``o`` Out stream of Run (``done`` is 0), ``idle`` Out 1.
    """

    lists: Any
    segments: Any
    frees: Any
    o: Any
    idle: Any

    def __init__(self):
        super().__init__(
            {
                "lists": In(stream.Signature(SegmentList)),  # pyright: ignore[reportArgumentType]
                "segments": Out(SegmentRead()),
                "frees": Out(stream.Signature(unsigned(SEGMENT_BITS))),  # pyright: ignore[reportArgumentType]
                "o": Out(stream.Signature(Run)),  # pyright: ignore[reportArgumentType]
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        index, left = Signal(SEGMENT_BITS), Signal(SEGMENT_BITS)
        held: Any = Signal(Run)
        held_valid = Signal()
        free, useful = Signal(), Signal()
        m.d.comb += [
            self.segments.index.eq(index),
            free.eq(~self.o.valid | self.o.ready),
            useful.eq(self.segments.length != 0),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.frees.ready):
            m.d.sync += self.frees.valid.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("LIST") & ~self.o.valid & ~self.frees.valid)
            with m.State("LIST"):
                m.d.comb += [
                    self.lists.ready.eq(1),
                    self.segments.index.eq(self.lists.p.first),
                    self.segments.en.eq(self.lists.valid & (self.lists.p.count != 0)),
                ]
                m.d.sync += [index.eq(self.lists.p.first), left.eq(self.lists.p.count)]
                with m.If(self.lists.valid):
                    m.next = "TAKE"
                    with m.If(self.lists.p.count == 0):
                        m.next = "LAST"
            with m.State("READ"):
                m.d.comb += self.segments.en.eq(1)
                m.next = "TAKE"
            with m.State("TAKE"):
                # The list ends here, unless a run waits that has to go first.
                ends = (left == 1) & ~(useful & held_valid)
                room = free | ((left != 1) & ~(useful & held_valid))
                with m.If(room & (~self.frees.valid | self.frees.ready)):
                    m.d.sync += [self.frees.valid.eq(1), self.frees.p.eq(index)]
                    m.d.sync += [index.eq(self.segments.next), left.eq(left - 1)]
                    with m.If(useful):
                        m.d.sync += [held.address.eq(self.segments.address), held_valid.eq(1)]
                        m.d.sync += held.length.eq(self.segments.length)
                    with m.If(useful & held_valid):
                        m.d.sync += [self.o.valid.eq(1), self.o.p.eq(held)]
                    m.next = "READ"
                    with m.If(left == 1):
                        m.next = "LAST"
                    with m.If(ends):
                        m.d.sync += [self.o.valid.eq(1), self.o.p.last.eq(1), held_valid.eq(0)]
                        with m.If(held_valid):
                            m.d.sync += [self.o.p.address.eq(held.address), self.o.p.length.eq(held.length)]
                        with m.Else():
                            m.d.sync += self.o.p.address.eq(self.segments.address)
                            m.d.sync += self.o.p.length.eq(self.segments.length)
                        m.next = "LIST"
            with m.State("LAST"):
                with m.If(free):
                    m.d.sync += [self.o.valid.eq(1), self.o.p.eq(held), self.o.p.last.eq(1)]
                    m.d.sync += held_valid.eq(0)
                    with m.If(~held_valid):
                        m.d.sync += self.o.p.length.eq(0)
                    m.next = "LIST"
        return m


class Cutter(wiring.Component):
    """Cuts runs at multiples of ``limit`` bytes, a power of two up to 4096, so that no piece crosses 4 KiB.

    All pieces of a run but the first start at a multiple of ``limit``. A run of length 0 gives one piece of
    length 0. A change of ``limit`` takes effect with the next run.

    Members: ``i`` In stream of Run, ``limit`` In 13 (bytes), ``o`` Out stream of Piece, ``idle`` Out 1.
    Latency: 2 cycles. Throughput: a piece a cycle.
    """

    i: Any
    limit: Any
    o: Any
    idle: Any

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(Run)),  # pyright: ignore[reportArgumentType]
                "limit": In(13),
                "o": Out(stream.Signature(Piece)),  # pyright: ignore[reportArgumentType]
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        run: Any = Signal(Run)
        busy, mask, room = Signal(), Signal(12), Signal(13)
        incoming_mask, incoming_room, left = Signal(12), Signal(13), Signal(32)
        ends, free = Signal(), Signal()  # ends: what is left of the run fits into ``room``
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            incoming_mask.eq(self.limit - 1),
            incoming_room.eq((~self.i.p.address[:12] & incoming_mask) + Const(1, 13)),
            left.eq(run.length - room),
            self.i.ready.eq(~busy | (free & ends)),
            self.idle.eq(~busy & ~self.o.valid),
        ]
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(busy),
                self.o.p.address.eq(run.address),
                self.o.p.length.eq(Mux(ends, run.length, room)),
                self.o.p.last.eq(run.last & ends),
                self.o.p.done.eq(run.done & ends),
                run.address.eq((run.address | mask) + 1),
                run.length.eq(left),
                room.eq(mask + Const(1, 13)),
                ends.eq(left <= mask + Const(1, 13)),
            ]
        with m.If(self.i.ready):
            m.d.sync += [
                busy.eq(self.i.valid),
                run.eq(self.i.p),
                mask.eq(incoming_mask),
                room.eq(incoming_room),
                ends.eq(self.i.p.length <= incoming_room),
            ]
        return m
