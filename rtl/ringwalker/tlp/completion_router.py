"""Brings completions to the reader that asked."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import completion_beat, stream_of
from .tags import TagRange

__all__ = ["CompletionRouter"]


class CompletionRouter(Component):
    """Routes completions by tag: those of ``ranges[k]`` come out on ``o{k}``, others are dropped.

    Members (W is ``data_width``): ``i`` In stream of completion_beat(W), ready always 1; ``o0``, ``o1``,
    ... Out streams of completion_beat(W), whose ready must always be 1, as a reader's is; ``unexpected``
    Out 1, pulse: a completion was dropped because no reader has its tag. Latency 1 cycle, a beat a cycle;
    all outputs share one register of payload.
    Errors: ``ValueError`` for no ranges, or ranges that overlap.
    """

    def __init__(self, data_width: int, ranges: Sequence[TagRange]):
        if not ranges:
            raise ValueError("ranges must name at least one reader")
        for k, one in enumerate(ranges):
            for other in ranges[:k]:
                if one.overlaps(other):
                    raise ValueError(f"ranges must not overlap, but {other} and {one} do")
        self.ranges = list(ranges)
        self._beat = completion_beat(data_width)
        super().__init__(
            {
                "i": In(stream_of(self._beat)),
                **{f"o{k}": Out(stream_of(self._beat)) for k in range(len(ranges))},
                "unexpected": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        outputs = [getattr(self, f"o{k}") for k in range(len(self.ranges))]
        matches: list[Any] = [tags.contains_value(self.i.p.header.tag) for tags in self.ranges]
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += outputs[0].p.eq(self.i.p)
        for output, match in zip(outputs, matches, strict=True):
            m.d.sync += output.valid.eq(self.i.valid & match)
            if output is not outputs[0]:
                m.d.comb += output.p.eq(outputs[0].p)
        m.d.sync += self.unexpected.eq(self.i.valid & self.i.p.first & (Cat(matches) == 0))
        return m
