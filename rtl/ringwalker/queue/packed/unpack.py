"""Descriptors one by one, out of the beats of read data."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.packed import PackedDescriptor
from ...streams import dma_read_beat, stream_of
from .reads import READ_DESCRIPTORS

__all__ = ["DescriptorUnpack", "UnpackedDescriptor"]

_BITS = PackedDescriptor.as_shape().size


class UnpackedDescriptor(data.Struct):
    """A descriptor as it stands in memory. ``last``: of its read; ``error``: it could not be read."""

    raw: PackedDescriptor
    last: unsigned(1)
    error: unsigned(1)


class DescriptorUnpack(Component):
    """Takes descriptors out of read data.

    Members (W is ``data_width``):

    - ``counts`` In stream: how many descriptors each read has, 1 to 16.
    - ``data`` In stream of dma_read_beat(W): the reads, which begin at multiples of 16 bytes.
    - ``o`` Out stream of UnpackedDescriptor.
    - ``idle`` Out 1: nothing is held.

    Latency: 1 cycle from the last beat of a descriptor. Throughput: a descriptor a cycle, but no faster than
    beats.
    """

    def __init__(self, data_width: int):
        self._lanes = max(1, data_width // _BITS)
        self._parts = max(1, _BITS // data_width)
        self._width = data_width
        super().__init__(
            {
                "counts": In(stream_of(range(READ_DESCRIPTORS + 1))),
                "data": In(stream_of(dma_read_beat(data_width))),
                "o": Out(stream_of(UnpackedDescriptor)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        beat, found = self.data.payload, self.o.payload
        done = Signal(range(READ_DESCRIPTORS + 1))
        room, whole, ends, step = Signal(), Signal(), Signal(), Signal()
        lane = done[: (self._lanes - 1).bit_length()]
        m.d.comb += [
            room.eq(~self.o.valid | self.o.ready),
            step.eq(self.counts.valid & self.data.valid & room),
            ends.eq(whole & (done + 1 == self.counts.payload)),
            self.data.ready.eq(self.counts.valid & room & (ends | ~whole | self._ends_beat(lane))),
            self.counts.ready.eq(step & ends),
            self.idle.eq(~self.o.valid),
        ]
        raw = self._raw(m, step, whole, beat, lane)
        with m.If(room):
            m.d.sync += self.o.valid.eq(step & whole)
        with m.If(step):
            m.d.sync += [found.raw.eq(raw), found.last.eq(ends), found.error.eq(beat.error)]
        with m.If(step & whole):
            m.d.sync += done.eq(Mux(ends, 0, done + 1))
        return m

    def _ends_beat(self, lane: Any) -> Any:
        return (lane == self._lanes - 1) if self._lanes > 1 else 1

    def _raw(self, m: Any, step: Any, whole: Any, beat: Any, lane: Any) -> Any:
        """The descriptor that is ``whole`` with this beat."""
        if self._parts == 1:
            m.d.comb += whole.eq(1)
            return beat.data.word_select(lane, _BITS)
        lower, second = Signal(self._width), Signal()
        m.d.comb += whole.eq(second)
        with m.If(step):
            m.d.sync += [lower.eq(beat.data), second.eq(~second)]
        return Cat(lower, beat.data)
