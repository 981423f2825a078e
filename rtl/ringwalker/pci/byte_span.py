"""Byte enables of a read, counted."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.tlp import MAX_LENGTH_DWORDS

__all__ = ["ByteSpan"]


class ByteSpan(Component):
    """The bytes that a memory read asks for. Combinational.

    Ref: PCIe 3.1, 2.3.1.1, table 2-38
    """

    length: In(range(MAX_LENGTH_DWORDS + 1))
    """In dwords."""
    first_be: In(4)
    """Byte enables of the first dword."""
    last_be: In(4)
    """Byte enables of the last dword; 0 if there is one only."""
    skip: Out(2)
    """Bytes before the first one enabled."""
    count: Out(13)
    """Bytes from the first to the last one enabled; 1 for a read of no bytes."""

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
