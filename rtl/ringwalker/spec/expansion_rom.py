"""Images of an expansion ROM. Ref: PCI Firmware Specification 3.3, 5.1 (PCI expansion ROM contents)."""

import struct

__all__ = ["ROM_POINTER", "ROM_SIGNATURE", "ROM_SIZE", "ROM_UNIT_BYTES", "pci_data_structure"]

ROM_SIGNATURE = b"\x55\xaa"
"""How an image begins."""

ROM_SIZE = 2
"""Where its size stands, in units."""

ROM_UNIT_BYTES = 512
"""Sizes of images are multiples of so many bytes."""

ROM_POINTER = 0x18
"""Where in an image the place of its PCI data structure stands, in 16 bits."""

_STRUCTURE = struct.Struct("<4sHHHHB3sHHBBHHH")
_REVISION, _X86, _LAST_IMAGE = 3, 0, 0x80


def pci_data_structure(vendor: int, device: int, class_code: int, units: int) -> bytes:
    """The PCI data structure of the only image of a ROM, of ``units``: code for x86 of a function with these
    ids."""
    return _STRUCTURE.pack(
        b"PCIR",
        vendor,
        device,
        0,
        _STRUCTURE.size,
        _REVISION,
        class_code.to_bytes(3, "little"),
        units,
        0,
        _X86,
        _LAST_IMAGE,
        0,
        0,
        0,
    )
