"""Zones of a block device, for the checks of them. Ref: virtio 1.4, 5.2.6."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import numpy as np

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

from ...guest.errors import VirtioError
from ...memory import dtype_of
from ..check import Nonconformance, NotApplicable
from .disk import Disk

__all__ = ["Zone", "ZonedDisk"]

_MOST_ZONES = 64
"""Zones of a report."""

_FIELDS = {"capacity": "z_cap", "start": "z_start", "pointer": "z_wp", "type": "z_type", "state": "z_state"}


@dataclass(frozen=True)
class Zone:
    """A zone as a report shows it, in sectors."""

    start: int
    capacity: int
    pointer: int
    type: int
    state: int


class ZonedDisk(Disk):
    """A block device with zones that was started."""

    async def report(self, sector: int = 0, count: int = _MOST_ZONES) -> list[Zone]:
        """The zones from the one with ``sector`` on, up to ``count``."""
        room = (1 + count) * ZONE_BYTES
        answer = await self.expect("blk-01.10", BlkStatus.OK, BlkRequestType.ZONE_REPORT, sector, room=room)
        number = int.from_bytes(answer.data[:8], "little")
        if number > count:
            raise Nonconformance("blk-01.10", f"a report with room for {count} zones says {number}")
        zones, dtype = [], dtype_of(BlkZoneDescriptor)
        for at in range(ZONE_BYTES, (1 + number) * ZONE_BYTES, ZONE_BYTES):
            row = np.frombuffer(answer.data[at : at + dtype.itemsize], dtype)[0]
            zones.append(Zone(**{name: int(row[field]) for name, field in _FIELDS.items()}))
        return zones

    async def state(self, zone: Zone) -> Zone:
        """A zone as it is now."""
        return (await self.report(zone.start, 1))[0]

    async def model(self) -> int:
        """The kind of disk."""
        return await self.field("model")

    async def act(self, kind: BlkRequestType, zone: Zone, clause: str, *allowed: int) -> int:
        """A request about a zone that ends with one of the statuses ``allowed``."""
        answer = await self.request(kind, zone.start, clause=clause)
        if answer.status not in allowed:
            names = " or ".join(BlkStatus(status).name for status in allowed)
            text = f"{kind.name} of a zone in state {zone.state} ends with {answer.status}, not {names}"
            raise Nonconformance(clause, text)
        assert answer.status is not None
        return answer.status

    async def block(self) -> int:
        """Sectors of the shortest write."""
        return max(1, await self.field("write_granularity") // SECTOR_BYTES)

    @asynccontextmanager
    async def empty_zones(self, count: int) -> AsyncIterator[list[Zone]]:
        """Sequential zones that are empty, for the time of a ``with`` block; they are reset behind it."""
        if await self.model() == BlkZoneModel.NONE:
            raise NotApplicable("the disk has no zones")
        sequential = (BlkZoneType.SWR, BlkZoneType.SWP)
        found = [
            zone
            for zone in await self.report()
            if zone.type in sequential and zone.state == BlkZoneState.EMPTY
        ][:count]
        if len(found) < count:
            raise NotApplicable(f"{count} empty zones are wanted, and {len(found)} are in the report")
        try:
            yield found
        except Exception:
            with suppress(Nonconformance, NotApplicable, VirtioError):
                await self.subject.start(BlkFeature.ZONED)
                await self._reset(found)
            raise
        await self._reset(found)

    async def _reset(self, zones: Sequence[Zone]) -> None:
        for zone in zones:
            await self.request(BlkRequestType.ZONE_RESET, zone.start, clause="blk-02.24")
