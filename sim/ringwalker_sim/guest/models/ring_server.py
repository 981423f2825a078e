"""The device's half of split rings in memory, in plain Python."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
    avail_event_offset,
    used_event_offset,
)

from ...memory import Access, GuestMemory, MemoryFault, ScatterGather
from ..split_rings import RING_FEATURES
from .function import FunctionModel, Request

__all__ = ["QueueState", "RingServer"]


@dataclass
class QueueState:
    """The registers and indices of a queue, on the device."""

    size: int
    desc: int = 0
    driver: int = 0
    device: int = 0
    enable: int = 0
    vector: int = NO_VECTOR
    last_avail: int = 0
    used: int = 0
    epoch: int = 0
    """Number of resets. A completion from before a reset is dropped."""


class _RingRequest(Request):
    def __init__(
        self,
        server: "RingServer",
        index: int,
        head: int,
        readable: ScatterGather,
        writable: ScatterGather,
    ):
        self._server = server
        self.index = index
        self.head = head
        self._readable = readable
        self._writable = writable
        self.room = sum(length for _, length in writable)
        self._epoch = server.queues[index].epoch

    @property
    def live(self) -> bool:
        server = self._server
        return server.queues[self.index].epoch == self._epoch and not server.model.needs_reset

    def read(self) -> np.ndarray:
        if not self.live or not self._readable:
            return np.empty(0, np.uint8)
        server = self._server
        return np.concatenate([server.access(piece, False) for piece in self._readable])

    def finish(self, data: Any = b"", tail: bytes = b"") -> None:
        if not self.live:
            return
        answer = np.frombuffer(bytes(data), np.uint8)
        position = 0
        for address, length in self._writable:
            part = answer[position : position + length]
            if len(part):
                self._server.access((address, len(part)), True)[:] = part
            position += length
        if tail and self._writable:
            address, length = self._writable[-1]
            end = (address + length - len(tail), len(tail))
            self._server.access(end, True)[:] = np.frombuffer(tail, np.uint8)
        whole = len(answer) + len(tail) == self.room
        self._server.finish(self, len(answer) + (len(tail) if whole else 0))


class RingServer:
    """Serves the rings of ``model`` in ``memory``. ``now()`` gives the time of the accesses that watches see.

    ``notify(queue)`` is set by the transport: the used buffer notification. For tests of a faulty device,
    ``mangle(head, written)`` may change a used element, and ``written_index(index)`` the used index. With
    ``drains`` a stopped queue uses the buffers that it holds, with length 0; else it drops them.
    """

    def __init__(self, model: FunctionModel, memory: GuestMemory, now: Callable[[], int] = lambda: 0):
        self.model = model
        self.memory = memory
        self.now = now
        self.queues = [QueueState(model.queue_size) for _ in range(model.queue_count)]
        self.notify: Callable[[int], None] = lambda _queue: None
        self.mangle: Callable[[int, int], tuple[int, int]] = lambda head, written: (head, written)
        self.written_index: Callable[[int], int] = lambda index: index
        self.drains = False
        self._open: dict[_RingRequest, None] = {}
        model.features |= RING_FEATURES
        model.server = self

    def access(self, piece: tuple[int, int], write: bool) -> np.ndarray:
        """The bytes of a buffer, in place; watches see the access."""
        if self.memory.watches:
            self.memory.note_access(Access(self.now(), *piece, write))
        return self.memory.view(*piece)

    def reset_queue(self, index: int) -> None:
        """Reset a queue."""
        mine = [request for request in self._open if request.index == index]
        for request in mine:
            if self.drains and request.live and self.queues[index].enable:
                self._use(index, request.head, 0)
            del self._open[request]
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
            if value == 1 and self.model.driver_features >> Feature.RING_RESET & 1:
                self.reset_queue(index)
        else:
            setattr(self.queues[index], name, value)

    def doorbell(self, index: int) -> None:
        """An available buffer notification for queue ``index``."""
        if index < len(self.queues) and self.queues[index].enable and self.model.running:
            self.model.schedule(1, lambda: self._visit(index))

    def _visit(self, index: int) -> None:
        queue = self.queues[index]
        if not self.model.running or not queue.enable:
            return
        try:
            avail = self.memory.struct_view(queue.driver, RingHeader)[0]
            waiting = (int(avail["idx"]) - queue.last_avail) & 0xFFFF
            if waiting > queue.size:
                raise ValueError("more chains than the queue holds")
            for _ in range(waiting):
                slot = queue.last_avail % queue.size
                at = queue.driver + AVAIL_RING_OFFSET + slot * AVAIL_ENTRY_BYTES
                head = int.from_bytes(self.memory.read(at, AVAIL_ENTRY_BYTES), "little")
                queue.last_avail = (queue.last_avail + 1) & 0xFFFF
                request = _RingRequest(self, index, head, *self._chain(queue, head))
                self._open[request] = None
                self.model.take(index, request)
            if self._has(Feature.EVENT_IDX):
                self._event(queue.device + avail_event_offset(queue.size))[0] = queue.last_avail
        except (MemoryFault, ValueError):
            self.model.fail()

    def _has(self, feature: Feature) -> bool:
        return bool(self.model.driver_features >> feature & 1)

    def _event(self, address: int) -> np.ndarray:
        """The event index at ``address``."""
        return self.memory.view(address, AVAIL_ENTRY_BYTES).view("<u2")

    def _chain(self, queue: QueueState, head: int) -> tuple[ScatterGather, ScatterGather]:
        table = self.memory.struct_view(queue.desc, Descriptor, queue.size)
        readable: ScatterGather = []
        writable: ScatterGather = []
        nested, at = not self._has(Feature.INDIRECT_DESC), head
        while len(readable) + len(writable) < queue.size:
            if at >= len(table):
                raise ValueError("descriptor outside the table")
            entry = table[at]
            piece = (int(entry["addr"]), int(entry["len"]))
            self.memory.view(*piece)
            flags = int(entry["flags"])
            if flags & DESC_F_INDIRECT and not flags & DESC_F_NEXT and not nested:
                if not piece[1] or piece[1] % DESC_BYTES:
                    raise ValueError("an indirect table of an invalid length")
                table = self.memory.struct_view(piece[0], Descriptor, piece[1] // DESC_BYTES)
                nested, at = True, 0
                continue
            if flags & DESC_F_INDIRECT or (writable and not flags & DESC_F_WRITE):
                raise ValueError("a chain of an invalid shape")
            (writable if flags & DESC_F_WRITE else readable).append(piece)
            if not flags & DESC_F_NEXT:
                return readable, writable
            at = int(entry["next"])
        raise ValueError("a chain without end")

    def finish(self, request: _RingRequest, written: int) -> None:
        """Use the buffer of a request. For :meth:`Request.finish`."""
        if self._open.pop(request, True) is None:
            self._use(request.index, *self.mangle(request.head, written))

    def _use(self, index: int, head: int, written: int) -> None:
        queue = self.queues[index]
        slot = queue.used % queue.size
        element = self.memory.struct_view(queue.device + USED_RING_OFFSET, UsedElement, queue.size)[slot]
        element["id"], element["len"] = head, written
        queue.used = (queue.used + 1) & 0xFFFF
        self.memory.struct_view(queue.device, RingHeader)[0]["idx"] = self.written_index(queue.used) & 0xFFFF
        if self._wants_interrupt(queue):
            self.notify(index)

    def _wants_interrupt(self, queue: QueueState) -> bool:
        """Whether the driver wants an interrupt for the last used element."""
        if self._has(Feature.EVENT_IDX):
            wanted = int(self._event(queue.driver + used_event_offset(queue.size))[0])
            return wanted == (queue.used - 1) & 0xFFFF
        flags = int(self.memory.struct_view(queue.driver, RingHeader)[0]["flags"])
        return not flags & AVAIL_F_NO_INTERRUPT
