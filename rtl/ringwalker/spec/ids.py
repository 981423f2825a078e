"""Who the device says it is: PCI vendors, virtio device types, class codes.

Ref: virtio 1.4, 4.1.2 (PCI device discovery), 5 (device types); PCI Code and ID Assignment 1.11.
The drafts of 2007 took the vendor 0x5000 for want of an assigned one.
"""

import enum

__all__ = [
    "CLASS_CODES",
    "MODERN_SUBSYSTEM_BASE",
    "OASIS_DEVICE_BASE",
    "VENDOR_2007",
    "VENDOR_OASIS",
    "DeviceType",
]

VENDOR_2007 = 0x5000
VENDOR_OASIS = 0x1AF4
OASIS_DEVICE_BASE = 0x1040
"""PCI device id of a modern device is this plus its type."""
MODERN_SUBSYSTEM_BASE = 0x40
"""Least subsystem id of a modern device; legacy drivers look for those below it."""


class DeviceType(enum.IntEnum):
    """Virtio device ids."""

    NET = 1
    BLK = 2
    CONSOLE = 3
    ENTROPY = 4


CLASS_CODES = {
    DeviceType.NET: 0x020000,
    DeviceType.BLK: 0x010000,
    DeviceType.CONSOLE: 0x078000,
    DeviceType.ENTROPY: 0x00FF00,
}
"""Class code (base, sub, interface): Ethernet, SCSI storage, other communication, other."""
