"""Between the ring walker and a function that cannot forget chains: it leads the function to their end."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import ChainPort
from ..streams import ChainInfo, byte_beat

__all__ = ["ChainGuard"]

_COUNT_BITS = 16


class ChainGuard(Component):
    """Passes on chains, and after ``forget`` leads the function to the end of those that it holds.

    Parameters: ``data_width`` (W).

    Members:

    - ``walker`` In(ChainPort(W)): from the ring walker.
    - ``function`` Out(ChainPort(W)): the function, which sees no ``forget``.
    - ``active`` Out 1: a void chain has moved.

    After ``forget`` the function gets what it was offered and has not taken, a beat with ``error`` for the
    packet that it is in, and for each whose chain it has; its replies are taken. For packets that it took or
    was offered before their chains it gets as many chains of a byte to read, without room. ``halt`` is up
    meanwhile, and new chains wait until it holds none. So the walker waits for no function that takes long.

    Latency: none. At most 2^15 chains may be in the function.
    """

    def __init__(self, data_width: int):
        self._beat = byte_beat(data_width)
        port = ChainPort(data_width)
        super().__init__({"walker": In(port), "function": Out(port), "active": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        walker, function = self.walker, self.function
        chains, readable, replies = function.chains, function.readable, function.replies
        voids = Signal()  # the function holds void chains
        # Chains that are not answered; packets that are still to come for those that were taken, which is
        # below 0 if packets came first. A packet is being taken.
        held, owed, inside = Signal(_COUNT_BITS), Signal(signed(_COUNT_BITS)), Signal()
        taken, ended, answered = Signal(), Signal(), Signal()
        m.d.comb += [
            taken.eq(chains.valid & chains.ready),
            ended.eq(readable.valid & readable.ready & readable.p.last),
            answered.eq(replies.valid & replies.ready & replies.p.last & replies.p.done),
            function.halt.eq(walker.halt | voids),
            walker.idle.eq(function.idle & ~voids),
            self.active.eq(voids & (taken | ended | (replies.valid & replies.ready))),
        ]
        m.d.sync += [
            held.eq(held + taken - answered),
            owed.eq(owed + (taken & (chains.p.readable != 0)) - ended),
        ]
        with m.If(readable.valid & readable.ready):
            m.d.sync += inside.eq(~readable.p.last)

        # What was offered stays as it is until it is taken.
        chain: Any = Signal(ChainInfo)
        beat: Any = Signal(self._beat)
        keeps_chain, keeps_beat, missing = Signal(), Signal(), Signal()
        m.d.comb += missing.eq(inside | (owed > 0))
        with m.If(walker.forget & ~voids):
            m.d.sync += [
                voids.eq(1),
                keeps_chain.eq(chains.valid & ~chains.ready),
                keeps_beat.eq(readable.valid & ~readable.ready),
            ]
        with m.Elif(voids):
            with m.If(taken):
                m.d.sync += keeps_chain.eq(0)
            with m.If(readable.ready):
                m.d.sync += keeps_beat.eq(0)
            with m.If(~keeps_chain & ~keeps_beat & ~missing & (owed == 0) & (held == 0)):
                m.d.sync += voids.eq(0)
        with m.If(~voids):
            m.d.sync += [chain.eq(walker.chains.p), beat.eq(walker.readable.p)]
            m.d.comb += [
                chains.valid.eq(walker.chains.valid),
                chains.p.eq(walker.chains.p),
                walker.chains.ready.eq(chains.ready),
                readable.valid.eq(walker.readable.valid),
                readable.p.eq(walker.readable.p),
                walker.readable.ready.eq(readable.ready),
                walker.replies.valid.eq(replies.valid),
                walker.replies.p.eq(replies.p),
                replies.ready.eq(walker.replies.ready),
            ]
        with m.Else():
            m.d.comb += [
                chains.valid.eq(keeps_chain | (owed < 0) | ((owed == 0) & (keeps_beat | inside))),
                chains.p.eq(Mux(keeps_chain, chain.as_value(), ChainInfo.const({"readable": 1}).as_value())),
                readable.valid.eq(keeps_beat | missing),
                readable.p.eq(beat),
                replies.ready.eq(1),
            ]
            with m.If(~keeps_beat):
                m.d.comb += [
                    readable.p.count.eq(1),
                    readable.p.first.eq(~inside),
                    readable.p.last.eq(1),
                    readable.p.error.eq(1),
                ]
        return m
