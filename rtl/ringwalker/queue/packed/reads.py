"""Reads of descriptors in flight: whose they are, and what became known of them since they were asked for."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...streams import QUEUE_BITS, stream_of
from .place import Place

__all__ = ["MOST_EXPECTED", "READ_DESCRIPTORS", "ReadsInFlight", "RingRead"]

READ_DESCRIPTORS = 16
"""Descriptors that one read has at most."""

MOST_EXPECTED = 8
"""If a visit is expected to find more descriptors than that, it reads as many as it can."""


class RingRead(data.Struct):
    """``count`` descriptors of ``queue``, of ``size``, from ``place`` on; the first of them is number
    ``in_line`` of its cache line. ``expected``, if it is not 0: so many its visit probably finds; no other
    read of its queue is in flight then. ``first``: of its visit, or what of that has to be read again.
    ``cut``: a read from ``place`` on could have gone further. ``known``: the driver has said that all of them
    are available; ``closes``: and no more than these.
    """

    queue: unsigned(QUEUE_BITS)
    size: unsigned(16)
    place: Place
    count: range(READ_DESCRIPTORS + 1)
    in_line: unsigned(2)
    expected: range(MOST_EXPECTED + 1)
    first: unsigned(1)
    cut: unsigned(1)
    known: unsigned(1)
    closes: unsigned(1)


class ReadsInFlight(Component):
    """Keeps reads in the order in which they were asked for.

    Parameters: ``queues``, how many there are; ``depth``, how many reads it holds.

    Latency: 1 cycle.
    """

    i: In(stream_of(RingRead))
    """Reads as they are asked for. Ready while there is room."""
    o: Out(stream_of(RingRead))
    """The oldest."""
    dead: Out(1)
    """The oldest is of no use: what is read before it has ended elsewhere."""
    rung: Out(1)
    """The driver notified of its queue after it was asked for."""
    queue: In(QUEUE_BITS)
    """What the next three are about."""
    alive: Out(range(17))
    """How many reads of ``queue`` are in flight and not dead."""
    ends: In(1)
    """All reads of ``queue`` that are in flight are dead from now on."""
    rings: In(1)
    """The driver has notified of ``queue``."""
    idle: Out(1, init=1)
    """Nothing is in flight."""

    def __init__(self, queues: int, depth: int):
        self._bits = max(1, (queues - 1).bit_length())
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.fifo = fifo = StreamFifo(RingRead, self._depth)
        connect(m, flipped(self.i), fifo.i)
        connect(m, fifo.o, flipped(self.o))
        depth = self._depth
        valid: Any = Signal(depth)
        dead: Any = Signal(depth)
        rung: Any = Signal(depth)
        newest, oldest = Signal(range(depth)), Signal(range(depth))
        queues = [Signal(self._bits, name=f"queue_{n}") for n in range(depth)]
        put, take = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        mine: Any = Signal(depth)
        m.d.comb += [
            mine.eq(valid & ~dead & Cat(queue == self.queue[: self._bits] for queue in queues)),
            self.alive.eq(sum(mine[n] for n in range(depth))),
            self.dead.eq(dead.bit_select(oldest, 1)),
            self.rung.eq(rung.bit_select(oldest, 1)),
            self.idle.eq(fifo.idle),
        ]
        with m.If(self.ends):
            m.d.sync += dead.eq(dead | mine)
        with m.If(self.rings):
            m.d.sync += rung.eq(rung | mine)
        with m.If(put):
            m.d.sync += [
                valid.bit_select(newest, 1).eq(1),
                dead.bit_select(newest, 1).eq(0),
                rung.bit_select(newest, 1).eq(0),
                Array(queues)[newest].eq(self.i.payload.queue),
                newest.eq(Mux(newest == depth - 1, 0, newest + 1)),
            ]
        with m.If(take):
            m.d.sync += [
                valid.bit_select(oldest, 1).eq(0),
                oldest.eq(Mux(oldest == depth - 1, 0, oldest + 1)),
            ]
        return m
