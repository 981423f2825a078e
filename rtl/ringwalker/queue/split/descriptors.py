"""What the descriptors of a split ring mean. Ref: virtio 1.4, 2.7.5 (The Virtqueue Descriptor Table)."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data

from ...component import Component
from ...spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, Descriptor
from ..chain.descriptor import DescriptorDecoder

__all__ = ["SplitDecoder"]


class SplitDecoder(Component):
    """A descriptor names the one that follows it. The members are those of DescriptorDecoder, flipped.

    Latency: none.
    """

    def __init__(self):
        super().__init__(DescriptorDecoder().flip())

    def elaborate(self, platform):
        m: Any = Module()
        raw: Any = data.View(Descriptor, self.raw)
        found = self.descriptor
        m.d.comb += [
            found.address.eq(raw.addr),
            found.length.eq(raw.len),
            found.writable.eq((raw.flags & DESC_F_WRITE) != 0),
            found.indirect.eq((raw.flags & DESC_F_INDIRECT) != 0),
            found.follows.eq((raw.flags & DESC_F_NEXT) != 0),
            found.next.eq(raw.next),
        ]
        return m
