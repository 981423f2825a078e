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
    """Routes completions by tag. This is the only place where a tag is matched.

    Parameters: ``data_width`` (W); ``ranges``, the tags of each reader.

    Members:

    - ``i`` In stream of completion_beat(W): ready is always 1.
    - ``o0``, ``o1``, ... Out streams of completion_beat(W): ``o{k}`` has the completions with a tag of
      ``ranges[k]``. Their ready must always be 1, as that of a reader is. All share one register of payload.
    - ``unexpected`` Out 1, pulse: a completion was dropped because no reader has its tag.

    Latency: 1 cycle. Throughput: a beat a cycle.
    Errors: ``ValueError`` for no ranges, or ranges that overlap.
    Ref: PCI Express Base Specification 3.1, 2.3.2.
    """

    def __init__(self, data_width: int, ranges: Sequence[TagRange]):
        if not ranges:
            raise ValueError("ranges must name at least one reader")
        for k, one in enumerate(ranges):
            for other in ranges[:k]:
                if one.overlaps(other):
                    raise ValueError(f"ranges must not overlap, but {other} and {one} do")
        self.ranges = list(ranges)
        beat = completion_beat(data_width)
        super().__init__(
            {
                "i": In(stream_of(beat)),
                **{f"o{k}": Out(stream_of(beat)) for k in range(len(ranges))},
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
