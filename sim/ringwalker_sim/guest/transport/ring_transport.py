"""What transports with rings in the guest's memory have in common: queues over their registers."""

from abc import abstractmethod

from ringwalker.spec.features import Feature

from ..bus import VirtioDevice
from ..split_queue import QueueControl, SplitVirtqueue
from ..virtqueue import Virtqueue
from .queue_registers import QueueRegisters
from .status_ops import StatusOps

__all__ = ["RingTransport"]


class RingTransport(StatusOps, QueueControl):
    """Stops and forgets queues. ``device`` is what it is the ``config`` of, ``vqs`` are its queues by index.

    The device knows the queues that are in ``_registers``.
    """

    device: VirtioDevice
    vqs: dict[int, SplitVirtqueue]
    _registers: dict[int, QueueRegisters]

    @abstractmethod
    async def reset(self) -> None:
        """Reset the device: it stops, and its queues are gone."""

    async def del_vq(self, vq: Virtqueue) -> None:
        """Forget a queue that was shut down, and free its rings."""
        self.vqs.pop(vq.index, None)
        if vq in self.device.vqs:
            self.device.vqs.remove(vq)
        vq.free()

    async def retire_vq(self, vq: SplitVirtqueue) -> None:
        """Make the device forget a queue that is in use, and free its rings."""
        if self.holds(vq):
            await self.quiesce(vq)
            self._registers.pop(vq.index, None)
        await self.del_vq(vq)

    async def notify(self, vq: SplitVirtqueue) -> None:
        """Ring the doorbell of a queue, with its available index where that was agreed on."""
        told = self.features >> Feature.NOTIFICATION_DATA & 1
        await self._registers[vq.index].ring(vq.index, vq.shown if told else None)

    def holds(self, vq: SplitVirtqueue) -> bool:
        """Whether the device knows the queue."""
        return vq.index in self._registers

    def can_resume(self, vq: SplitVirtqueue) -> bool:
        """Whether a queue reset was negotiated."""
        return self.holds(vq) and bool(self.features >> Feature.RING_RESET & 1)

    async def quiesce(self, vq: SplitVirtqueue) -> bool:
        """A queue reset where it was negotiated and the device is well, else a device reset."""
        if not self.holds(vq):
            return False
        if not self.can_resume(vq) or await self.needs_reset():
            await self.reset()
            return False
        await self._registers[vq.index].write("reset", 1)
        await self._queue_reset_ends(vq)
        return True

    async def _queue_reset_ends(self, vq: SplitVirtqueue) -> None:
        """Wait for it, where it takes time."""
        return
