"""A FIFO between two streams of the same shape, which the stages use to run apart."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

__all__ = ["StreamFifo"]


class StreamFifo(wiring.Component):
    """Holds up to ``depth`` payloads of ``shape`` in order.

    Members: ``i`` and ``o``, streams of ``shape``; ``idle``, 1 while empty. One payload a cycle; a payload
    is on ``o`` one cycle after it was taken on ``i``. ``i.ready`` comes from a register, and once it is
    up only a payload taken can lower it.
    """

    i: Any
    o: Any
    idle: Any

    def __init__(self, shape: Any, depth: int):
        if depth < 1:
            raise ValueError(f"depth is {depth!r}; it must be at least 1")
        self._depth = depth
        super().__init__(
            {"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "idle": Out(1, init=1)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        payload = Value.cast(self.i.payload)
        m.submodules.fifo = fifo = SyncFIFO(width=len(payload), depth=self._depth)
        m.d.comb += [
            fifo.w_data.eq(payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            Value.cast(self.o.payload).eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.idle.eq(fifo.level == 0),
        ]
        return m
