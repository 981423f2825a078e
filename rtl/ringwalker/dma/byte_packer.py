"""Packs irregular pieces of bytes into dense packets."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import ElasticBuffer
from ..component import Component
from ..streams import byte_beat, stream_of
from .rotate import rotate

__all__ = ["BytePacker", "irregular_beat"]


def irregular_beat(data_width: int) -> data.StructLayout:
    """A beat of a packet of bytes that may have gaps.

    - ``data``, ``start``, ``count``: the bytes are ``count`` (1 to ``data_width // 8``) bytes of ``data``,
      from byte ``start`` (0 to 3) on.
    - ``last``: ends the packet.
    - ``error``: spoils the packet.
    """
    return data.StructLayout(
        {
            "data": unsigned(data_width),
            "start": unsigned(2),
            "count": range(data_width // 8 + 1),
            "last": 1,
            "error": 1,
        }
    )


class BytePacker(Component):
    """Joins irregular beats into dense packets of bytes.

    An error is on all output beats from then on to the end of the packet. So a beat without ``error`` is
    good, even if the packet turns bad later.

    Parameters: ``data_width`` (W).

    Members:

    - ``i`` In stream of irregular_beat(W).
    - ``o`` Out stream of byte_beat(W).
    - ``idle`` Out 1: nothing is held.

    Latency: 3 cycles from the beat that fills an output beat. Throughput: a beat a cycle. A packet whose last
    beat fills one output beat and starts another takes one cycle more, unless the beat after it fills none.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "i": In(stream_of(irregular_beat(data_width))),
                "o": Out(stream_of(byte_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        # i ──► buffer ──► rotated ──► o
        #         │           │
        #        fill        held: bytes of an output beat that is not full yet
        m: Any = Module()
        size = self.data_width // 8
        m.submodules.buffer = buffer = ElasticBuffer(irregular_beat(self.data_width))
        wiring.connect(m, wiring.flipped(self.i), buffer.i)

        # --- Rotate each beat to where its first byte goes: behind the ``fill`` bytes before it.
        fill, end, at = Signal(range(size)), Signal(range(2 * size + 1)), Signal(range(size))
        amount, total = Signal(range(size)), Signal(range(2 * size + 1))
        rotated = Signal(self.data_width, name="placed")
        valid, last, error, emits, advance = Signal(), Signal(), Signal(), Signal(), Signal()
        source = buffer.o.p
        m.d.comb += [
            amount.eq(fill - source.start),
            total.eq(fill + source.count),
            buffer.o.ready.eq(~valid | advance),
        ]
        with m.If(buffer.o.ready):
            m.d.sync += [
                valid.eq(buffer.o.valid),
                rotated.eq(rotate(m, source.data, amount, 8, "rotated")),
                at.eq(fill),
                end.eq(total),
                last.eq(source.last),
                error.eq(source.error),
                emits.eq(source.last | (total >= size)),
            ]
            with m.If(buffer.o.valid):
                m.d.sync += fill.eq(Mux(source.last, 0, total[: len(fill)]))

        # --- Put it behind what is held. What is full leaves, and at the end what is left: ``flush``.
        held, merged = Signal(self.data_width), Signal(self.data_width)
        spoiled, between, first = Signal(), Signal(init=1), Signal(init=1)
        flush, flush_count, flush_error = Signal(), Signal(range(size + 1)), Signal()
        free, splits = Signal(), Signal()
        o = self.o.p
        m.d.comb += [
            merged.eq(
                Cat(Mux(at > b, held.word_select(b, 8), rotated.word_select(b, 8)) for b in range(size))
            ),
            free.eq(~self.o.valid | self.o.ready),
            splits.eq(last & (end > size)),
            advance.eq(Mux(emits, free & ~flush, ~flush | free)),
            self.idle.eq(buffer.idle & ~valid & ~self.o.valid & between & ~flush),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(flush & free):
            m.d.sync += [self.o.valid.eq(1), o.data.eq(held), o.count.eq(flush_count), o.first.eq(0)]
            m.d.sync += [o.last.eq(1), o.error.eq(flush_error), flush.eq(0), first.eq(1)]
        with m.If(valid & advance):
            m.d.sync += [held.eq(Mux(emits, rotated, merged)), spoiled.eq(~last & (spoiled | error))]
            m.d.sync += between.eq(last)
            with m.If(emits):
                m.d.sync += [self.o.valid.eq(1), o.data.eq(merged), o.first.eq(first)]
                m.d.sync += [o.count.eq(Mux(end > size, size, end)), o.last.eq(last & ~splits)]
                m.d.sync += [o.error.eq(spoiled | error), flush.eq(splits)]
                m.d.sync += [flush_count.eq(end - size), flush_error.eq(spoiled | error)]
                m.d.sync += first.eq(last & ~splits)
        return m
