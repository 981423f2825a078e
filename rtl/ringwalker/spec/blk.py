"""The block device: request layout, types, status, features, configuration. Ref: virtio 1.4, 5.2."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

from .registers import Access, Register, RegisterTable

__all__ = [
    "BLK_CONFIG",
    "BLK_RANGE_CONFIG",
    "ID_BYTES",
    "MOST_LIFETIME_ESTIMATE",
    "SECTOR_BYTES",
    "ZONE_BYTES",
    "BlkFeature",
    "BlkLifetime",
    "BlkPreEol",
    "BlkRange",
    "BlkRequestHeader",
    "BlkRequestType",
    "BlkStatus",
    "BlkZoneDescriptor",
    "BlkZoneModel",
    "BlkZoneState",
    "BlkZoneType",
]

SECTOR_BYTES = 512
"""The unit of ``sector`` and ``capacity``, whatever the block size."""

ID_BYTES = 20
"""Length of the string that GET_ID returns, padded with zeros."""


class BlkRequestType(enum.IntEnum):
    """``type`` of a request."""

    IN = 0
    OUT = 1
    FLUSH = 4
    FLUSH_OUT = 5
    GET_ID = 8
    GET_LIFETIME = 10
    DISCARD = 11
    WRITE_ZEROES = 13
    SECURE_ERASE = 14
    ZONE_APPEND = 15
    ZONE_REPORT = 16
    ZONE_OPEN = 18
    ZONE_CLOSE = 20
    ZONE_FINISH = 22
    ZONE_RESET = 24
    ZONE_RESET_ALL = 26


class BlkStatus(enum.IntEnum):
    """The last device-writable byte of a request."""

    OK = 0
    IOERR = 1
    UNSUPP = 2
    ZONE_INVALID_CMD = 3
    ZONE_UNALIGNED_WP = 4
    ZONE_OPEN_RESOURCE = 5
    ZONE_ACTIVE_RESOURCE = 6


class BlkFeature(enum.IntEnum):
    """Bit numbers."""

    SIZE_MAX = 1
    SEG_MAX = 2
    GEOMETRY = 4
    RO = 5
    BLK_SIZE = 6
    FLUSH = 9
    TOPOLOGY = 10
    CONFIG_WCE = 11
    MQ = 12
    DISCARD = 13
    WRITE_ZEROES = 14
    LIFETIME = 15
    SECURE_ERASE = 16
    ZONED = 17


class BlkRequestHeader(data.Struct):
    """The 16 bytes that every request starts with."""

    type: unsigned(32)
    reserved: unsigned(32)
    sector: unsigned(64)


class BlkRange(data.Struct):
    """A segment of a discard, a secure erase or a write of zeroes: ``num_sectors`` from ``sector`` on.

    Bit 0 of ``flags`` is ``unmap``; all others are reserved.
    """

    sector: unsigned(64)
    num_sectors: unsigned(32)
    flags: unsigned(32)


class BlkPreEol(enum.IntEnum):
    """``pre_eol_info`` of :class:`BlkLifetime`: how much of the reserved blocks is consumed."""

    UNDEFINED = 0
    NORMAL = 1
    WARNING = 2
    URGENT = 3


MOST_LIFETIME_ESTIMATE = 11
"""The greatest estimate of :class:`BlkLifetime`: more than the whole lifetime is used."""


class BlkLifetime(data.Struct):
    """What GET_LIFETIME returns; the estimates are in tenths of the lifetime, 0 for none."""

    pre_eol_info: unsigned(16)
    device_lifetime_est_typ_a: unsigned(16)
    device_lifetime_est_typ_b: unsigned(16)


class BlkZoneModel(enum.IntEnum):
    """``model`` of the device configuration."""

    NONE = 0
    HOST_MANAGED = 1
    HOST_AWARE = 2


class BlkZoneType(enum.IntEnum):
    """``z_type`` of a zone: conventional, sequential write required, sequential write preferred."""

    CONV = 1
    SWR = 2
    SWP = 3


class BlkZoneState(enum.IntEnum):
    """``z_state`` of a zone."""

    NOT_WP = 0
    EMPTY = 1
    IOPEN = 2
    EOPEN = 3
    CLOSED = 4
    RDONLY = 13
    FULL = 14
    OFFLINE = 15


ZONE_BYTES = 64
"""A zone report: so many bytes that begin with the number of zones (64 bits), and as many for each zone."""


class BlkZoneDescriptor(data.Struct):
    """A zone of a report: capacity, start and write pointer in sectors, type and state. The rest of its
    ``ZONE_BYTES`` is reserved."""

    z_cap: unsigned(64)
    z_start: unsigned(64)
    z_wp: unsigned(64)
    z_type: unsigned(8)
    z_state: unsigned(8)


_RO = Access.RO

BLK_CONFIG = RegisterTable(
    "blk_config",
    "Device configuration of the block device (struct virtio_blk_config).",
    (
        Register("capacity", 0x00, 64, _RO, "Disk size in 512-byte sectors."),
        Register("size_max", 0x08, 32, _RO, "Largest segment in bytes (SIZE_MAX)."),
        Register("seg_max", 0x0C, 32, _RO, "Most data segments in a request (SEG_MAX)."),
        Register("cylinders", 0x10, 16, _RO, "Geometry: cylinders (GEOMETRY)."),
        Register("heads", 0x12, 8, _RO, "Geometry: heads (GEOMETRY)."),
        Register("sectors", 0x13, 8, _RO, "Geometry: sectors a track (GEOMETRY)."),
        Register("blk_size", 0x14, 32, _RO, "Block size in bytes (BLK_SIZE)."),
        Register("physical_block_exp", 0x18, 8, _RO, "Log2 of logical blocks a physical block (TOPOLOGY)."),
        Register("alignment_offset", 0x19, 8, _RO, "Offset of the first aligned logical block (TOPOLOGY)."),
        Register("min_io_size", 0x1A, 16, _RO, "Suggested minimum I/O size in blocks (TOPOLOGY)."),
        Register("opt_io_size", 0x1C, 32, _RO, "Suggested optimal I/O size in blocks (TOPOLOGY)."),
        Register("writeback", 0x20, 8, _RO, "Cache mode (CONFIG_WCE)."),
        Register("num_queues", 0x22, 16, _RO, "Number of request queues (MQ)."),
    ),
)

BLK_RANGE_CONFIG = RegisterTable(
    "blk_range_config",
    "What follows BLK_CONFIG in struct virtio_blk_config, for disks with more requests.",
    (
        Register("max_discard_sectors", 0x24, 32, _RO, "Most sectors of a segment of a discard (DISCARD)."),
        Register("max_discard_seg", 0x28, 32, _RO, "Most segments of a discard (DISCARD)."),
        Register("discard_sector_alignment", 0x2C, 32, _RO, "Alignment of discards in sectors (DISCARD)."),
        Register("max_write_zeroes_sectors", 0x30, 32, _RO, "Most sectors of a segment (WRITE_ZEROES)."),
        Register("max_write_zeroes_seg", 0x34, 32, _RO, "Most segments of a request (WRITE_ZEROES)."),
        Register("write_zeroes_may_unmap", 0x38, 8, _RO, "Whether sectors may be unmapped (WRITE_ZEROES)."),
        Register("max_secure_erase_sectors", 0x3C, 32, _RO, "Most sectors of a segment (SECURE_ERASE)."),
        Register("max_secure_erase_seg", 0x40, 32, _RO, "Most segments of a request (SECURE_ERASE)."),
        Register("secure_erase_sector_alignment", 0x44, 32, _RO, "Alignment in sectors (SECURE_ERASE)."),
        Register("zone_sectors", 0x48, 32, _RO, "Sectors of a zone (ZONED)."),
        Register("max_open_zones", 0x4C, 32, _RO, "Most zones that can be open; 0: no limit (ZONED)."),
        Register("max_active_zones", 0x50, 32, _RO, "Most open and closed zones; 0: no limit (ZONED)."),
        Register("max_append_sectors", 0x54, 32, _RO, "Most sectors of a zone append (ZONED)."),
        Register("write_granularity", 0x58, 32, _RO, "Unit of writes to sequential zones, in bytes (ZONED)."),
        Register("model", 0x5C, 8, _RO, "The kind of zoned disk (ZONED)."),
    ),
)
