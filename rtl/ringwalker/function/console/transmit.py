"""The transmit queue of the console: chains of bytes to one byte after the other."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import ChainPort
from ...streams import stream_of

__all__ = ["ConsoleTransmit"]


class ConsoleTransmit(Component):
    """Sends the readable bytes of each chain, and then finishes it with ``written`` 0.

    Members (W is ``data_width``):

    - ``chain`` In(ChainPort(W)): of the transmit queue
    - ``o`` Out stream of 8 bits: bytes to the terminal

    What comes with ``error`` is not sent, and nothing after it of the same chain. While ``chain.halt`` is up
    bytes are dropped, so that a chain ends without waiting for ``o``; a byte that is already offered there
    stays.

    Latency: 2 cycles; one byte a cycle, and 2 cycles a chain beside.

    Ref: virtio 1.4, 5.3.6.
    """

    def __init__(self, data_width: int):
        self._width = data_width
        super().__init__({"chain": In(ChainPort(data_width)), "o": Out(stream_of(8))})

    def elaborate(self, platform):
        m: Any = Module()
        chains, readable, replies = self.chain.chains, self.chain.readable, self.chain.replies
        data, left, last = Signal(self._width), Signal(range(self._width // 8 + 1)), Signal()
        # Some beat of this chain came with an error.
        bad = Signal()
        free, spent = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            # Nothing is left of the beat after this cycle.
            spent.eq((left == 0) | (free & (left == 1)) | self.chain.halt),
        ]
        with m.If(free):
            m.d.sync += [self.o.valid.eq((left != 0) & ~self.chain.halt), self.o.p.eq(data[:8])]
            with m.If(left != 0):
                m.d.sync += [left.eq(left - 1), data.eq(data >> 8)]
        with m.If(self.chain.halt):
            m.d.sync += left.eq(0)

        with m.FSM():
            with m.State("WAIT_CHAIN"):
                m.d.comb += [chains.ready.eq(1), self.chain.idle.eq(1)]
                m.d.sync += [last.eq(chains.p.readable == 0), bad.eq(0)]
                with m.If(chains.valid):
                    m.next = "WAIT_BYTES"
            with m.State("WAIT_BYTES"):
                m.d.comb += readable.ready.eq(spent & ~last)
                with m.If(readable.valid & readable.ready):
                    m.d.sync += [
                        data.eq(readable.p.data),
                        left.eq(Mux(bad | readable.p.error | self.chain.halt, 0, readable.p.count)),
                        bad.eq(bad | readable.p.error),
                        last.eq(readable.p.last),
                    ]
                with m.Elif(spent & last):
                    m.next = "WAIT_REPLY"
            with m.State("WAIT_REPLY"):
                m.d.comb += [
                    replies.valid.eq(1),
                    replies.p.first.eq(1),
                    replies.p.last.eq(1),
                    replies.p.done.eq(1),
                ]
                with m.If(replies.ready):
                    m.next = "WAIT_CHAIN"
        return m
