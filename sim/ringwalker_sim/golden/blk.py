"""A block device in plain Python. Ref: virtio 1.4, 5.2."""

from typing import Any

import numpy as np

from ringwalker.spec.blk import (
    BLK_CONFIG,
    ID_BYTES,
    SECTOR_BYTES,
    BlkFeature,
    BlkRequestHeader,
    BlkRequestType,
    BlkStatus,
)
from ringwalker.spec.ids import DeviceType

from ..disk_image import DiskFailure, DiskImage
from ..memory import dtype_of
from .function import FunctionModel, Request, Schedule

__all__ = ["BlkModel"]

_HEADER = dtype_of(BlkRequestHeader)
_NOTHING = np.empty(0, np.uint8)


class BlkModel(FunctionModel):
    """The device of ``disk``, which says that it is read-only if it is. What the store under it refuses is
    answered IOERR.

    Each request is executed at once, ``latency`` cycles after its arrival and up to ``jitter`` more (seeded),
    so requests complete out of order. ``capacity`` is in 512-byte sectors.
    """

    device_type = DeviceType.BLK
    table = BLK_CONFIG

    def __init__(
        self,
        schedule: Schedule,
        disk: DiskImage,
        *,
        queues: int = 1,
        block_size: int = 512,
        serial: str = "ringwalker",
        jitter: int = 50,
        **common: Any,
    ):
        features = 1 << BlkFeature.BLK_SIZE | 1 << BlkFeature.FLUSH | 1 << BlkFeature.SEG_MAX
        features |= (queues > 1) << BlkFeature.MQ | disk.read_only << BlkFeature.RO
        super().__init__(schedule, queues=queues, features=features, **common)
        self.disk = disk
        self.block_size = block_size
        self.serial = serial
        self.jitter = jitter
        self.capacity = disk.sectors

    def config_bytes(self) -> bytes:
        """The present device configuration."""
        self.put("capacity", self.capacity)
        self.put("seg_max", self.queue_size - 2)
        self.put("blk_size", self.block_size)
        self.put("num_queues", self.queue_count if self.queue_count > 1 else 0)
        return bytes(self.content)

    def set_capacity(self, sectors: int) -> None:
        """Change the size of the disk, with a configuration change notification."""
        self.capacity = sectors
        self.changed()

    def take(self, queue: int, request: Request) -> None:
        """Schedule a request."""

        def serve() -> None:
            if request.live:
                request.finish(*self._execute(request.read(), request.room))

        self.schedule(self.latency + self.random.randint(0, self.jitter), serve)

    def _execute(self, readable: np.ndarray, room: int) -> tuple[np.ndarray, bytes]:
        """Execute one request: its data, and its status byte."""
        if len(readable) < _HEADER.itemsize or room < 1:
            return _NOTHING, b""
        header = readable[: _HEADER.itemsize].view(_HEADER)[0]
        data = readable[_HEADER.itemsize :]
        answer, status = self._answer(int(header["type"]), int(header["sector"]), data, room - 1)
        return answer, bytes([status])

    def _answer(self, kind: int, sector: int, data: np.ndarray, room: int) -> tuple[np.ndarray, int]:
        start = sector * SECTOR_BYTES
        length = room if kind == BlkRequestType.IN else len(data)
        if kind in (BlkRequestType.IN, BlkRequestType.OUT) and (
            length == 0 or length % SECTOR_BYTES or start + length > self.capacity * SECTOR_BYTES
        ):
            return _NOTHING, BlkStatus.IOERR
        if kind == BlkRequestType.OUT and self.disk.read_only:
            return _NOTHING, BlkStatus.IOERR
        try:
            if kind == BlkRequestType.IN:
                return self.disk.read(start, length), BlkStatus.OK
            if kind == BlkRequestType.OUT:
                self.disk.write(start, data)
                return _NOTHING, BlkStatus.OK
            if kind == BlkRequestType.FLUSH:
                self.disk.flush()
                return _NOTHING, BlkStatus.OK
        except DiskFailure:
            return _NOTHING, BlkStatus.IOERR
        if kind == BlkRequestType.GET_ID:
            name = self.serial.encode().ljust(ID_BYTES, b"\0")[:room]
            return np.frombuffer(name, np.uint8), BlkStatus.OK
        return _NOTHING, BlkStatus.UNSUPP
