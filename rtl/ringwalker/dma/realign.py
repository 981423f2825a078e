"""Cuts a dense stream of bytes into slices that start anywhere within a dword."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import byte_beat, stream_of
from .rotate import rotate

__all__ = ["ByteSlicer", "Slice", "payload_beat"]


class Slice(data.Struct):
    """The next ``length`` bytes (0 to 4096) of the stream are to start at byte ``offset`` of a dword.

    ``final``: they are the last that are wanted of their packet; what remains of it is dropped. A slice of
    length 0 gives no output.
    """

    offset: unsigned(2)
    length: unsigned(13)
    final: unsigned(1)


def payload_beat(data_width: int) -> data.StructLayout:
    """A beat of a TLP's payload: ``data`` and ``dwords`` as in request_beat. Bytes outside the slice are
    undefined."""
    return data.StructLayout(
        {"data": unsigned(data_width), "dwords": unsigned(data_width // 32), "first": 1, "last": 1}
    )


class ByteSlicer(Component):
    """Gives one packet of payload beats for each slice that is not empty.

    The slices of a packet must not ask for more bytes than it has, and the last must be ``final``.

    Members (W is ``data_width``): ``i`` In stream of byte_beat(W) (``error`` is not looked at; a packet
    may be one beat without bytes), ``slices`` In stream of Slice, ``o`` Out stream of payload_beat(W),
    ``idle`` Out 1.
    Latency: 2 cycles from a beat, if its slice came before it, to the output. Throughput: one beat a
    cycle, without a gap between slices except after an empty one, or to drop the rest of a packet.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "i": In(stream_of(byte_beat(data_width))),
                "slices": In(stream_of(Slice)),
                "o": Out(stream_of(payload_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        size = self.data_width // 8
        step = Signal()
        valid, merged = Signal(), Signal(self.data_width)
        shift = Signal(range(size))
        dwords, first, last = Signal(size // 4), Signal(), Signal()
        m.d.comb += step.eq(~valid | ~self.o.valid | self.o.ready)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(valid),
                self.o.p.data.eq(rotate(m, merged, (-shift)[: len(shift)], 8, "rotated")),
                self.o.p.dwords.eq(dwords),
                self.o.p.first.eq(first),
                self.o.p.last.eq(last),
            ]
        busy = self._select(m, step, valid, merged, shift, dwords, first, last)
        m.d.comb += self.idle.eq(~busy & ~valid & ~self.o.valid)
        return m

    def _select(self, m, step, valid, merged, shift, dwords, first, last) -> Any:
        """Walk through slices and beats: which bytes of the window of two beats make the next output beat.

        ``window`` is the beat that the next byte is in, which is byte ``used`` of it, or the one before that
        if ``used`` is the size of a beat. An output beat is bytes ``start`` to ``start + size`` of the
        window and the beat that follows, where ``start`` is negative if the slice's offset exceeds
        ``used``.
        """
        size = self.data_width // 8
        window, used, at_end = Signal(self.data_width), Signal(range(size + 1), init=size), Signal()
        loaded, opening, final = Signal(), Signal(), Signal()
        offset, left = Signal(2), Signal(14)
        some, count = Signal(), Signal(range(size + 1))  # of ``left``: any, and as many as a beat has
        new, rest = Signal(14), Signal(14)
        start, stop = Signal(range(-3, size + 1)), Signal(range(-3, 2 * size + 1))
        ends, needs, fire, complete, dropping = Signal(), Signal(), Signal(), Signal(), Signal()
        drop_now, sees_end = Signal(), Signal()
        incoming = self.slices.p
        m.d.comb += [
            start.eq(used - Mux(opening, offset, 0)),
            new.eq(Mux(incoming.length == 0, 0, incoming.offset + incoming.length)),
            rest.eq(left - size),
            stop.eq(start + count),
            needs.eq((stop > size) & some),
            fire.eq(loaded & ~dropping & (~some | step) & (~needs | self.i.valid)),
            complete.eq(fire & ends),
            self.slices.ready.eq(~loaded | complete),
            self.i.ready.eq(dropping | (loaded & some & step & needs)),
            sees_end.eq(Mux(needs, self.i.p.last, at_end)),
            drop_now.eq(complete & final & ~sees_end),
        ]
        with m.If(step):
            m.d.sync += [valid.eq(fire & some), shift.eq(start), first.eq(opening), last.eq(ends)]
            m.d.sync += [
                merged[8 * b : 8 * b + 8].eq(
                    Mux(start > b, self.i.p.data[8 * b : 8 * b + 8], window[8 * b : 8 * b + 8])
                )
                for b in range(size)
            ]
            m.d.sync += dwords.eq(Cat(~ends | (left > 4 * k) for k in range(size // 4)))
        with m.If(fire):
            m.d.sync += opening.eq(0)
            with m.If(some):
                m.d.sync += used.eq(Mux(needs, stop - size, stop))
            with m.If(needs):
                m.d.sync += [window.eq(self.i.p.data), at_end.eq(self.i.p.last)]
            with m.If(complete & final):
                m.d.sync += [used.eq(size), at_end.eq(0), dropping.eq(drop_now)]
        with m.If(dropping & self.i.valid & self.i.p.last):
            m.d.sync += dropping.eq(0)
        with m.If(self.slices.ready):
            m.d.sync += [
                loaded.eq(self.slices.valid),
                opening.eq(1),
                offset.eq(incoming.offset),
                final.eq(incoming.final),
            ]
        for enable, value in ((fire, rest), (self.slices.ready, new)):
            with m.If(enable):
                m.d.sync += [
                    left.eq(value),
                    some.eq(value != 0),
                    ends.eq(value <= size),
                    count.eq(Mux(value <= size, value, size)),
                ]
        return loaded | dropping
