"""The block device: request layout, types, status, features, configuration. Ref: virtio 1.4, 5.2."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

from .registers import Access, Register, RegisterTable

__all__ = [
    "BLK_CONFIG",
    "ID_BYTES",
    "SECTOR_BYTES",
    "BlkFeature",
    "BlkRequestHeader",
    "BlkRequestType",
    "BlkStatus",
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


class BlkStatus(enum.IntEnum):
    """The last device-writable byte of a request."""

    OK = 0
    IOERR = 1
    UNSUPP = 2


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
