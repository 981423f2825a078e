"""The things that can be done to a whole disk: which operations, with which data, and what must come out."""

import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from ringwalker.outputs import OutputFile, writing
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType

from ..disk_image import DiskError, DiskFailure, DiskImage, StoredBytes
from ..errors import RingwalkerError, named_in_errors, noted
from ..guest.blk import BlkDevice

__all__ = ["Operation", "Phase", "ReadAll", "WorkloadError", "WriteAll", "difference", "same", "unlike"]

_COMPARE_BYTES = 1 << 24
_COPIED_BYTES = 1 << 13


class WorkloadError(RingwalkerError, ValueError):
    """A workload that cannot be done; the message names the parameter and the value."""


class Operation:
    """One request: ``kind`` (IN or OUT), ``sector``, ``length`` in bytes; ``stamp`` belongs to the phase."""

    __slots__ = ("kind", "length", "sector", "stamp")

    def __init__(self, kind: int, sector: int, length: int, stamp: int = 0):
        self.kind = kind
        self.sector = sector
        self.length = length
        self.stamp = stamp


def same(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether bytes are equal. Copies of few bytes are compared faster than arrays."""
    if len(got) <= _COPIED_BYTES:
        return got.tobytes() == wanted.tobytes()
    return np.array_equal(got, wanted)


def difference(got: np.ndarray, wanted: np.ndarray, sector: int) -> str | None:
    """None when equal, else where and what the first difference is."""
    if same(got, wanted):
        return None
    wrong = np.flatnonzero(got != wanted)
    at = int(wrong[0])
    place = f"sector {sector + at // SECTOR_BYTES} byte {at % SECTOR_BYTES}"
    return f"{place} is {int(got[at]):#04x}, it must be {int(wanted[at]):#04x} ({len(wrong)} bytes differ)"


def unlike(got: np.ndarray, content: DiskImage, start: int) -> str | None:
    """What of ``got`` is not what lies on the disk from byte ``start`` on, or why that cannot be read."""
    try:
        return difference(got, content.read(start, len(got)), start // SECTOR_BYTES)
    except DiskFailure as error:
        return str(error)


class Phase(ABC):
    """A run of operations. ``total`` operations of at most ``largest`` bytes.

    ``content`` is the disk behind the device, where that can be seen. ``unwritten`` has a line for each file
    that could not be written.
    """

    name: str
    total: int
    largest: int

    def __init__(self):
        self.unwritten: list[str] = []

    @abstractmethod
    def next(self) -> Operation | None:
        """The next operation; None when there is none, or none before another has ended."""

    def fill(self, operation: Operation, view: np.ndarray) -> None:
        """Put the data to write into ``view``."""
        raise NotImplementedError

    def check(self, operation: Operation, view: np.ndarray) -> str | None:
        """What is wrong with the data that was read, or None."""
        raise NotImplementedError

    def ended(self, operation: Operation, good: bool) -> None:
        """``operation`` is over."""
        return

    def final_check(self) -> str | None:
        """What is wrong with the disk in the end, or None."""
        return None

    def close(self) -> None:
        """Let go of files; what is whole is kept."""
        return


class _Sweep(Phase):
    """From the first sector to the last in steps of ``largest``."""

    kind: int

    def __init__(self, size: int, largest: int, block_size: int):
        super().__init__()
        if largest % block_size:
            raise WorkloadError(f"block size is {largest}; it must be a multiple of the disk's, {block_size}")
        self._size = size
        self._position = 0
        self.largest = largest
        self.total = -(-size // largest)

    def next(self) -> Operation | None:
        start = self._position
        if start >= self._size:
            return None
        length = min(self.largest, self._size - start)
        self._position += length
        return Operation(self.kind, start // SECTOR_BYTES, length)


class ReadAll(_Sweep):
    """Every sector into the file ``path``, which appears when all have been read. Zeros become holes.

    Errors: ``OutputError`` where the file cannot be begun. What is refused later is noted, and the disk is
    read and checked to its end.
    """

    name = "read all"
    kind = BlkRequestType.IN

    def __init__(self, disk: BlkDevice, content: DiskImage | None, path: str | Path, largest: int):
        size = disk.capacity * SECTOR_BYTES
        super().__init__(size, largest, disk.block_size)
        self._content, self._path = content, path
        self._missing = size
        self._output = OutputFile(path)
        with noted(self.unwritten), writing(path):
            if self._output.fresh:
                self._output.file.truncate(size)

    def check(self, operation: Operation, view: np.ndarray) -> str | None:
        start = operation.sector * SECTOR_BYTES
        self._missing -= operation.length
        if not self.unwritten and (view.any() or not self._output.fresh):
            with noted(self.unwritten), writing(self._path):
                self._write(view.tobytes(), start)
        if self._content is None:
            return None
        return unlike(view, self._content, start)

    def _write(self, data: bytes, start: int) -> None:
        done = 0
        while done < len(data):
            # The operating system may take a part only, and refuse the next.
            done += os.pwrite(self._output.file.fileno(), data[done:], start + done)

    def close(self) -> None:
        if self.unwritten:
            self._output.discard()
        elif self._missing:
            self._output.discard()
            self.unwritten.append(f"{self._path}: not written: {self._missing} bytes were not read")
        else:
            with noted(self.unwritten):
                self._output.commit()


class WriteAll(_Sweep):
    """The file ``path`` onto the disk from sector 0 on."""

    name = "write all"
    kind = BlkRequestType.OUT

    def __init__(self, disk: BlkDevice, content: DiskImage | None, path: str | Path, largest: int):
        self._content = content
        try:
            self._file = StoredBytes(path)
        except DiskError as error:
            raise WorkloadError(str(error)) from None
        try:
            size, room = self._file.size, disk.capacity * SECTOR_BYTES
            if size == 0 or size % disk.block_size:
                raise WorkloadError(
                    f"{path}: {size} bytes; it must be a multiple of {disk.block_size}, not 0"
                )
            if size > room:
                raise WorkloadError(f"{path}: {size} bytes do not fit on the disk, which has {room}")
            super().__init__(size, largest, disk.block_size)
        except WorkloadError:
            self._file.close()
            raise

    def fill(self, operation: Operation, view: np.ndarray) -> None:
        start = operation.sector * SECTOR_BYTES
        with named_in_errors(self._file.path):
            view[:] = self._file.read(start, operation.length)

    def final_check(self) -> str | None:
        if self._content is None:
            return None
        for start in range(0, self._size, _COMPARE_BYTES):
            with named_in_errors(self._file.path):
                wanted = self._file.read(start, min(_COMPARE_BYTES, self._size - start))
            try:
                got = self._content.read(start, len(wanted))
            except DiskFailure as error:
                return str(error)
            message = difference(got, wanted, start // SECTOR_BYTES)
            if message is not None:
                return f"on the disk, {message}"
        return None

    def close(self) -> None:
        self._file.close()
