"""Queues of a device in plain Python, whose rings are in guest memory: its doorbells and its used buffers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature

from ..guest.ring_queue import RING_FEATURES
from ..memory import Access, GuestMemory, MemoryFault, ScatterGather
from .function import FunctionModel, Request
from .rings import DeviceRing, QueueState, TakenChain, device_ring

__all__ = ["QueueState", "RingServer"]


class _RingRequest(Request):
    def __init__(self, server: "RingServer", index: int, chain: TakenChain):
        self._server = server
        self.index = index
        self.chain = chain
        self.room = sum(length for _, length in chain.writable)
        self.written: int | None = None
        self._epoch = server.queues[index].epoch

    @property
    def live(self) -> bool:
        server = self._server
        return server.queues[self.index].epoch == self._epoch and not server.model.needs_reset

    def read(self) -> np.ndarray:
        if not self.live or not self.chain.readable:
            return np.empty(0, np.uint8)
        server = self._server
        return np.concatenate([server.access(piece, False) for piece in self.chain.readable])

    def finish(self, data: Any = b"", tail: bytes = b"") -> None:
        if not self.live:
            return
        answer = np.frombuffer(bytes(data), np.uint8)
        writable: ScatterGather = self.chain.writable
        position = 0
        for address, length in writable:
            part = answer[position : position + length]
            if len(part):
                self._server.access((address, len(part)), True)[:] = part
            position += length
        if tail and writable:
            address, length = writable[-1]
            end = (address + length - len(tail), len(tail))
            self._server.access(end, True)[:] = np.frombuffer(tail, np.uint8)
        whole = len(answer) + len(tail) == self.room
        self._server.finish(self, len(answer) + (len(tail) if whole else 0))


class RingServer:
    """Serves the rings of ``model`` in ``memory``. ``now()`` gives the time of the accesses that watches see.
    The model offers ``features``, of ``RING_FEATURES``, besides its own.

    ``notify(queue)`` is set by the transport: the used buffer notification. For tests of a faulty device,
    ``mangle(head, written)`` may change a used element, and ``written_index(index)`` the used index of a
    split ring. With ``drains`` a stopped queue uses the buffers that it holds, with length 0; else it drops
    them. With VIRTIO_F_IN_ORDER buffers are used in the order in which they were taken, as many at once as
    are done.
    """

    def __init__(
        self,
        model: FunctionModel,
        memory: GuestMemory,
        now: Callable[[], int] = lambda: 0,
        features: int = RING_FEATURES,
    ):
        self.model = model
        self.memory = memory
        self.now = now
        self.queues = [QueueState(model.queue_size) for _ in range(model.queue_count)]
        self.notify: Callable[[int], None] = lambda _queue: None
        self.mangle: Callable[[int, int], tuple[int, int]] = lambda head, written: (head, written)
        self.written_index: Callable[[int], int] = lambda index: index
        self.drains = False
        self._rings: dict[int, DeviceRing] = {}
        self._open: dict[_RingRequest, None] = {}
        model.features |= features
        model.server = self

    def access(self, piece: tuple[int, int], write: bool) -> np.ndarray:
        """The bytes of a buffer, in place; watches see the access."""
        if self.memory.watches:
            self.memory.note_access(Access(self.now(), *piece, write))
        return self.memory.view(*piece)

    def taken(self, index: int) -> int:
        """How many chains were taken from a queue since it was set up."""
        ring = self._rings.get(index)
        return 0 if ring is None else ring.taken

    def reset_queue(self, index: int) -> None:
        """Reset a queue."""
        mine = [request for request in self._open if request.index == index]
        for request in mine:
            if self.drains and request.live and self.queues[index].enable:
                self._use(index, [(request, request.written or 0)])
            del self._open[request]
        self._rings.pop(index, None)
        self.queues[index] = QueueState(self.model.queue_size, epoch=self.queues[index].epoch + 1)
        self.model.stopped(index)

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        for index in range(len(self.queues)):
            self.reset_queue(index)

    def register_read(self, index: int, name: str) -> int:
        """Read a register of a queue, by its name in :data:`ringwalker.spec.fields.QUEUE_FIELD`."""
        if name in ("index", "notify_off"):
            return index
        if name in ("reset", "doorbell", "notif_config_data"):
            return 0
        return getattr(self.queues[index], name)

    def register_write(self, index: int, name: str, value: int) -> None:
        """Write a register of a queue, by name."""
        if name == "doorbell":
            self.doorbell(index)
        elif name == "reset":
            if value == 1 and self._has(Feature.RING_RESET):
                self.reset_queue(index)
        else:
            setattr(self.queues[index], name, value)

    def doorbell(self, index: int) -> None:
        """An available buffer notification for queue ``index``."""
        if index < len(self.queues) and self.queues[index].enable and self.model.running:
            self.model.schedule(1, lambda: self._visit(index))

    def _ring(self, index: int) -> DeviceRing:
        if index not in self._rings:
            ring = device_ring(self.memory, self.queues[index], self.model.driver_features)
            ring.written_index = lambda value: self.written_index(value)
            self._rings[index] = ring
        return self._rings[index]

    def _visit(self, index: int) -> None:
        if not self.model.running or not self.queues[index].enable:
            return
        try:
            for chain in self._ring(index).chains():
                request = _RingRequest(self, index, chain)
                self._open[request] = None
                self.model.take(index, request)
        except (MemoryFault, ValueError):
            self.model.fail()

    def _has(self, feature: Feature) -> bool:
        return bool(self.model.driver_features >> feature & 1)

    def finish(self, request: _RingRequest, written: int) -> None:
        """Use the buffer of a request. For :meth:`Request.finish`."""
        if request not in self._open:
            return
        request.written = written
        if not self._has(Feature.IN_ORDER):
            del self._open[request]
            self._use(request.index, [(request, written)])
            return
        batch: list[tuple[_RingRequest, int]] = []
        for oldest in [other for other in self._open if other.index == request.index]:
            if oldest.written is None:
                break
            del self._open[oldest]
            batch.append((oldest, oldest.written))
            # A buffer that is not used completely needs an entry of its own, to say so.
            if oldest.written != oldest.room:
                self._use(oldest.index, batch)
                batch = []
        if batch:
            self._use(request.index, batch)

    def _use(self, index: int, batch: list[tuple[_RingRequest, int]]) -> None:
        ring = self._ring(index)
        last, written = batch[-1]
        key, written = self.mangle(last.chain.key, written)
        said = TakenChain(key, last.chain.span)
        try:
            ring.use([*((request.chain, length) for request, length in batch[:-1]), (said, written)])
            notifies = ring.wants_interrupt()
        except MemoryFault:
            self.model.fail()
            return
        if notifies:
            self.notify(index)
