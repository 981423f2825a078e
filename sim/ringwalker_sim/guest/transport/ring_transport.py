"""The part that transports with rings in the guest's memory share: queues over their registers."""

from abc import abstractmethod
from collections.abc import Callable

from ringwalker.spec.features import Feature

from ...memory import GuestMemory
from ..bus import VirtioDevice
from ..errors import BindError
from ..ring_formats import ring_virtqueue
from ..ring_queue import QueueControl, RingVirtqueue
from ..virtqueue import Virtqueue
from .queue_registers import QueueRegisters
from .status_ops import StatusOps

__all__ = ["RingTransport"]


class RingTransport(StatusOps, QueueControl):
    """Sets up, stops and frees queues. It is the ``config`` of ``device``; ``vqs`` are the queues by index.

    The queues in ``_registers`` are enabled on the device; their rings are in ``memory``.
    """

    memory: GuestMemory
    device: VirtioDevice
    vqs: dict[int, RingVirtqueue]
    _registers: dict[int, QueueRegisters]

    @abstractmethod
    async def reset(self) -> None:
        """Reset the device: it stops, and its queues are gone."""

    def _forget(self) -> None:
        """After a reset the device has no queues and no negotiated features."""
        self.features = 0
        self._registers.clear()
        for vq in self.vqs.values():
            vq.broken = True

    @abstractmethod
    def queue_registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``; of one that is not there ``size`` reads 0."""

    async def find_vq(
        self, index: int, callback: Callable[[Virtqueue], bool] | None = None, size: int | None = None
    ) -> RingVirtqueue:
        """Set up queue ``index``, with ``size`` entries or as many as the device offers.

        Errors: :class:`BindError` when there is no such queue, ``ValueError`` for a size that may not be
        chosen.
        """
        return await self.create_vq(index, self.queue_registers(index), callback, size)

    async def create_vq(
        self,
        index: int,
        registers: QueueRegisters,
        callback: Callable[[Virtqueue], bool] | None = None,
        size: int | None = None,
    ) -> RingVirtqueue:
        """Set up queue ``index`` through its ``registers``. Errors: as :meth:`find_vq`."""
        limit = await registers.read("size")
        if limit == 0:
            raise BindError(f"{self.name}: the device has no queue {index}")
        if await registers.read("enable"):
            raise BindError(f"{self.name}: queue {index} is in use")
        chosen = size or self.usual_size(limit)
        self.check_queue_size(index, chosen, limit)
        if index in self.vqs:
            await self.del_vq(self.vqs[index])
        vq = self.new_queue(index, chosen, callback)
        self.vqs[index] = vq
        self.device.vqs.append(vq)
        self._registers[index] = registers
        await self.resume(vq)
        return vq

    def usual_size(self, limit: int) -> int:
        """How many entries a queue has, unless something else is asked for."""
        return limit

    def check_queue_size(self, index: int, size: int, limit: int) -> None:
        """Errors: ``ValueError`` for a ``size`` that may not be chosen where the device offers ``limit``."""
        if size > limit:
            raise ValueError(f"queue {index}: size is {size}; the device allows at most {limit}")

    def new_queue(self, index: int, size: int, callback: Callable[[Virtqueue], bool] | None) -> RingVirtqueue:
        """A queue of ``size`` entries, of the format that was negotiated."""
        return ring_virtqueue(
            self.memory,
            size,
            index=index,
            callback=callback,
            control=self,
            vdev=self.device,
            features=self.features,
        )

    async def resume(self, vq: RingVirtqueue) -> None:
        """Write size and rings of a queue to the device, and enable it."""
        registers = self._registers[vq.index]
        await registers.write("size", vq.size)
        await registers.write("desc", vq.desc_address)
        await registers.write("driver", vq.driver_address)
        await registers.write("device", vq.device_address)
        await registers.write("enable", 1)

    async def del_vq(self, vq: Virtqueue) -> None:
        """Free a queue that was shut down."""
        self.vqs.pop(vq.index, None)
        if vq in self.device.vqs:
            self.device.vqs.remove(vq)
        vq.free()

    async def retire_vq(self, vq: RingVirtqueue) -> None:
        """Stop a queue in use, and free it."""
        if self.holds(vq):
            await self.quiesce(vq)
            self._registers.pop(vq.index, None)
        await self.del_vq(vq)

    async def notify(self, vq: RingVirtqueue) -> None:
        """Ring the doorbell of a queue; it carries the available index with VIRTIO_F_NOTIFICATION_DATA."""
        await self._registers[vq.index].ring(vq.index, vq.shown if self._carries_index else None)

    @property
    def _carries_index(self) -> bool:
        """Whether notifications carry the available index."""
        return bool(self.features >> Feature.NOTIFICATION_DATA & 1)

    def holds(self, vq: RingVirtqueue) -> bool:
        """Whether the queue is enabled on the device."""
        return vq.index in self._registers

    def can_resume(self, vq: RingVirtqueue) -> bool:
        """Whether a queue reset was negotiated."""
        return self.holds(vq) and bool(self.features >> Feature.RING_RESET & 1)

    async def quiesce(self, vq: RingVirtqueue) -> bool:
        """A queue reset if it was negotiated and the device has not failed, else a device reset."""
        if not self.holds(vq):
            return False
        if not self.can_resume(vq) or await self.needs_reset():
            await self.reset()
            return False
        await self._registers[vq.index].write("reset", 1)
        await self._queue_reset_ends(vq)
        return True

    async def _queue_reset_ends(self, vq: RingVirtqueue) -> None:
        """Wait for the end of the queue reset, on transports where it takes time."""
        return
