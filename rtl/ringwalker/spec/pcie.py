"""The PCI Express capability, and its bits.

Ref: PCI Express Base 3.1, 7.8.
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = [
    "COMPLETION_TIMEOUTS_US",
    "PCIE_CAPABILITY",
    "DeviceCapabilities",
    "DeviceCapabilities2",
    "DeviceControl",
    "DeviceControl2",
    "LinkCapabilities",
    "LinkCapabilities2",
    "LinkControl",
    "LinkControl2",
    "LinkStatus",
    "PcieCapabilities",
    "PcieDeviceStatus",
]

COMPLETION_TIMEOUTS_US = {
    0b0001: (50, 100),
    0b0010: (1_000, 10_000),
    0b0101: (16_000, 55_000),
    0b0110: (65_000, 210_000),
    0b1001: (260_000, 900_000),
    0b1010: (1_000_000, 3_500_000),
    0b1101: (4_000_000, 13_000_000),
    0b1110: (17_000_000, 64_000_000),
}
"""What the codes of device control 2 mean: shortest and longest time, in microseconds.

Ref: PCIe 3.1, 7.8.16.
"""

_RO, _RW, _W1C = Access.RO, Access.RW, Access.RW1C

PCIE_CAPABILITY = RegisterTable(
    "pcie_capability",
    "PCI Express capability, version 2, of an endpoint.",
    (
        Register("id", 0x00, 8, _RO, "0x10."),
        Register("next", 0x01, 8, _RO, "Next capability."),
        Register("capabilities", 0x02, 16, _RO, "Version 2, endpoint."),
        Register("device_capabilities", 0x04, 32, _RO, "Device capabilities."),
        Register("device_control", 0x08, 16, _RW, "Device control.", 0x2910),
        Register("device_status", 0x0A, 16, _W1C, "Device status."),
        Register("link_capabilities", 0x0C, 32, _RO, "Link capabilities."),
        Register("link_control", 0x10, 16, _RW, "Link control: RCB, ASPM, common clock; kept for software."),
        Register("link_status", 0x12, 16, _RO, "Link status: speed and width."),
        Register("slot_capabilities", 0x14, 32, _RO, "None."),
        Register("slot_control", 0x18, 16, _RO, "None."),
        Register("slot_status", 0x1A, 16, _RO, "None."),
        Register("root_control", 0x1C, 16, _RO, "None."),
        Register("root_capabilities", 0x1E, 16, _RO, "None."),
        Register("root_status", 0x20, 32, _RO, "None."),
        Register("device_capabilities_2", 0x24, 32, _RO, "Device capabilities 2."),
        Register("device_control_2", 0x28, 16, _RW, "Device control 2: completion time-out, 10-bit tags."),
        Register("device_status_2", 0x2A, 16, _RO, "None."),
        Register("link_capabilities_2", 0x2C, 32, _RO, "Supported speeds."),
        Register("link_control_2", 0x30, 16, _RW, "Target speed; kept for software."),
        Register("link_status_2", 0x32, 16, _RO, "None."),
        Register("slot_capabilities_2", 0x34, 32, _RO, "None."),
        Register("slot_control_2", 0x38, 16, _RO, "None."),
        Register("slot_status_2", 0x3A, 16, _RO, "None."),
    ),
)


class PcieCapabilities(enum.IntFlag):
    """Fields of the PCI Express capabilities register."""

    VERSION = 0xF
    DEVICE_TYPE = 0xF << 4


class DeviceCapabilities(enum.IntFlag):
    """Device capabilities register bits and fields."""

    MAX_PAYLOAD_SUPPORTED = 0b111
    EXTENDED_TAG = 1 << 5
    ROLE_BASED_ERROR_REPORTING = 1 << 15
    FUNCTION_LEVEL_RESET = 1 << 28


class DeviceControl(enum.IntFlag):
    """Device control register bits and fields.

    The reset value enables relaxed ordering (which the device never uses), extended tags and no snoop,
    a maximum payload of 128 bytes and a maximum read request of 512 bytes.
    """

    CORRECTABLE_ERROR_ENABLE = 1 << 0
    NON_FATAL_ERROR_ENABLE = 1 << 1
    FATAL_ERROR_ENABLE = 1 << 2
    UNSUPPORTED_REQUEST_ENABLE = 1 << 3
    RELAXED_ORDERING_ENABLE = 1 << 4
    MAX_PAYLOAD_SIZE = 0b111 << 5
    EXTENDED_TAG_ENABLE = 1 << 8
    NO_SNOOP_ENABLE = 1 << 11
    MAX_READ_REQUEST_SIZE = 0b111 << 12
    INITIATE_FUNCTION_LEVEL_RESET = 1 << 15


class PcieDeviceStatus(enum.IntFlag):
    """Device status register bits of PCI Express; virtio's are in ``spec.modern``."""

    CORRECTABLE_ERROR = 1 << 0
    NON_FATAL_ERROR = 1 << 1
    FATAL_ERROR = 1 << 2
    UNSUPPORTED_REQUEST = 1 << 3
    TRANSACTIONS_PENDING = 1 << 5


class DeviceCapabilities2(enum.IntFlag):
    """Fields of the device capabilities 2 register. Ref: PCIe 4.0, 7.5.3.15 (10-bit tags)."""

    TIMEOUT_RANGES = 0xF
    TIMEOUT_DISABLE = 1 << 4
    TEN_BIT_TAG_COMPLETER = 1 << 16
    TEN_BIT_TAG_REQUESTER = 1 << 17


class DeviceControl2(enum.IntFlag):
    """Fields of the device control 2 register."""

    TIMEOUT = 0xF
    TIMEOUT_DISABLE = 1 << 4
    TEN_BIT_TAG_REQUESTER_ENABLE = 1 << 12


class LinkCapabilities(enum.IntFlag):
    """Fields of the link capabilities register."""

    SPEED = 0xF
    WIDTH = 0x3F << 4
    ASPM_OPTIONALITY = 1 << 22


class LinkControl(enum.IntFlag):
    """Bits of the link control register that an endpoint keeps."""

    ASPM = 0b11
    READ_COMPLETION_BOUNDARY = 1 << 3
    COMMON_CLOCK = 1 << 6
    EXTENDED_SYNCH = 1 << 7


class LinkStatus(enum.IntFlag):
    """Fields of the link status register."""

    SPEED = 0xF
    WIDTH = 0x3F << 4


class LinkCapabilities2(enum.IntFlag):
    """Fields of the link capabilities 2 register: bit 0 of the field is generation 1."""

    SPEEDS = 0x7F << 1


class LinkControl2(enum.IntFlag):
    """Fields of the link control 2 register."""

    TARGET_SPEED = 0xF
