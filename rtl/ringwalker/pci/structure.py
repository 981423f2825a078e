"""Configuration space as plain data: dwords, the structures that they belong to, and all of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..spec.registers import RegisterTable
from .bar import Bar

__all__ = ["Dword", "Layout", "Structure", "joined_dwords", "placed"]


@dataclass(frozen=True)
class Dword:
    """Four bytes of configuration space: value after reset, and which bits a write sets or clears.

    ``w1c`` bits are cleared by writing 1. ``writable`` and ``w1c`` have no bit in common. A function-level
    reset leaves those bits alone that are in ``kept``.
    """

    reset: int = 0
    writable: int = 0
    w1c: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Structure:
    """The header or a capability: where it stands, its table, and for each register its value and masks.

    ``values``, ``writable``, ``w1c`` and ``kept`` are by register name; what they leave out is 0 (``values``:
    the reset value of the table).
    """

    name: str
    offset: int
    table: RegisterTable
    values: Mapping[str, int] = field(default_factory=dict)
    writable: Mapping[str, int] = field(default_factory=dict)
    w1c: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        for masks in (self.values, self.writable, self.w1c, self.kept):
            for register, value in masks.items():
                if not 0 <= value < 1 << self.table[register].width:
                    raise ValueError(f"{self.name}.{register}: {value:#x} does not fit")

    @property
    def size(self) -> int:
        """Bytes, rounded up to whole dwords."""
        return (self.table.size + 3) & ~3

    def locate(self, register: str) -> tuple[int, int, int]:
        """Dword number in configuration space, lowest bit in it, and width in bits of a register."""
        row = self.table[register]
        offset = self.offset + row.offset
        return offset // 4, offset % 4 * 8, row.width


@dataclass(frozen=True)
class Layout:
    """All of configuration space.

    ``structures`` are the header and the capabilities in the order of their list, ``extended`` the extended
    capabilities in that of theirs. ``dwords`` are 0 to 63, or to the end of the last extended capability.
    """

    bars: tuple[Bar, ...]
    structures: tuple[Structure, ...]
    extended: tuple[Structure, ...]
    dwords: tuple[Dword, ...]

    def __getitem__(self, name: str) -> Structure:
        for structure in (*self.structures, *self.extended):
            if structure.name == name:
                return structure
        raise KeyError(f"configuration space has no structure {name!r}")

    @property
    def capabilities(self) -> tuple[Structure, ...]:
        """The structures without the header."""
        return self.structures[1:]


def placed(mask: int, value: int) -> int:
    """``value`` in the place of the contiguous ones of ``mask``."""
    result = value * (mask & -mask)
    if result & ~mask:
        raise ValueError(f"{value} does not fit the field {mask:#x}")
    return int(result)


def joined_dwords(structures: Iterable[Structure], count: int) -> tuple[Dword, ...]:
    """The first ``count`` dwords of configuration space, with all of ``structures`` in them."""
    reset, writable, w1c, kept = ([0] * count for _ in range(4))
    for structure in structures:
        for row in structure.table:
            dword, shift, _width = structure.locate(row.name)
            reset[dword] |= int(structure.values.get(row.name, row.reset)) << shift
            writable[dword] |= int(structure.writable.get(row.name, 0)) << shift
            w1c[dword] |= int(structure.w1c.get(row.name, 0)) << shift
            kept[dword] |= int(structure.kept.get(row.name, 0)) << shift
    return tuple(Dword(*row) for row in zip(reset, writable, w1c, kept, strict=True))
