"""Cuts a dense stream of bytes into payloads that start anywhere within a dword."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import byte_beat, stream_of
from .rotate import rotate

__all__ = ["Placement", "Realign", "payload_beat"]


class Placement(data.Struct):
    """Where the next bytes of the stream go.

    - ``offset``: the byte of a dword at which the first of them is to be.
    - ``length``: how many there are (0 to 4096). Length 0 gives no output.
    - ``final``: they are the last that are wanted of their packet. What remains of it is dropped.
    """

    offset: unsigned(2)
    length: unsigned(13)
    final: unsigned(1)


def payload_beat(data_width: int) -> data.StructLayout:
    """A beat of a TLP's payload: ``data`` and ``dwords`` as in request_beat.

    Bytes outside the placement are undefined.
    """
    return data.StructLayout(
        {"data": unsigned(data_width), "dwords": unsigned(data_width // 32), "first": 1, "last": 1}
    )


class Realign(Component):
    """Gives one packet of payload for each placement that is not empty.

    The placements of a packet must not ask for more bytes than it has, and the last must be ``final``.

    Parameters: ``data_width`` (W).

    Members:

    - ``i`` In stream of byte_beat(W): ``error`` is ignored. A packet may be one beat without bytes.
    - ``placements`` In stream of Placement.
    - ``o`` Out stream of payload_beat(W).
    - ``idle`` Out 1: nothing is held.

    Latency: 2 cycles from a beat, if its placement came before it, to the output. Throughput: a beat a cycle,
    without a gap between placements except after an empty one, or to drop the rest of a packet.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "i": In(stream_of(byte_beat(data_width))),
                "placements": In(stream_of(Placement)),
                "o": Out(stream_of(payload_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        #                placements
        #                    │
        # i ──────────► window, used ──► merged, shift ──► o
        #               (a beat kept)    (of two beats)    (rotated)
        m: Any = Module()
        size = self.data_width // 8
        merged: Any = Signal(self.data_width)
        valid, shift = Signal(), Signal(range(size))
        dwords, first, last = Signal(size // 4), Signal(), Signal()
        step, free = Signal(), Signal()
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), step.eq(~valid | free)]

        # --- Which bytes make the next output beat. ``window`` is the beat with the next byte, which is
        # --- byte ``used`` of it; if ``used`` is the size of a beat, ``window`` is the beat before. The
        # --- output beat is bytes ``start`` to ``start + size`` of the window and the beat that follows.
        # --- ``start`` is negative if the placement's offset exceeds ``used``.
        window, used, at_end = Signal(self.data_width), Signal(range(size + 1), init=size), Signal()
        loaded, opening, final = Signal(), Signal(), Signal()
        offset, left = Signal(2), Signal(14)
        some, count = Signal(), Signal(range(size + 1))  # of ``left``: any, and as many as a beat has
        new, rest = Signal(14), Signal(14)
        start, stop = Signal(range(-3, size + 1)), Signal(range(-3, 2 * size + 1))
        ends, needs, fire, complete, dropping = Signal(), Signal(), Signal(), Signal(), Signal()
        drop_now, sees_end = Signal(), Signal()
        incoming = self.placements.p
        m.d.comb += [
            start.eq(used - Mux(opening, offset, 0)),
            new.eq(Mux(incoming.length == 0, 0, incoming.offset + incoming.length)),
            rest.eq(left - size),
            stop.eq(start + count),
            needs.eq((stop > size) & some),
            fire.eq(loaded & ~dropping & (~some | step) & (~needs | self.i.valid)),
            complete.eq(fire & ends),
            self.placements.ready.eq(~loaded | complete),
            self.i.ready.eq(dropping | (loaded & some & step & needs)),
            sees_end.eq(Mux(needs, self.i.p.last, at_end)),
            drop_now.eq(complete & final & ~sees_end),
        ]
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
        with m.If(self.placements.ready):
            m.d.sync += [
                loaded.eq(self.placements.valid),
                opening.eq(1),
                offset.eq(incoming.offset),
                final.eq(incoming.final),
            ]
        for enable, value in ((fire, rest), (self.placements.ready, new)):
            with m.If(enable):
                m.d.sync += [
                    left.eq(value),
                    some.eq(value != 0),
                    ends.eq(value <= size),
                    count.eq(Mux(value <= size, value, size)),
                ]

        # --- The bytes of both beats, not yet turned.
        with m.If(step):
            m.d.sync += [valid.eq(fire & some), shift.eq(start), first.eq(opening), last.eq(ends)]
            m.d.sync += [
                merged[8 * b : 8 * b + 8].eq(
                    Mux(start > b, self.i.p.data[8 * b : 8 * b + 8], window[8 * b : 8 * b + 8])
                )
                for b in range(size)
            ]
            m.d.sync += dwords.eq(Cat(~ends | (left > 4 * k) for k in range(size // 4)))

        # --- Turned to where they belong.
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(valid),
                self.o.p.data.eq(rotate(m, merged, (-shift)[: len(shift)], 8, "rotated")),
                self.o.p.dwords.eq(dwords),
                self.o.p.first.eq(first),
                self.o.p.last.eq(last),
            ]
        m.d.comb += self.idle.eq(~(loaded | dropping) & ~valid & ~self.o.valid)
        return m
