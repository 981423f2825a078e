"""Base address registers: what they look like, and which one an address hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.pci import EXPANSION_ROM, MAX_IO_BYTES, BarType
from ..spec.tlp import MAX_LENGTH_DWORDS
from .ports import FunctionState

__all__ = ["Bar", "BarDecode"]

_MINIMUM_MEMORY = 128
_MINIMUM_IO = 4
_MINIMUM_ROM = 2048
_OFFSET_BITS = 24


@dataclass(frozen=True)
class Bar:
    """A base address register: ``size`` in bytes, a power of two; ``is_64`` takes the next BAR's dword too.

    With index EXPANSION_ROM it is that of the expansion ROM, of memory and 32 bits. Memory BARs are not
    prefetchable. Errors: ``ValueError`` from the constructor, naming the field.
    """

    index: int
    size: int
    io: bool = False
    is_64: bool = False

    def __post_init__(self):
        if self.index not in range(5 if self.is_64 else 6) and not self.is_rom:
            raise ValueError(f"index is {self.index}; a BAR is 0 to 5, and a 64-bit one needs its neighbour")
        if self.io and self.is_64:
            raise ValueError("is_64 is set for an I/O BAR; I/O BARs have 32 bits")
        low, high = (_MINIMUM_IO, MAX_IO_BYTES) if self.io else (_MINIMUM_MEMORY, 1 << _OFFSET_BITS)
        low = _MINIMUM_ROM if self.is_rom else low
        if not low <= self.size <= high or self.size & (self.size - 1):
            raise ValueError(f"size is {self.size}; it must be a power of two from {low} to {high}")

    @property
    def is_rom(self) -> bool:
        """Whether it is the expansion ROM's."""
        return self.index == EXPANSION_ROM and not self.io and not self.is_64

    @property
    def type_bits(self) -> int:
        """The low bits of the register, which say what it is."""
        return int((BarType.IO if self.io else 0) | (BarType.MEMORY_64 if self.is_64 else 0))

    @property
    def writable(self) -> int:
        """The bits of the (lower) register that software can write: the address."""
        return ~(self.size - 1) & 0xFFFFFFFF


class BarDecode(Component):
    """Says which BAR an access hits. Combinational.

    Parameters: ``bars``, the BARs there are. Errors: ``ValueError`` if two of them share a register.

    Ref: PCI 3.0, 6.2.5.1
    """

    state: In(FunctionState())
    """As ConfigSpace gives it."""
    address: In(64)
    """Of a dword, in bytes."""
    length: In(range(MAX_LENGTH_DWORDS + 1))
    """In dwords."""
    io: In(1)
    """The access is one of I/O space."""
    hit: Out(1)
    """The space is enabled and the whole access lies in one BAR. One that runs over its end is no hit."""
    bar: Out(3)
    """Number of the BAR that is hit."""
    offset: Out(_OFFSET_BITS)
    """Of the access in that BAR, in bytes."""

    def __init__(self, bars: Sequence[Bar]):
        taken = [n for bar in bars for n in range(bar.index, bar.index + 1 + bar.is_64)]
        if len(set(taken)) != len(taken):
            raise ValueError(f"bars overlap: {list(bars)}")
        self._bars = tuple(bars)
        super().__init__()

    def _matches(self, bar: Bar) -> Any:
        bits = bar.size.bit_length() - 1
        base = getattr(self.state, f"bar{bar.index}")
        upper = getattr(self.state, f"bar{bar.index + 1}") if bar.is_64 else Const(0, 32)
        enable = self.state.io_enable if bar.io else self.state.memory_enable
        if bar.is_rom:
            enable = enable & self.state.rom_enable
        same = (self.address[bits:32] == base[bits:]) & (self.address[32:] == upper)
        inside = (self.address[2:bits] if bits > 2 else Const(0, 1)) + self.length <= bar.size // 4
        return enable & (self.io == int(bar.io)) & same & inside

    def elaborate(self, platform):
        m: Any = Module()
        for bar in self._bars:
            bits = bar.size.bit_length() - 1
            match = self._matches(bar)
            with m.If(match):
                m.d.comb += [self.hit.eq(1), self.bar.eq(bar.index), self.offset.eq(self.address[:bits])]
        return m
