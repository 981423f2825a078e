"""Reads and writes of a disk that are made up, and what must come out of each."""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType

from ..disk_image import DiskFailure, DiskImage
from ..guest.blk import BlkDevice
from .disk_phases import Operation, Phase, WorkloadError, difference, same, unlike

__all__ = ["SNAPSHOT_BYTES", "Synthetic"]

SNAPSHOT_BYTES = 256 << 20
"""Disks up to this size are copied before a workload writes to them, so that every sector can be checked."""

_COMPARE_BYTES = 1 << 24

_DRAWN = 1 << 16
"""Requests that are made up at a time."""


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
        moving: bool = True,
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
        self._moving = moving and not self._sequential
        self._reads = 1.0 if kind.endswith("read") else 0.0 if kind.endswith("write") else 0.5
        generator = np.random.default_rng(seed)
        self.pattern = generator.integers(0, 256, self.pattern_bytes + block_size, np.uint8)
        self._content = content
        self._before = content
        if content is not None and self._reads < 1.0 and content.size <= SNAPSHOT_BYTES:
            self._before = content.snapshot()
        self._choose = random.Random(seed)
        # Where requests are to go, or are looked for room, and their kinds: of those from ``_first`` on.
        self._first = 0
        self._places, self._kinds = self._draw(min(_DRAWN, requests))
        self._shadow: dict[int, int] = {}
        self._unknown: set[int] = set()
        self._busy: dict[int, int] = {}
        self.issued = 0

    def _draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places and kinds of the next requests, which follow those that are known."""
        choose = self._choose
        if self._sequential:
            first = self._first
            places = np.arange(first, first + count, dtype=np.uint64) % self.blocks
            kinds = [self._kind(choose) for _ in range(count)]
        else:
            pairs = [(choose.randrange(self.blocks), self._kind(choose)) for _ in range(count)]
            places = np.array([place for place, _kind in pairs], np.uint64)
            kinds = [kind for _place, kind in pairs]
        return places, np.array(kinds, np.uint32)

    def _place_of(self, number: int) -> int:
        """Where request ``number`` is to go; none before it is asked for any more."""
        if number - self._first == len(self._places):
            self._first = number
            self._places, self._kinds = self._draw(min(_DRAWN, self.total - number))
        return int(self._places[number - self._first])

    def choices(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (uint64) and kinds (uint32) of all requests. Only before the first of them has ended."""
        assert self._first == 0
        if len(self._places) < self.total:
            known = len(self._places)
            self._first = known
            places, kinds = self._draw(self.total - known)
            self._first = 0
            self._places = np.concatenate((self._places, places))
            self._kinds = np.concatenate((self._kinds, kinds))
        return self._places, self._kinds

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
        return self._moving

    def next(self) -> Operation | None:
        if self.issued == self.total:
            return None
        block = self._place_of(self.issued)
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
            int(self._kinds[number - self._first]),
            block * (self.largest // SECTOR_BYTES),
            self.largest,
            number + 1,
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
        """Compare rows with what was on the disk before, all at once if that is in memory."""
        before, size = self._before, self.largest
        assert before is not None
        if before.in_memory:
            rows = before.array[: self.blocks * size].reshape(self.blocks, size)
            if np.array_equal(rows[blocks], data):
                return
        for block, row in zip(blocks.tolist(), data, strict=True):
            if (message := unlike(row, before, block * size)) is not None:
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
        if view[: len(words)].tobytes() == words and same(view[len(words) :], noise[len(words) :]):
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
        if self._content is None or not self.exclusive:
            return None
        try:
            if self._before is not self._content:
                return self._check_disk()
            for block in sorted(self._shadow.keys() - self._unknown):
                message = self._check_block(self._content.read(block * self.largest, self.largest), block)
                if message is not None:
                    return message
        except DiskFailure as error:
            return str(error)
        return None

    def _check_disk(self) -> str | None:
        """Compare all of the disk with what was there before and what was written, many blocks at a time."""
        assert self._content is not None
        assert self._before is not None
        size = self.largest
        step = max(1, _COMPARE_BYTES // size)
        written = sorted(self._shadow.keys() - self._unknown)
        for first in range(0, self.blocks, step):
            count = min(step, self.blocks - first)
            got = self._content.read(first * size, count * size)
            wanted = self._before.read(first * size, count * size).copy()
            here = written[bisect_left(written, first) : bisect_left(written, first + count)]
            for block in here:
                noise, words = self._data(self._shadow[block], block)
                at = (block - first) * size
                wanted[at : at + size] = noise
                wanted[at : at + len(words)] = np.frombuffer(words, np.uint8)
            for block in self._unknown.intersection(range(first, first + count)):
                at = (block - first) * size
                wanted[at : at + size] = got[at : at + size]
            message = difference(got, wanted, first * size // SECTOR_BYTES)
            if message is not None:
                return f"on the disk, {message}"
        return None

    def _check_block(self, got: np.ndarray, block: int) -> str | None:
        message = self._compare(got, block)
        return None if message is None else f"on the disk, {message}"
