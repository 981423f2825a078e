"""The legacy interface (virtio 0.9.5): header, device configuration behind it, layout of a queue, PCI ids.

Ref: virtio 1.4, 4.1.4.10 (PCI device layout), 4.1.2.3 (PCI device discovery), 2.7.2 (virtqueue layout),
4.1.5.1.3.1 (virtqueue configuration).
"""

import enum
from typing import Any

from .features import Feature
from .ids import DeviceType
from .modern import NO_VECTOR
from .registers import Access, Register, RegisterTable
from .ring import AVAIL_ENTRY_BYTES, USED_ENTRY_BYTES, descriptor_area_bytes

__all__ = [
    "LEGACY",
    "LEGACY_BAR",
    "LEGACY_FEATURES",
    "LEGACY_FEATURE_BITS",
    "LEGACY_MSIX",
    "LEGACY_QUEUE_ALIGN",
    "LEGACY_QUEUE_SHIFT",
    "LEGACY_REVISION",
    "TransitionalId",
    "legacy_device_config_offset",
    "legacy_device_offset",
    "legacy_driver_offset",
    "legacy_queue_bytes",
    "transitional_device_id",
]

LEGACY_BAR = 0
"""BAR with the header: one of I/O space, or a 32-bit memory BAR where I/O is not to be had."""

LEGACY_QUEUE_SHIFT = 12
LEGACY_QUEUE_ALIGN = 1 << LEGACY_QUEUE_SHIFT
"""Bytes of a page: a queue starts at ``queue_pfn`` of them, and its used ring at a multiple of them."""

LEGACY_FEATURES = 1 << Feature.NOTIFY_ON_EMPTY | 1 << Feature.ANY_LAYOUT
"""Mask of the feature bits that are offered in the header alone."""

LEGACY_FEATURE_BITS = 0xFFFF_FFFF
"""Mask of the feature bits that the header can show."""

LEGACY_REVISION = 0
"""PCI revision id of every device that has the header."""

_RO, _RW, _WO = Access.RO, Access.RW, Access.WO

LEGACY = RegisterTable(
    "legacy",
    "Legacy header, at the start of BAR 0.",
    (
        Register("device_features", 0x00, 32, _RO, "Feature bits 31:0 offered by the device."),
        Register("driver_features", 0x04, 32, _RW, "Feature bits 31:0 accepted by the driver."),
        Register("queue_pfn", 0x08, 32, _RW, "Address of the queue in pages of 4096 bytes; 0 frees it."),
        Register("queue_size", 0x0C, 16, _RO, "Entries in the queue; 0: there is no such queue."),
        Register("queue_select", 0x0E, 16, _RW, "Selects the queue that the queue_* registers show."),
        Register("queue_notify", 0x10, 16, _WO, "Doorbell: a write of the queue's number. Reads 0."),
        Register("device_status", 0x12, 8, _RW, "Device status; writing 0 resets the device."),
        Register("isr_status", 0x13, 8, Access.RC, "Interrupt status, as in [isr](#isr)."),
    ),
)

LEGACY_MSIX = RegisterTable(
    "legacy_msix",
    "Follows the legacy header while MSI-X is enabled.",
    (
        Register("config_msix_vector", 0x14, 16, _RW, "Vector for configuration changes.", NO_VECTOR),
        Register("queue_msix_vector", 0x16, 16, _RW, "Vector for used buffer notifications.", NO_VECTOR),
    ),
)


class TransitionalId(enum.IntEnum):
    """PCI device ids of transitional and legacy devices, by the name of their virtio type."""

    NET = 0x1000
    BLK = 0x1001
    CONSOLE = 0x1003
    ENTROPY = 0x1005


def transitional_device_id(device_type: int) -> int | None:
    """The PCI device id, from 0x1000 on, of a device of this virtio type with the header; None: none."""
    names = {int(member): member.name for member in DeviceType}
    return int(TransitionalId[names[device_type]]) if device_type in names else None


def legacy_device_config_offset(msix_enabled: bool) -> int:
    """Where the device configuration begins in the BAR, in bytes: it moves when MSI-X is enabled."""
    return LEGACY_MSIX.size if msix_enabled else LEGACY.size


def _aligned(value: Any) -> Any:
    """``value`` rounded up to whole pages."""
    return (value + LEGACY_QUEUE_ALIGN - 1) & ~(LEGACY_QUEUE_ALIGN - 1)


def legacy_driver_offset(size: int) -> int:
    """Bytes from the start of a queue of ``size`` entries to its available ring."""
    return int(descriptor_area_bytes(size))


def legacy_device_offset(size: int) -> int:
    """Bytes from the start of a queue of ``size`` entries to its used ring."""
    # Flags, index and used_event beside the entries.
    return int(_aligned(legacy_driver_offset(size) + AVAIL_ENTRY_BYTES * (3 + size)))


def legacy_queue_bytes(size: int) -> int:
    """Bytes of a queue of ``size`` entries, whole pages."""
    return legacy_device_offset(size) + int(_aligned(AVAIL_ENTRY_BYTES * 3 + USED_ENTRY_BYTES * size))
