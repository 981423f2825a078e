"""Features and configuration of block devices. Ref: virtio 1.4, 5.2.3 to 5.2.5."""

from ringwalker.spec.blk import BLK_CONFIG, BLK_RANGE_CONFIG, BlkFeature
from ringwalker.spec.ids import DeviceType

from ..blk.disk import Disk
from ..check import WAYS, Nonconformance, NotApplicable, Way, check
from ..conditions import has_medium, is_type, offers
from ..medium import DiskMedium
from ..subject import Subject

__all__: list[str] = []

_F = BlkFeature
_BLK = is_type(DeviceType.BLK)


@check("blk-01.01", "blk-01.02", ways=WAYS, needs=[_BLK])
async def flush_is_offered(subject: Subject) -> None:
    """Looks whether FLUSH is offered.

    Wrong: a disk without it, above all one that offers CONFIG_WCE.
    """
    if not subject.offers(BlkFeature.FLUSH):
        wce = subject.offers(BlkFeature.CONFIG_WCE)
        raise Nonconformance("blk-01.02" if wce else "blk-01.01", "FLUSH is not offered")


@check("blk-01.03", needs=[_BLK, offers(BlkFeature.CONFIG_WCE)])
async def writethrough_without_flush(subject: Subject) -> None:
    """Negotiates CONFIG_WCE and not FLUSH, and reads the cache mode.

    Wrong: writeback is not 0.
    """
    await subject.start(BlkFeature.CONFIG_WCE, queues=[])
    writeback = await Disk(subject).field("writeback")
    if writeback:
        raise Nonconformance("blk-01.03", f"writeback is {writeback} though FLUSH was not negotiated")


_FIELDS_BEHIND = {
    (BLK_CONFIG.writeback, BLK_CONFIG.num_queues): (_F.MQ, _F.DISCARD, _F.WRITE_ZEROES),
    (BLK_RANGE_CONFIG.write_zeroes_may_unmap, BLK_RANGE_CONFIG.max_secure_erase_sectors): (),
}
"""Fields with padding between them, and the features with fields behind it."""


@check("blk-01.04", ways=WAYS, needs=[_BLK])
async def padding_is_zero(subject: Subject) -> None:
    """Reads the padding of the configuration, where fields that the device has follow.

    Wrong: a byte that is not 0.
    """
    await subject.start(queues=[])
    seen = False
    for (before, after), features in _FIELDS_BEHIND.items():
        behind = any(subject.offers(feature) for feature in (*features, _F.SECURE_ERASE, _F.ZONED))
        for offset in range(before.offset + before.size, after.offset) if behind else ():
            value = await Disk(subject).byte(offset)
            seen = True
            if value:
                raise Nonconformance("blk-01.04", f"byte {offset:#x} of the configuration is {value:#x}")
    if not seen:
        raise NotApplicable("no field of the device is behind padding")


@check("blk-01.06", ways=(Way.LEGACY,), needs=[_BLK])
async def legacy_disk_has_no_zones(subject: Subject) -> None:
    """Looks whether ZONED is offered by the legacy face.

    Wrong: it is.
    """
    if subject.offers(BlkFeature.ZONED):
        raise Nonconformance("blk-01.06", "the legacy face offers ZONED")


@check("blk-02.01", "blk-02.02", ways=WAYS, needs=[_BLK, has_medium])
async def capacity_change_is_notified(subject: Subject) -> None:
    """Makes the disk smaller from outside while the device works, and then as large as it was.

    Wrong: a capacity that changes without a configuration change notification.
    """
    medium = subject.medium
    assert isinstance(medium, DiskMedium)
    await subject.start()
    disk = Disk(subject)
    unit = await disk.unit()
    before = await disk.capacity()
    try:
        for sectors in (before - unit, before):
            arrived = subject.arrived[0]
            if not await medium.resize(sectors):
                raise NotApplicable("the size of the disk cannot be changed from here")
            await _follows(subject, disk, "capacity", sectors, arrived)
    finally:
        await medium.resize(before)


async def _follows(subject: Subject, disk: Disk, name: str, value: int, arrived: int) -> None:
    """A field of the configuration gets a value, and more than ``arrived`` notifications have come."""

    async def seen() -> bool:
        return await disk.field(name) == value

    async def notified() -> bool:
        return subject.arrived[0] > arrived

    clause = "blk-02.02" if name == "capacity" else "blk-02.12"
    await subject.until(seen, clause, f"{name} does not become {value}")
    text = f"no configuration change notification comes when {name} becomes {value}"
    await subject.until(notified, clause, text)


@check("blk-02.11", "blk-02.12", needs=[_BLK, has_medium, offers(BlkFeature.WRITE_ZEROES)])
async def change_of_unmap_is_notified(subject: Subject) -> None:
    """Changes from outside whether a write of zeroes may deallocate sectors.

    Wrong: a field that changes without a configuration change notification.
    """
    medium = subject.medium
    assert isinstance(medium, DiskMedium)
    await subject.start(BlkFeature.WRITE_ZEROES)
    disk = Disk(subject)
    for _ in range(2):
        before, arrived = await disk.field("write_zeroes_may_unmap"), subject.arrived[0]
        if not await medium.change_unmap():
            raise NotApplicable("whether sectors may be unmapped cannot be changed from here")
        await _follows(subject, disk, "write_zeroes_may_unmap", int(not before), arrived)
