"""Extended capabilities, from 0x100 of configuration space on.

Ref: PCI Express Base 3.1, 7.9 (header), 7.12 (serial number).
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = ["SERIAL_NUMBER_CAPABILITY", "ExtendedCapabilityId", "ExtendedHeader"]

_RO = Access.RO


class ExtendedCapabilityId(enum.IntEnum):
    """Ids of extended capabilities."""

    SERIAL_NUMBER = 0x0003


class ExtendedHeader(enum.IntFlag):
    """Fields of the first dword of an extended capability."""

    ID = 0xFFFF
    VERSION = 0xF << 16
    NEXT = 0xFFF << 20


_HEADER = Register("header", 0x00, 32, _RO, "Id, version, offset of the next extended capability.")

SERIAL_NUMBER_CAPABILITY = RegisterTable(
    "serial_number_capability",
    "Device serial number, if one was chosen: an EUI-64.",
    (
        _HEADER,
        Register("serial_low", 0x04, 32, _RO, "Lower half."),
        Register("serial_high", 0x08, 32, _RO, "Upper half, with the organization in its upper bytes."),
    ),
)
