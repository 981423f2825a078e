"""From a byte address and length to the dwords and byte enables of a request."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Mux, Signal, Value

__all__ = ["DwordSpan", "dword_span"]


@dataclass(frozen=True)
class DwordSpan:
    """The dwords of a request, and which of their bytes it asks for."""

    dwords: Value
    """11 bits: the length of the request."""
    first_be: Value
    """4 bits: byte enables of the first dword."""
    last_be: Value
    """4 bits: byte enables of the last dword; 0 if it is the first, too."""
    total: Value
    """13 bits: bytes from the start of the first dword to the end of the last byte that is asked for."""


def dword_span(m: Any, offset: Value, length: Value, name: str = "span") -> DwordSpan:
    """Logic for ``length`` bytes (1 to 4096) from byte ``offset`` (0 to 3) of a dword on.

    ``offset + length`` must not exceed 4096. ``name`` is the start of the names of its signals.
    Combinational.
    Ref: PCI Express Base Specification 3.1, 2.2.5.
    """
    total = Signal(13, name=f"{name}_total")
    dwords = Signal(11, name=f"{name}_dwords")
    head = Signal(4, name=f"{name}_head")
    tail = Signal(4, name=f"{name}_tail")
    first_be = Signal(4, name=f"{name}_first_be")
    last_be = Signal(4, name=f"{name}_last_be")
    m.d.comb += [total.eq(offset + length), dwords.eq((total + 3)[2:]), head.eq(Const(0xF, 4) << offset)]
    with m.Switch(total[:2]):
        for end, mask in ((0, 0b1111), (1, 0b0001), (2, 0b0011), (3, 0b0111)):
            with m.Case(end):
                m.d.comb += tail.eq(mask)
    single = Signal(name=f"{name}_single")
    m.d.comb += [
        single.eq(dwords == 1),
        first_be.eq(head & (tail | Cat(~single for _ in range(4)))),
        last_be.eq(Mux(single, 0, tail)),
    ]
    return DwordSpan(dwords, first_be, last_be, total)
