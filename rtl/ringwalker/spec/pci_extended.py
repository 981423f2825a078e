"""Extended capabilities, from 0x100 of configuration space on.

Ref: PCI Express Base 3.1, 7.9 (header), 7.10 (advanced error reporting), 7.12 (serial number).
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = [
    "ADVANCED_ERROR_CAPABILITY",
    "SERIAL_NUMBER_CAPABILITY",
    "AdvancedErrorControl",
    "CorrectableError",
    "ExtendedCapabilityId",
    "ExtendedHeader",
    "UncorrectableError",
]

_RO, _RW, _W1C = Access.RO, Access.RW, Access.RW1C


class ExtendedCapabilityId(enum.IntEnum):
    """Ids of extended capabilities."""

    ADVANCED_ERROR_REPORTING = 0x0001
    SERIAL_NUMBER = 0x0003
    SR_IOV = 0x0010


class ExtendedHeader(enum.IntFlag):
    """Fields of the first dword of an extended capability."""

    ID = 0xFFFF
    VERSION = 0xF << 16
    NEXT = 0xFFF << 20


_HEADER = Register("header", 0x00, 32, _RO, "Id, version, offset of the next extended capability.")

ADVANCED_ERROR_CAPABILITY = RegisterTable(
    "advanced_error_capability",
    "Advanced error reporting, if it was chosen. A function-level reset leaves it as it is.",
    (
        _HEADER,
        Register("uncorrectable_status", 0x04, 32, _W1C, "Errors that came."),
        Register("uncorrectable_mask", 0x08, 32, _RW, "Errors that are neither logged nor reported."),
        Register("uncorrectable_severity", 0x0C, 32, _RW, "1: fatal."),
        Register("correctable_status", 0x10, 32, _W1C, "Errors that came."),
        Register("correctable_mask", 0x14, 32, _RW, "Errors that are not reported.", 0x2000),
        Register("control", 0x18, 32, _RO, "Number of the first error."),
        Register("header_log_0", 0x1C, 32, _RO, "Header of its packet, first byte highest."),
        Register("header_log_1", 0x20, 32, _RO, "Its second dword."),
        Register("header_log_2", 0x24, 32, _RO, "Its third dword."),
        Register("header_log_3", 0x28, 32, _RO, "Its fourth dword, or 0."),
    ),
)


class UncorrectableError(enum.IntFlag):
    """Bits of the registers of uncorrectable errors that the device can set."""

    POISONED = 1 << 12
    COMPLETION_TIMEOUT = 1 << 14
    UNEXPECTED_COMPLETION = 1 << 16
    UNSUPPORTED_REQUEST = 1 << 20


class CorrectableError(enum.IntFlag):
    """Bits of the registers of correctable errors that the device can set."""

    ADVISORY_NON_FATAL = 1 << 13


class AdvancedErrorControl(enum.IntFlag):
    """Fields of the capabilities and control register."""

    FIRST_ERROR = 0b11111


SERIAL_NUMBER_CAPABILITY = RegisterTable(
    "serial_number_capability",
    "Device serial number, if one was chosen: an EUI-64.",
    (
        _HEADER,
        Register("serial_low", 0x04, 32, _RO, "Lower half."),
        Register("serial_high", 0x08, 32, _RO, "Upper half, with the organization in its upper bytes."),
    ),
)
