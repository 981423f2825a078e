"""Queues of which something is to be looked up once, however often it was asked for."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...streams import QUEUE_BITS, stream_of

__all__ = ["UsedQueues"]


class UsedQueues(Component):
    """Queues that wait for their turn, each at most once, first come first served.

    Parameters: ``queues``, how many there are.

    Latency: 1 cycle. Errors: ``ValueError`` unless ``queues`` is from 1 to 1024.
    """

    i: In(stream_of(unsigned(QUEUE_BITS)))
    """Taken at once, without effect if the queue waits already."""
    o: Out(stream_of(unsigned(QUEUE_BITS)))
    """Whoever takes one acts for all that came on ``i`` up to that cycle."""
    idle: Out(1, init=1)
    """None waits."""

    def __init__(self, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._queues = queues
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.order = order = StreamFifo(unsigned(QUEUE_BITS), self._queues)
        waits = Signal(self._queues)
        entering, leaving = Signal.like(waits), Signal.like(waits)
        again = (waits >> self.i.payload)[0]
        m.d.comb += [
            self.i.ready.eq(1),
            order.i.valid.eq(self.i.valid & ~again),
            order.i.payload.eq(self.i.payload),
            self.o.valid.eq(order.o.valid),
            self.o.payload.eq(order.o.payload),
            order.o.ready.eq(self.o.ready),
            entering.eq(order.i.valid << self.i.payload),
            leaving.eq((order.o.valid & order.o.ready) << order.o.payload),
            self.idle.eq(order.idle),
        ]
        m.d.sync += waits.eq((waits & ~leaving) | entering)
        return m
