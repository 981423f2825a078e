"""The split virtqueue, driver's side. Ref: virtio 1.4, 2.7, 2.6.1 (virtqueue reset)."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_ALIGN,
    DESC_BYTES,
    DESC_F_NEXT,
    DESC_F_WRITE,
    DEVICE_ALIGN,
    DRIVER_ALIGN,
    MAX_QUEUE_SIZE,
    USED_ENTRY_BYTES,
    USED_F_NO_NOTIFY,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
)

from ..memory import GuestMemory
from .errors import BindError, DeviceError, VirtioError
from .virtqueue import Chain, Virtqueue

__all__ = ["QueueControl", "SplitVirtqueue"]

_INDEX_MASK = 0xFFFF


class QueueControl:
    """What a transport does for a split virtqueue. This one reaches no device."""

    async def notify(self, vq: "SplitVirtqueue") -> None:
        """Tell the device that there are new buffers."""
        return

    def can_resume(self, vq: "SplitVirtqueue") -> bool:
        """Whether a queue can be stopped without a reset of the whole device."""
        return False

    def holds(self, vq: "SplitVirtqueue") -> bool:
        """Whether the device knows the queue, and may touch its buffers."""
        return False

    async def quiesce(self, vq: "SplitVirtqueue") -> bool:
        """Make the device forget the queue; when this returns it touches neither rings nor buffers.

        What it had begun it has completed into the used ring, or dropped. False: the device was reset for
        it, and the queue cannot be resumed.
        """
        return False

    async def resume(self, vq: "SplitVirtqueue") -> None:
        """Tell the device of the queue again, whose rings are empty."""
        return


class SplitVirtqueue(Virtqueue):
    """Descriptors and rings in guest memory that the queue allocates.

    ``control`` is the transport; it calls :meth:`interrupt` for used buffer notifications.
    ``desc_address``, ``driver_address`` and ``device_address`` are where the three areas lie.

    :meth:`detach` and :meth:`shutdown` stop the queue. A receive buffer that the device gave back empty
    because it was stopped counts as not used. When they raise, the queue is ``broken``.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        *,
        index: int = 0,
        callback: Callable[[Virtqueue], bool] | None = None,
        control: QueueControl | None = None,
        vdev: Any = None,
    ):
        if not 1 <= size <= MAX_QUEUE_SIZE or size & (size - 1):
            raise ValueError(f"size is {size!r}; it must be a power of two from 1 to {MAX_QUEUE_SIZE}")
        super().__init__(size, index=index, callback=callback, vdev=vdev)
        self.memory = memory
        self._control = control or QueueControl()
        self._stopping = False
        self._taken = self._real = 0
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        memory, size = self.memory, self.size
        self._areas = (
            memory.allocate(size * DESC_BYTES, DESC_ALIGN),
            memory.allocate(AVAIL_RING_OFFSET + (size + 1) * AVAIL_ENTRY_BYTES, DRIVER_ALIGN),
            memory.allocate(USED_RING_OFFSET + size * USED_ENTRY_BYTES + 2, DEVICE_ALIGN),
        )
        self.desc_address, self.driver_address, self.device_address = (area.address for area in self._areas)
        desc = memory.struct_view(self.desc_address, Descriptor, size)
        self._addr, self._len = desc["addr"], desc["len"]
        self._flags, self._next = desc["flags"], desc["next"]
        avail = memory.struct_view(self.driver_address, RingHeader)
        self._avail_flags, self._avail_idx = avail["flags"], avail["idx"]
        ring = self.driver_address + AVAIL_RING_OFFSET
        self._avail_ring = memory.view(ring, size * AVAIL_ENTRY_BYTES).view("<u2")
        used = memory.struct_view(self.device_address, RingHeader)
        self._used_flags, self._used_idx = used["flags"], used["idx"]
        elements = memory.struct_view(self.device_address + USED_RING_OFFSET, UsedElement, size)
        self._used_id, self._used_len = elements["id"], elements["len"]

    def reset(self) -> None:
        """Make the rings empty, as a device that was just told of them expects. For transports."""
        for area in self._areas:
            area.array[:] = 0
        self._free: deque[int] = deque(range(self.size))
        self._chains.clear()
        self._added = 0
        self._last_used = 0
        self.broken = False
        if self._suppressed:
            self._ask_interrupts(False)

    def free(self) -> None:
        """Give the rings' memory back. The device must have forgotten the queue."""
        self.broken = True
        for area in self._areas:
            area.free()
        self._areas = ()

    @property
    def num_free(self) -> int:
        """Descriptors that are not in use."""
        return len(self._free)

    # --- adding --------------------------------------------------------------------------------------------

    def _expose(self, chain: Chain) -> None:
        indices = [self._free.popleft() for _ in range(len(chain.sg))]
        last = len(indices) - 1
        for position, (address, length) in enumerate(chain.sg):
            at = indices[position]
            flags = DESC_F_WRITE if position >= chain.out_num else 0
            if position != last:
                flags |= DESC_F_NEXT
                self._next[at] = indices[position + 1]
            else:
                self._next[at] = 0
            self._addr[at] = address
            self._len[at] = length
            self._flags[at] = flags
        head = indices[0]
        chain.place = indices
        self._chains[head] = chain
        # The entries become visible with the index, which kick writes.
        self._avail_ring[self._added & (self.size - 1)] = head
        self._added = (self._added + 1) & _INDEX_MASK

    async def kick(self) -> None:
        """Show the device all buffers added so far, and tell it unless it asked not to be told."""
        if self._stopping:
            return  # Whatever was added is shown when the queue goes on.
        self._avail_idx[0] = self._added
        if self.broken or self._used_flags[0] & USED_F_NO_NOTIFY:
            return
        self.kicks += 1
        await self._control.notify(self)

    # --- getting back --------------------------------------------------------------------------------------

    def _pending(self) -> int:
        pending = (int(self._used_idx[0]) - self._last_used) & _INDEX_MASK
        if pending > len(self._chains):
            raise DeviceError(
                f"queue {self.index}: used index is {int(self._used_idx[0])}, {pending} after the last one "
                f"seen, but only {len(self._chains)} buffers are outstanding"
            )
        return pending

    def _take(self) -> tuple[Chain, int] | None:
        while self._pending():
            chain, length = self._take_entry()
            if not self._stopping or length or self._taken <= self._real or not chain.writable:
                return chain, length
            self._returned.append(chain)
        return None

    def _take_entry(self) -> tuple[Chain, int]:
        slot = self._last_used & (self.size - 1)
        head, length = int(self._used_id[slot]), int(self._used_len[slot])
        chain = self._chains.pop(head, None)
        if chain is None:
            why = "is not the head of an outstanding chain" if head < self.size else f"is beyond {self.size}"
            raise DeviceError(f"queue {self.index}: used entry {self._last_used} has id {head}, which {why}")
        if length > chain.writable:
            raise DeviceError(
                f"queue {self.index}: used entry {self._last_used} says {length} bytes were written into "
                f"chain {head}, which has {chain.writable} writable bytes"
            )
        self._last_used = (self._last_used + 1) & _INDEX_MASK
        self._taken += 1
        self._free.extend(chain.place)
        return chain, length

    def _ask_interrupts(self, wanted: bool) -> None:
        self._avail_flags[0] = 0 if wanted else AVAIL_F_NO_INTERRUPT

    # --- stopping ------------------------------------------------------------------------------------------

    async def _stop(self) -> tuple[bool, list[Chain]]:
        """Stop the queue and take what was used; whether it can go on, and the chains that are left."""
        if self._stopping:
            raise RuntimeError(f"queue {self.index} is being stopped already; one at a time")
        self._stopping = True
        self._returned: list[Chain] = []
        self._real = self._taken + ((int(self._used_idx[0]) - self._last_used) & _INDEX_MASK)
        try:
            usable = await self._control.quiesce(self)
            while (taken := self._take()) is not None:
                self._done.append((taken[0].data, taken[1]))
        except VirtioError:
            self.broken = True
            raise
        finally:
            self._stopping = False
        left = sorted([*self._returned, *self._chains.values()], key=lambda chain: chain.number)
        return usable, left

    async def shutdown(self) -> list[Any]:
        """See :meth:`Virtqueue.shutdown`. A transport that cannot stop one queue resets the device."""
        usable, left = await self._stop()
        self.reset()
        self.broken = not usable
        if usable:
            await self._control.resume(self)
        self._announce()
        return [chain.data for chain in left]

    async def detach(self, data: Any) -> bool:
        """See :meth:`Virtqueue.detach`. The queue stands still for the time of a queue reset."""
        head = self._find(data)
        if head is None:
            return False
        if self.broken and not self._control.holds(self):
            del self._chains[head]
            return True
        if self.broken or not self._control.can_resume(self):
            raise BindError(
                f"queue {self.index}: detach needs a device with VIRTIO_F_RING_RESET and a queue that works"
            )
        usable, left = await self._stop()
        self.reset()
        mine = next((chain for chain in left if chain.data is data or chain.data == data), None)
        for chain in left:
            if chain is not mine:
                self._expose(chain)
        self.broken = not usable
        if usable:
            await self._control.resume(self)
            await self.kick()
        self._announce()
        return mine is not None
