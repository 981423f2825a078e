"""The virtio PCI register faces: common configuration, ISR, notification, and where they lie in BARs.

Ref: virtio 1.4, 4.1.4 (capabilities), 4.1.4.3 (common configuration), 4.1.4.4 (notification),
4.1.4.5 (ISR), 4.1.4.9 (PCI configuration access).
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = [
    "COMMON",
    "COMMON_BASE",
    "DEVICE_BASE",
    "FACE_BAR",
    "ISR",
    "ISR_BASE",
    "MSIX_BAR",
    "NOTIFY_BASE",
    "NOTIFY_CONFIG_DATA",
    "NOTIFY_MULTIPLIER",
    "NO_VECTOR",
    "PAGE",
    "CapabilityType",
    "DeviceStatus",
    "IsrBit",
]

NO_VECTOR = 0xFFFF
"""VIRTIO_MSI_NO_VECTOR."""

PAGE = 0x1000
"""Bytes that each structure has in the BAR."""

MSIX_BAR = 1
"""32-bit memory BAR with the MSI-X table and pending bits."""

FACE_BAR = 4
"""64-bit memory BAR with the virtio structures, a page each so that a VMM can treat them apart."""

COMMON_BASE = 0x0000
ISR_BASE = 0x1000
DEVICE_BASE = 0x2000
NOTIFY_BASE = 0x3000
"""Offsets of the structures in that BAR."""

NOTIFY_MULTIPLIER = 4
"""Bytes between the doorbells of neighbouring queues (notify_off_multiplier)."""

NOTIFY_CONFIG_DATA = 0x8000
"""What names queue 0 in a notification with VIRTIO_F_NOTIF_CONFIG_DATA (queue_notif_config_data). Queue n has
n more. It is no queue's number."""


class DeviceStatus(enum.IntFlag):
    """device_status bits. Ref: virtio 1.4, 2.1."""

    ACKNOWLEDGE = 1
    DRIVER = 2
    DRIVER_OK = 4
    FEATURES_OK = 8
    SUSPEND = 16
    DEVICE_NEEDS_RESET = 64
    FAILED = 128


class IsrBit(enum.IntFlag):
    """Bits of the ISR status byte. Ref: virtio 1.4, 4.1.4.5."""

    QUEUE = 1
    CONFIG = 2


class CapabilityType(enum.IntEnum):
    """cfg_type of a virtio vendor capability. Ref: virtio 1.4, 4.1.4."""

    COMMON = 1
    NOTIFY = 2
    ISR = 3
    DEVICE = 4
    PCI = 5
    SHARED_MEMORY = 8
    VENDOR = 9


_RO, _RW = Access.RO, Access.RW

COMMON = RegisterTable(
    "common",
    "Common configuration structure, one for the device.",
    (
        Register("device_feature_select", 0x00, 32, _RW, "Selects which 32 device feature bits are shown."),
        Register("device_feature", 0x04, 32, _RO, "Feature bits offered by the device."),
        Register("driver_feature_select", 0x08, 32, _RW, "Selects which 32 driver feature bits are shown."),
        Register("driver_feature", 0x0C, 32, _RW, "Feature bits accepted by the driver."),
        Register("config_msix_vector", 0x10, 16, _RW, "Vector for configuration changes.", NO_VECTOR),
        Register("num_queues", 0x12, 16, _RO, "Number of virtqueues."),
        Register("device_status", 0x14, 8, _RW, "Device status; writing 0 resets the device."),
        Register("config_generation", 0x15, 8, _RO, "Changes whenever device configuration changes."),
        Register("queue_select", 0x16, 16, _RW, "Selects the queue that the queue_* registers show."),
        Register("queue_size", 0x18, 16, _RW, "Entries in the queue, a power of two; reset: the maximum."),
        Register("queue_msix_vector", 0x1A, 16, _RW, "Vector for used buffer notifications.", NO_VECTOR),
        Register("queue_enable", 0x1C, 16, _RW, "1: the device may run requests from this queue."),
        Register("queue_notify_off", 0x1E, 16, _RO, "Doorbell of this queue, in units of the multiplier."),
        Register("queue_desc", 0x20, 64, _RW, "Physical address of the descriptor area."),
        Register("queue_driver", 0x28, 64, _RW, "Physical address of the driver area (available ring)."),
        Register("queue_device", 0x30, 64, _RW, "Physical address of the device area (used ring)."),
        Register(
            "queue_notif_config_data", 0x38, 16, _RO, "Value for the doorbell (VIRTIO_F_NOTIF_CONFIG_DATA)."
        ),
        Register(
            "queue_reset", 0x3A, 16, _RW, "1 resets the queue; reads 1 until done (VIRTIO_F_RING_RESET)."
        ),
        Register("admin_queue_index", 0x3C, 16, _RO, "First administration virtqueue."),
        Register("admin_queue_num", 0x3E, 16, _RO, "Number of administration virtqueues."),
    ),
)

ISR = RegisterTable(
    "isr",
    "Interrupt status, for INTx only.",
    (
        Register(
            "isr_status", 0x00, 8, Access.RC, "Bit 0: a used ring changed. Bit 1: configuration changed."
        ),
    ),
)
