"""PCI configuration space: header, capabilities, and their bits.

Ref: PCI Local Bus 3.0, chapter 6 (header, MSI-X 6.8.2); PCI Power Management 1.2, 3.2;
PCI Express Base 3.1, 7.5.
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = [
    "CONFIG_SPACE_BYTES",
    "EXPANSION_ROM",
    "EXTENDED_CONFIG_SPACE_BYTES",
    "HEADER",
    "MAX_IO_BYTES",
    "MSIX_CAPABILITY",
    "MSIX_ENTRY_BYTES",
    "MSIX_TABLE_ENTRY",
    "MSI_CAPABILITY",
    "PM_CAPABILITY",
    "VIRTIO_CAPABILITY",
    "VIRTIO_NOTIFY_CAPABILITY",
    "VIRTIO_PCI_CAPABILITY",
    "VIRTIO_VENDOR_CAPABILITY",
    "BarType",
    "CapabilityId",
    "Command",
    "ExpansionRom",
    "InterruptPin",
    "MsiControl",
    "MsixControl",
    "MsixTableOffset",
    "MsixVectorControl",
    "PmCapabilities",
    "PmControlStatus",
    "PowerState",
    "Status",
]

CONFIG_SPACE_BYTES = 256
EXTENDED_CONFIG_SPACE_BYTES = 4096

EXPANSION_ROM = 6
"""Inside the device, the number of the expansion ROM where BARs have 0 to 5."""

MAX_IO_BYTES = 256
"""Bytes that an I/O BAR may ask for."""

_RO, _RW, _W1C = Access.RO, Access.RW, Access.RW1C

HEADER = RegisterTable(
    "pci_header",
    "Type 0 configuration space header.",
    (
        Register("vendor_id", 0x00, 16, _RO, "Vendor."),
        Register("device_id", 0x02, 16, _RO, "Device."),
        Register("command", 0x04, 16, _RW, "Command."),
        Register("status", 0x06, 16, _W1C, "Status."),
        Register("revision_id", 0x08, 8, _RO, "Revision."),
        Register("programming_interface", 0x09, 8, _RO, "Programming interface."),
        Register("subclass", 0x0A, 8, _RO, "Subclass."),
        Register("class", 0x0B, 8, _RO, "Base class."),
        Register("cache_line_size", 0x0C, 8, _RW, "Cache line size: kept for software, without effect."),
        Register("latency_timer", 0x0D, 8, _RO, "Not used by PCI Express."),
        Register("header_type", 0x0E, 8, _RO, "0: type 0, single function."),
        Register("bist", 0x0F, 8, _RO, "No self-test."),
        Register("bar0", 0x10, 32, _RW, "Base address 0."),
        Register("bar1", 0x14, 32, _RW, "Base address 1."),
        Register("bar2", 0x18, 32, _RW, "Base address 2."),
        Register("bar3", 0x1C, 32, _RW, "Base address 3."),
        Register("bar4", 0x20, 32, _RW, "Base address 4."),
        Register("bar5", 0x24, 32, _RW, "Base address 5."),
        Register("cardbus_cis", 0x28, 32, _RO, "Not used."),
        Register("subsystem_vendor_id", 0x2C, 16, _RO, "Subsystem vendor."),
        Register("subsystem_id", 0x2E, 16, _RO, "Subsystem."),
        Register("expansion_rom", 0x30, 32, _RO, "Expansion ROM, if there is one: address, enable in bit 0."),
        Register("capabilities_pointer", 0x34, 8, _RO, "First capability."),
        Register("interrupt_line", 0x3C, 8, _RW, "Kept for software, without effect."),
        Register("interrupt_pin", 0x3D, 8, _RO, "1: INTA."),
        Register("min_gnt", 0x3E, 8, _RO, "Not used by PCI Express."),
        Register("max_lat", 0x3F, 8, _RO, "Not used by PCI Express."),
    ),
)


class Command(enum.IntFlag):
    """Command register bits."""

    IO_ENABLE = 1 << 0
    MEMORY_ENABLE = 1 << 1
    BUS_MASTER_ENABLE = 1 << 2
    PARITY_ERROR_RESPONSE = 1 << 6
    SERR_ENABLE = 1 << 8
    INTX_DISABLE = 1 << 10


class Status(enum.IntFlag):
    """Status register bits."""

    INTERRUPT_STATUS = 1 << 3
    CAPABILITIES_LIST = 1 << 4
    MASTER_DATA_PARITY_ERROR = 1 << 8
    SIGNALED_TARGET_ABORT = 1 << 11
    RECEIVED_TARGET_ABORT = 1 << 12
    RECEIVED_MASTER_ABORT = 1 << 13
    SIGNALED_SYSTEM_ERROR = 1 << 14
    DETECTED_PARITY_ERROR = 1 << 15


class InterruptPin(enum.IntEnum):
    """Values of the interrupt pin register."""

    NONE = 0
    INTA = 1


class BarType(enum.IntFlag):
    """Low bits of a base address register."""

    IO = 1 << 0
    MEMORY_64 = 1 << 2
    PREFETCHABLE = 1 << 3


class ExpansionRom(enum.IntFlag):
    """Bits of the expansion ROM base address register."""

    ENABLE = 1 << 0


class CapabilityId(enum.IntEnum):
    """Capability ids."""

    POWER_MANAGEMENT = 0x01
    MSI = 0x05
    VENDOR = 0x09
    PCI_EXPRESS = 0x10
    MSIX = 0x11


PM_CAPABILITY = RegisterTable(
    "pm_capability",
    "PCI power management capability: D0 and D3hot, no PME.",
    (
        Register("id", 0x00, 8, _RO, "1."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("capabilities", 0x02, 16, _RO, "Version 3."),
        Register("control_status", 0x04, 16, _RW, "Power state."),
        Register("bridge_extensions", 0x06, 8, _RO, "0."),
        Register("data", 0x07, 8, _RO, "0."),
    ),
)


class PmCapabilities(enum.IntFlag):
    """Power management capabilities register: only the version."""

    VERSION = 0b111


class PowerState(enum.IntEnum):
    """Values of the power state field that the device supports."""

    D0 = 0
    D3HOT = 3


class PmControlStatus(enum.IntFlag):
    """Power management control and status bits."""

    POWER_STATE = 0b11
    NO_SOFT_RESET = 1 << 3


MSI_CAPABILITY = RegisterTable(
    "msi_capability",
    "MSI capability, if it was chosen: 64-bit address, a mask bit a message.",
    (
        Register("id", 0x00, 8, _RO, "5."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("control", 0x02, 16, _RW, "Enable, messages that there are and that are enabled."),
        Register("address_low", 0x04, 32, _RW, "Message address, low half; bits 1:0 are 0."),
        Register("address_high", 0x08, 32, _RW, "Message address, high half."),
        Register("data", 0x0C, 16, _RW, "Message data; the lowest bits become the number of the message."),
        Register("reserved", 0x0E, 16, _RO, "0."),
        Register("mask", 0x10, 32, _RW, "A bit masks a message."),
        Register("pending", 0x14, 32, _RO, "A bit for each message that waits."),
    ),
)


class MsiControl(enum.IntFlag):
    """MSI message control bits and fields; numbers of messages are powers of two."""

    ENABLE = 1 << 0
    MESSAGES = 0b111 << 1
    MESSAGES_ENABLED = 0b111 << 4
    ADDRESS_64 = 1 << 7
    MASKS = 1 << 8


MSIX_CAPABILITY = RegisterTable(
    "msix_capability",
    "MSI-X capability.",
    (
        Register("id", 0x00, 8, _RO, "0x11."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("control", 0x02, 16, _RW, "Table size - 1, function mask, enable."),
        Register("table", 0x04, 32, _RO, "Table offset and BAR."),
        Register("pba", 0x08, 32, _RO, "Pending bit array offset and BAR."),
    ),
)


class MsixControl(enum.IntFlag):
    """MSI-X message control bits."""

    TABLE_SIZE = 0x7FF
    FUNCTION_MASK = 1 << 14
    ENABLE = 1 << 15


class MsixTableOffset(enum.IntFlag):
    """Fields of the table and pending bit array registers."""

    BAR = 0b111


MSIX_ENTRY_BYTES = 16

MSIX_TABLE_ENTRY = RegisterTable(
    "msix_entry",
    "One MSI-X table entry.",
    (
        Register("address_low", 0x00, 32, _RW, "Message address, low half; bits 1:0 are 0."),
        Register("address_high", 0x04, 32, _RW, "Message address, high half."),
        Register("data", 0x08, 32, _RW, "Message data."),
        Register("vector_control", 0x0C, 32, _RW, "Bit 0 masks the vector.", 1),
    ),
)


class MsixVectorControl(enum.IntFlag):
    """Vector control bits."""

    MASK = 1


VIRTIO_CAPABILITY = RegisterTable(
    "virtio_pci_cap",
    "Virtio vendor capability (struct virtio_pci_cap). Ref: virtio 1.4, 4.1.4.",
    (
        Register("id", 0x00, 8, _RO, "9."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("length", 0x02, 8, _RO, "Bytes in this capability."),
        Register("type", 0x03, 8, _RO, "Which structure this points to."),
        Register("bar", 0x04, 8, _RO, "The BAR it lies in."),
        Register("instance", 0x05, 8, _RO, "0."),
        Register("offset", 0x08, 32, _RO, "Bytes from the start of the BAR."),
        Register("size", 0x0C, 32, _RO, "Bytes in the structure."),
    ),
)

VIRTIO_NOTIFY_CAPABILITY = RegisterTable(
    "virtio_pci_notify_cap",
    "The notification structure's capability has one field more. Ref: virtio 1.4, 4.1.4.4.",
    (
        *VIRTIO_CAPABILITY,
        Register("multiplier", 0x10, 32, _RO, "Bytes between the doorbells of two queues."),
    ),
)

VIRTIO_PCI_CAPABILITY = RegisterTable(
    "virtio_pci_cfg_cap",
    "A window from configuration space into the BARs. Ref: virtio 1.4, 4.1.4.9.",
    (
        Register("id", 0x00, 8, _RO, "9."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("length", 0x02, 8, _RO, "Bytes in this capability."),
        Register("type", 0x03, 8, _RO, "5."),
        Register("bar", 0x04, 8, _RW, "BAR to access."),
        Register("instance", 0x05, 8, _RO, "0."),
        Register("offset", 0x08, 32, _RW, "Offset in the BAR, a multiple of the access size."),
        Register("size", 0x0C, 32, _RW, "Size of the access: 1, 2 or 4."),
        Register("window", 0x10, 32, _RW, "Reading or writing here performs the access."),
    ),
)

VIRTIO_VENDOR_CAPABILITY = RegisterTable(
    "virtio_pci_vndr_data",
    "Vendor data (struct virtio_pci_vndr_data): where the field list of 2007 is. Ref: virtio 1.4, 4.1.4.8.",
    (
        Register("id", 0x00, 8, _RO, "9."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("length", 0x02, 8, _RO, "Bytes in this capability."),
        Register("type", 0x03, 8, _RO, "9."),
        Register("vendor_id", 0x04, 16, _RO, "0x5000: what follows is as described here."),
        Register("bar", 0x06, 8, _RO, "The BAR the list lies in."),
        Register("version", 0x07, 8, _RO, "1."),
        Register("offset", 0x08, 32, _RO, "Bytes from the start of the BAR to the first header."),
        Register("size", 0x0C, 32, _RO, "Bytes in the list, with the header that ends it."),
    ),
)
