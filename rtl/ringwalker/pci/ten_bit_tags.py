"""Tags of ten bits on the link, around a requester that has tags of eight."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.tlp import completion_beat, request_beat
from ..streams import stream_of

__all__ = ["TenBitTags"]

_UPPER = 0b01
"""Bits 9:8 of a tag of ten bits. They are not 00, so that such a tag is none of eight."""


class TenBitTags(Component):
    """Puts bits 9:8 before the tags of requests, and takes them from those of completions.

    They are 01 while tags of ten bits are enabled, else 00. A completion with others belongs to no request:
    it is dropped.

    Parameters: ``data_width`` (W) in bits.

    Members:

    - ``enable`` In 1: a change takes effect with the next packet that is offered a cycle later or more, and
      for completions with it. Software changes it while no request waits for its completion
    - ``requests`` In stream of request_beat(W), ``long_requests`` Out stream of request_beat(W, 10)
    - ``long_completions`` In stream of completion_beat(W, 10), ``completions`` Out stream of
      completion_beat(W); both are always ready
    - ``stray`` Out 1, pulse: a completion was dropped a cycle ago

    Latency: none for both streams.

    Ref: PCIe 4.0, 2.2.6.2, 7.5.3.16
    """

    def __init__(self, data_width: int):
        super().__init__(
            {
                "enable": In(1),
                "requests": In(stream_of(request_beat(data_width))),
                "long_requests": Out(stream_of(request_beat(data_width, 10))),
                "long_completions": In(stream_of(completion_beat(data_width, 10))),
                "completions": Out(stream_of(completion_beat(data_width))),
                "stray": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        enabled = Signal()
        upper = Mux(enabled, _UPPER, 0)[:2]
        self._copy(m, self.requests, self.long_requests)
        self._copy(m, self.long_completions, self.completions)
        tag = self.long_completions.p.header.tag
        mine = tag[8:] == upper
        m.d.comb += [
            self.long_requests.p.header.tag.eq(Cat(self.requests.p.header.tag, upper)),
            self.long_requests.valid.eq(self.requests.valid),
            self.requests.ready.eq(self.long_requests.ready),
            self.completions.p.header.tag.eq(tag[:8]),
            self.completions.valid.eq(self.long_completions.valid & mine),
            self.long_completions.ready.eq(Const(1)),
        ]
        m.d.sync += self.stray.eq(self.long_completions.valid & self.long_completions.p.first & ~mine)
        # Not while a packet is offered.
        with m.If(~self.requests.valid | (self.requests.ready & self.requests.p.last)):
            m.d.sync += enabled.eq(self.enable)
        return m

    def _copy(self, m: Any, source: Any, sink: Any) -> None:
        """All of a beat but for the tag."""
        pairs = ((sink.p, source.p, "header"), (sink.p.header, source.p.header, "tag"))
        for to, of, other in pairs:
            layout: Any = data.Layout.cast(to.shape())
            for name in layout.members:
                if name != other:
                    m.d.comb += getattr(to, name).eq(getattr(of, name))
