"""Where walked chains leave: to those who work on them, or, if they are bad, back to the segment store."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...streams import Chain, ChainOwner, SegmentList, stream_of
from .check import ChainProgress

__all__ = ["ChainRetire", "WalkedChain"]

_PROGRESS: Any = data.Layout.cast(ChainProgress)
_TOTALS = tuple(key for key, _field in _PROGRESS if key != "tail")


class WalkedChain(data.Struct):
    """Whose chain it is, where its first descriptor stands, and how many buffers it may have."""

    owner: ChainOwner
    at: unsigned(16)
    limit: unsigned(16)


class ChainRetire(Component):
    """Passes on the oldest chain when it is ``done``, or drops its segments if it has ``failed``.

    A good chain is on ``chains`` one cycle later; two lists are dropped in four cycles or more.
    """

    done: In(1)
    """The oldest chain has been walked to its end."""
    failed: In(1)
    """It is no chain to work on."""
    owner: In(ChainOwner)
    totals: In(ChainProgress)
    """Of the oldest chain."""
    chains: Out(stream_of(Chain))
    drops: Out(stream_of(SegmentList))
    """Lists of segments that go back to the store."""
    release: Out(1)
    """The chain is gone after this cycle."""

    def elaborate(self, platform):
        m: Any = Module()
        totals, dropped = self.totals, self.drops.payload
        drop_writable, good, counted, some = Signal(), Signal(), Signal(), Signal()
        m.d.comb += good.eq(self.done & ~self.failed)
        with m.If(~self.chains.valid | self.chains.ready):
            chain = self.chains.payload
            m.d.sync += [
                self.chains.valid.eq(good),
                chain.queue.eq(self.owner.queue),
                chain.id.eq(self.owner.id),
                chain.span.eq(self.owner.span),
                *(chain[key].eq(totals[key]) for key in _TOTALS),
            ]
            m.d.comb += self.release.eq(good)
        with m.If(self.done & self.failed):
            m.d.comb += [
                dropped.first.eq(Mux(drop_writable, totals.first_writable, totals.first_readable)),
                dropped.count.eq(Mux(drop_writable, totals.writable_segments, totals.readable_segments)),
                self.drops.valid.eq(counted & some),
            ]
            m.d.sync += [counted.eq(1), some.eq(dropped.count != 0)]
            with m.If(counted & (self.drops.ready | ~some)):
                m.d.sync += [counted.eq(0), drop_writable.eq(~drop_writable)]
                m.d.comb += self.release.eq(drop_writable)
        return m
