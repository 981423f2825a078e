"""Keeps a number of block requests in flight and looks at every one that ends."""

from collections.abc import Callable

import numpy as np

from ringwalker.spec.blk import BlkRequestType

from ..guest.blk import TIMEOUT_CYCLES, BlkDevice, BlkRequest
from ..guest.port import Port
from .disk_phases import Operation, Phase, WorkloadError

__all__ = ["Pump", "Slot"]

CANARY = 0xC5
"""Fills the bytes after each buffer, which nobody may touch."""
CANARY_BYTES = 64
POISON = 0xA7
"""Fills a buffer before the device writes it."""

_MESSAGES = 10


class Slot:
    """One buffer in guest memory for the data of a request."""

    def __init__(self, port: Port, size: int):
        self.buffer = port.memory.allocate(size + CANARY_BYTES, 64)
        self.address = self.buffer.address
        self.array: np.ndarray = self.buffer.array
        self.array[size:] = CANARY
        self.size = size

    def intact(self) -> bool:
        return bool((self.array[self.size :] == CANARY).all())


class Pump:
    """Does all operations of ``phase`` on ``disk``, ``depth`` at a time, spread over its queues in turn.

    ``requests``, ``bytes`` and ``errors`` count, ``messages`` has the first errors, ``latencies`` and
    ``cycles`` are in clock cycles. Errors: :class:`WorkloadError` for a depth that the queues cannot hold;
    :class:`~.guest.errors.VirtioError` when the device fails.
    """

    def __init__(self, port: Port, disk: BlkDevice, phase: Phase, depth: int):
        self._descriptors = disk.descriptors(1)
        room = sum(disk.queue_size(queue) // self._descriptors for queue in range(disk.queues))
        if depth > room:
            raise WorkloadError(
                f"queue depth is {depth}; {disk.queues} queue(s) of {disk.queue_size()} entries hold "
                f"at most {room} requests of {self._descriptors} descriptors"
            )
        self.port = port
        self.disk = disk
        self.phase = phase
        self.depth = depth
        self.requests = self.bytes = self.errors = self.cycles = 0
        self.messages: list[str] = []
        self.latencies: list[int] = []
        self._next_queue = 0
        self._in_flight = 0
        self._wake = port.event()
        self._done: list[BlkRequest] = []
        self._held: Operation | None = None

    async def run(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Do it. ``progress(name, done, total)`` is called now and then."""
        slots = [Slot(self.port, self.phase.largest) for _ in range(min(self.depth, self.phase.total) or 1)]
        self._slots, free = slots, list(slots)
        begin = self.port.now()

        def report() -> None:
            if progress is not None:
                progress(self.phase.name, self.requests, self.phase.total)

        while True:
            await self._fill(free)
            if self._in_flight and not self._done and await self._elsewhere(free, report):
                continue
            if not self._in_flight:
                break
            if not self._done and not await self._wake.wait(TIMEOUT_CYCLES):
                await self.disk.timed_out(
                    f"none of {self._in_flight} requests ended in {TIMEOUT_CYCLES} cycles"
                )
            self._wake.clear()
            done, self._done = self._done, []
            for request in done:
                free.append(self._finish(request))
            if self.disk.failure is not None:
                raise self.disk.failure
            report()
        self.cycles = self.port.now() - begin
        self._error_if(self.phase.final_check())
        for slot in slots:
            if not slot.intact():
                self._error_if(f"the device wrote past the end of the buffer at {slot.address:#x}")
            slot.buffer.free()

    async def _elsewhere(self, free: list[Slot], report: Callable[[], None]) -> bool:
        """Let somebody else go on with what is in flight, who keeps ``free`` and all counts up to date;
        whether that was so. Nothing has ended that was not looked at.
        """
        return False

    async def _fill(self, free: list[Slot]) -> None:
        """Submit until the depth is reached, then kick each queue that got something."""
        kicks: set[int] = set()
        while free:
            operation = self._held or self.phase.next()
            self._held = None
            if operation is None:
                break
            queue = self._queue_with_room()
            if queue is None:
                self._held = operation
                break
            slot = free.pop()
            view = slot.array[: operation.length]
            if operation.kind == BlkRequestType.OUT:
                self.phase.fill(operation, view)
            else:
                view[:] = POISON
            sg = [(slot.address, operation.length)]
            token = (operation, slot)
            request = self.disk.submit(operation.kind, operation.sector, sg, self._ended, token, queue)
            assert request is not None
            self._in_flight += 1
            kicks.add(queue)
        for queue in sorted(kicks):
            await self.disk.kick(queue)

    def _queue_with_room(self) -> int | None:
        for _ in range(self.disk.queues):
            queue = self._next_queue
            self._next_queue = (queue + 1) % self.disk.queues
            if self.disk.room(queue) >= self._descriptors:
                return queue
        return None

    def _ended(self, request: BlkRequest) -> None:
        self._done.append(request)
        self._wake.set()

    def _finish(self, request: BlkRequest) -> Slot:
        operation, slot = request.token
        self._in_flight -= 1
        self.requests += 1
        self.latencies.append(request.ended - request.started)
        if request.error is not None:
            self._error_if(str(request.error))
            self.phase.ended(operation, False)
        else:
            self.bytes += operation.length
            if operation.kind == BlkRequestType.IN:
                self._error_if(self.phase.check(operation, slot.array[: operation.length]))
            self.phase.ended(operation, True)
        return slot

    def _error_if(self, message: str | None) -> None:
        if message is not None:
            self.errors += 1
            if len(self.messages) < _MESSAGES:
                self.messages.append(message)
