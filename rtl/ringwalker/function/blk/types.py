"""What runs between the parts of the block function."""

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from ...spec.blk import SECTOR_BYTES

__all__ = ["BlkOp", "BlkRecord", "BlkRequest", "BlkSource", "sector_beats", "write_beat"]

SECTORS_BITS = 23
"""Enough for the sectors of the longest chain, which has less than 4 GiB."""


class BlkOp(enum.Enum, shape=3):
    """What is left to do for a request once its header was judged."""

    NONE = 0
    """Only answer it."""
    READ = 1
    WRITE = 2
    FLUSH = 3
    ID = 4


class BlkRequest(data.Struct):
    """A request whose header was checked."""

    op: BlkOp
    sector: unsigned(64)
    """The first sector; inside the disk for READ and WRITE."""
    sectors: unsigned(SECTORS_BITS)
    """How many; inside the disk for READ and WRITE, 0 for others."""
    writable: unsigned(32)
    """Device-writable bytes."""
    status: unsigned(2)
    """The answer, unless storage reports an error."""
    answer: unsigned(1)
    """With 0 nothing is written, and the used length is 0; ``op`` is NONE then."""


class BlkSource(enum.Enum, shape=2):
    """Where the data of an answer comes from."""

    NONE = 0
    STORAGE = 1
    ID = 2


class BlkRecord(data.Struct):
    """An answer that is due."""

    source: BlkSource
    offset: unsigned(32)
    """Where the status byte is in the device-writable bytes. Data from storage has as many bytes."""
    status: unsigned(2)
    answer: unsigned(1)
    """As in :class:`BlkRequest`."""


def write_beat(data_width: int) -> data.StructLayout:
    """A full beat of the data of one write request; ``error`` stays up to ``last`` once it is up."""
    return data.StructLayout({"data": unsigned(data_width), "last": 1, "error": 1})


def sector_beats(data_width: int) -> int:
    """Beats in a sector."""
    return SECTOR_BYTES * 8 // data_width
