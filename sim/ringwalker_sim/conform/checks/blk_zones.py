"""Zoned block devices: what they say of themselves. Ref: virtio 1.4, 5.2.5."""

from ringwalker.spec.blk import (
    BLK_RANGE_CONFIG,
    SECTOR_BYTES,
    BlkFeature,
    BlkRequestType,
    BlkStatus,
    BlkZoneModel,
    BlkZoneState,
    BlkZoneType,
)
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus

from ..blk.zones import Zone, ZonedDisk
from ..check import Nonconformance, NotApplicable, check
from ..conditions import is_type, offers
from ..subject import STARTED, Subject

__all__: list[str] = []

_NEEDS = (is_type(DeviceType.BLK), offers(BlkFeature.ZONED))
_NO_RESOURCE = (BlkStatus.ZONE_OPEN_RESOURCE, BlkStatus.ZONE_ACTIVE_RESOURCE)
_ZONED_FIELDS = ("zone_sectors", "max_open_zones", "max_active_zones", "max_append_sectors", "model")
_MOST_APPEND = 1 << 20
"""Bytes of an append that is tried."""


async def _zoned(subject: Subject, *features: int) -> ZonedDisk:
    await subject.start(BlkFeature.ZONED, *features)
    return ZonedDisk(subject)


@check("blk-01.05", "blk-01.09", needs=_NEEDS)
async def zone_model(subject: Subject) -> None:
    """Compares the kind of disk that the configuration says with the types of its zones.

    Wrong: a kind that there is not, zones of another kind, or no sequential zone at all.
    """
    disk = await _zoned(subject)
    model = await disk.model()
    if model not in tuple(BlkZoneModel):
        raise Nonconformance("blk-01.09", f"the zone model is {model}")
    if model == BlkZoneModel.NONE:
        return
    types = {zone.type for zone in await disk.report()} - {BlkZoneType.CONV}
    if not types:
        raise Nonconformance("blk-01.05", "ZONED is offered, and no zone is sequential")
    wanted = BlkZoneType.SWR if model == BlkZoneModel.HOST_MANAGED else BlkZoneType.SWP
    if types != {wanted}:
        raise Nonconformance("blk-01.09", f"the zone model is {model}, and the zones have types {types}")


@check("blk-01.10", "blk-01.11", "blk-01.18", needs=_NEEDS)
async def zones_have_one_size(subject: Subject) -> None:
    """Reads a report of the zones, and compares it with the size of zones that the configuration says; the
    last zone may be smaller. Reads the padding behind.

    Wrong: a zone elsewhere, or with more capacity than a zone has, or padding that is not 0.
    """
    disk = await _zoned(subject)
    end = BLK_RANGE_CONFIG.model.offset + 1
    for offset in range(end, end + 3):
        if await disk.byte(offset):
            raise Nonconformance("blk-01.18", f"byte {offset:#x} of the configuration is not 0")
    if await disk.model() == BlkZoneModel.NONE:
        raise NotApplicable("the disk has no zones")
    size, capacity = await disk.field("zone_sectors"), await disk.capacity()
    for number, zone in enumerate(await disk.report()):
        room = min(size, capacity - number * size)
        if zone.start != number * size or not 0 < zone.capacity <= room:
            text = f"zone {number} starts at {zone.start} with {zone.capacity} sectors; zones have {size}"
            raise Nonconformance("blk-01.10", text)


@check("blk-01.07", "blk-01.08", needs=_NEEDS)
async def zones_not_accepted(subject: Subject) -> None:
    """Does not accept ZONED.

    Wrong: a host-managed disk that accepts that, or another disk that does not, or has fields of zones then.
    """
    disk = await _zoned(subject)
    model = await disk.model()
    await subject.reset()
    mask = subject.wanted() & ~(1 << BlkFeature.ZONED)
    await subject.set_status(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)
    await subject.transport.accept_features(mask)
    await subject.set_status(STARTED & ~DeviceStatus.DRIVER_OK)
    accepted = bool(await subject.status() & DeviceStatus.FEATURES_OK)
    if model == BlkZoneModel.HOST_MANAGED:
        if accepted:
            raise Nonconformance("blk-01.08", "a host-managed disk can be used without ZONED")
        return
    if not accepted:
        raise Nonconformance("blk-01.07", "a disk that is not host-managed cannot be used without ZONED")
    for name in _ZONED_FIELDS:
        if disk.has_field(name) and await disk.field(name):
            raise Nonconformance("blk-01.07", f"{name} is not 0 though ZONED was not negotiated")


@check("blk-01.12", "blk-02.21", needs=_NEEDS)
async def most_open_zones(subject: Subject) -> None:
    """Opens as many zones as can be open, and one more.

    Wrong: one that cannot be opened below the limit, or the one more that can, or that ends with another
    error.
    """
    disk = await _zoned(subject)
    most = await disk.field("max_open_zones")
    if not most:
        raise NotApplicable("there is no limit of open zones")
    async with disk.empty_zones(most + 1) as zones:
        for zone in zones[:most]:
            await disk.act(BlkRequestType.ZONE_OPEN, zone, "blk-01.12", BlkStatus.OK)
        await disk.act(BlkRequestType.ZONE_OPEN, zones[most], "blk-02.21", *_NO_RESOURCE)
        if (await disk.state(zones[most])).state != BlkZoneState.EMPTY:
            raise Nonconformance("blk-02.21", "a zone that could not be opened is not in its state any more")


async def _write(disk: ZonedDisk, zone: Zone, clause: str, *allowed: int) -> int:
    """Write a block at the write pointer of a zone that was empty."""
    block = await disk.block()
    answer = await disk.write((await disk.state(zone)).pointer, bytes(block * SECTOR_BYTES))
    if answer.status not in allowed:
        raise Nonconformance(clause, f"a write at a write pointer ends with status {answer.status}")
    assert answer.status is not None
    return answer.status


@check("blk-01.13", "blk-02.25", needs=_NEEDS)
async def most_active_zones(subject: Subject) -> None:
    """Writes to as many zones as can be active, closes them, and writes to one more.

    Wrong: a write that fails below the limit, or the one more that does not, or ends with another error.
    """
    disk = await _zoned(subject)
    most = await disk.field("max_active_zones")
    if not most:
        raise NotApplicable("there is no limit of active zones")
    async with disk.empty_zones(most + 1) as zones:
        for zone in zones[:most]:
            await _write(disk, zone, "blk-01.13", BlkStatus.OK)
            await disk.act(BlkRequestType.ZONE_CLOSE, zone, "blk-02.22", BlkStatus.OK)
        await _write(disk, zones[most], "blk-02.25", *_NO_RESOURCE)
        await disk.act(BlkRequestType.ZONE_OPEN, zones[most], "blk-02.21", *_NO_RESOURCE)


@check("blk-02.25", "blk-02.27", needs=_NEEDS)
async def zones_opened_by_writes(subject: Subject) -> None:
    """Opens as many zones as can be open and writes to one more; then lets writes open all of them. A device
    may close one that a write has opened.

    Wrong: a write that succeeds though no zone can be closed for it, or that ends with another error.
    """
    disk = await _zoned(subject)
    most = await disk.field("max_open_zones")
    active = await disk.field("max_active_zones")
    if not most:
        raise NotApplicable("there is no limit of open zones")
    async with disk.empty_zones(most + 1) as zones:
        for zone in zones[:most]:
            await disk.act(BlkRequestType.ZONE_OPEN, zone, "blk-01.12", BlkStatus.OK)
        await _write(disk, zones[most], "blk-02.25", *_NO_RESOURCE)
        for zone in zones:
            await disk.act(BlkRequestType.ZONE_RESET, zone, "blk-02.24", BlkStatus.OK)
        for zone in zones[:most]:
            await _write(disk, zone, "blk-01.12", BlkStatus.OK)
        allowed = _NO_RESOURCE if active == most else (BlkStatus.OK, *_NO_RESOURCE)
        status = await _write(disk, zones[most], "blk-02.25", *allowed)
        states = [(await disk.state(zone)).state for zone in zones]
        if status == BlkStatus.OK and states.count(BlkZoneState.IOPEN) > most:
            raise Nonconformance("blk-01.12", f"{most + 1} zones are open, and {most} can be")


@check("blk-01.14", "blk-01.15", "blk-01.16", "blk-02.26", needs=_NEEDS)
async def appends_to_a_zone(subject: Subject) -> None:
    """Appends to an empty zone, with the longest append too, and reads where the data is said to be.

    Wrong: an append of up to the limit that fails, a sector that is not the first of the data, or a limit
    beyond that of a request. A device that does not know appends says 0 and UNSUPP.
    """
    sizes = [feature for feature in (BlkFeature.SEG_MAX, BlkFeature.SIZE_MAX) if subject.offers(feature)]
    disk = await _zoned(subject, *sizes)
    most, block = await disk.field("max_append_sectors"), await disk.block()
    limit = await disk.field("seg_max") * await disk.field("size_max") if len(sizes) > 1 else None
    if limit is not None and most * SECTOR_BYTES > limit:
        text = f"an append can have {most} sectors, and a request {limit} bytes"
        raise Nonconformance("blk-01.15", text)
    async with disk.empty_zones(1) as (zone,):
        lengths = [block, block]
        whole = most - most % block
        if 0 < whole <= zone.capacity - 2 * block and whole * SECTOR_BYTES <= _MOST_APPEND:
            lengths.append(whole)
        at = zone.start
        for number, length in enumerate(lengths):
            content = bytes([number + 1]) * (length * SECTOR_BYTES)
            answer = await disk.request(BlkRequestType.ZONE_APPEND, zone.start, content, room=8)
            if not most:
                if answer.status != BlkStatus.UNSUPP:
                    raise Nonconformance("blk-01.16", f"an append ends with status {answer.status}")
                return
            if answer.status != BlkStatus.OK:
                text = f"an append of {length} sectors of {most} ends with status {answer.status}"
                raise Nonconformance("blk-01.14", text)
            sector = int.from_bytes(answer.data, "little")
            if sector != at or await disk.read(at, length) != content:
                text = f"an append to sector {at} says that it went to {sector}, or its data is not there"
                raise Nonconformance("blk-02.26", text)
            at += length
