"""Walks the lists of segments of chains."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import SegmentRead
from ..streams import SEGMENT_BITS, SegmentList, stream_of
from .cutter import Run

__all__ = ["SegmentWalker"]


class SegmentWalker(Component):
    """Reads lists of segments from the segment store, and frees each segment as it is read.

    Segments of length 0 are left out. Each list gives at least one run, and exactly one with ``last``. That
    one has length 0 if the list has no bytes.

    Latency: 2 cycles. Throughput: a segment a cycle, and a cycle more for a list of several.
    """

    lists: In(stream_of(SegmentList))
    """Lists to walk. A ``count`` of 0 is allowed."""
    segments: Out(SegmentRead())
    """The segment store."""
    frees: Out(stream_of(unsigned(SEGMENT_BITS)))
    """Indices of segments that were read and are no longer needed."""
    o: Out(stream_of(Run))
    """The segments as runs. ``done`` is 0."""
    idle: Out(1, init=1)
    """Nothing is held."""

    def elaborate(self, platform):
        m: Any = Module()
        # --- What the store shows: the index of a segment, and how many of its list are left with it; 0 for
        # --- a list that has none.
        shown, index, left = Signal(), Signal(SEGMENT_BITS), Signal(SEGMENT_BITS)
        exists, final, take, step, more = Signal(), Signal(), Signal(), Signal(), Signal()
        flush, free = Signal(), Signal()
        begins = self.lists.valid & self.lists.ready
        m.d.comb += [
            exists.eq(left != 0),
            final.eq(left[1:] == 0),
            step.eq(~shown | take),
            more.eq(take & ~final),
            self.lists.ready.eq(step & ~more),
            self.segments.index.eq(Mux(more, self.segments.next, self.lists.p.first)),
            self.segments.en.eq(more | (begins & (self.lists.p.count != 0))),
            free.eq(~self.o.valid | self.o.ready),
            take.eq(shown & ~flush & free & (~exists | ~self.frees.valid | self.frees.ready)),
        ]
        with m.If(step):
            m.d.sync += [shown.eq(more | begins), index.eq(self.segments.index)]
            m.d.sync += left.eq(Mux(more, left - 1, self.lists.p.count))
        with m.If(self.frees.ready):
            m.d.sync += self.frees.valid.eq(0)
        with m.If(take & exists):
            m.d.sync += [self.frees.valid.eq(1), self.frees.p.eq(index)]

        # --- What comes out: one run is held, since only the next shows whether it is the last of its list.
        # --- ``flush``: it is, and must leave before anything is taken.
        held: Any = Signal(Run)
        holds, useful, run = Signal(), Signal(), self.o.p
        m.d.comb += useful.eq(exists & (self.segments.length != 0))
        direct = final & ~holds
        with m.If(free):
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
        with m.Elif(flush & free):
            m.d.sync += [holds.eq(0), flush.eq(0)]
        m.d.comb += self.idle.eq(~shown & ~holds & ~self.o.valid & ~self.frees.valid)
        return m
