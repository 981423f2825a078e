"""The way of posted requests to the link: merged in order, released whole, and dropped on abort."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..memories import READ_APART
from ..spec.tlp import RequestKind
from ..streams import request_beat, stream_of
from ..tlp.arbiter import PacketArbiter

__all__ = ["PacketBuffer", "PostedGate", "PostedMux"]


class PostedMux(PacketArbiter):
    """Merges requests that must stay in order: one that was taken is before all that are taken later.

    Parameters: ``data_width`` (W); ``inputs``, how many streams.

    Members, latency, throughput and errors: as :class:`~ringwalker.tlp.arbiter.PacketArbiter` of
    request_beat(W).
    """

    def __init__(self, data_width: int, inputs: int):
        super().__init__(request_beat(data_width), inputs)


class PacketBuffer(Component):
    """Stores and forwards: no beat of a packet comes out before all of it is in.

    Parameters: ``data_width`` (W); ``depth_beats``, a power of two. It must be at least the beats of the
    longest packet, since a longer one would stop the stream for good.

    Members:

    - ``i`` In stream of request_beat(W): ready comes from a register.
    - ``o`` Out stream of request_beat(W): valid from the first to the last beat of a packet.
    - ``idle`` Out 1: nothing is held.
    - ``quiet`` Out 1: no whole packet is held, and none is on its way out.

    Latency: 2 cycles from a packet's last beat to its first. Throughput: a beat a cycle if ``depth_beats`` is
    at least twice the beats of the longest packet.
    Errors: ``ValueError`` unless ``depth_beats`` is a power of two and at least 2.
    """

    def __init__(self, data_width: int, depth_beats: int):
        if depth_beats < 2 or depth_beats & (depth_beats - 1):
            raise ValueError(f"depth_beats must be a power of two, at least 2, not {depth_beats!r}")
        self.depth_beats = depth_beats
        self._beat = request_beat(data_width)
        super().__init__(
            {
                "i": In(stream_of(self._beat)),
                "o": Out(stream_of(self._beat)),
                "idle": Out(1, init=1),
                "quiet": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        # What is read was released by a cycle before; a place that is written was taken before.
        memory: Any = Memory(shape=self._beat, depth=self.depth_beats, init=[], attrs=READ_APART)
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        # One bit more than an address each: equal is empty, and that bit alone apart is full.
        written, released, taken = (Signal(range(2 * self.depth_beats)) for _ in range(3))
        advance = Signal()
        put = self.i.valid & self.i.ready
        written_next, room = Signal.like(written), Signal(init=1)
        # A place that is taken out of in this cycle is free a cycle later.
        m.d.sync += room.eq((written_next ^ taken) != self.depth_beats)
        m.d.comb += [
            written_next.eq(written + put),
            self.i.ready.eq(room),
            write.en.eq(put),
            write.addr.eq(written[:-1]),
            write.data.eq(self.i.p),
            advance.eq(~self.o.valid | self.o.ready),
            read.en.eq(advance & (taken != released)),
            read.addr.eq(taken[:-1]),
            self.o.p.eq(read.data),
            self.idle.eq((written == taken) & ~self.o.valid),
            self.quiet.eq((released == taken) & ~self.o.valid),
        ]
        with m.If(put):
            m.d.sync += [written.eq(written_next), released.eq(Mux(self.i.p.last, written_next, released))]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(taken != released)
        with m.If(read.en):
            m.d.sync += taken.eq(taken + 1)
        return m


class PostedGate(Component):
    """Drops whole memory writes while ``abort`` is up. All other requests pass.

    What becomes of a packet is decided at its first beat. Reads pass because their reader would wait for
    their completions for ever; it stops asking by itself.

    Parameters: ``data_width`` (W).

    Members:

    - ``i`` In stream of request_beat(W).
    - ``o`` Out stream of request_beat(W).
    - ``abort`` In 1.
    - ``dropped`` Out 1, a pulse for each write that is dropped.
    - ``idle`` Out 1: no packet is in flight and nothing is held.

    Latency: 1 cycle. Throughput: a beat a cycle.
    """

    def __init__(self, data_width: int):
        self._beat = request_beat(data_width)
        super().__init__(
            {
                "i": In(stream_of(self._beat)),
                "o": Out(stream_of(self._beat)),
                "abort": In(1),
                "dropped": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        inside, dropping, drop, free = Signal(), Signal(), Signal(), Signal()
        write = self.i.p.header.kind == RequestKind.MEMORY_WRITE
        m.d.comb += [
            drop.eq(Mux(self.i.p.first, self.abort & write, dropping)),
            free.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(free),
            self.idle.eq(~self.o.valid & ~inside),
        ]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(self.i.valid & ~drop), self.o.p.eq(self.i.p)]
        with m.If(free & self.i.valid):
            m.d.sync += [dropping.eq(drop), inside.eq(~self.i.p.last)]
        m.d.sync += self.dropped.eq(free & self.i.valid & self.i.p.first & drop)
        return m
