"""Capabilities that a device has only if they are chosen."""

from ..spec.pci import MSI_CAPABILITY, CapabilityId, MsiControl
from ..spec.pci_extended import (
    ADVANCED_ERROR_CAPABILITY,
    SERIAL_NUMBER_CAPABILITY,
    CorrectableError,
    ExtendedCapabilityId,
    ExtendedHeader,
    UncorrectableError,
)
from .structure import Structure, placed

__all__ = ["advanced_errors", "msi", "serial_number"]


def _header(number: ExtendedCapabilityId, version: int) -> int:
    """The first dword of an extended capability, the last of its list."""
    return placed(ExtendedHeader.ID, number) | placed(ExtendedHeader.VERSION, version)


def msi(offset: int, messages: int) -> Structure:
    """The MSI capability at ``offset``, for a number of messages that is a power of two."""
    able = placed(MsiControl.MESSAGES, messages.bit_length() - 1)
    values: dict[str, int] = {
        "id": CapabilityId.MSI,
        "control": able | MsiControl.ADDRESS_64 | MsiControl.MASKS,
    }
    writable: dict[str, int] = {
        "control": MsiControl.ENABLE | MsiControl.MESSAGES_ENABLED,
        "address_low": 0xFFFFFFFC,
        "address_high": 0xFFFFFFFF,
        "data": 0xFFFF,
        "mask": (1 << messages) - 1,
    }
    return Structure("msi", offset, MSI_CAPABILITY, values, writable)


def advanced_errors(offset: int) -> Structure:
    """Advanced error reporting at ``offset``. All of it is sticky."""
    errors = 0
    for error in UncorrectableError:
        errors |= int(error)
    correctable = int(CorrectableError.ADVISORY_NON_FATAL)
    values: dict[str, int] = {"header": _header(ExtendedCapabilityId.ADVANCED_ERROR_REPORTING, 2)}
    writable = {
        "uncorrectable_mask": errors,
        "uncorrectable_severity": errors,
        "correctable_mask": correctable,
    }
    w1c = {"uncorrectable_status": errors, "correctable_status": correctable}
    return Structure("aer", offset, ADVANCED_ERROR_CAPABILITY, values, writable, w1c, {**writable, **w1c})


def serial_number(offset: int, number: str) -> Structure:
    """The device serial number capability at ``offset``; ``number`` as in the configuration."""
    value = int(number.replace("-", ""), 16)
    values: dict[str, int] = {
        "header": _header(ExtendedCapabilityId.SERIAL_NUMBER, 1),
        "serial_low": value & 0xFFFFFFFF,
        "serial_high": value >> 32,
    }
    return Structure("serial_number", offset, SERIAL_NUMBER_CAPABILITY, values)
