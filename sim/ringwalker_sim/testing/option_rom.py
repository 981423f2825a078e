"""An expansion ROM for tests."""

from pathlib import Path

from ringwalker.spec.ids import VENDOR_2007

__all__ = ["write_option_rom"]

_UNIT = 512
_STRUCTURE = 0x1C
"""Where the PCI data structure stands."""


def write_option_rom(folder: Path, size: int = 1024, vendor: int = VENDOR_2007, device: int = 2) -> Path:
    """Write a ROM of ``size`` bytes, a multiple of 512, into ``folder``; gives the file.

    It has a PC-AT image whose entry returns at once, a PCI data structure, and a sum of 0. Its bytes differ
    from place to place.

    Ref: PCI Firmware 3.0, 5.1
    """
    raw = bytearray((7 * at + at // 256) % 251 for at in range(size))
    raw[:_STRUCTURE] = bytes([0x55, 0xAA, size // _UNIT, 0xCB]).ljust(_STRUCTURE, b"\0")
    raw[0x18:0x1A] = _STRUCTURE.to_bytes(2, "little")
    structure = b"PCIR" + b"".join(
        value.to_bytes(width, "little")
        for value, width in (
            (vendor, 2),
            (device, 2),
            (0, 2),
            (0x18, 2),
            (0, 1),
            (0x010000, 3),
            (size // _UNIT, 2),
            (0, 2),
            (0, 1),
            (0x80, 1),
            (0, 2),
        )
    )
    raw[_STRUCTURE : _STRUCTURE + len(structure)] = structure
    raw[-1] = -sum(raw[:-1]) & 0xFF
    path = folder / "option.rom"
    path.write_bytes(raw)
    return path
