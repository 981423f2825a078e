"""The extended capability of a function that has virtual functions.

Ref: PCI Express Base 4.0, 9.3.3 (single root I/O virtualization).
"""

import enum

from .registers import Access, Register, RegisterTable

__all__ = ["SR_IOV_CAPABILITY", "SR_IOV_ID", "VF_BARS", "SrIovControl"]

SR_IOV_ID = 0x0010
"""Id of the extended capability."""

VF_BARS = 6
"""Base address registers of the virtual functions; each has room for that of every one of them."""

_RO, _RW = Access.RO, Access.RW

SR_IOV_CAPABILITY = RegisterTable(
    "sr_iov_capability",
    "Single root I/O virtualization, of the physical function.",
    (
        Register("header", 0x00, 32, _RO, "Id, version, offset of the next extended capability."),
        Register("capabilities", 0x04, 32, _RO, "Migration, ARI."),
        Register("control", 0x08, 16, _RW, "Bit 0: there are virtual functions; bit 3: they decode memory."),
        Register("status", 0x0A, 16, _RO, "Migration."),
        Register("initial_vfs", 0x0C, 16, _RO, "Virtual functions at first."),
        Register("total_vfs", 0x0E, 16, _RO, "Most virtual functions."),
        Register("num_vfs", 0x10, 16, _RW, "Virtual functions, set before they are enabled."),
        Register("dependency_link", 0x12, 8, _RO, "The first function on which this one depends."),
        Register("first_offset", 0x14, 16, _RO, "Routing id of the first virtual function, less the own."),
        Register("stride", 0x16, 16, _RO, "From one virtual function to the next."),
        Register("vf_device_id", 0x1A, 16, _RO, "Device id of the virtual functions."),
        Register("supported_page_sizes", 0x1C, 32, _RO, "A bit for each, from 4 KiB on."),
        Register("system_page_size", 0x20, 32, _RW, "The one in use."),
        *(
            Register(f"vf_bar{n}", 0x24 + 4 * n, 32, _RW, f"BAR {n} of the first one.")
            for n in range(VF_BARS)
        ),
        Register("migration_state", 0x3C, 32, _RO, "Offset of migration states."),
    ),
)


class SrIovControl(enum.IntFlag):
    """Bits of the control register."""

    VF_ENABLE = 1 << 0
    VF_MEMORY_ENABLE = 1 << 3
