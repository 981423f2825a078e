"""What the descriptors of a packed ring mean. Ref: virtio 1.4, 2.8.13, 2.8.7 (indirect tables)."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data

from ...component import Component
from ...spec.packed import PackedDescriptor
from ...spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ..chain.descriptor import DescriptorDecoder

__all__ = ["PackedDecoder"]


class PackedDecoder(Component):
    """A descriptor is followed by the one behind it, and the last of the ring by the first.

    Of an indirect table every descriptor but the last is followed by another, and only the flag WRITE counts.
    The members are those of DescriptorDecoder, flipped. Latency: none.
    """

    def __init__(self):
        super().__init__(DescriptorDecoder().flip())

    def elaborate(self, platform):
        m: Any = Module()
        raw: Any = data.View(PackedDescriptor, self.raw)
        found, last = self.descriptor, Signal()
        m.d.comb += [
            last.eq(self.index == (self.size - 1)[: len(self.size)]),
            found.address.eq(raw.addr),
            found.length.eq(raw.len),
            found.writable.eq((raw.flags & DESC_F_WRITE) != 0),
            found.indirect.eq(~self.nested & ((raw.flags & DESC_F_INDIRECT) != 0)),
            found.follows.eq(Mux(self.nested, ~last, (raw.flags & DESC_F_NEXT) != 0)),
            found.next.eq(Mux(last, 0, self.index + 1)),
        ]
        return m
