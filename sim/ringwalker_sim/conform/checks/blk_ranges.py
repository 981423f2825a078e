"""Discard, write of zeroes and secure erase. Ref: virtio 1.4, 5.2.6."""

from ringwalker.spec.blk import SECTOR_BYTES, BlkFeature, BlkRequestType, BlkStatus
from ringwalker.spec.ids import DeviceType

from ..blk.disk import Disk, cannot_be_written, changed
from ..check import WAYS, Nonconformance, NotApplicable, Way, check
from ..conditions import is_type, offers
from ..subject import Subject

__all__: list[str] = []

_NEEDS = (is_type(DeviceType.BLK), cannot_be_written)
_UNMAP = 1
_UNKNOWN_FLAGS = (1 << 1, 1 << 31, 0xFFFF_FFFE, 0xFFFF_FFFF)
_MOST_SECTORS = 4096
"""Sectors that a check reads before, and puts back."""


async def _range(subject: Subject, disk: Disk, kind: BlkRequestType) -> tuple[int, int]:
    """Start and length of a range that a request of a kind may be about, a block from the start on."""
    unit = await disk.unit()
    if kind == BlkRequestType.DISCARD:
        unit = max(unit, await disk.field("discard_sector_alignment"))
    elif kind == BlkRequestType.SECURE_ERASE:
        unit = max(unit, await disk.field("secure_erase_sector_alignment"))
    if unit > _MOST_SECTORS or 3 * unit > await disk.capacity():
        raise NotApplicable(f"ranges of {unit} sectors are too long for a test")
    return unit, unit


async def _refused(subject: Subject, kind: BlkRequestType, clause: str, all_flags: tuple[int, ...]) -> None:
    """Requests of a kind with wrong flags end with UNSUPP."""
    await subject.start(BlkFeature[kind.name])
    disk = Disk(subject)
    start, count = await _range(subject, disk, kind)
    async with disk.kept(start, count):
        for flags in all_flags:
            answer = await disk.request(kind, 0, disk.ranges((start, count, flags)), clause=clause)
            if answer.status != BlkStatus.UNSUPP:
                text = f"a {kind.name} with flags {flags:#x} ends with status {answer.status}"
                raise Nonconformance(clause, text)


@check("blk-02.05", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.DISCARD)))
async def discard_with_unknown_flags(subject: Subject) -> None:
    """Discards sectors with flags that there are not.

    Wrong: a request that does not end with UNSUPP.
    """
    await _refused(subject, BlkRequestType.DISCARD, "blk-02.05", _UNKNOWN_FLAGS)


@check("blk-02.05", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.WRITE_ZEROES)))
async def write_zeroes_with_unknown_flags(subject: Subject) -> None:
    """Writes zeroes with flags that there are not.

    Wrong: a request that does not end with UNSUPP.
    """
    await _refused(subject, BlkRequestType.WRITE_ZEROES, "blk-02.05", _UNKNOWN_FLAGS)


@check("blk-02.05", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.SECURE_ERASE)))
async def secure_erase_with_unknown_flags(subject: Subject) -> None:
    """Erases sectors with flags that there are not.

    Wrong: a request that does not end with UNSUPP.
    """
    await _refused(subject, BlkRequestType.SECURE_ERASE, "blk-02.05", _UNKNOWN_FLAGS)


@check("blk-02.06", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.DISCARD)))
async def discard_with_unmap(subject: Subject) -> None:
    """Discards sectors with the flag that only writes of zeroes have.

    Wrong: a request that does not end with UNSUPP.
    """
    await _refused(subject, BlkRequestType.DISCARD, "blk-02.06", (_UNMAP,))


@check("blk-02.07", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.DISCARD)))
async def discard(subject: Subject) -> None:
    """Discards sectors, and reads them and their neighbours. What they hold then is up to the device.

    Wrong: a discard that fails, or that changes a neighbour.
    """
    await subject.start(BlkFeature.DISCARD)
    disk = Disk(subject)
    start, count = await _range(subject, disk, BlkRequestType.DISCARD)
    async with disk.kept(0, start + 2 * count) as before:
        answer = await disk.request(
            BlkRequestType.DISCARD, 0, disk.ranges((start, count, 0)), clause="blk-02.07"
        )
        if answer.status == BlkStatus.IOERR:
            raise NotApplicable("the device fails the request, as it may")
        now = await disk.read(0, start + 2 * count)
        first, last = start * SECTOR_BYTES, (start + count) * SECTOR_BYTES
        if now[:first] != before[:first] or now[last:] != before[last:]:
            raise Nonconformance("blk-02.07", "a discard has changed a sector outside its range")
        if answer.status != BlkStatus.OK:
            raise Nonconformance("blk-02.07", f"a discard ends with status {answer.status}")


@check("blk-02.08", "blk-02.09", ways=WAYS, needs=(*_NEEDS, offers(BlkFeature.WRITE_ZEROES)))
async def write_zeroes(subject: Subject) -> None:
    """Writes zeroes over sectors with other content, with the flag unmap and without, in one segment and in
    two where there may be two, and reads them and their neighbours.

    Wrong: a sector of the range that is not zero, or a neighbour that has changed.
    """
    await subject.start(BlkFeature.WRITE_ZEROES)
    disk = Disk(subject)
    start, count = await _range(subject, disk, BlkRequestType.WRITE_ZEROES)
    segments = await disk.field("max_write_zeroes_seg")
    async with disk.kept(0, start + 3 * count) as before:
        content = changed(bytes(len(before)))
        for flags in (0, _UNMAP):
            ranges = [(start, count, flags), (start + count, count, flags)]
            ranges = ranges[: min(2, segments)]
            await disk.written("blk-02.09", 0, content)
            data = disk.ranges(*ranges)
            await disk.expect("blk-02.09", BlkStatus.OK, BlkRequestType.WRITE_ZEROES, 0, data)
            now = await disk.read(0, start + 3 * count)
            length = len(ranges) * count * SECTOR_BYTES
            first = start * SECTOR_BYTES
            if now[first : first + length] != bytes(length):
                raise Nonconformance("blk-02.09", "sectors are not zero after a write of zeroes")
            if now[:first] + now[first + length :] != content[length:]:
                raise Nonconformance("blk-02.09", "a write of zeroes has changed a sector outside its range")


@check("core-10.02", ways=(Way.SPLIT,), needs=(*_NEEDS, offers(BlkFeature.SECURE_ERASE)))
async def secure_erase(subject: Subject) -> None:
    """Erases sectors, and reads them and their neighbours.

    Wrong: content that can still be read, or a neighbour that has changed.
    """
    await subject.start(BlkFeature.SECURE_ERASE)
    disk = Disk(subject)
    start, count = await _range(subject, disk, BlkRequestType.SECURE_ERASE)
    async with disk.kept(0, start + 2 * count) as before:
        content = changed(before)
        await disk.written("core-10.02", 0, content)
        data = disk.ranges((start, count, 0))
        answer = await disk.request(BlkRequestType.SECURE_ERASE, 0, data, clause="core-10.02")
        if answer.status == BlkStatus.IOERR:
            raise NotApplicable("the device fails the request, as it may")
        now = await disk.read(0, start + 2 * count)
        first, last = start * SECTOR_BYTES, (start + count) * SECTOR_BYTES
        if now[first:last] == content[first:last] or now[last:] != content[last:]:
            raise Nonconformance("core-10.02", "a secure erase has not erased its range, or more than that")
