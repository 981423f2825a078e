"""Buffers for streams of anything: registers that cut both directions, and a FIFO."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .component import Component
from .streams import stream_of

__all__ = ["ElasticBuffer", "HalfBuffer", "StreamFifo"]


def _members(shape: Any) -> dict[str, Any]:
    return {"i": In(stream_of(shape)), "o": Out(stream_of(shape)), "idle": Out(1, init=1)}


class ElasticBuffer(Component):
    """Holds up to two items, so that neither ``valid`` nor ``ready`` passes combinationally.

    Parameters: ``shape``, of an item.

    Members:

    - ``i`` In stream of ``shape``.
    - ``o`` Out stream of ``shape``.
    - ``idle`` Out 1: nothing is held.

    Latency: 1 cycle. Throughput: an item a cycle.
    """

    def __init__(self, shape: Any):
        self._shape = shape
        super().__init__(_members(shape))

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
    """Holds one item, so that neither ``valid`` nor ``ready`` passes combinationally.

    It costs less than half of an :class:`ElasticBuffer`.

    Parameters: ``shape``, of an item.

    Members:

    - ``i`` In stream of ``shape``.
    - ``o`` Out stream of ``shape``.
    - ``idle`` Out 1: nothing is held.

    Latency: 1 cycle. Throughput: an item every two cycles.
    """

    def __init__(self, shape: Any):
        super().__init__(_members(shape))

    def elaborate(self, platform):
        m: Any = Module()
        m.d.comb += [self.i.ready.eq(~self.o.valid), self.idle.eq(~self.o.valid)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class StreamFifo(Component):
    """A FIFO of items. ``i.ready`` and ``o.valid`` come from registers.

    Once ``i.ready`` is up only an item that is taken can lower it.

    Parameters: ``shape``, of an item; ``depth``, how many it holds.

    Members:

    - ``i`` In stream of ``shape``.
    - ``o`` Out stream of ``shape``.
    - ``idle`` Out 1: nothing is held.

    Latency: 1 cycle. Throughput: an item a cycle.
    Errors: ``ValueError`` for a depth below 1.
    """

    def __init__(self, shape: Any, depth: int):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth!r}")
        self._shape = shape
        self._depth = depth
        super().__init__(_members(shape))

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
