"""Guest memory that a vfio-user peer maps for the device."""

import contextlib
import errno
import mmap
import os

import numpy as np

from ..engine.native.served import ServedEngine
from .bodies import DmaMap
from .protocol import MAX_MAPPINGS, MapFlag

__all__ = ["Mappings"]


class Mappings:
    """The mappings of an engine's device, by address.

    Memory with a file descriptor is mapped into this process and accessed in place. Memory without one is
    external: accesses of the device become events of the engine.
    """

    def __init__(self, engine: ServedEngine):
        self._engine = engine
        self._sizes: dict[int, int] = {}
        self._external: dict[int, int] = {}
        self.made = 0
        """Number of mappings so far."""

    @property
    def bytes(self) -> int:
        """Number of mapped bytes."""
        return sum(self._sizes.values())

    def map(self, mapping: DmaMap, fd: int | None) -> None:
        """Add a mapping; owns ``fd``.

        Errors: ``OSError``: EEXIST for an overlap, ENOSPC for too many mappings, and those of mmap.
        """
        try:
            if len(self._sizes) >= MAX_MAPPINGS:
                raise OSError(errno.ENOSPC, f"there are {MAX_MAPPINGS} mappings already")
            writable = bool(mapping.flags & MapFlag.WRITE)
            try:
                if fd is None:
                    self._engine.map_external(mapping.address, mapping.size, writable)
                    self._external[mapping.address] = mapping.size
                else:
                    self._engine.map(mapping.address, _array(mapping, fd, writable), writable)
            except ValueError as error:
                raise OSError(errno.EEXIST, str(error)) from None
            self._sizes[mapping.address] = mapping.size
            self.made += 1
        finally:
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)

    def inside(self, address: int, size: int) -> list[int]:
        """The mappings that lie in a range, by address; perhaps none.

        Errors: ``OSError``: EINVAL when the range cuts one in two.
        """
        if self._sizes.get(address) == size:
            return [address]  # As a guest with an IOMMU does some thousand times.
        end = address + size
        touched = [at for at, length in self._sizes.items() if at < end and at + length > address]
        for at in touched:
            if at < address or at + self._sizes[at] > end:
                raise OSError(errno.EINVAL, f"{size:#x} bytes at {address:#x} cut the mapping at {at:#x}")
        return touched

    def all(self) -> list[int]:
        """All mappings, by address."""
        return list(self._sizes)

    def is_external(self, address: int, size: int) -> bool:
        """Whether a range lies in a mapping without a file descriptor."""
        return any(at <= address and address + size <= at + room for at, room in self._external.items())

    def unmap(self, addresses: list[int]) -> None:
        """Remove mappings."""
        for address in addresses:
            del self._sizes[address]
            self._external.pop(address, None)
            self._engine.unmap(address)

    def clear(self) -> None:
        """Remove all mappings."""
        self.unmap(self.all())


def _array(mapping: DmaMap, fd: int, writable: bool) -> np.ndarray:
    """The memory of a descriptor, in place."""
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    try:
        mapped = mmap.mmap(fd, mapping.size, mmap.MAP_SHARED, access, offset=mapping.offset)
    except (ValueError, OverflowError) as error:
        raise OSError(errno.EINVAL, f"{mapping}: {error}") from None
    return np.frombuffer(mapped, dtype=np.uint8)
