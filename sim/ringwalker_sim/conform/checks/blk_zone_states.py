"""Zoned block devices: states of zones, writes and reads in them. Ref: virtio 1.4, 5.2.6."""

from ringwalker.spec.blk import (
    SECTOR_BYTES,
    BlkFeature,
    BlkRequestType,
    BlkStatus,
    BlkZoneModel,
    BlkZoneState,
    BlkZoneType,
)
from ringwalker.spec.ids import DeviceType

from ..blk.zones import Zone, ZonedDisk
from ..check import Nonconformance, NotApplicable, check
from ..conditions import is_type, offers
from ..subject import Subject

__all__: list[str] = []

_NEEDS = (is_type(DeviceType.BLK), offers(BlkFeature.ZONED))
_CLAUSES = {
    BlkRequestType.ZONE_OPEN: "blk-02.20",
    BlkRequestType.ZONE_CLOSE: "blk-02.22",
    BlkRequestType.ZONE_FINISH: "blk-02.23",
    BlkRequestType.ZONE_RESET: "blk-02.24",
}
"""Requests about a zone, and the statement about their failure."""

_INVALID = BlkStatus.ZONE_INVALID_CMD
_CONTENT = 0x77


async def _zoned(subject: Subject, *features: int) -> ZonedDisk:
    await subject.start(BlkFeature.ZONED, *features)
    disk = ZonedDisk(subject)
    if await disk.model() == BlkZoneModel.NONE:
        raise NotApplicable("the disk has no zones")
    return disk


async def _fill(disk: ZonedDisk, zone: Zone) -> bytes:
    """Write a block to an empty zone; what was written."""
    content = bytes([_CONTENT]) * (await disk.block() * SECTOR_BYTES)
    await disk.written("blk-01.17", zone.start, content)
    return content


async def _expect_state(disk: ZonedDisk, zone: Zone, clause: str, *states: BlkZoneState) -> None:
    now = (await disk.state(zone)).state
    if now not in states:
        raise Nonconformance(clause, f"a zone is in state {now}, and not {states[0].name}")


@check("blk-02.19", needs=_NEEDS)
async def requests_about_conventional_zones(subject: Subject) -> None:
    """Opens, closes, finishes and resets a conventional zone, which has no such states.

    Wrong: a request that does not end with ZONE_INVALID_CMD.
    """
    disk = await _zoned(subject)
    zones = [zone for zone in await disk.report() if zone.type == BlkZoneType.CONV]
    if not zones:
        raise NotApplicable("no zone is conventional")
    for kind in _CLAUSES:
        await disk.act(kind, zones[0], "blk-02.19", _INVALID)


@check("blk-02.20", "blk-02.22", "blk-02.23", "blk-02.24", needs=_NEEDS)
async def states_of_a_zone(subject: Subject) -> None:
    """Takes a zone through its states, with requests that are allowed in each and some that are not.

    Wrong: a request that ends with another status, or a zone in another state behind it.
    """
    disk = await _zoned(subject)
    state, ok = BlkZoneState, BlkStatus.OK
    opened, closed, finished, reset = _CLAUSES
    async with disk.empty_zones(1) as (zone,):
        steps = (
            (closed, _INVALID, state.EMPTY),
            (reset, ok, state.EMPTY),
            (opened, ok, state.EOPEN),
            (opened, ok, state.EOPEN),
            (closed, ok, state.EMPTY),
            (opened, ok, state.EOPEN),
            (finished, ok, state.FULL),
            (finished, ok, state.FULL),
            (opened, _INVALID, state.FULL),
            (closed, _INVALID, state.FULL),
            (reset, ok, state.EMPTY),
            (None, ok, state.IOPEN),
            (closed, ok, state.CLOSED),
            (closed, ok, state.CLOSED),
            (opened, ok, state.EOPEN),
            (reset, ok, state.EMPTY),
        )
        for kind, status, after in steps:
            if kind is None:
                await _fill(disk, zone)
                await _expect_state(disk, zone, "blk-02.25", after)
                continue
            now = await disk.state(zone)
            await disk.act(kind, now, _CLAUSES[kind], status)
            await _expect_state(disk, zone, _CLAUSES[kind], after)


@check("blk-02.20", "blk-02.22", "blk-02.23", "blk-02.24", needs=_NEEDS)
async def requests_about_offline_zones(subject: Subject) -> None:
    """Opens, closes, finishes and resets a zone that is offline or read-only, if there is one.

    Wrong: a request that does not end with ZONE_INVALID_CMD.
    """
    disk = await _zoned(subject)
    lost = (BlkZoneState.OFFLINE, BlkZoneState.RDONLY)
    zones = [zone for zone in await disk.report() if zone.state in lost]
    if not zones:
        raise NotApplicable("no zone is offline or read-only")
    for kind, clause in _CLAUSES.items():
        await disk.act(kind, zones[0], clause, _INVALID)
        await _expect_state(disk, zones[0], clause, BlkZoneState(zones[0].state))


@check("blk-01.17", needs=_NEEDS)
async def writes_at_the_write_pointer(subject: Subject) -> None:
    """Writes blocks to an empty zone one behind the other, then a write elsewhere, and one that is shorter
    than the granularity, where that is more than a sector.

    Wrong: a write at the pointer that fails, or another one that does not end with ZONE_UNALIGNED_WP.
    """
    disk = await _zoned(subject)
    if await disk.model() != BlkZoneModel.HOST_MANAGED:
        raise NotApplicable("zones of this disk can be written anywhere")
    granularity, block = await disk.field("write_granularity"), await disk.block()
    if granularity < SECTOR_BYTES or granularity % SECTOR_BYTES:
        raise Nonconformance("blk-01.17", f"the granularity of writes is {granularity} bytes")
    async with disk.empty_zones(1) as (zone,):
        content = bytes(block * SECTOR_BYTES)
        for number in range(3):
            await disk.written("blk-01.17", zone.start + number * block, content)
        if (await disk.state(zone)).pointer != zone.start + 3 * block:
            raise Nonconformance("blk-01.17", "the write pointer does not follow the writes")
        wrong = [(zone.start, content), (zone.start + 4 * block, content)]
        if block > 1:
            wrong.append((zone.start + 3 * block, bytes(SECTOR_BYTES)))
        for sector, data in wrong:
            kind, status = BlkRequestType.OUT, BlkStatus.ZONE_UNALIGNED_WP
            await disk.expect("blk-01.17", status, kind, sector, data)


@check("blk-02.28", "blk-02.29", needs=_NEEDS)
async def unwritten_data_of_a_zone(subject: Subject) -> None:
    """Writes to a zone and finishes it, then resets it, and reads behind the write pointer each time. A
    device may fail such a read.

    Wrong: content that was written before the reset, or a read that is neither answered nor failed.
    """
    disk = await _zoned(subject)
    async with disk.empty_zones(1) as (zone,):
        content = await _fill(disk, zone)
        count = len(content) // SECTOR_BYTES
        await disk.act(BlkRequestType.ZONE_FINISH, await disk.state(zone), "blk-02.23", BlkStatus.OK)
        behind = await disk.request(BlkRequestType.IN, zone.start + count, room=len(content))
        if await disk.read(zone.start, count) != content:
            raise Nonconformance("blk-02.28", "a finished zone does not hold what was written to it")
        await disk.act(BlkRequestType.ZONE_RESET, await disk.state(zone), "blk-02.24", BlkStatus.OK)
        after = await disk.request(BlkRequestType.IN, zone.start, room=len(content))
    for answer in (behind, after):
        if answer.status is None:
            raise Nonconformance("blk-02.29", "a read of unwritten data is not answered")
        if answer.status == BlkStatus.OK and answer.data == content:
            raise Nonconformance("blk-02.28", "what a zone held before its reset can still be read")
        sectors = {answer.data[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)}
        if answer.status == BlkStatus.OK and len(sectors) > 1:
            raise Nonconformance("blk-02.29", "unwritten sectors are not filled with one pattern")


@check("blk-02.30", "blk-02.31", "blk-02.32", needs=(*_NEEDS, offers(BlkFeature.SECURE_ERASE)))
async def secure_erase_of_zones(subject: Subject) -> None:
    """Erases a part of a zone, and then the whole zone, with what was written there.

    Wrong: an alignment that is not that of zones, an erased part, or a whole zone that is not reset.
    """
    disk = await _zoned(subject, BlkFeature.SECURE_ERASE)
    size, alignment = await disk.field("zone_sectors"), await disk.field("secure_erase_sector_alignment")
    if alignment % size or not alignment:
        text = f"secure erases have an alignment of {alignment} sectors, and zones {size}"
        raise Nonconformance("blk-02.30", text)
    if alignment > size:
        raise NotApplicable("a secure erase is about several zones")
    kind = BlkRequestType.SECURE_ERASE
    async with disk.empty_zones(1) as (zone,):
        await _fill(disk, zone)
        block = await disk.block()
        answer = await disk.request(kind, 0, disk.ranges((zone.start, block, 0)))
        if answer.status == BlkStatus.OK and block < size:
            raise Nonconformance("blk-02.31", "a part of a zone can be erased")
        await disk.expect("blk-02.32", BlkStatus.OK, kind, 0, disk.ranges((zone.start, size, 0)))
        now = await disk.state(zone)
        if now.state != BlkZoneState.EMPTY or now.pointer != zone.start:
            raise Nonconformance("blk-02.32", f"an erased zone is in state {now.state}")
