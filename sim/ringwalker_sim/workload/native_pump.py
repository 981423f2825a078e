"""A pump of block requests that lets the native engine do what is the same for every request.

The first requests are Python's. Then C++ takes the queues with all that is in flight, and does the same with
the same descriptors and buffers in the same cycles (:mod:`..engine.native.pump`). Python looks at what has
ended many requests at a time, and takes the queues back at the end, or when a ring makes no sense: then the
driver finds out and says what is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkRequestType

from ..engine.native.pump import CPumpQueue, CPumpSetup, NativePump, operation_type, request_type
from ..guest.blk import HEADER_BYTES, TIMEOUT_CYCLES, BlkDevice, BlkRequest
from ..guest.ring_queue import QueueSignals
from ..guest.split_queue import SplitVirtqueue
from ..guest.split_rings import RingState
from ..guest.virtqueue import Chain
from .block_pump import POISON, Pump, Slot
from .disk_phases import Operation, Phase
from .synthetic import Synthetic

__all__ = ["FastPump", "pump_for"]

_PLACES = ("place0", "place1", "place2")
_BATCH = 256
_BATCH_BYTES = 16 << 20
_MOST = 1 << 22
"""Requests that C++ is given, all at once. A workload of more is Python's, which makes them up as it goes."""


def pump_for(port: Any, disk: BlkDevice, phase: Phase, depth: int) -> Pump:
    """The fastest pump there is for a phase on a disk behind a port. Errors: as those of :class:`Pump`."""
    native = getattr(port, "engine", None) is not None
    fast = native and isinstance(phase, Synthetic) and phase.total <= _MOST
    return (FastPump if fast else Pump)(port, disk, phase, depth)


class FastPump(Pump):
    """A :class:`Pump` of a :class:`Synthetic` phase on a port of the native engine."""

    port: Any
    phase: Synthetic
    _lent = False
    """C++ has done what it can."""

    def __init__(self, port: Any, disk: BlkDevice, phase: Phase, depth: int):
        super().__init__(port, disk, phase, depth)
        self._arrays: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    async def _elsewhere(self, free: list[Slot], report: Callable[[], None]) -> bool:
        """Let C++ have the queues, if they are as it knows them, and each has a doorbell and a message."""
        all_signals = [self._signals(number) for number in range(self.disk.queues)]
        signals = [item for item in all_signals if item is not None]
        if self._lent or len(signals) < len(all_signals):
            return False
        self._lent = True
        queues = [self._lend(number, item) for number, item in enumerate(signals)]
        buffers = np.array([slot.address for slot in free] + [0] * self._in_flight, np.uint64)
        setup = self._setup(buffers, len(free))
        pump = NativePump(self.port.engine, setup, queues, self.depth)
        status = 0

        def notice(told: int) -> None:
            nonlocal status
            status = told
            self._wake.set()

        self.port.on_pump = notice
        self._wake.clear()
        try:
            while not status and await self._wake.wait(TIMEOUT_CYCLES):
                self._wake.clear()
                self._look(pump)
                report()
                if self.disk.failure is not None:
                    break
        finally:
            self.port.on_pump = None
            self._take_back(pump, setup, buffers, free)
        self._find_out()
        return True

    # --- over and back -------------------------------------------------------------------------------------

    def _setup(self, buffers: np.ndarray, free: int) -> CPumpSetup:
        phase, memory, size = self.phase, self.port.memory, self.phase.largest
        self._operations = np.zeros(phase.total, operation_type)
        self._operations["block"], self._operations["kind"] = phase.choices()
        self._operations["length"] = size
        held = self._held
        return CPumpSetup(
            memory_array=memory.array.ctypes.data,
            memory_address=memory.base,
            operations_array=self._operations.ctypes.data,
            operation_count=phase.total,
            buffers_array=buffers.ctypes.data,
            buffer_count=free,
            batch=max(1, min(_BATCH, _BATCH_BYTES // size)),
            block_bytes=size,
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
        vq = place.vq
        if not isinstance(vq, SplitVirtqueue) or not vq.plain or place.unkicked:
            return None
        return vq.signals()

    def _lend(self, number: int, signals: QueueSignals) -> CPumpQueue:
        """Queue ``number`` as C++ has it; its arrays live until it is taken back."""
        place = self.disk.place(number)
        vq: Any = place.vq
        state = vq.state()
        free, slots = np.zeros(vq.size, np.uint16), np.zeros(vq.size, np.uint16)
        free[: len(state.free)], slots[: len(place.slots)] = state.free, place.slots
        outstanding = np.zeros(vq.size, request_type)
        for row, chain in zip(outstanding, state.outstanding, strict=False):
            request: BlkRequest = chain.data
            operation, slot = request.token
            row["operation"], row["block"] = operation.stamp - 1, self.phase.block(operation)
            row["started"], row["buffer"] = request.started, slot.address
            row["slot"], row["room"] = request.slot, chain.writable
            for name, at in zip(_PLACES, chain.place, strict=False):
                row[name] = at
        self._arrays[number] = (free, slots, outstanding)
        # If the disk fails it ends all requests that it knows: this one stands for those in flight.
        place.pending = {-1: BlkRequest(0, 0, [], lambda _request: self._wake.set(), None)}
        return CPumpQueue(
            table=vq.desc_address,
            driver_area=vq.driver_address,
            device_area=vq.device_address,
            indirect_tables=vq.indirect_tables(),
            headers=place.headers,
            statuses=place.statuses,
            doorbell=signals.doorbell,
            message_address=signals.message[0],
            message_data=signals.message[1],
            free_array=free.ctypes.data,
            slots_array=slots.ctypes.data,
            outstanding_array=outstanding.ctypes.data,
            free_count=len(state.free),
            slot_count=len(place.slots),
            outstanding_count=len(state.outstanding),
            size=vq.size,
            index=vq.index,
            event_index=int(vq.event_idx),
            indirect=int(vq.indirect),
            doorbell_carries_index=int(signals.carries_index),
            added=state.added,
            last_used=state.last_used,
            kicks=vq.kicks,
            interrupts=vq.interrupts,
            spurious=vq.spurious,
            number=state.number,
        )

    def _take_back(self, pump: NativePump, setup: CPumpSetup, buffers: np.ndarray, free: list[Slot]) -> None:
        """The queues and all else as C++ leaves them."""
        queues = pump.stop()
        self._look(pump)
        phase, by_address = self.phase, {slot.address: slot for slot in self._slots}
        free[:] = [by_address[int(address)] for address in buffers[: setup.buffer_count]]
        in_flight: list[Operation] = []
        self._held = None
        if setup.held:
            self._held = phase.operation(setup.next, setup.held_block)
            in_flight.append(self._held)
        self._next_queue = setup.turn
        for number, queue in enumerate(queues):
            in_flight += self._take_back_queue(number, queue, by_address)
        phase.resume(setup.next + setup.held, in_flight)
        self._in_flight = len(in_flight) - setup.held

    def _find_out(self) -> None:
        """Let the driver see why C++ has stopped, if it had to."""
        if self.disk.failure is not None:
            self.disk.fail(self.disk.failure)
            return
        for number in range(self.disk.queues):
            vq = self.disk.place(number).vq
            if vq.used_pending and vq.callback:
                vq.callback(vq)

    def _take_back_queue(
        self, number: int, queue: CPumpQueue, by_address: Mapping[int, Slot]
    ) -> list[Operation]:
        """Queue ``number`` as C++ leaves it; what is in flight there."""
        place, (free, slots, outstanding) = self.disk.place(number), self._arrays.pop(number)
        vq: Any = place.vq
        place.slots = slots[: queue.slot_count].tolist()
        place.pending = {}
        operations, chains = [], []
        for at, row in enumerate(outstanding[: queue.outstanding_count]):
            operation = self.phase.operation(int(row["operation"]), int(row["block"]))
            operations.append(operation)
            slot = by_address[int(row["buffer"])]
            out = operation.kind == BlkRequestType.OUT
            data = [(slot.address, operation.length)]
            request = BlkRequest(operation.kind, operation.sector, data, self._ended, (operation, slot))
            request.slot, request.started = int(row["slot"]), int(row["started"])
            request.expected = int(row["room"])
            place.pending[request.slot] = request
            header = (place.headers + request.slot * HEADER_BYTES, HEADER_BYTES)
            chain = Chain(request, [header, *data, (place.statuses + request.slot, 1)], 1 + out, at)
            chain.place = [int(row[name]) for name in _PLACES[: vq.descriptors(len(chain.sg))]]
            chains.append(chain)
        counts = (queue.kicks, queue.interrupts, queue.spurious)
        free_places = free[: queue.free_count].tolist()
        vq.restore(RingState(free_places, queue.added, queue.last_used, queue.number, counts, chains))
        return operations

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
