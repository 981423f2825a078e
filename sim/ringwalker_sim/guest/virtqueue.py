"""The split virtqueue, driver's side, with the operations of the 2007 interface.

Ref: virtio 1.4, 2.7; 2007: ``struct virtqueue`` and ``struct virtqueue_ops``.
"""

import errno
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
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
from .errors import DeviceError

__all__ = ["Virtqueue"]

_INDEX_MASK = 0xFFFF


async def _nothing(_vq: "Virtqueue") -> None:
    pass


async def _not_usable(_vq: "Virtqueue") -> bool:
    return False


class Virtqueue:
    """A queue of buffers to a device, in guest memory that it allocates.

    ``callback(vq)`` runs when the device has used buffers; if it returns False, callbacks are suppressed (and
    the device asked not to interrupt) until :meth:`restart`. A transport supplies ``notify``, which tells the
    device that there are new buffers, and ``stop``, which makes the device forget the queue and says whether
    it can be used again; it calls :meth:`interrupt` for used buffer notifications.

    ``vdev`` is the device it belongs to, ``priv`` is free for the driver. ``desc_address``,
    ``driver_address`` and ``device_address`` are where the three areas lie. ``kicks``, ``interrupts`` and
    ``spurious`` count.
    Errors: :class:`DeviceError` when the device wrote into the used ring what it must not.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        *,
        index: int = 0,
        callback: Callable[["Virtqueue"], bool] | None = None,
        notify: Callable[["Virtqueue"], Awaitable[None]] = _nothing,
        stop: Callable[["Virtqueue"], Awaitable[bool]] = _not_usable,
        vdev: Any = None,
    ):
        if not 1 <= size <= MAX_QUEUE_SIZE or size & (size - 1):
            raise ValueError(f"size is {size!r}; it must be a power of two from 1 to {MAX_QUEUE_SIZE}")
        self.memory = memory
        self.size = size
        self.index = index
        self.callback = callback
        self.vdev = vdev
        self.priv: Any = None
        self.kicks = self.interrupts = self.spurious = 0
        self.broken = False
        self._notify = notify
        self._stop = stop
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
        self._chains: dict[int, tuple[Any, list[int], int]] = {}
        self._added = 0
        self._last_used = 0
        self._suppressed = False
        self.broken = False

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

    @property
    def outstanding(self) -> int:
        """Buffers added and not yet got back."""
        return len(self._chains)

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        """Offer a buffer: ``out_num`` (address, length) pieces to be read, then ``in_num`` to be written.

        ``data`` is the token that :meth:`get_buf` gives back, not None. Returns 0, or a negative errno:
        -ENOSPC when there are too few free descriptors, -EINVAL for arguments that cannot be, -EIO on a
        queue that was shut down.
        """
        count = out_num + in_num
        if self.broken:
            return -errno.EIO
        if count != len(sg) or count < 1 or out_num < 0 or in_num < 0 or data is None:
            return -errno.EINVAL
        if count > self.size or any(length < 1 for _, length in sg):
            return -errno.EINVAL
        free = self._free
        if count > len(free):
            return -errno.ENOSPC
        indices = [free.popleft() for _ in range(count)]
        writable = 0
        last = count - 1
        for position, (address, length) in enumerate(sg):
            at = indices[position]
            flags = 0
            if position >= out_num:
                flags = DESC_F_WRITE
                writable += length
            if position != last:
                flags |= DESC_F_NEXT
                self._next[at] = indices[position + 1]
            else:
                self._next[at] = 0
            self._addr[at] = address
            self._len[at] = length
            self._flags[at] = flags
        head = indices[0]
        self._chains[head] = (data, indices, writable)
        # The entries become visible with the index, which kick writes.
        self._avail_ring[self._added & (self.size - 1)] = head
        self._added = (self._added + 1) & _INDEX_MASK
        return 0

    async def kick(self) -> None:
        """Show the device all buffers added so far, and tell it unless it asked not to be told."""
        self._avail_idx[0] = self._added
        if self.broken or self._used_flags[0] & USED_F_NO_NOTIFY:
            return
        self.kicks += 1
        await self._notify(self)

    def _pending(self) -> int:
        pending = (int(self._used_idx[0]) - self._last_used) & _INDEX_MASK
        if pending > len(self._chains):
            raise DeviceError(
                f"queue {self.index}: used index is {int(self._used_idx[0])}, {pending} after the last one "
                f"seen, but only {len(self._chains)} buffers are outstanding"
            )
        return pending

    @property
    def used_pending(self) -> bool:
        """Whether the device has moved the used index, so that :meth:`get_buf` gives a buffer or an error."""
        return not self.broken and int(self._used_idx[0]) != self._last_used

    def get_buf(self) -> tuple[Any, int] | None:
        """The next used buffer's token and the number of bytes written into it, or None."""
        if self.broken or not self._pending():
            return None
        slot = self._last_used & (self.size - 1)
        head, length = int(self._used_id[slot]), int(self._used_len[slot])
        chain = self._chains.pop(head, None)
        if chain is None:
            why = "is not the head of an outstanding chain" if head < self.size else f"is beyond {self.size}"
            raise DeviceError(f"queue {self.index}: used entry {self._last_used} has id {head}, which {why}")
        data, indices, writable = chain
        if length > writable:
            raise DeviceError(
                f"queue {self.index}: used entry {self._last_used} says {length} bytes were written into "
                f"chain {head}, which has {writable} writable bytes"
            )
        self._last_used = (self._last_used + 1) & _INDEX_MASK
        self._free.extend(indices)
        return data, length

    def restart(self) -> bool:
        """Allow callbacks again. False (and they stay suppressed) when used buffers are waiting."""
        self._avail_flags[0] = 0
        if not self.broken and self._pending():
            self._suppress()
            return False
        self._suppressed = False
        return True

    def _suppress(self) -> None:
        self._suppressed = True
        self._avail_flags[0] = AVAIL_F_NO_INTERRUPT

    def interrupt(self) -> None:
        """A used buffer notification has come. For transports; interrupts without cause are counted."""
        self.interrupts += 1
        if self._suppressed or not self.used_pending:
            self.spurious += 1
        elif self.callback is not None and not self.callback(self):
            self._suppress()

    async def shutdown(self) -> list[Any]:
        """Take back all buffers, whatever the device has done with them; their tokens in order of adding.

        Afterwards the device does not touch them. The queue is empty and can be used again if the
        transport can restart a single queue; otherwise it is ``broken`` until the device is set up anew.
        """
        order = self._chains
        self.broken = True
        usable = await self._stop(self)
        tokens = [data for data, _, _ in order.values()]
        self._chains = {}
        if usable:
            self.broken = False
        return tokens
