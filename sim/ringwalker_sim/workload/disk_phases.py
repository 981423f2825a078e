"""The things that can be done to a whole disk: which operations, with which data, and what must come out."""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ringwalker.outputs import OutputFile, writing
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType

from ..disk_image import DiskError, DiskFailure, DiskImage, StoredBytes
from ..errors import RingwalkerError, named_in_errors, noted
from ..guest.blk import BlkDevice

__all__ = ["Operation", "Phase", "ReadAll", "Synthetic", "WorkloadError", "WriteAll", "difference"]

SNAPSHOT_BYTES = 256 << 20
"""Disks up to this size are copied before a workload writes to them, so that every sector can be checked."""

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


def _same(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether bytes are equal. Copies of few bytes are compared faster than arrays."""
    if len(got) <= _COPIED_BYTES:
        return got.tobytes() == wanted.tobytes()
    return np.array_equal(got, wanted)


def difference(got: np.ndarray, wanted: np.ndarray, sector: int) -> str | None:
    """None when equal, else where and what the first difference is."""
    if _same(got, wanted):
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


class Synthetic(Phase):
    """Random or sequential reads and writes of ``largest`` bytes, with data that names its place and turn.

    Reads are compared with a shadow of what was written, and else with what was on the disk before. No read
    or write overlaps a write in flight, so every read has one right answer. In the end the disk itself is
    compared: all of it, or above :data:`SNAPSHOT_BYTES` the blocks that were written.

    What is written is ``pattern`` from ``(turn * stamp_factor + block * block_factor) % pattern_bytes`` on.
    """

    pattern_bytes = 1 << 20
    stamp_factor = 2654435761
    block_factor = 40503

    def __init__(
        self,
        disk: BlkDevice,
        content: DiskImage | None,
        kind: str,
        block_size: int,
        requests: int,
        seed: int,
    ):
        super().__init__()
        if block_size % disk.block_size:
            raise WorkloadError(
                f"block size is {block_size}; it must be a multiple of the disk's, {disk.block_size}"
            )
        self.blocks = disk.capacity * SECTOR_BYTES // block_size
        if self.blocks == 0:
            raise WorkloadError(f"block size is {block_size}; the disk has {disk.capacity} sectors only")
        self.name = kind
        self.total = requests
        self.largest = block_size
        self._sequential = kind.startswith("seq")
        self._reads = 1.0 if kind.endswith("read") else 0.0 if kind.endswith("write") else 0.5
        self._seed = seed
        generator = np.random.default_rng(seed)
        self.pattern = generator.integers(0, 256, self.pattern_bytes + block_size, np.uint8)
        self._content = content
        self._before = content
        if content is not None and self._reads < 1.0 and content.size <= SNAPSHOT_BYTES:
            self._before = content.snapshot()
        self.places, self.kinds = self._choices(requests)
        self._shadow: dict[int, int] = {}
        self._unknown: set[int] = set()
        self._busy: dict[int, int] = {}
        self.issued = 0

    def _choices(self, requests: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each request is to go, or is looked for room, and whether it reads or writes."""
        choose = random.Random(self._seed)
        if self._sequential:
            places = np.arange(requests, dtype=np.uint64) % self.blocks
            kinds = [self._kind(choose) for _ in range(requests)]
        else:
            pairs = [(choose.randrange(self.blocks), self._kind(choose)) for _ in range(requests)]
            places = np.array([place for place, _kind in pairs], np.uint64)
            kinds = [kind for _place, kind in pairs]
        return places, np.array(kinds, np.uint32)

    def _kind(self, choose: random.Random) -> int:
        read = self._reads == 1.0 or (self._reads > 0.0 and choose.random() < self._reads)
        return BlkRequestType.IN if read else BlkRequestType.OUT

    @property
    def exclusive(self) -> bool:
        """Whether no two requests in flight may be for one block."""
        return self._reads < 1.0

    @property
    def moving(self) -> bool:
        """Whether a request whose block is in use goes to the next one that is not."""
        return not self._sequential

    def next(self) -> Operation | None:
        if self.issued == self.total:
            return None
        block = int(self.places[self.issued])
        if self.exclusive:
            if len(self._busy) == self.blocks or (block in self._busy and not self.moving):
                return None
            while block in self._busy:
                block = (block + 1) % self.blocks
            self._busy[block] = 1
        self.issued += 1
        return self.operation(self.issued - 1, block)

    def operation(self, number: int, block: int) -> Operation:
        """Request ``number``, from 0 on, which has found room at ``block``."""
        return Operation(
            int(self.kinds[number]), block * (self.largest // SECTOR_BYTES), self.largest, number + 1
        )

    def resume(self, issued: int, in_flight: Sequence[Operation]) -> None:
        """So many requests have been issued, and these of them have not ended."""
        self.issued = issued
        if self.exclusive:
            self._busy = {self.block(operation): 1 for operation in in_flight}

    def _data(self, stamp: int, block: int) -> tuple[np.ndarray, bytes]:
        """The pattern of a write: a piece of noise, and the words that go over its first bytes."""
        start = (stamp * self.stamp_factor + block * self.block_factor) % self.pattern_bytes
        return self.pattern[start : start + self.largest], b"%16x%16x" % (block, stamp)

    def block(self, operation: Operation) -> int:
        """Where an operation is, in blocks."""
        return operation.sector // (self.largest // SECTOR_BYTES)

    def fill(self, operation: Operation, view: np.ndarray) -> None:
        noise, words = self._data(operation.stamp, self.block(operation))
        view[:] = noise
        view[: len(words)] = np.frombuffer(words, np.uint8)

    def check(self, operation: Operation, view: np.ndarray) -> str | None:
        block = self.block(operation)
        return self._compare(view, block) if block not in self._unknown else None

    def check_all(
        self,
        operations: np.ndarray,
        blocks: np.ndarray,
        reads: np.ndarray,
        good: np.ndarray,
        data: np.ndarray,
    ) -> Iterator[str]:
        """As :meth:`check` and :meth:`ended` for requests in the order in which they have ended: their
        numbers and blocks, which of them read, which ended well, and a row of what was read for each.
        """
        if not self.exclusive:
            if self._before is not None:
                yield from self._check_reads(blocks[good], data[good])
            return
        rows = zip(operations.tolist(), blocks.tolist(), reads.tolist(), good.tolist(), data, strict=True)
        for number, block, read, well, row in rows:
            if not read:
                self._wrote(block, number + 1, well)
            elif well and block not in self._unknown and (message := self._compare(row, block)) is not None:
                yield message

    def _check_reads(self, blocks: np.ndarray, data: np.ndarray) -> Iterator[str]:
        """Compare rows with what was on the disk before."""
        assert self._before is not None
        for block, row in zip(blocks.tolist(), data, strict=True):
            if (message := unlike(row, self._before, block * self.largest)) is not None:
                yield message

    def _wrote(self, block: int, stamp: int, good: bool) -> None:
        """A write of a block has ended."""
        if good:
            self._shadow[block] = stamp
            self._unknown.discard(block)
        else:
            self._unknown.add(block)

    def _compare(self, view: np.ndarray, block: int) -> str | None:
        sector = block * (self.largest // SECTOR_BYTES)
        stamp = self._shadow.get(block)
        if stamp is None:
            if self._before is None:
                return None
            return unlike(view, self._before, block * self.largest)
        noise, words = self._data(stamp, block)
        if view[: len(words)].tobytes() == words and _same(view[len(words) :], noise[len(words) :]):
            return None
        wanted = noise.copy()
        wanted[: len(words)] = np.frombuffer(words, np.uint8)
        return difference(view, wanted, sector)

    def ended(self, operation: Operation, good: bool) -> None:
        if not self.exclusive:
            return
        block = self.block(operation)
        if operation.kind == BlkRequestType.OUT:
            self._wrote(block, operation.stamp, good)
        del self._busy[block]

    def final_check(self) -> str | None:
        if self._content is None or self._reads == 1.0:
            return None
        untouched = self._before is not self._content
        for block in range(self.blocks) if untouched else sorted(self._shadow):
            if block in self._unknown:
                continue
            try:
                got = self._content.read(block * self.largest, self.largest)
            except DiskFailure as error:
                return str(error)
            message = self._compare(got, block)
            if message is not None:
                return f"on the disk, {message}"
        return None
