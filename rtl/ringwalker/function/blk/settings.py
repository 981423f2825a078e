"""What can be chosen about the block function."""

from dataclasses import dataclass

from ...checks import check, check_power, check_range
from ...spec.blk import ID_BYTES, SECTOR_BYTES

__all__ = ["BlkSettings"]


@dataclass(frozen=True)
class BlkSettings:
    """The block function."""

    capacity: int = 32768
    """512-byte sectors, until the ``capacity`` port of the device says otherwise."""
    block_size: int = 512
    """Bytes; a power of two from 512 to 4096."""
    serial: str = "ringwalker"
    """What GET_ID answers: at most 20 ASCII characters."""
    chunk_sectors: int = 8
    """Most sectors of one storage command; a power of two from 1 to 64."""

    def __post_init__(self):
        check_range("blk.capacity", self.capacity, 0, 2**55 - 1)
        check_power("blk.block_size", self.block_size, SECTOR_BYTES, 4096)
        per_block = self.block_size // SECTOR_BYTES
        check(
            self.capacity % per_block == 0,
            "blk.capacity",
            self.capacity,
            f"a multiple of {per_block} sectors, since blk.block_size is {self.block_size}",
        )
        ok = isinstance(self.serial, str) and self.serial.isascii() and len(self.serial) <= ID_BYTES
        check(ok, "blk.serial", self.serial, f"at most {ID_BYTES} ASCII characters")
        check_power("blk.chunk_sectors", self.chunk_sectors, 1, 64)
