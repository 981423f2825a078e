"""A disk in Python with all requests but those about zones, as a reference for checks."""

from dataclasses import replace
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.function.kind import FunctionKind
from ringwalker.spec.blk import (
    BLK_CONFIG,
    BLK_RANGE_CONFIG,
    SECTOR_BYTES,
    BlkFeature,
    BlkLifetime,
    BlkPreEol,
    BlkRange,
    BlkRequestType,
    BlkStatus,
)
from ringwalker.spec.ids import CLASS_CODES, DeviceType
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.registers import Access, Register, RegisterTable

from ...disk_image import DiskImage
from ...function.simulation import FunctionSimulation
from ...golden.blk import BlkModel
from ...golden.function import Schedule
from ...guest.blk import blk_driver
from ...memory import dtype_of

__all__ = ["BLK_WHOLE", "KIND", "NOTHING", "SIMULATION", "ReferenceBlk", "open_blank"]

NOTHING = np.empty(0, np.uint8)
_UNMAP = 1
_SEGMENTS = 4
_RANGED = (BlkRequestType.DISCARD, BlkRequestType.WRITE_ZEROES, BlkRequestType.SECURE_ERASE)
_F = BlkFeature

_PADDING = Register("unused2", BLK_RANGE_CONFIG.model.offset + 1, 24, Access.RO, "Padding.")
BLK_WHOLE = RegisterTable(
    "reference_blk_config",
    "The configuration of a block device, whole.",
    tuple(
        replace(row, access=Access.RW) if row.name == "writeback" else row
        for row in (*BLK_CONFIG.registers, *BLK_RANGE_CONFIG.registers, _PADDING)
    ),
)


class ReferenceBlk(BlkModel):
    """See the module. ``unmaps``: a write of zeroes may deallocate sectors."""

    table = BLK_WHOLE
    offers = (
        _F.CONFIG_WCE,
        _F.DISCARD,
        _F.WRITE_ZEROES,
        _F.LIFETIME,
        _F.SECURE_ERASE,
        _F.SIZE_MAX,
        _F.TOPOLOGY,
        _F.MQ,
    )

    def __init__(self, schedule: Schedule, disk: DiskImage, **options: Any):
        super().__init__(schedule, disk, **options)
        self.features |= sum(1 << feature for feature in self.offers)
        self.lifetime = (int(BlkPreEol.NORMAL), 3, 0)
        for name, value in (
            ("size_max", 1 << 16),
            ("writeback", 1),
            ("max_discard_sectors", 1024),
            ("max_discard_seg", _SEGMENTS),
            ("discard_sector_alignment", 8),
            ("max_write_zeroes_sectors", 1024),
            ("max_write_zeroes_seg", _SEGMENTS),
            ("write_zeroes_may_unmap", 1),
            ("max_secure_erase_sectors", 1024),
            ("max_secure_erase_seg", _SEGMENTS),
            ("secure_erase_sector_alignment", 16),
        ):
            self.put(name, value)

    def has(self, feature: int) -> bool:
        """Whether a feature was accepted."""
        return bool(self.driver_features >> feature & 1)

    def change_unmap(self) -> None:
        """Change whether a write of zeroes may deallocate sectors."""
        self.put("write_zeroes_may_unmap", int(not self.get("write_zeroes_may_unmap")))
        self.changed()

    def write_status(self, value: int) -> None:
        """With CONFIG_WCE and without FLUSH the cache begins as writethrough."""
        super().write_status(value)
        if self.status & DeviceStatus.FEATURES_OK and not self.status & DeviceStatus.DRIVER_OK:
            self.put("writeback", int(self.first_writeback()))

    def first_writeback(self) -> bool:
        """The cache mode after the negotiation of features."""
        return self.has(_F.FLUSH) or not self.has(_F.CONFIG_WCE)

    def _answer(self, kind: int, sector: int, data: np.ndarray, room: int) -> tuple[np.ndarray, int]:
        if kind in _RANGED and self.has(_F[BlkRequestType(kind).name]):
            return NOTHING, self.ranges(BlkRequestType(kind), data.copy().view(dtype_of(BlkRange)))
        if kind == BlkRequestType.GET_LIFETIME and self.has(_F.LIFETIME):
            row = np.array([self.lifetime], dtype_of(BlkLifetime))
            return row.view(np.uint8)[:room], BlkStatus.OK
        return super()._answer(kind, sector, data, room)

    def refuses(self, kind: BlkRequestType, flags: int) -> bool:
        """Whether a range may not have these flags."""
        return bool(flags & ~(_UNMAP if kind == BlkRequestType.WRITE_ZEROES else 0))

    def ranges(self, kind: BlkRequestType, ranges: np.ndarray) -> int:
        """A request about ranges; its status."""
        if self.disk.read_only:
            return BlkStatus.IOERR
        if any(self.refuses(kind, int(row["flags"])) for row in ranges):
            return BlkStatus.UNSUPP
        pieces = [(int(row["sector"]), int(row["num_sectors"])) for row in ranges]
        alignments = {
            BlkRequestType.DISCARD: self.get("discard_sector_alignment"),
            BlkRequestType.SECURE_ERASE: self.get("secure_erase_sector_alignment"),
        }
        alignment = alignments.get(kind, 1)
        if any(start + count > self.capacity or (start | count) % alignment for start, count in pieces):
            return BlkStatus.IOERR
        return self.clear(kind, pieces)

    def clear(self, kind: BlkRequestType, pieces: list[tuple[int, int]]) -> int:
        """Fill ranges with zeroes, which is what each kind does here."""
        for start, count in pieces:
            self.disk.write(start * SECTOR_BYTES, np.zeros(count * SECTOR_BYTES, np.uint8))
        return BlkStatus.OK


def _model(config: DeviceConfig, schedule: Schedule, disk: DiskImage, **options: Any) -> ReferenceBlk:
    return ReferenceBlk(schedule, disk, queues=config.queues, queue_size=config.queue_size, **options)


def open_blank(config: DeviceConfig, *_arguments: Any) -> DiskImage:
    """A blank disk in memory."""
    return DiskImage.blank(config.settings.capacity)


def _no_hardware(_config: DeviceConfig) -> None:
    """There is none."""


KIND = FunctionKind(
    name="reference_blk",
    device_type=DeviceType.BLK,
    component=_no_hardware,
    class_code=CLASS_CODES[DeviceType.BLK],
    queues=3,
    feature_bits=BlkFeature,
    settings=BlkSettings,
    device_config=BLK_WHOLE,
    simulation=f"{__name__}:SIMULATION",
)
"""The reference as a function."""

SIMULATION = FunctionSimulation(driver=blk_driver, model=_model, open_disk=open_blank)
