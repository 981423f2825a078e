"""Capabilities that a device has only if they are chosen."""

from ..spec.pci_extended import SERIAL_NUMBER_CAPABILITY, ExtendedCapabilityId, ExtendedHeader
from .structure import Structure, placed

__all__ = ["serial_number"]


def _header(number: ExtendedCapabilityId, version: int) -> int:
    """The first dword of an extended capability, the last of its list."""
    return placed(ExtendedHeader.ID, number) | placed(ExtendedHeader.VERSION, version)


def serial_number(offset: int, number: str) -> Structure:
    """The device serial number capability at ``offset``; ``number`` as in the configuration."""
    value = int(number.replace("-", ""), 16)
    values: dict[str, int] = {
        "header": _header(ExtendedCapabilityId.SERIAL_NUMBER, 1),
        "serial_low": value & 0xFFFFFFFF,
        "serial_high": value >> 32,
    }
    return Structure("serial_number", offset, SERIAL_NUMBER_CAPABILITY, values)
