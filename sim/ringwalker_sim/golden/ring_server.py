"""Queues of the golden model whose rings are in guest memory: from doorbells to used buffers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR, NOTIFY_CONFIG_DATA, DeviceStatus
from ringwalker.spec.packed import EVENT_BYTES
from ringwalker.spec.ring import (
    DESC_ALIGN,
    DEVICE_ALIGN,
    DRIVER_ALIGN,
    descriptor_area_bytes,
    device_area_bytes,
    driver_area_bytes,
)

from ..memory import GuestMemory
from .dma import END_OF_ADDRESSES, Dma, DmaFault
from .function import FunctionModel, Request
from .packed_ring import PackedDeviceRing
from .rings import RING_FEATURES, DeviceRing, QueueState, RingFault, TakenChain
from .split_ring import SplitDeviceRing

__all__ = ["QueueState", "RingServer"]

_ALIGNMENT = {"desc": DESC_ALIGN, "driver": DRIVER_ALIGN, "device": DEVICE_ALIGN}


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
        return self._server.read_buffer(self) if self.live else np.empty(0, np.uint8)

    def finish(self, data: Any = b"", tail: bytes = b"") -> None:
        if self.live:
            self._server.finish(self, bytes(data), tail)


class RingServer:
    """Serves the rings of ``model`` in ``memory``. ``now()`` gives the time of the accesses that watches see.
    The model offers ``features``, of ``RING_FEATURES``, besides its own.

    ``dma`` is what reaches the memory. ``notify(queue)`` is set by the transport: the used buffer
    notification. For tests of a faulty device,
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
        self.dma = Dma(memory, now)
        self.queues = [QueueState(model.queue_size) for _ in range(model.queue_count)]
        self.notify: Callable[[int], None] = lambda _queue: None
        self.mangle: Callable[[int, int], tuple[int, int]] = lambda head, written: (head, written)
        self.written_index: Callable[[int], int] = lambda index: index
        self.drains = False
        self.vectors = NO_VECTOR
        """How many vectors there are; others cannot be set."""
        self._rings: dict[int, DeviceRing] = {}
        self._open: dict[_RingRequest, None] = {}
        model.features |= features
        model.server = self

    # --- queues --------------------------------------------------------------------------------------------

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
            self._open.pop(request, None)
        self._rings.pop(index, None)
        self.queues[index] = QueueState(self.model.queue_size, epoch=self.queues[index].epoch + 1)
        self.model.stopped(index)

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        for index in range(len(self.queues)):
            self.reset_queue(index)

    def is_idle(self) -> bool:
        """Whether no buffer is held."""
        return not self._open

    def resume(self) -> None:
        """Look for buffers that became available during a suspension."""
        for index in range(len(self.queues)):
            self.doorbell(index)

    # --- registers -----------------------------------------------------------------------------------------

    def register_read(self, index: int, name: str) -> int:
        """Read a register of a queue, by its name in :data:`ringwalker.spec.fields.QUEUE_FIELD`."""
        if name in ("index", "notify_off"):
            return index
        if name == "notif_config_data":
            return NOTIFY_CONFIG_DATA + index if self.model.has(Feature.NOTIF_CONFIG_DATA) else 0
        return 0 if name in ("reset", "doorbell") else getattr(self.queues[index], name)

    def register_write(self, index: int, name: str, value: int) -> None:
        """Write a register of a queue, by name."""
        queue = self.queues[index]
        if name == "doorbell":
            self.doorbell(index)
        elif name == "reset":
            if value == 1 and queue.enable and self.may_reset_queue():
                self.reset_queue(index)
        elif name == "vector":
            queue.vector = value if value < self.vectors else NO_VECTOR
        elif not queue.enable:
            self.configure_queue(index, name, value)

    def configure_queue(self, index: int, name: str, value: int) -> None:
        """Write a register of a queue that is not enabled."""
        queue = self.queues[index]
        if name == "enable":
            if value == 1:
                self.enable_queue(index)
        elif name == "size":
            if self.is_size(value):
                queue.size = value
        elif name in _ALIGNMENT:
            setattr(queue, name, value & -_ALIGNMENT[name])

    def enable_queue(self, index: int) -> None:
        """Enable a queue, unless one of its areas goes beyond the last address: then the device fails."""
        queue = self.queues[index]
        packed = self.model.has(Feature.RING_PACKED)
        lengths = {
            "desc": descriptor_area_bytes(queue.size),
            "driver": EVENT_BYTES if packed else driver_area_bytes(queue.size),
            "device": EVENT_BYTES if packed else device_area_bytes(queue.size),
        }
        if any(getattr(queue, name) + length > END_OF_ADDRESSES for name, length in lengths.items()):
            self.model.fail()
        else:
            queue.enable = 1

    def is_size(self, value: int) -> bool:
        """Whether a queue can have so many entries."""
        power = value & value - 1 == 0
        return 0 < value <= self.model.queue_size and (power or self.model.has(Feature.RING_PACKED))

    def may_reset_queue(self) -> bool:
        """Whether the driver can reset a queue."""
        model = self.model
        negotiated = model.status & DeviceStatus.FEATURES_OK or not model.strict
        return model.legacy or bool(negotiated and model.has(Feature.RING_RESET))

    # --- from a doorbell to requests -----------------------------------------------------------------------

    def doorbell(self, index: int) -> None:
        """An available buffer notification for queue ``index``."""
        if index < len(self.queues) and self.queues[index].enable and self.model.running:
            self.model.schedule(1, lambda: self._visit(index))

    def make_ring(self, index: int) -> DeviceRing:
        """The ring of a queue, of the format that was negotiated."""
        kind = PackedDeviceRing if self.model.has(Feature.RING_PACKED) else SplitDeviceRing
        return kind(self.dma, self.queues[index], self.model.driver_features)

    def _ring(self, index: int) -> DeviceRing:
        if index not in self._rings:
            self._rings[index] = ring = self.make_ring(index)
            ring.written_index = lambda value: self.written_index(value)
        return self._rings[index]

    def _visit(self, index: int) -> None:
        model = self.model
        if not model.running or model.suspending or not self.queues[index].enable:
            return
        try:
            for chain in self._ring(index).chains():
                request = _RingRequest(self, index, chain)
                self._open[request] = None
                self.model.take(index, request)
        except (DmaFault, RingFault, ValueError):
            model.fail()

    # --- from requests to used buffers ---------------------------------------------------------------------

    def read_buffer(self, request: _RingRequest) -> np.ndarray:
        """The readable bytes of a request; none if they cannot be read, and the model fails."""
        try:
            pieces = [self.dma.read(*piece) for piece in request.chain.readable]
        except DmaFault:
            self.model.fail()
            return np.empty(0, np.uint8)
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint8)

    def write_buffer(self, request: _RingRequest, data: bytes, tail: bytes) -> None:
        """Write ``data`` to the start of the writable bytes, and ``tail`` to their end."""
        start, end = len(data), request.room - len(tail)
        position = 0
        for address, length in request.chain.writable:
            first = data[position : position + length]
            self.dma.write(address, first)
            low = max(end, position, start)
            if tail and low < position + length:
                self.dma.write(address + low - position, tail[low - end :][: position + length - low])
            position += length

    def finish(self, request: _RingRequest, data: bytes, tail: bytes) -> None:
        """Write the answer of a request, and use its buffer. For :meth:`Request.finish`."""
        if request not in self._open:
            return
        whole = len(data) + len(tail) == request.room
        try:
            self.write_buffer(request, data[: request.room], tail)
            self.complete(request, len(data) + (len(tail) if whole else 0))
        except DmaFault:
            self.model.fail()
        self.model.settle()

    def uses_in_order(self) -> bool:
        """Whether buffers have to be used in the order in which they became available."""
        return self.model.has(Feature.IN_ORDER)

    def complete(self, request: _RingRequest, written: int) -> None:
        """Use the buffer of a request, or keep it until those before it are done."""
        request.written = written
        if not self.uses_in_order():
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
        """Use the buffers of requests, and notify the driver if it wants that."""
        ring = self._ring(index)
        last, written = batch[-1]
        key, written = self.mangle(last.chain.key, written)
        said = TakenChain(key, last.chain.span)
        ring.use([*((request.chain, length) for request, length in batch[:-1]), (said, written)])
        if ring.wants_interrupt():
            self.notify(index)
