"""A block device in plain Python on the same rings, and the shortest way to it: no PCI and no RTL.

It tests the driver alone. :class:`BlkModel` is the device, :class:`MemoryTransport` joins it to the driver
without registers; :mod:`.memory_port` puts it behind a PCI function.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
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
from ringwalker.spec.features import Feature
from ringwalker.spec.registers import Register, RegisterTable
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
)

from ..memory import GuestMemory, MemoryFault, dtype_of
from .bus import VirtioDevice, VirtioDeviceId
from .errors import BindError
from .virtqueue import Virtqueue

__all__ = ["BlkModel", "MemoryTransport", "QueueState"]

_HEADER = dtype_of(BlkRequestHeader)


@dataclass
class QueueState:
    """A queue as the device knows it."""

    size: int
    desc: int = 0
    driver: int = 0
    device: int = 0
    enable: int = 0
    vector: int = 0xFFFF
    last_avail: int = 0
    used: int = 0
    epoch: int = 0
    """Counts resets, so that a completion from before one is dropped."""


class BlkModel:
    """The device. ``schedule(cycles, action)`` does things later; ``notify(queue)``, ``change()`` interrupt.

    Each request is answered after ``latency`` cycles and up to ``jitter`` more (seeded), so requests are
    completed out of order. ``mangle(head, written)`` may change what the used ring gets, and
    ``written_index`` what its index becomes, for a device that lies.
    """

    def __init__(
        self,
        memory: GuestMemory,
        disk: np.ndarray,
        schedule: Callable[[int, Callable[[], None]], None],
        *,
        queues: int = 1,
        queue_size: int = 256,
        block_size: int = 512,
        serial: str = "ringwalker",
        latency: int = 100,
        jitter: int = 50,
        seed: int = 0,
        ring_reset: bool = True,
    ):
        self.memory = memory
        self.disk = disk
        self.schedule = schedule
        self.queue_size = queue_size
        self.queues = [QueueState(queue_size) for _ in range(queues)]
        self.block_size = block_size
        self.serial = serial
        self.latency = latency
        self.jitter = jitter
        self.random = random.Random(seed)
        self.notify: Callable[[int], None] = lambda _queue: None
        self.change: Callable[[], None] = lambda: None
        self.mangle: Callable[[int, int], tuple[int, int]] = lambda head, written: (head, written)
        self.written_index: Callable[[int], int] = lambda index: index
        self.needs_reset = False
        self.generation = 0
        self.capacity = len(disk) // SECTOR_BYTES
        self.features = 1 << Feature.VERSION_1 | 1 << BlkFeature.BLK_SIZE | 1 << BlkFeature.FLUSH
        self.features |= 1 << BlkFeature.SEG_MAX
        if ring_reset:
            self.features |= 1 << Feature.RING_RESET
        if queues > 1:
            self.features |= 1 << BlkFeature.MQ

    # --- configuration -------------------------------------------------------------------------------------

    def config_bytes(self) -> bytes:
        """Device configuration as it is now."""
        content = bytearray(BLK_CONFIG.size)
        for name, value in (
            ("capacity", self.capacity),
            ("seg_max", self.queue_size - 2),
            ("blk_size", self.block_size),
            ("num_queues", len(self.queues)),
        ):
            register = BLK_CONFIG[name]
            content[register.offset : register.offset + register.size] = value.to_bytes(
                register.size, "little"
            )
        return bytes(content)

    def set_capacity(self, sectors: int) -> None:
        """Another size of the disk, with notice to the driver."""
        self.capacity = sectors
        self.generation = self.generation + 1 & 0xFF
        self.change()

    def reset_queue(self, index: int) -> None:
        """Forget a queue."""
        self.queues[index] = QueueState(self.queue_size, epoch=self.queues[index].epoch + 1)

    def reset(self) -> None:
        """Forget everything."""
        self.needs_reset = False
        for index in range(len(self.queues)):
            self.reset_queue(index)

    def fail(self) -> None:
        """Stop, and say so."""
        self.needs_reset = True
        self.change()

    # --- rings ---------------------------------------------------------------------------------------------

    def doorbell(self, index: int) -> None:
        """There are new buffers in queue ``index``."""
        if index < len(self.queues) and self.queues[index].enable and not self.needs_reset:
            self.schedule(1, lambda: self._visit(index))

    def _visit(self, index: int) -> None:
        queue = self.queues[index]
        if self.needs_reset or not queue.enable:
            return
        avail = self.memory.struct_view(queue.driver, RingHeader)[0]
        waiting = (int(avail["idx"]) - queue.last_avail) & 0xFFFF
        if waiting > queue.size:
            self.fail()
            return
        for _ in range(waiting):
            slot = queue.last_avail % queue.size
            at = queue.driver + AVAIL_RING_OFFSET + slot * AVAIL_ENTRY_BYTES
            head = int.from_bytes(self.memory.read(at, AVAIL_ENTRY_BYTES), "little")
            queue.last_avail = (queue.last_avail + 1) & 0xFFFF
            delay = self.latency + self.random.randint(0, self.jitter)
            self.schedule(delay, lambda head=head, epoch=queue.epoch: self._serve(index, head, epoch))

    def _serve(self, index: int, head: int, epoch: int) -> None:
        queue = self.queues[index]
        if queue.epoch != epoch or self.needs_reset:
            return
        try:
            readable, writable = self._chain(queue, head)
            written = self._execute(readable, writable)
        except (MemoryFault, ValueError):
            self.fail()
            return
        self._use(index, *self.mangle(head, written))

    def _chain(self, queue: QueueState, head: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        table = self.memory.struct_view(queue.desc, Descriptor, queue.size)
        readable: list[np.ndarray] = []
        writable: list[np.ndarray] = []
        at = head
        for _ in range(queue.size):
            if at >= queue.size:
                raise ValueError("descriptor outside the table")
            entry = table[at]
            piece = self.memory.view(int(entry["addr"]), int(entry["len"]))
            flags = int(entry["flags"])
            if flags & DESC_F_INDIRECT or (writable and not flags & DESC_F_WRITE):
                raise ValueError("a chain of a shape that there is not")
            (writable if flags & DESC_F_WRITE else readable).append(piece)
            if not flags & DESC_F_NEXT:
                return readable, writable
            at = int(entry["next"])
        raise ValueError("a chain without end")

    def _use(self, index: int, head: int, written: int) -> None:
        queue = self.queues[index]
        slot = queue.used % queue.size
        element = self.memory.struct_view(queue.device + USED_RING_OFFSET, UsedElement, queue.size)[slot]
        element["id"], element["len"] = head, written
        queue.used = (queue.used + 1) & 0xFFFF
        self.memory.struct_view(queue.device, RingHeader)[0]["idx"] = self.written_index(queue.used) & 0xFFFF
        flags = int(self.memory.struct_view(queue.driver, RingHeader)[0]["flags"])
        if not flags & AVAIL_F_NO_INTERRUPT:
            self.notify(index)

    # --- requests ------------------------------------------------------------------------------------------

    def _execute(self, readable: list[np.ndarray], writable: list[np.ndarray]) -> int:
        """Serve one request; the number of bytes written."""
        data_in = np.concatenate(readable) if readable else np.empty(0, np.uint8)
        room = sum(len(piece) for piece in writable)
        if len(data_in) < _HEADER.itemsize or room < 1:
            return 0
        header = data_in[: _HEADER.itemsize].view(_HEADER)[0]
        answer, status = self._answer(int(header["type"]), int(header["sector"]), data_in[16:], room - 1)
        position = 0
        for piece in writable:
            part = answer[position : position + len(piece)]
            piece[: len(part)] = part
            position += len(piece)
        writable[-1][-1] = status
        # After a gap the status byte does not count.
        return len(answer) + 1 if len(answer) == room - 1 else len(answer)

    def _answer(self, kind: int, sector: int, data: np.ndarray, room: int) -> tuple[np.ndarray, BlkStatus]:
        nothing = np.empty(0, np.uint8)
        start = sector * SECTOR_BYTES
        length = room if kind == BlkRequestType.IN else len(data)
        if kind in (BlkRequestType.IN, BlkRequestType.OUT) and (
            length == 0 or length % SECTOR_BYTES or start + length > self.capacity * SECTOR_BYTES
        ):
            return nothing, BlkStatus.IOERR
        if kind == BlkRequestType.IN:
            return self.disk[start : start + length], BlkStatus.OK
        if kind == BlkRequestType.OUT:
            self.disk[start : start + length] = data
            return nothing, BlkStatus.OK
        if kind == BlkRequestType.FLUSH:
            return nothing, BlkStatus.OK
        if kind == BlkRequestType.GET_ID:
            name = self.serial.encode().ljust(ID_BYTES, b"\0")[:room]
            return np.frombuffer(name, np.uint8), BlkStatus.OK
        return nothing, BlkStatus.UNSUPP


class MemoryTransport:
    """Configuration operations and queues straight on a :class:`BlkModel`."""

    def __init__(self, model: BlkModel, identity: VirtioDeviceId):
        self.model = model
        self.vqs: dict[int, Virtqueue] = {}
        self.device = VirtioDevice(None, identity, self)
        self._running = False
        model.notify = lambda index: self.vqs[index].interrupt()

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """Every field that the model has."""
        register = table[name]
        return register if register.offset + register.size <= len(self.model.config_bytes()) else None

    async def get(self, register: Register) -> int:
        """A field of device configuration."""
        content = self.model.config_bytes()
        return int.from_bytes(content[register.offset : register.offset + register.size], "little")

    async def set(self, register: Register, value: int) -> None:
        """Nothing in this model can be written."""

    async def negotiate(self, wanted: int) -> int:
        """The common features."""
        return self.model.features & (wanted | 1 << Feature.VERSION_1)

    async def find_vq(self, index: int, callback: Callable[[Virtqueue], bool] | None = None) -> Virtqueue:
        """Set up a queue. Errors: :class:`BindError` when there is no such queue."""
        if index >= len(self.model.queues):
            raise BindError(f"the device has no queue {index}")
        vq = Virtqueue(
            self.model.memory,
            self.model.queue_size,
            index=index,
            callback=callback,
            notify=self._notify,
            stop=self._stop,
            vdev=self.device,
        )
        self.vqs[index] = vq
        self.device.vqs.append(vq)
        self._enable(vq)
        return vq

    def _enable(self, vq: Virtqueue) -> None:
        queue = self.model.queues[vq.index]
        queue.desc, queue.driver, queue.device = vq.desc_address, vq.driver_address, vq.device_address
        queue.enable = 1

    async def _notify(self, vq: Virtqueue) -> None:
        if self._running:
            self.model.doorbell(vq.index)

    async def _stop(self, vq: Virtqueue) -> bool:
        self.model.reset_queue(vq.index)
        vq.reset()
        self._enable(vq)
        return True

    async def del_vq(self, vq: Virtqueue) -> None:
        """Forget a queue."""
        self.vqs.pop(vq.index, None)
        self.device.vqs.remove(vq)
        vq.free()

    async def driver_ok(self) -> None:
        """Let the model start."""
        self._running = True

    async def fail(self) -> None:
        """The driver gave up."""
        self._running = False

    async def reset(self) -> None:
        """Reset the model."""
        self._running = False
        self.model.reset()
        for vq in self.vqs.values():
            vq.broken = True

    async def needs_reset(self) -> bool:
        """Whether the model has stopped."""
        return self.model.needs_reset

    def on_change(self, callback: Callable[[], Any] | None) -> None:
        """Hear of changes."""
        self.model.change = callback or (lambda: None)
