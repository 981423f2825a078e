"""Walks the list of segments of a chain, and cuts what it finds into the requests of TLPs."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import SegmentRead
from ..streams import SEGMENT_BITS, SegmentList, stream_of

__all__ = ["LONGEST_RUN", "Cutter", "Piece", "Run", "SegmentWalker"]


LONGEST_RUN = (1 << 32) - 1
"""The most bytes that a run can have."""


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


class SegmentWalker(Component):
    """Reads lists of segments from the segment store, one segment a cycle, and frees each as it is read.

    Segments of length 0 are left out. Each list gives at least one run and exactly one with ``last``, which
    has length 0 when the list has no bytes. A list of several segments takes a cycle beside.

    Members: ``lists`` In stream of SegmentList, ``segments`` Out(SegmentRead()), ``frees`` Out stream of
    16-bit indices, ``o`` Out stream of Run (``done`` is 0), ``idle`` Out 1. Latency: 2 cycles.
    """

    def __init__(self):
        super().__init__(
            {
                "lists": In(stream_of(SegmentList)),
                "segments": Out(SegmentRead()),
                "frees": Out(stream_of(unsigned(SEGMENT_BITS))),
                "o": Out(stream_of(Run)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        # The segment that the store shows: its index, and how many of its list are left with it; 0 for a
        # list that has none.
        shown, index, left = Signal(), Signal(SEGMENT_BITS), Signal(SEGMENT_BITS)
        exists, final, take, step, more = Signal(), Signal(), Signal(), Signal(), Signal()
        flush = Signal()
        begins = self.lists.valid & self.lists.ready
        m.d.comb += [
            exists.eq(left != 0),
            final.eq(left[1:] == 0),
            step.eq(~shown | take),
            more.eq(take & ~final),
            self.lists.ready.eq(step & ~more),
            self.segments.index.eq(Mux(more, self.segments.next, self.lists.p.first)),
            self.segments.en.eq(more | (begins & (self.lists.p.count != 0))),
            take.eq(shown & ~flush & self._free() & (~exists | ~self.frees.valid | self.frees.ready)),
        ]
        with m.If(step):
            m.d.sync += [shown.eq(more | begins), index.eq(self.segments.index)]
            m.d.sync += left.eq(Mux(more, left - 1, self.lists.p.count))
        with m.If(self.frees.ready):
            m.d.sync += self.frees.valid.eq(0)
        with m.If(take & exists):
            m.d.sync += [self.frees.valid.eq(1), self.frees.p.eq(index)]
        holds = self._give(m, take, exists, final, flush)
        m.d.comb += self.idle.eq(~shown & ~holds & ~self.o.valid & ~self.frees.valid)
        return m

    def _free(self) -> Any:
        return ~self.o.valid | self.o.ready

    def _give(self, m: Any, take: Any, exists: Any, final: Any, flush: Any) -> Any:
        """Runs come out one behind, since only the next shows whether one is the last of its list.

        ``flush``: what is held is that, and nothing may be taken. Gives whether anything is held.
        """
        held: Any = Signal(Run)
        holds, useful, run = Signal(), Signal(), self.o.p
        m.d.comb += useful.eq(exists & (self.segments.length != 0))
        direct = final & ~holds
        with m.If(self._free()):
            m.d.sync += [
                self.o.valid.eq(flush | (take & (final | (useful & holds)))),
                run.address.eq(Mux(direct, self.segments.address, held.address)),
                run.length.eq(Mux(direct, Mux(useful, self.segments.length, 0), held.length)),
                run.last.eq(flush | direct | ~useful),
            ]
        with m.If(take):
            m.d.sync += [
                holds.eq(Mux(final, useful & holds, useful | holds)),
                flush.eq(final & useful & holds),
            ]
            with m.If(useful):
                m.d.sync += [held.address.eq(self.segments.address), held.length.eq(self.segments.length)]
        with m.Elif(flush & self._free()):
            m.d.sync += [holds.eq(0), flush.eq(0)]
        return holds


class Cutter(Component):
    """Cuts runs into pieces of at most ``limit`` bytes, a power of two up to 4096, none across 4 KiB.

    A run that is such a piece stays whole. Of others all pieces but the first start at a multiple of
    ``limit``. The dwords that a piece touches are not more than ``limit`` bytes. A run of length 0 gives one
    piece of length 0. A change of ``limit`` takes effect with the next run.

    Parameters: ``longest``, the most bytes that a run has.

    Members: ``i`` In stream of Run, ``limit`` In 13 (bytes), ``o`` Out stream of Piece, ``idle`` Out 1.
    Latency: 2 cycles. Throughput: a piece a cycle.
    """

    def __init__(self, longest: int = LONGEST_RUN):
        if not 0 < longest <= LONGEST_RUN:
            raise ValueError(f"longest must be from 1 to {LONGEST_RUN}, not {longest!r}")
        self._length_bits = longest.bit_length()
        super().__init__(
            {
                "i": In(stream_of(Run)),
                "limit": In(13),
                "o": Out(stream_of(Piece)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        run: Any = Signal(Run)
        busy, mask, room = Signal(), Signal(12), Signal(13)
        incoming_mask, incoming_room, incoming = Signal(12), Signal(13), self.i.p
        left = Signal(self._length_bits)
        ends, free, whole = Signal(), Signal(), Signal()  # ends: what is left of the run fits into ``room``
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            incoming_mask.eq(self.limit - 1),
            incoming_room.eq((~incoming.address[:12] & incoming_mask) + Const(1, 13)),
            left.eq(run.length - room),
            whole.eq(
                (incoming.length[13:] == 0)
                & (incoming.length[:13] + incoming.address[:2] <= self.limit)
                & (incoming.length[:13] + incoming.address[:12] <= 4096)
            ),
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
                ends.eq(whole | (incoming.length <= incoming_room)),
            ]
        return m
