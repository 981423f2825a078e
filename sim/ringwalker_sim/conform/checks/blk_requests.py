"""Requests to block devices: data, errors, stable writes. Ref: virtio 1.4, 5.2.6."""

from ringwalker.spec.blk import (
    ID_BYTES,
    MOST_LIFETIME_ESTIMATE,
    SECTOR_BYTES,
    ZONE_BYTES,
    BlkFeature,
    BlkLifetime,
    BlkPreEol,
    BlkRequestType,
    BlkStatus,
)
from ringwalker.spec.ids import DeviceType

from ...memory import dtype_of
from ..blk.disk import UNWRITTEN, Disk, cannot_be_written, changed
from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import is_type, lacks, offers
from ..medium import DiskMedium
from ..rings.queues import Piece
from ..stimulus import cut
from ..subject import Subject

__all__: list[str] = []

_BLK = is_type(DeviceType.BLK)
_SECTOR = 2
_NO_TYPES = (2, 3, 6, 7, 9, 12, 17, 0x7F, 0x8000_0000)
"""Request types that there are not, or not any more."""

_ZONE_TYPES = tuple(kind for kind in BlkRequestType if kind.name.startswith("ZONE_"))


@check("blk-02.03", "blk-02.04", ways=WAYS, needs=[_BLK, offers(BlkFeature.RO)])
async def writes_to_read_only_disk(subject: Subject) -> None:
    """Writes to a disk that offers RO, with and without that feature negotiated, and reads what it holds.

    Wrong: a write that does not end with IOERR, or that changes the disk.
    """
    for features in ((), (BlkFeature.RO,)):
        await subject.start(*features)
        disk = Disk(subject)
        count = await disk.unit()
        before = await disk.read(0, count)
        answer = await disk.write(0, changed(before), "blk-02.03")
        if answer.status != BlkStatus.IOERR:
            text = f"a write to a read-only disk ends with status {answer.status}"
            raise Nonconformance("blk-02.03", text)
        if await disk.read(0, count) != before or await _on_disk(subject, 0, count, before) != before:
            raise Nonconformance("blk-02.04", "a refused write has changed the disk")


async def _on_disk(subject: Subject, sector: int, count: int, otherwise: bytes) -> bytes:
    """What the disk holds, seen from outside where that is possible."""
    medium = subject.medium
    return await medium.read(sector, count) if isinstance(medium, DiskMedium) else otherwise


async def _check_stable(subject: Subject, disk: Disk, content: bytes, *features: int) -> None:
    """The content is on the disk, and is still there after a reset."""
    count = len(content) // SECTOR_BYTES
    if await _on_disk(subject, 0, count, content) != content:
        raise Nonconformance("blk-02.13", "a stable write is not on the disk")
    await subject.start(*features)
    if await disk.read(0, count) != content:
        raise Nonconformance("blk-02.13", "a stable write is lost with a reset")


@check("blk-02.13", ways=WAYS, needs=[_BLK, cannot_be_written, offers(BlkFeature.FLUSH)])
async def flushed_writes_are_stable(subject: Subject) -> None:
    """Writes to the disk, flushes it, resets the device, and looks whether the disk holds what was written.

    Wrong: content that is lost, though the flush has ended.
    """
    await subject.start(BlkFeature.FLUSH)
    disk = Disk(subject)
    async with disk.kept(0, await disk.unit()) as before:
        await disk.written("blk-02.13", 0, changed(before))
        await disk.expect("blk-02.13", BlkStatus.OK, BlkRequestType.FLUSH)
        await _check_stable(subject, disk, changed(before), BlkFeature.FLUSH)
    await disk.expect("blk-02.13", BlkStatus.OK, BlkRequestType.FLUSH)


@check("blk-02.13", ways=WAYS, needs=[_BLK, cannot_be_written, offers(BlkFeature.FLUSH)])
async def writes_are_stable_without_flush(subject: Subject) -> None:
    """Writes to a disk that offers FLUSH while it is not negotiated, and resets the device.

    Wrong: content that is lost, though the write has ended.
    """
    await subject.start()
    disk = Disk(subject)
    async with disk.kept(0, await disk.unit()) as before:
        await disk.written("blk-02.13", 0, changed(before))
        await _check_stable(subject, disk, changed(before))


@check("blk-02.13", needs=[_BLK, cannot_be_written, offers(BlkFeature.CONFIG_WCE)])
async def writethrough_writes_are_stable(subject: Subject) -> None:
    """With CONFIG_WCE, sets the cache to writethrough, writes to the disk, and resets the device.

    Wrong: content that is lost, though the write has ended, or a cache mode that cannot be set.
    """
    features = (BlkFeature.CONFIG_WCE, BlkFeature.FLUSH)
    await subject.start(*features)
    disk = Disk(subject)
    for mode in (1, 0):
        await subject.transport.write_device_field(disk.register("writeback"), mode)
        if await disk.field("writeback") != mode:
            raise Nonconformance("blk-02.13", f"writeback cannot be set to {mode}")
    async with disk.kept(0, await disk.unit()) as before:
        await disk.written("blk-02.13", 0, changed(before))
        await _check_stable(subject, disk, changed(before), *features)


@check("blk-02.14", ways=WAYS, needs=[_BLK, cannot_be_written, lacks(BlkFeature.FLUSH)])
async def writes_without_flush_at_all(subject: Subject) -> None:
    """Writes to a disk that does not offer FLUSH, and reads what was written before a reset.

    Wrong: content that cannot be read. Whether it is stable is up to the device.
    """
    await subject.start()
    disk = Disk(subject)
    async with disk.kept(0, await disk.unit()) as before:
        await disk.written("core-10.02", 0, changed(before))
        if await disk.read(0, len(before) // SECTOR_BYTES) != changed(before):
            raise Nonconformance("core-10.02", "a sector does not hold what was written")


@check("core-06.01", "core-14.01", ways=WAYS, needs=[_BLK, cannot_be_written])
async def writes_in_any_cut(subject: Subject) -> None:
    """Writes sectors with header and data cut into descriptors at many places, and reads them.

    Wrong: other content than was written, or a neighbour that has changed.
    """
    await subject.start()
    disk = Disk(subject)
    clause = subject.by_ring("core-06.01", "core-14.01")
    if not subject.any_layout:
        raise NotApplicable("a legacy device without ANY_LAYOUT wants descriptors of its own for each part")
    unit = await disk.unit()
    async with disk.kept(0, 3 * unit) as before:
        length = unit * SECTOR_BYTES
        for number, lengths in enumerate(((), (16,), (1, 1), (10, 100, 300), (15, 2, 510), (17, 511))):
            content = bytes((byte + number + 1) & 0xFF for byte in before[length : 2 * length])
            header = disk.header(BlkRequestType.OUT, unit).array.tobytes()
            whole = subject.buffer(len(header) + length, header + content)
            status = subject.buffer(1, bytes([UNWRITTEN]))
            await disk.send([*cut(whole, lengths, False), Piece(status.address, 1, True)], clause)
            now = await disk.read(0, 3 * unit)
            if int(status.array[0]) or now != before[:length] + content + before[2 * length :]:
                text = f"a write cut at {lengths} ends with status {int(status.array[0])}, or wrong content"
                raise Nonconformance(clause, text)


@check("core-10.02", ways=WAYS, needs=[_BLK])
async def name_of_disk(subject: Subject) -> None:
    """Asks for the name of the disk, into buffers with several contents. A device may not know it.

    Wrong: a name that is not 20 bytes of text filled with zeroes, or less than the used length says.
    """
    await subject.start()
    disk = Disk(subject)
    names = set()
    for _ in range(2):
        answer = await disk.request(BlkRequestType.GET_ID, room=ID_BYTES, clause="core-10.02")
        if answer.status == BlkStatus.OK:
            names.add(answer.data)
        elif answer.status is None:
            raise Nonconformance("core-10.02", "the status byte is not written")
    for name in names:
        text, _, rest = name.partition(b"\0")
        # What a device does not write is not a part of the name: the used length would not count it.
        if rest.strip(bytes([0, UNWRITTEN])) or any(
            not 32 <= byte < 127 for byte in text if byte != UNWRITTEN
        ):
            raise Nonconformance("core-10.02", f"the name of the disk is {name!r}")
    if len(names) > 1:
        raise Nonconformance("core-10.02", f"the disk has two names: {names}")


@check("core-10.02", "core-01.02", ways=WAYS, needs=[_BLK])
async def requests_that_there_are_not(subject: Subject) -> None:
    """Sends requests of types that there are not. Their status is up to the device, which may fail itself.

    Wrong: one that is not answered, or whose status is not written.
    """
    await subject.start()
    disk = Disk(subject)
    for kind in _NO_TYPES:
        answer = await disk.request(kind, room=SECTOR_BYTES)
        if answer.status is None:
            raise Nonconformance("core-10.02", f"a request of type {kind:#x} ends without a status")
    await disk.read(0)


@check("core-10.02", "core-01.02", ways=WAYS, needs=[_BLK])
async def reads_outside_the_disk(subject: Subject) -> None:
    """Reads behind the end of the disk, across it, and at addresses that overflow. The device may fail the
    request, or itself.

    Wrong: a read that succeeds, that is not answered, or whose used length counts what is not written.
    """
    await subject.start()
    disk = Disk(subject)
    capacity = await disk.capacity()
    count = await disk.unit()
    for sector in (capacity, capacity - 1 if count == 1 else capacity - count, (1 << 55) - 1, (1 << 64) - 1):
        room = (2 if sector < capacity else 1) * count * SECTOR_BYTES
        answer = await disk.request(BlkRequestType.IN, sector, room=room)
        if answer.status in (None, BlkStatus.OK):
            text = f"a read of {room} bytes at sector {sector} of {capacity} ends with {answer.status}"
            raise Nonconformance("core-10.02", text)
        said = answer.data[: answer.length]
        if len(said) > SECTOR_BYTES and said == bytes([UNWRITTEN]) * len(said):
            text = f"the used length of a failed read is {answer.length}, and nothing is written"
            raise Nonconformance("core-10.02", text)
    await disk.read(0)


@check("core-10.02", "core-01.02", ways=WAYS, needs=[_BLK, cannot_be_written])
async def writes_outside_the_disk(subject: Subject) -> None:
    """Writes behind the end of the disk and across it, which no driver must do.

    Wrong: a write that succeeds, that is not answered, or that changes another sector.
    """
    await subject.start()
    disk = Disk(subject)
    capacity, count = await disk.capacity(), await disk.unit()
    last = capacity - capacity % count - count
    async with disk.kept(last, count) as before, disk.kept(0, count) as first:
        for sector, length in ((capacity, 1), (1 << 63, 1), ((1 << 64) - count, 2)):
            answer = await disk.write(sector, changed(before) * length)
            if answer.status in (None, BlkStatus.OK):
                text = f"a write at sector {sector} of {capacity} ends with status {answer.status}"
                raise Nonconformance("core-10.02", text)
        if await disk.read(last, count) != before or await disk.read(0, count) != first:
            raise Nonconformance("core-10.02", "a write outside the disk has changed a sector of it")


@check("core-10.02", "core-01.02", ways=WAYS, needs=[_BLK])
async def requests_of_odd_length(subject: Subject) -> None:
    """Reads a number of bytes that is no number of sectors, and sends requests that are too short. The device
    may fail them, or itself.

    Wrong: a request that is not answered, or a write outside its buffers.
    """
    await subject.start()
    disk = Disk(subject)
    for room in (1, SECTOR_BYTES - 1, SECTOR_BYTES + 1):
        answer = await disk.request(BlkRequestType.IN, 0, room=room)
        said = answer.data[: answer.length]
        if len(said) > 1 and answer.status != BlkStatus.OK and said == bytes([UNWRITTEN]) * len(said):
            raise Nonconformance("core-10.02", f"{answer.length} bytes count as written, and none is")
    await disk.read(0)
    header = disk.header(BlkRequestType.IN, 0)
    await disk.send([Piece(header.address, 8), Piece(subject.buffer(SECTOR_BYTES + 1).address, 16, True)])
    await disk.read(0)


@check("blk-02.18", ways=WAYS, needs=[_BLK])
async def zone_requests_without_zones(subject: Subject) -> None:
    """Sends all requests about zones to a disk without ZONED.

    Wrong: one that does not end with UNSUPP.
    """
    if not subject.legacy and subject.offers(BlkFeature.ZONED):
        raise NotApplicable("ZONED is offered")
    await subject.start()
    disk = Disk(subject)
    for kind in _ZONE_TYPES:
        out = bytes(SECTOR_BYTES) if kind == BlkRequestType.ZONE_APPEND else b""
        room = {BlkRequestType.ZONE_APPEND: 8, BlkRequestType.ZONE_REPORT: 2 * ZONE_BYTES}.get(kind, 0)
        await disk.expect("blk-02.18", BlkStatus.UNSUPP, kind, 0, out, room)


@check("blk-02.16", "blk-02.17", needs=[_BLK, offers(BlkFeature.LIFETIME)])
async def lifetime(subject: Subject) -> None:
    """Asks a disk that offers LIFETIME for its metrics.

    Wrong: a request that fails, or metrics with reserved values.
    """
    await subject.start(BlkFeature.LIFETIME)
    length = dtype_of(BlkLifetime).itemsize
    answer = await Disk(subject).request(BlkRequestType.GET_LIFETIME, room=length, clause="blk-02.16")
    if answer.status != BlkStatus.OK:
        raise Nonconformance("blk-02.16", f"the lifetime is offered, and ends with status {answer.status}")
    values = memoryview(answer.data).cast("H")
    pre_eol, *estimates = values
    if pre_eol not in tuple(BlkPreEol) or max(estimates) > MOST_LIFETIME_ESTIMATE:
        raise Nonconformance("blk-02.17", f"the lifetime has reserved values: {list(values)}")
