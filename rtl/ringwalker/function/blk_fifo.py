"""A first-in first-out queue for a stream of anything."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from .blk_types import stream_of

__all__ = ["StreamFifo"]


class StreamFifo(wiring.Component):
    """Holds up to ``depth`` items of ``shape``.

    Members: ``i`` (In, stream of ``shape``), ``o`` (Out, the same). Latency: 2 cycles; one item a cycle.
    Errors: ``ValueError`` for a depth below 2.
    """

    def __init__(self, shape: Any, depth: int):
        if depth < 2:
            raise ValueError(f"depth must be at least 2, not {depth!r}")
        self._depth = depth
        super().__init__({"i": In(stream_of(shape)), "o": Out(stream_of(shape))})
        self.i: Any
        self.o: Any

    def elaborate(self, platform):
        m: Any = Module()
        width = len(Value.cast(self.i.p))
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=width, depth=self._depth)
        m.d.comb += [
            queue.w_data.eq(self.i.p),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.p.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m
