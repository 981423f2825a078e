"""Buffers for streams of anything: registers that cut both directions, and a FIFO."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .component import Component
from .streams import stream_of

__all__ = ["ElasticBuffer", "HalfBuffer", "StreamFifo"]


class ElasticBuffer(Component):
    """Two places for items of ``shape``, so that neither ``valid`` nor ``ready`` passes combinationally.

    Members: ``i`` (In stream), ``o`` (Out stream), ``idle`` (Out 1: empty). Latency 1 cycle, one item a
    cycle.
    """

    def __init__(self, shape: Any):
        self._shape = shape
        super().__init__({"i": In(stream_of(shape)), "o": Out(stream_of(shape)), "idle": Out(1, init=1)})

    def elaborate(self, platform):
        m: Any = Module()
        spare = Signal(self._shape)
        spare_valid = Signal()
        m.d.comb += [self.i.ready.eq(~spare_valid), self.idle.eq(~self.o.valid & ~spare_valid)]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid | spare_valid),
                self.o.payload.eq(Mux(spare_valid, spare, self.i.payload)),
                spare_valid.eq(0),
            ]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [spare.eq(self.i.payload), spare_valid.eq(1)]
        return m


class HalfBuffer(Component):
    """One place for an item of ``shape``, so that neither ``valid`` nor ``ready`` passes combinationally.

    Members: ``i`` (In stream), ``o`` (Out stream), ``idle`` (Out 1: empty). Latency 1 cycle, an item every
    two cycles, at less than half the cost of an :class:`ElasticBuffer`.
    """

    def __init__(self, shape: Any):
        super().__init__({"i": In(stream_of(shape)), "o": Out(stream_of(shape)), "idle": Out(1, init=1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.d.comb += [self.i.ready.eq(~self.o.valid), self.idle.eq(~self.o.valid)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class StreamFifo(Component):
    """A FIFO of ``depth`` items of ``shape``, in order, one a cycle.

    Members: ``i`` (In stream), ``o`` (Out stream), ``idle`` (Out 1: empty). Latency 1 cycle. ``i.ready`` and
    ``o.valid`` are from registers, and once ``i.ready`` is up only an item taken can lower it.
    Errors: ``ValueError`` for a depth below 1.
    """

    def __init__(self, shape: Any, depth: int):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth!r}")
        self._shape = shape
        self._depth = depth
        super().__init__({"i": In(stream_of(shape)), "o": Out(stream_of(shape)), "idle": Out(1, init=1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.fifo = fifo = SyncFIFO(width=Shape.cast(self._shape).width, depth=self._depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.idle.eq(fifo.level == 0),
        ]
        return m
