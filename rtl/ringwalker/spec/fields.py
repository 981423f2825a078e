"""The typed field list of 2007: all that a driver needs of a device as one extensible list of fields.

A field is a dword :class:`FieldHeader`, ``length`` bytes of value, and padding to the next dword; a header
of type END closes the list. A driver looks for the types it knows and skips the others. On the PCI device
the list stands at ``FIELDS_BASE`` of the register BAR, and its values are views of the same registers that
the virtio 1.x structures show; a vendor capability says where it is.

Ref: patches of 20 September 2007: ``virtio_config_space``, ``new_vq(dev, config, off, len, ...)``.
"""

import enum
from dataclasses import dataclass

from amaranth.hdl import unsigned
from amaranth.lib import data

from .modern import DEVICE_BASE, NO_VECTOR
from .registers import Access, Register, RegisterTable

__all__ = [
    "FIELDS_BASE",
    "FIELDS_VERSION",
    "FIELD_QUEUE_BYTES",
    "FIELD_QUEUE_STRIDE",
    "QUEUE_FIELD",
    "BlkField",
    "CommonField",
    "ConsoleField",
    "FieldFlag",
    "FieldHeader",
    "FieldView",
    "NetField",
]

FIELDS_BASE = 0x4000
"""Offset of the list in the register BAR."""

FIELDS_VERSION = 1
"""``version`` of the vendor capability that says where the list is."""

FIELD_QUEUE_STRIDE = 64
"""Bytes from one queue field to the next; they stand one after the other, queue 0 first."""

FIELD_QUEUE_BYTES = 60
"""``length`` of a queue field; what :data:`QUEUE_FIELD` leaves of it reads as 0."""


class FieldHeader(data.Struct):
    """The dword in front of a value. ``length`` is in bytes and does not count the header."""

    type: unsigned(8)
    flags: unsigned(8)
    length: unsigned(16)


class FieldFlag(enum.IntFlag):
    """``flags`` of a field header."""

    WRITABLE = 1
    """Writing the value has an effect."""
    VOLATILE = 2
    """The device may change the value by itself."""


@dataclass(frozen=True)
class FieldView:
    """A field whose value is a view of registers: of one, or of several neighbouring ones."""

    type: enum.IntEnum
    registers: tuple[Register, ...]
    flags: int = 0
    """Of :class:`FieldFlag`."""
    length: int = 0
    """Bytes of the value, if less than the registers have."""
    halves: str = ""
    """The register of the common configuration that selects which 32 of 64 bits the viewed one shows."""
    base: int = DEVICE_BASE
    """Where the structure of ``registers`` starts in the register BAR."""


class CommonField(enum.IntEnum):
    """Types that every device has; below 0x40."""

    END = 0
    QUEUE = 1
    """Registers of one queue, see :data:`QUEUE_FIELD`."""
    STATUS = 2
    """One byte, the device status: 0 resets."""
    DEVICE_FEATURES = 3
    """Eight bytes, the mask of what the device offers."""
    DRIVER_FEATURES = 4
    """Eight bytes, the mask of what the driver accepts."""
    GENERATION = 5
    """One byte that changes whenever a device field does."""
    CONFIG_VECTOR = 6
    """Two bytes, the MSI-X vector of configuration changes."""
    FILLER = 0x3F
    """Nothing; aligns what follows."""


class BlkField(enum.IntEnum):
    """Types of the block device."""

    CAPACITY = 0x41
    SEGMENTS = 0x42
    BLOCK_SIZE = 0x43
    QUEUES = 0x44


class NetField(enum.IntEnum):
    """Types of the network device."""

    MAC = 0x41
    MEDIA = 0x42
    """Two bytes, ``status`` of the device configuration: bit 0 says that the link is up."""
    MTU = 0x43
    MODE = 0x44
    """One byte, ``rx_mode`` of the device configuration: bit 0 promiscuous, bit 1 all multicast."""


class ConsoleField(enum.IntEnum):
    """Types of the console."""

    SIZE = 0x41
    """Columns and rows, two bytes each."""
    EMERGENCY_WRITE = 0x42
    """A byte written here goes out at once."""


_RO, _RW = Access.RO, Access.RW

QUEUE_FIELD = RegisterTable(
    "queue_field",
    "The value of a queue field; its first 36 bytes are the common configuration's from queue_size on.",
    (
        Register("size", 0x00, 16, _RW, "Entries in the queue, a power of two; reset: the maximum."),
        Register("vector", 0x02, 16, _RW, "MSI-X vector for used buffer notifications.", NO_VECTOR),
        Register("enable", 0x04, 16, _RW, "1: the device may run requests from this queue."),
        Register("notify_off", 0x06, 16, _RO, "As queue_notify_off of the common configuration."),
        Register("desc", 0x08, 64, _RW, "Physical address of the descriptor area."),
        Register("driver", 0x10, 64, _RW, "Physical address of the driver area (available ring)."),
        Register("device", 0x18, 64, _RW, "Physical address of the device area (used ring)."),
        Register("notif_config_data", 0x20, 16, _RO, "As in the common configuration."),
        Register("reset", 0x22, 16, _RW, "1 resets the queue; reads 1 until done."),
        Register("index", 0x24, 16, _RO, "Number of the queue."),
        Register("doorbell", 0x28, 16, Access.WO, "A write tells the device of available buffers."),
    ),
)
