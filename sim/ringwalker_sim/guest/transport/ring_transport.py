"""The part that transports with rings in the guest's memory share: queues over their registers."""

from abc import abstractmethod

from ringwalker.spec.features import Feature

from ..bus import VirtioDevice
from ..ring_queue import QueueControl, RingVirtqueue
from ..virtqueue import Virtqueue
from .queue_registers import QueueRegisters
from .status_ops import StatusOps

__all__ = ["RingTransport"]


class RingTransport(StatusOps, QueueControl):
    """Stops and frees queues. It is the ``config`` of ``device``; ``vqs`` are the queues by index.

    The queues in ``_registers`` are enabled on the device.
    """

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
