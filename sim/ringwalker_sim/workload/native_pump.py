"""A pump of block requests that lets the native engine do what is the same for every request.

The first requests are Python's. Then C++ takes the queues with all that is in flight, and does the same with
the same descriptors and buffers in the same cycles (:mod:`..engine.native.pump`). Python looks at what has
ended many requests at a time, and takes the queues back at the end, or when a ring makes no sense: then the
driver finds out and says what is wrong.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkRequestType

from ..engine.native.pump import CBlockLoad, CBlockQueue, NativePump, operation_type
from ..guest.blk import HEADER_BYTES, TIMEOUT_CYCLES, BlkDevice, BlkRequest
from ..guest.ring_queue import QueueSignals
from ..guest.virtqueue import Chain
from .block_pump import POISON, Pump, Slot
from .disk_phases import Operation, Phase
from .lent_queue import LentQueue, signals_of, until_stopped
from .synthetic import Synthetic

__all__ = ["FastPump", "pump_for"]

_BATCH = 256
_BATCH_BYTES = 16 << 20
_MOST = 1 << 22
"""Requests that C++ is given, all at once. A workload of more is Python's, which makes them up as it goes."""


def pump_for(port: Any, disk: BlkDevice, phase: Phase, depth: int) -> Pump:
    """The fastest pump there is for a phase on a disk behind a port. Errors: as those of :class:`Pump`."""
    native = getattr(port, "engine", None) is not None and port.recorder is None
    fast = native and isinstance(phase, Synthetic) and phase.total <= _MOST
    return (FastPump if fast else Pump)(port, disk, phase, depth)


class FastPump(Pump):
    """A :class:`Pump` of a :class:`Synthetic` phase on a port of the native engine."""

    port: Any
    phase: Synthetic
    _lent = False
    """C++ has done what it can."""

    async def _elsewhere(self, free: list[Slot], report: Callable[[], None]) -> bool:
        """Let C++ have the queues, if they are as it knows them, and each has a doorbell and a message."""
        all_signals = [self._signals(number) for number in range(self.disk.queues)]
        signals = [item for item in all_signals if item is not None]
        if self._lent or len(signals) < len(all_signals):
            return False
        self._lent = True
        self._by_address = {slot.address: slot for slot in self._slots}
        lent = [self._lend(number, item) for number, item in enumerate(signals)]
        slots = [self._free_slots(number) for number in range(len(lent))]
        buffers = np.array([slot.address for slot in free] + [0] * self._in_flight, np.uint64)
        disk_queues = (CBlockQueue * len(lent))(
            *(self._disk_queue(n, array) for n, array in enumerate(slots))
        )
        load = self._load(disk_queues, buffers, len(free))
        pump = NativePump(
            self.port.engine,
            self.port.memory,
            load,
            [item.queue for item in lent],
            batch=max(1, min(_BATCH, _BATCH_BYTES // self.phase.largest)),
            depth=self.depth,
            row_bytes=self.phase.largest,
        )

        def look() -> bool:
            self._look(pump)
            report()
            return self.disk.failure is None

        try:
            await until_stopped(self.port, pump, self._wake, TIMEOUT_CYCLES, look)
        finally:
            queues = pump.stop()
            self._look(pump)
            for number, (queue, array) in enumerate(zip(disk_queues, slots, strict=True)):
                place = self.disk.place(number)
                place.slots, place.pending = array[: queue.slot_count].tolist(), {}
            chains = [
                chain
                for number, (item, queue) in enumerate(zip(lent, queues, strict=True))
                for chain in item.take_back(queue, lambda row, number=number: self._chain(number, row))
            ]
            self._resume(load, buffers, free, [chain.data.token[0] for chain in chains])
        self._find_out()
        return True

    # --- over and back -------------------------------------------------------------------------------------

    def _load(self, queues: ctypes.Array[CBlockQueue], buffers: np.ndarray, free: int) -> CBlockLoad:
        phase = self.phase
        self._operations = np.zeros(phase.total, operation_type)
        self._operations["block"], self._operations["kind"] = phase.choices()
        self._operations["length"] = phase.largest
        held = self._held
        return CBlockLoad(
            block_queues_array=ctypes.addressof(queues),
            operations_array=self._operations.ctypes.data,
            operation_count=phase.total,
            buffers_array=buffers.ctypes.data,
            buffer_count=free,
            blocks=phase.blocks,
            pattern_array=phase.pattern.ctypes.data,
            pattern_bytes=phase.pattern_bytes,
            stamp_factor=phase.stamp_factor,
            block_factor=phase.block_factor,
            poison=POISON,
            exclusive=int(phase.exclusive),
            moving=int(phase.moving),
            held=int(held is not None),
            held_block=0 if held is None else phase.block(held),
            next=phase.issued - (held is not None),
            turn=self._next_queue,
        )

    def _signals(self, number: int) -> QueueSignals | None:
        """The signals of queue ``number``; None if it is not as C++ knows it."""
        place = self.disk.place(number)
        return None if place.unkicked else signals_of(place.vq)

    def _lend(self, number: int, signals: QueueSignals) -> LentQueue:
        """Queue ``number`` as C++ has it."""

        def describe(row: Any, chain: Chain) -> None:
            request: BlkRequest = chain.data
            operation, slot = request.token
            row["operation"], row["block"] = operation.stamp - 1, self.phase.block(operation)
            row["started"], row["buffer"], row["slot"] = request.started, slot.address, request.slot

        place = self.disk.place(number)
        vq: Any = place.vq
        lent = LentQueue(vq, signals, describe)
        # If the disk fails it ends all requests that it knows: this one stands for those in flight.
        place.pending = {-1: BlkRequest(0, 0, [], lambda _request: self._wake.set(), None)}
        return lent

    def _free_slots(self, number: int) -> np.ndarray:
        """Places for headers of queue ``number`` that are free, with room for all."""
        place = self.disk.place(number)
        array = np.zeros(place.vq.size, np.uint16)
        array[: len(place.slots)] = place.slots
        return array

    def _disk_queue(self, number: int, slots: np.ndarray) -> CBlockQueue:
        place = self.disk.place(number)
        return CBlockQueue(
            headers=place.headers,
            statuses=place.statuses,
            slots_array=slots.ctypes.data,
            slot_count=len(place.slots),
        )

    def _chain(self, number: int, row: Any) -> Chain:
        """The chain of a request that is in flight on queue ``number``, which is pending there again."""
        place = self.disk.place(number)
        operation = self.phase.operation(int(row["operation"]), int(row["block"]))
        slot = self._by_address[int(row["buffer"])]
        out = operation.kind == BlkRequestType.OUT
        data = [(slot.address, operation.length)]
        request = BlkRequest(operation.kind, operation.sector, data, self._ended, (operation, slot))
        request.slot, request.started = int(row["slot"]), int(row["started"])
        request.expected = int(row["room"])
        place.pending[request.slot] = request
        header = (place.headers + request.slot * HEADER_BYTES, HEADER_BYTES)
        return Chain(request, [header, *data, (place.statuses + request.slot, 1)], 1 + out)

    def _resume(
        self, load: CBlockLoad, buffers: np.ndarray, free: list[Slot], in_flight: list[Operation]
    ) -> None:
        """Go on from what C++ leaves beside the queues."""
        phase = self.phase
        free[:] = [self._by_address[int(address)] for address in buffers[: load.buffer_count]]
        self._in_flight = len(in_flight)
        self._held = phase.operation(load.next, load.held_block) if load.held else None
        if self._held is not None:
            in_flight.append(self._held)
        self._next_queue = load.turn
        phase.resume(load.next + load.held, in_flight)

    def _find_out(self) -> None:
        """Let the driver see why C++ has stopped, if it had to."""
        if self.disk.failure is not None:
            self.disk.fail(self.disk.failure)
            return
        for number in range(self.disk.queues):
            vq = self.disk.place(number).vq
            if vq.used_pending and vq.callback:
                vq.callback(vq)

    # --- what has ended ------------------------------------------------------------------------------------

    def _look(self, pump: NativePump) -> None:
        """Check the requests that have ended since the last look."""
        count = pump.take()
        if not count:
            return
        done, data = pump.done[:count], pump.data[:count]
        self.requests += count
        self._in_flight -= count
        self.latencies += (done["ended"] - done["started"]).tolist()
        reads = self._operations["kind"][done["operation"]] == BlkRequestType.IN
        size = self.phase.largest
        expected = np.where(reads, size + 1, 1)
        good = (done["status"] == 0) & (done["written"] == expected)
        self.bytes += int(good.sum()) * size
        if not good.all():
            for row in done[~good]:
                self._error_if(self._reason(row))
        for message in self.phase.check_all(done["operation"], done["block"], reads, good, data):
            self._error_if(message)

    def _reason(self, row: Any) -> str:
        """What is wrong with a request, in the driver's words."""
        operation = self.phase.operation(int(row["operation"]), int(row["block"]))
        request = BlkRequest(operation.kind, operation.sector, [], None, None)
        request.expected = 1 + (0 if operation.kind == BlkRequestType.OUT else operation.length)
        request.status, request.written = int(row["status"]), int(row["written"])
        return str(self.disk.judge(request))
