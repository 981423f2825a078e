"""Data of block devices: long requests, and random ones of which several are in flight."""

from random import Random
from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES, BlkFeature, BlkRequestType, BlkStatus
from ringwalker.spec.ids import DeviceType

from ...memory import Buffer
from ..blk.disk import Answer, Disk, cannot_be_written
from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import is_type
from ..rings.queues import Offer
from ..subject import Subject

__all__: list[str] = []

_BLK = is_type(DeviceType.BLK)
_LONG = (8, 33, 64)
_PIECE_BYTES = 4096
_BLOCKS = 24
"""Blocks at the start of the disk that random requests are about."""

_STEPS = 60
_MOST_IN_FLIGHT = 8


@check("core-10.02", ways=WAYS, needs=[_BLK])
async def long_reads(subject: Subject) -> None:
    """Reads many sectors at once, in descriptors of a page, and compares them with those read one at a time.

    Wrong: other content, or a used length that does not count all of it, if it counts any.
    """
    await subject.start()
    disk = Disk(subject)
    unit, capacity = await disk.unit(), await disk.capacity()
    content = b""
    for count in _LONG:
        if count * unit > capacity:
            raise NotApplicable(f"the disk has {capacity} sectors")
        while len(content) < count * unit * SECTOR_BYTES:
            content += await disk.read(len(content) // SECTOR_BYTES, unit)
        room = count * unit * SECTOR_BYTES
        pieces, buffer = disk.described(BlkRequestType.IN, 0, b"", room, _PIECE_BYTES)
        if len(pieces) > subject.queues[0].size:
            raise NotApplicable(f"the queue has {subject.queues[0].size} entries")
        answer = disk.answered(buffer, await disk.send(pieces, "core-10.02"))
        if answer.status != BlkStatus.OK or answer.data != content:
            text = f"a read of {room} bytes ends with status {answer.status}, or wrong content"
            raise Nonconformance("core-10.02", text)


def _steps(random: Random) -> list[Any]:
    """Requests of blocks: kind, first block, number of blocks, seed of the content."""
    steps: list[Any] = []
    for _ in range(_STEPS):
        kind = random.choice(("read", "read", "write", "write", "flush", "wait"))
        first = random.randrange(_BLOCKS)
        steps.append([kind, first, random.randint(1, min(6, _BLOCKS - first)), random.randrange(1 << 16)])
    return steps


class _Shadow:
    """What the first blocks of ``disk`` are to hold, and the requests in flight."""

    def __init__(self, disk: Disk, content: bytes, unit: int):
        self.disk = disk
        self.content = bytearray(content)
        self.block = unit * SECTOR_BYTES
        self.flying: dict[Offer, tuple[Buffer, bytes | None, range]] = {}

    def is_free(self, blocks: range) -> bool:
        """Whether no request in flight is about some blocks."""
        return not any(set(blocks) & set(others) for _buffer, _data, others in self.flying.values())

    async def begin(self, kind: str, first: int, count: int, seed: int) -> None:
        """Begin a request."""
        blocks, expected, out = range(first, first + count), None, b""
        start, end = first * self.block, (first + count) * self.block
        request, room = BlkRequestType.FLUSH, 0
        if kind == "write":
            request, out = BlkRequestType.OUT, Random(seed).randbytes(end - start)
            self.content[start:end] = out
        elif kind == "read":
            request, room, expected = BlkRequestType.IN, end - start, bytes(self.content[start:end])
        sector = 0 if kind == "flush" else start // SECTOR_BYTES
        pieces, buffer = self.disk.described(request, sector, out, room)
        queue = self.disk.subject.queues[0]
        if len(pieces) > queue.vacant:
            await self.finish()
        made = queue.offer(pieces)
        queue.publish()
        await self.disk.subject.kick(queue)
        self.flying[made] = buffer, expected, range(0) if kind == "flush" else blocks

    async def finish(self) -> None:
        """Wait for all requests, and check them."""
        subject = self.disk.subject
        for used in await subject.used(subject.queues[0], len(self.flying)) if self.flying else ():
            assert used.offer is not None
            buffer, expected, blocks = self.flying.pop(used.offer)
            answer: Answer = self.disk.answered(buffer, used)
            wrong = expected is not None and answer.data != expected
            if answer.status != BlkStatus.OK or wrong:
                what = "wrong content" if wrong else f"status {answer.status}"
                raise Nonconformance("core-10.02", f"a request of {len(blocks)} blocks ends with {what}")


@check("core-10.02", ways=WAYS, needs=[_BLK, cannot_be_written], steps=_steps)
async def random_requests(subject: Subject, steps: list[Any]) -> None:
    """Reads, writes and flushes blocks at random, several at once where they do not overlap, and compares all
    that is read with what was written. What the disk held is put back.

    Wrong: content that differs, or a request that fails.
    """
    flush = [BlkFeature.FLUSH] if subject.offers(BlkFeature.FLUSH) else []
    await subject.start(*flush)
    disk = Disk(subject)
    unit = await disk.unit()
    if await disk.capacity() < _BLOCKS * unit:
        raise NotApplicable("the disk is too small")
    async with disk.kept(0, _BLOCKS * unit) as before:
        shadow = _Shadow(disk, before, unit)
        for kind, first, count, seed in steps:
            free = shadow.is_free(range(first, first + count))
            if kind == "wait" or not free or len(shadow.flying) >= _MOST_IN_FLIGHT:
                await shadow.finish()
            if kind != "wait" and (flush or kind != "flush"):
                await shadow.begin(kind, first, count, seed)
        await shadow.finish()
        if await disk.read(0, _BLOCKS * unit) != bytes(shadow.content):
            raise Nonconformance("core-10.02", "the disk does not hold what was written")
