"""A load of many queues, each of which keeps requests of its own in flight and rings its own doorbell."""

from typing import Any

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType

from ..errors import ParameterError
from ..guest.blk import TIMEOUT_CYCLES, BlkDevice, BlkRequest
from ..guest.errors import DeviceError
from ..guest.port import Port

__all__ = ["QueueLoad"]


class _Slot:
    """A buffer of one request, and the part of the disk that only it uses."""

    def __init__(self, port: Port, number: int, queue: int, size: int, disk: np.ndarray):
        self.queue = queue
        self.buffer = port.memory.allocate(size, 64)
        at = number * size % (len(disk) // size * size)
        self.sector = at // SECTOR_BYTES
        self.disk = disk[at : at + size]


class QueueLoad:
    """``depth`` requests of ``size`` bytes in flight, on all queues of ``disk`` alike.

    A request that ends makes room for the next on the same queue, with a doorbell of its own; the first
    doorbells come in the order that ``seed`` gives. So a queue that the device serves more often does more:
    ``done`` counts for each queue up to the end of the measurement, after ``total`` requests, which took
    ``cycles``. ``latencies`` are in cycles. Errors: :class:`DeviceError` for data that is wrong.
    """

    def __init__(self, port: Port, disk: BlkDevice, kind: str, size: int, depth: int, seed: int):
        if depth % disk.queues:
            raise ParameterError(
                f"depth is {depth}; it must be a multiple of the {disk.queues} queues in use"
            )
        self.port = port
        self.disk = disk
        self.kind = BlkRequestType.IN if kind == "read" else BlkRequestType.OUT
        self.done = np.zeros(disk.queues, np.int64)
        self.cycles = 0
        self.latencies: list[int] = []
        self._random = np.random.default_rng(seed)
        content = port.disk.array
        self._slots = [_Slot(port, n, n % disk.queues, size, content) for n in range(depth)]
        self._ended: list[BlkRequest] = []
        self._woken = port.event()

    async def run(self, total: int) -> None:
        """Do ``total`` requests, and let those that are then in flight end."""
        begin = self.port.now()
        order = self._random.permutation(len(self._slots))
        await self._submit([self._slots[n] for n in order])
        in_flight = len(self._slots)
        while in_flight:
            if not self._ended and not await self._woken.wait(TIMEOUT_CYCLES):
                await self.disk.timed_out(f"none of {in_flight} requests ended in {TIMEOUT_CYCLES} cycles")
            self._woken.clear()
            ended, self._ended = self._ended, []
            again = []
            for request in ended:
                in_flight -= 1
                slot = self._check(request)
                if len(self.latencies) < total:
                    self.done[slot.queue] += 1
                    self.latencies.append(request.ended - request.started)
                    self.cycles = self.port.now() - begin
                if len(self.latencies) + in_flight + len(again) < total:
                    again.append(slot)
            in_flight += len(again)
            await self._submit(again)
        for slot in self._slots:
            slot.buffer.free()

    async def _submit(self, slots: list[_Slot]) -> None:
        for slot in slots:
            if self.kind == BlkRequestType.OUT:
                slot.buffer.array[:] = self._random.integers(0, 256, len(slot.disk), np.uint8)
            else:
                slot.buffer.array[:] = 0
            sg = slot.buffer.sg
            request = self.disk.submit(self.kind, slot.sector, sg, self._end, slot, slot.queue)
            assert request is not None
            await self.disk.kick(slot.queue)

    def _end(self, request: BlkRequest) -> None:
        self._ended.append(request)
        self._woken.set()

    def _check(self, request: BlkRequest) -> _Slot:
        slot: Any = request.token
        if request.error is not None:
            raise request.error
        if not np.array_equal(slot.buffer.array, slot.disk):
            raise DeviceError(f"{request.name} on queue {slot.queue}: memory and disk differ afterwards")
        return slot
