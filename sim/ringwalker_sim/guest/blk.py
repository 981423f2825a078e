"""The block driver. It uses virtqueues and configuration operations, and knows no transport.

Ref: virtio 1.4, 5.2.
"""

import errno
from collections.abc import Callable, Sequence
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

from ..memory import dtype_of
from .bus import Matcher, VirtioDevice, VirtioDriver
from .device_driver import device_driver
from .errors import DeviceError, RequestError, RequestTimeout, VirtioError
from .port import Port, Task
from .virtqueue import Virtqueue

__all__ = ["BlkDevice", "BlkQueue", "BlkRequest", "blk_driver"]

WANTED = (
    1 << BlkFeature.BLK_SIZE
    | 1 << BlkFeature.FLUSH
    | 1 << BlkFeature.SEG_MAX
    | 1 << BlkFeature.SIZE_MAX
    | 1 << BlkFeature.RO
    | 1 << BlkFeature.MQ
)
"""Feature bits that the driver accepts where the device offers them."""

TIMEOUT_CYCLES = 20_000_000
"""Cycles after which a request counts as lost."""

NO_STATUS = 0xFF
"""The status byte before the device writes it."""

HEADER_BYTES = dtype_of(BlkRequestHeader).itemsize


class BlkRequest:
    """One request: ``type``, ``sector``, data ``sg`` and ``token`` come from the caller.

    The driver fills in ``started`` and ``ended`` (cycles, of the kick and of the completion seen),
    ``written`` (the used length in bytes), ``status``, and ``error`` (None, or the exception of the request).
    """

    __slots__ = (
        "callback",
        "ended",
        "error",
        "expected",
        "sector",
        "sg",
        "slot",
        "started",
        "status",
        "token",
        "type",
        "written",
    )

    def __init__(self, kind: int, sector: int, sg: Sequence[tuple[int, int]], callback: Any, token: Any):
        self.type = kind
        self.sector = sector
        self.sg = sg
        self.callback = callback
        self.token = token
        self.slot = -1
        self.started = self.ended = -1
        self.written = 0
        self.expected = 0
        self.status = NO_STATUS
        self.error: VirtioError | None = None

    @property
    def name(self) -> str:
        """Type and sector, for messages."""
        try:
            kind = BlkRequestType(self.type).name
        except ValueError:
            kind = f"type {self.type}"
        return f"{kind} at sector {self.sector}"


class BlkQueue:
    """A virtqueue with the headers and status bytes of the requests in it, at ``headers`` and ``statuses``.

    ``slots`` are the numbers of free headers, the next at the end. ``unkicked`` and ``pending`` are requests.
    """

    def __init__(self, port: Port, vq: Virtqueue):
        self.vq = vq
        self.slots = list(range(vq.size - 1, -1, -1))
        self.unkicked: list[BlkRequest] = []
        self.pending: dict[int, BlkRequest] = {}
        self.memory = (
            port.memory.allocate(vq.size * HEADER_BYTES, HEADER_BYTES),
            port.memory.allocate(vq.size, 1),
        )
        self.headers, self.statuses = (item.address for item in self.memory)
        view = port.memory.struct_view(self.headers, BlkRequestHeader, vq.size)
        self.type, self.sector = view["type"], view["sector"]
        self.status: np.ndarray = self.memory[1].array

    def free(self) -> None:
        for item in self.memory:
            item.free()


class BlkDevice:
    """A disk as the guest sees it: ``priv`` of a device that :func:`blk_driver` has probed.

    ``capacity`` is in 512-byte sectors, ``block_size`` in bytes. ``failure`` is None, or the exception that
    made the disk unusable; every request then ends with it.
    """

    def __init__(self, port: Port, device: VirtioDevice, queues: int | None = None, ring_features: int = 0):
        self.port = port
        self.device = device
        self.features = 0
        self.capacity = 0
        self.block_size = SECTOR_BYTES
        self.failure: VirtioError | None = None
        self.capacity_changes = 0
        self._wanted_queues = queues
        self._ring_features = ring_features
        self._queues: list[BlkQueue] = []
        self._changed = port.event()
        self._watcher: Task | None = None

    # --- life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Negotiate, read the configuration, set up the queues, and set DRIVER_OK."""
        config = self.device.config
        self.features = await config.negotiate(WANTED | self._ring_features)
        await self._read_config()
        count = 1
        if self.has(BlkFeature.MQ):
            count = await config.get(BLK_CONFIG.num_queues)
        for index in range(min(count, self._wanted_queues or count)):
            self._queues.append(BlkQueue(self.port, await config.find_vq(index, self._used)))
        config.on_change(self._changed.set)
        self._watcher = self.port.start(self._watch())
        await config.driver_ok()

    async def close(self) -> None:
        """Reset the device and end the outstanding requests."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        config = self.device.config
        config.on_change(None)
        await config.reset()
        self.fail(RequestError("the device was removed"))
        for queue in self._queues:
            await config.del_vq(queue.vq)
            queue.free()
        self._queues.clear()

    async def _read_config(self) -> None:
        config = self.device.config
        self.capacity = await config.get(BLK_CONFIG.capacity)
        if self.has(BlkFeature.BLK_SIZE):
            self.block_size = await config.get(BLK_CONFIG.blk_size)

    async def _watch(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            before = self.capacity
            try:
                if await self.device.config.needs_reset():
                    raise DeviceError("the device has set DEVICE_NEEDS_RESET")
                await self._read_config()
            except VirtioError as error:
                self.fail(error)
                return
            self.capacity_changes += self.capacity != before

    def has(self, feature: BlkFeature) -> bool:
        """Whether the driver has accepted ``feature``."""
        return bool(self.features >> feature & 1)

    @property
    def read_only(self) -> bool:
        """Whether the device says that it takes no writes."""
        return self.has(BlkFeature.RO)

    @property
    def queues(self) -> int:
        """Number of queues in use."""
        return len(self._queues)

    def queue_size(self, queue: int = 0) -> int:
        """Descriptors of a queue."""
        return self._queues[queue].vq.size

    def room(self, queue: int = 0) -> int:
        """Free descriptors of a queue."""
        return self._queues[queue].vq.num_free

    def descriptors(self, pieces: int, queue: int = 0) -> int:
        """Descriptors that a request with data in ``pieces`` pieces occupies in a queue."""
        return self._queues[queue].vq.descriptors(2 + pieces)

    def place(self, queue: int) -> BlkQueue:
        """Queue ``queue``, for who goes on in place of this driver and brings all back in order."""
        return self._queues[queue]

    # --- queued interface ----------------------------------------------------------------------------------

    def submit(
        self,
        kind: int,
        sector: int,
        sg: Sequence[tuple[int, int]],
        callback: Callable[[BlkRequest], None],
        token: Any = None,
        queue: int = 0,
    ) -> BlkRequest | None:
        """Add a request to a queue; None when the queue is full. The device sees it with :meth:`kick`.

        ``sg`` is the data, as (address, length) pairs: the device reads it for OUT and writes it otherwise.
        ``callback(request)`` runs when the request ends, also with an error. Errors: the ``failure`` of the
        disk, :class:`RequestError` for an OUT to a read-only one, ``ValueError`` for a bad ``sg``.
        """
        if self.failure is not None:
            raise self.failure
        if kind == BlkRequestType.OUT and self.read_only:
            raise RequestError(f"OUT at sector {sector}: the disk is read-only")
        place = self._queues[queue]
        if not place.slots:
            return None
        request = BlkRequest(kind, sector, sg, callback, token)
        slot = place.slots[-1]
        header = (place.headers + slot * HEADER_BYTES, HEADER_BYTES)
        status = (place.statuses + slot, 1)
        place.type[slot] = kind
        place.sector[slot] = sector
        place.status[slot] = NO_STATUS
        out = len(sg) if kind == BlkRequestType.OUT else 0
        request.expected = 1 + (0 if out else sum(length for _, length in sg))
        result = place.vq.add_buf([header, *sg, status], 1 + out, 1 + len(sg) - out, request)
        if result == -errno.ENOSPC:
            return None
        if result:
            raise ValueError(f"{request.name}: add_buf gives {errno.errorcode[-result]} for data {list(sg)}")
        request.slot = place.slots.pop()
        place.pending[slot] = request
        place.unkicked.append(request)
        return request

    async def kick(self, queue: int = 0) -> None:
        """Notify the device of the submitted requests. Their latency counts from here."""
        place = self._queues[queue]
        now = self.port.now()
        for request in place.unkicked:
            request.started = now
        place.unkicked.clear()
        await place.vq.kick()

    def _used(self, vq: Virtqueue) -> bool:
        place = self._queues[vq.index]
        now = self.port.now()
        try:
            while (used := vq.get_buf()) is not None:
                request, request.written = used[0], used[1]
                request.ended = now
                slot = request.slot
                request.status = int(place.status[slot])
                del place.pending[slot]
                place.slots.append(slot)
                request.error = self.judge(request)
                request.callback(request)
        except DeviceError as error:
            self.fail(error)
        return True

    @staticmethod
    def judge(request: BlkRequest) -> VirtioError | None:
        """What is wrong with how a request has ended, by its ``status`` and ``written``; or None."""
        if request.status == BlkStatus.OK:
            least = request.expected
            if request.type == BlkRequestType.GET_ID and request.expected > ID_BYTES + 1:
                # Between the string and the status is a gap, behind which a device need not count.
                least = ID_BYTES
            if least <= request.written <= request.expected:
                return None
            return DeviceError(
                f"{request.name}: status OK with a used length of {request.written} bytes; "
                f"it must be {request.expected}"
            )
        if request.status == NO_STATUS:
            return DeviceError(f"{request.name}: used without a status ({request.written} bytes written)")
        try:
            return RequestError(f"{request.name}: {BlkStatus(request.status).name}")
        except ValueError:
            return DeviceError(f"{request.name}: status {request.status} does not exist")

    def fail(self, error: VirtioError) -> None:
        """End all requests with ``error``."""
        if self.failure is None:
            self.failure = error
        for place in self._queues:
            place.unkicked.clear()
            pending, place.pending = place.pending, {}
            for request in pending.values():
                request.error = self.failure
                request.ended = self.port.now()
                request.callback(request)

    # --- one at a time -------------------------------------------------------------------------------------

    async def request(
        self, kind: int, sector: int, sg: Sequence[tuple[int, int]], queue: int = 0
    ) -> BlkRequest:
        """Do one request and wait for it. Errors: :class:`VirtioError` of its kind."""
        done = self.port.event()
        request = self.submit(kind, sector, sg, lambda _request: done.set(), queue=queue)
        if request is None:
            raise RequestError(f"queue {queue} is full")
        await self.kick(queue)
        if not await done.wait(TIMEOUT_CYCLES):
            await self.timed_out(f"{request.name} was not answered in {TIMEOUT_CYCLES} cycles")
        if request.error is not None:
            raise request.error
        return request

    async def timed_out(self, what: str) -> None:
        """Fail the disk and raise :class:`RequestTimeout`, which says whether the device has failed."""
        failed = await self.device.config.needs_reset()
        error = RequestTimeout(what + ("; the device has set DEVICE_NEEDS_RESET" if failed else ""))
        self.fail(error)
        raise error

    async def read(self, sector: int, count: int, queue: int = 0) -> bytes:
        """Read ``count`` sectors from ``sector`` on."""
        with self.port.memory.allocate(count * SECTOR_BYTES, SECTOR_BYTES) as buffer:
            await self.request(BlkRequestType.IN, sector, buffer.sg, queue)
            return buffer.array.tobytes()

    async def write(self, sector: int, data: bytes, queue: int = 0) -> None:
        """Write ``data``, whole sectors, from ``sector`` on."""
        if not data or len(data) % SECTOR_BYTES:
            raise ValueError(f"data has {len(data)} bytes; it must be a multiple of {SECTOR_BYTES}, not 0")
        with self.port.memory.allocate(len(data), SECTOR_BYTES) as buffer:
            buffer.array[:] = np.frombuffer(data, np.uint8)
            await self.request(BlkRequestType.OUT, sector, buffer.sg, queue)

    async def flush(self, queue: int = 0) -> None:
        """Write the device's cache to stable storage."""
        await self.request(BlkRequestType.FLUSH, 0, [], queue)

    async def get_id(self, queue: int = 0, room: int = ID_BYTES) -> str:
        """Read the serial number into a buffer of ``room`` bytes, of which the device uses 20 at most."""
        with self.port.memory.allocate(room) as buffer:
            await self.request(BlkRequestType.GET_ID, 0, buffer.sg, queue)
            return buffer.array.tobytes().split(b"\0")[0].decode("ascii", "replace")


def blk_driver(
    port: Port, *, queues: int | None = None, ids: Sequence[Matcher] = (), ring_features: int = 0
) -> VirtioDriver:
    """The block driver, for a bus.

    ``queues`` limits the number of queues, ``ids`` are further ids that it matches, and ``ring_features`` (a
    mask, of ``RING_FEATURES``) are accepted where the device offers them.
    """
    return device_driver(DeviceType.BLK, lambda device: BlkDevice(port, device, queues, ring_features), ids)
