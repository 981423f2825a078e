"""A small disk with zones in Python, as a reference for checks. Ref: virtio 1.4, 5.2.6."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import (
    SECTOR_BYTES,
    ZONE_BYTES,
    BlkFeature,
    BlkRequestType,
    BlkStatus,
    BlkZoneDescriptor,
    BlkZoneModel,
    BlkZoneState,
    BlkZoneType,
)
from ringwalker.spec.modern import DeviceStatus

from ...disk_image import DiskImage
from ...function.simulation import FunctionSimulation
from ...golden.function import Schedule
from ...guest.blk import blk_driver
from ...memory import dtype_of
from .reference_blk import KIND as BLK_KIND
from .reference_blk import NOTHING, ReferenceBlk, open_blank

__all__ = ["AWARE_SIMULATION", "HOST_AWARE", "KIND", "SIMULATION", "ReferenceZones", "ZoneModel"]

SECTORS, ZONES = 32, 12
"""Sectors of a zone, and how many zones there are; the last has half of that, and one is offline."""

_CONVENTIONAL, _OFFLINE = 2, 3
_F, _S, _T = BlkFeature, BlkZoneState, BlkStatus
_OPEN = (_S.IOPEN, _S.EOPEN)
_ACTIVE = (*_OPEN, _S.CLOSED)
_WRITABLE = (_S.EMPTY, *_ACTIVE)
_LOST = (_S.RDONLY, _S.OFFLINE)
_FIELDS = ("zone_sectors", "max_open_zones", "max_active_zones", "max_append_sectors", "write_granularity")
_VALUES = (SECTORS, 2, 4, 8, 2 * SECTOR_BYTES)


@dataclass
class ZoneModel:
    """A zone, in sectors."""

    start: int
    capacity: int
    type: BlkZoneType
    state: BlkZoneState
    pointer: int

    @property
    def sequential(self) -> bool:
        """Whether it has a write pointer."""
        return self.type != BlkZoneType.CONV


class ReferenceZones(ReferenceBlk):
    """See the module. ``zones`` are its zones; the first are conventional."""

    offers = (_F.ZONED, _F.SECURE_ERASE, _F.SIZE_MAX)
    model = BlkZoneModel.HOST_MANAGED

    def __init__(self, schedule: Schedule, disk: DiskImage, **options: Any):
        super().__init__(schedule, disk, **options)
        self.capacity = SECTORS * ZONES - SECTORS // 2
        self.put("secure_erase_sector_alignment", SECTORS)
        kind = BlkZoneType.SWR if self.model == BlkZoneModel.HOST_MANAGED else BlkZoneType.SWP
        self.zones = [self._zone(number, kind) for number in range(ZONES)]
        for zone in self.zones:
            if zone.state == _S.EMPTY:
                self.reset_zone(zone)

    def _zone(self, number: int, kind: BlkZoneType) -> ZoneModel:
        start = number * SECTORS
        capacity = min(SECTORS, self.capacity - start)
        if number < _CONVENTIONAL:
            return ZoneModel(start, capacity, BlkZoneType.CONV, _S.NOT_WP, start)
        return ZoneModel(start, capacity, kind, _S.OFFLINE if number == _OFFLINE else _S.EMPTY, start)

    def config_bytes(self) -> bytes:
        """The present device configuration; what is about zones with ZONED only."""
        zoned = self.has(_F.ZONED)
        for name, value in (*zip(_FIELDS, _VALUES, strict=True), ("model", self.model)):
            self.put(name, value if zoned else 0)
        return super().config_bytes()

    def write_status(self, value: int) -> None:
        """A host-managed disk needs ZONED."""
        if self.model == BlkZoneModel.HOST_MANAGED and not self.has(_F.ZONED):
            value &= ~DeviceStatus.FEATURES_OK
        super().write_status(value)

    # --- requests ------------------------------------------------------------------------------------------

    def _answer(self, kind: int, sector: int, data: np.ndarray, room: int) -> tuple[np.ndarray, int]:
        count = (room if kind == BlkRequestType.IN else len(data)) // SECTOR_BYTES
        if not self.has(_F.ZONED) or kind not in tuple(BlkRequestType) or not 0 <= sector < self.capacity:
            return super()._answer(kind, sector, data, room)
        zone = self.zones[sector // SECTORS]
        if kind == BlkRequestType.ZONE_REPORT:
            return self.report(sector // SECTORS, room), _T.OK
        if kind == BlkRequestType.ZONE_APPEND:
            return self.append(zone, sector, data)
        action = {
            BlkRequestType.ZONE_OPEN: self.open,
            BlkRequestType.ZONE_CLOSE: self.close,
            BlkRequestType.ZONE_FINISH: self.finish,
            BlkRequestType.ZONE_RESET: self.reset_zone,
        }.get(BlkRequestType(kind))
        if action is not None:
            valid = zone.sequential and zone.start == sector and zone.state not in _LOST
            return NOTHING, action(zone) if valid else _T.ZONE_INVALID_CMD
        if kind == BlkRequestType.ZONE_RESET_ALL:
            for each in self.zones:
                if each.sequential and each.state not in _LOST:
                    self.reset_zone(each)
            return NOTHING, _T.OK
        if zone.sequential and kind in (BlkRequestType.IN, BlkRequestType.OUT):
            if sector + count > zone.start + SECTORS or zone.state == _S.OFFLINE:
                return NOTHING, _T.ZONE_INVALID_CMD
            if kind == BlkRequestType.OUT:
                return NOTHING, self.write(zone, sector, data)
        return super()._answer(kind, sector, data, room)

    def report(self, first: int, room: int) -> np.ndarray:
        """The zones from one on, as many as there is room for."""
        zones = self.zones[first : first + room // ZONE_BYTES - 1]
        content = np.zeros((1 + len(zones)) * ZONE_BYTES, np.uint8)
        content[:8].view("<u8")[0] = len(zones)
        dtype = dtype_of(BlkZoneDescriptor)
        for at, zone in enumerate(zones, 1):
            values = (zone.capacity, zone.start, zone.pointer, zone.type, zone.state)
            row = np.array([values], dtype).view(np.uint8)
            content[at * ZONE_BYTES : at * ZONE_BYTES + dtype.itemsize] = row
        return content

    def append(self, zone: ZoneModel, sector: int, data: np.ndarray) -> tuple[np.ndarray, int]:
        """Append to a zone: the sector of the data, and the status."""
        most, at = self.get("max_append_sectors"), zone.pointer
        if not most:
            return NOTHING, _T.UNSUPP
        if not zone.sequential or sector != zone.start or len(data) > most * SECTOR_BYTES:
            return NOTHING, _T.ZONE_INVALID_CMD
        status = self.write(zone, at, data)
        return self.said(at) if status == _T.OK else NOTHING, status

    def said(self, sector: int) -> np.ndarray:
        """The field ``append_sector``."""
        return np.frombuffer(sector.to_bytes(8, "little"), np.uint8)

    def write(self, zone: ZoneModel, sector: int, data: np.ndarray) -> int:
        """Write to a zone; the status."""
        count = len(data) // SECTOR_BYTES
        if zone.state not in _WRITABLE or sector + count > zone.start + zone.capacity:
            return _T.ZONE_INVALID_CMD
        if zone.type == BlkZoneType.SWR and not self.aligned(zone, sector, len(data)):
            return _T.ZONE_UNALIGNED_WP
        if zone.state not in _OPEN:
            status = self.resources(zone)
            if status != _T.OK:
                return status
            zone.state = _S.IOPEN
        _nothing, status = super()._answer(BlkRequestType.OUT, sector, data, 0)
        zone.pointer = max(zone.pointer, sector + count)
        if zone.pointer == zone.start + zone.capacity:
            zone.state = _S.FULL
        return status

    def aligned(self, zone: ZoneModel, sector: int, length: int) -> bool:
        """Whether a write is at the write pointer, and of the right length."""
        return sector == zone.pointer and not length % self.get("write_granularity")

    # --- states --------------------------------------------------------------------------------------------

    def resources(self, zone: ZoneModel) -> int:
        """Whether a zone can be opened; an implicitly open one may be closed for that."""
        active = sum(each.state in _ACTIVE for each in self.zones)
        if zone.state not in _ACTIVE and active >= self.get("max_active_zones"):
            return _T.ZONE_ACTIVE_RESOURCE
        if sum(each.state in _OPEN for each in self.zones) >= self.get("max_open_zones"):
            victim = next((each for each in self.zones if each.state == _S.IOPEN), None)
            if victim is None:
                return _T.ZONE_OPEN_RESOURCE
            victim.state = _S.CLOSED
        return _T.OK

    def open(self, zone: ZoneModel) -> int:
        """Open a zone explicitly."""
        if zone.state not in _WRITABLE:
            return _T.ZONE_INVALID_CMD
        status = _T.OK if zone.state in _OPEN else self.resources(zone)
        if status == _T.OK:
            zone.state = _S.EOPEN
        return status

    def close(self, zone: ZoneModel) -> int:
        """Close a zone."""
        if zone.state not in _ACTIVE:
            return _T.ZONE_INVALID_CMD
        zone.state = _S.EMPTY if zone.pointer == zone.start else _S.CLOSED
        return _T.OK

    def finish(self, zone: ZoneModel) -> int:
        """Make a zone full."""
        zone.state = _S.FULL
        return _T.OK

    def reset_zone(self, zone: ZoneModel) -> int:
        """Make a zone empty; what it held is gone."""
        self.disk.write(zone.start * SECTOR_BYTES, np.zeros(zone.capacity * SECTOR_BYTES, np.uint8))
        zone.state, zone.pointer = _S.EMPTY, zone.start
        return _T.OK

    def clear(self, kind: BlkRequestType, pieces: list[tuple[int, int]]) -> int:
        """Erase whole zones."""
        for start, count in pieces:
            for zone in self.zones[start // SECTORS : (start + count) // SECTORS]:
                self.reset_zone(zone)
        return _T.OK


class _HostAware(ReferenceZones):
    model = BlkZoneModel.HOST_AWARE


def _managed(config: DeviceConfig, schedule: Schedule, disk: DiskImage, **options: Any) -> ReferenceZones:
    return ReferenceZones(schedule, disk, queues=1, queue_size=config.queue_size, **options)


def _aware(config: DeviceConfig, schedule: Schedule, disk: DiskImage, **options: Any) -> ReferenceZones:
    return _HostAware(schedule, disk, queues=1, queue_size=config.queue_size, **options)


SIMULATION = FunctionSimulation(driver=blk_driver, model=_managed, open_disk=open_blank)
AWARE_SIMULATION = FunctionSimulation(driver=blk_driver, model=_aware, open_disk=open_blank)

KIND = replace(BLK_KIND, name="reference_zones", queues=1, simulation=f"{__name__}:SIMULATION")
"""The host-managed disk as a function."""

HOST_AWARE = replace(BLK_KIND, name="reference_aware", queues=1, simulation=f"{__name__}:AWARE_SIMULATION")
"""The host-aware one."""
