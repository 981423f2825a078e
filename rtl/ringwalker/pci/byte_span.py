"""Byte enables of a read, counted."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.tlp import MAX_LENGTH_DWORDS

__all__ = ["ByteSpan"]


class ByteSpan(Component):
    """The bytes that a memory read asks for. Combinational.

    Members: ``length`` in dwords, ``first_be``, ``last_be`` as in the request; ``skip``, the bytes before the
    first one enabled (0 to 3); ``count``, the bytes from the first to the last one enabled (1 for a
    read of no bytes).

    Ref: PCIe 3.1, 2.3.1.1, table 2-38
    """

    def __init__(self):
        super().__init__(
            {
                "length": In(range(MAX_LENGTH_DWORDS + 1)),
                "first_be": In(4),
                "last_be": In(4),
                "skip": Out(2),
                "count": Out(13),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        end_be, tail = Signal(4), Signal(2)
        m.d.comb += end_be.eq(Mux(self.length == 1, self.first_be, self.last_be))
        for n in reversed(range(4)):
            with m.If(self.first_be[n]):
                m.d.comb += self.skip.eq(n)
        # From here on a later statement wins, so the highest enabled byte decides.
        m.d.comb += tail.eq(3)
        for n in range(4):
            with m.If(end_be[n]):
                m.d.comb += tail.eq(3 - n)
        m.d.comb += self.count.eq((self.length << 2) - self.skip - tail)
        return m
