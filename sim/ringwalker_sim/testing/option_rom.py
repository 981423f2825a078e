"""An expansion ROM for tests."""

from pathlib import Path

from ringwalker.spec.expansion_rom import ROM_POINTER, ROM_SIGNATURE, ROM_UNIT_BYTES, pci_data_structure
from ringwalker.spec.ids import VENDOR_2007

__all__ = ["write_option_rom"]

_STRUCTURE = 0x1C
"""Where the PCI data structure stands."""
_MASS_STORAGE = 0x01_0000
_RETURN = b"\xcb"
"""The instruction by which the entry returns."""


def write_option_rom(folder: Path, size: int = 1024, vendor: int = VENDOR_2007, device: int = 2) -> Path:
    """Write a ROM of ``size`` bytes, a multiple of 512, into ``folder``; gives the file.

    It has an image whose entry returns at once, a PCI data structure, and a sum of 0. Its bytes differ from
    place to place.
    """
    units = size // ROM_UNIT_BYTES
    raw = bytearray((7 * at + at // 256) % 251 for at in range(size))
    raw[:_STRUCTURE] = (ROM_SIGNATURE + bytes([units]) + _RETURN).ljust(_STRUCTURE, b"\0")
    raw[ROM_POINTER : ROM_POINTER + 2] = _STRUCTURE.to_bytes(2, "little")
    structure = pci_data_structure(vendor, device, _MASS_STORAGE, units)
    raw[_STRUCTURE : _STRUCTURE + len(structure)] = structure
    raw[-1] = -sum(raw[:-1]) & 0xFF
    path = folder / "option.rom"
    path.write_bytes(raw)
    return path
