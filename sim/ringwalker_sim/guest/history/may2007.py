"""31 May 2007: ``virtio_ops``.

The first stage: one driver for every hypervisor. A driver adds buffers to send (``add_outbuf``) and buffers
to receive into (``add_inbuf``). The device writes the length to ``used`` when it has used a buffer. ``sync``
shows it the added buffers, where the implementation needs that, and ``detach_*`` takes a buffer back. There
is no bus, no identity and no configuration: code for the hypervisor finds the device, makes a
``virtio_device`` of it and passes it to the driver's probe.

Here a request and its answer are two buffers that belong together only by their order, and a driver polls its
``used`` words. In the next stage one ``add_buf`` takes both directions with a token, ``get_buf`` returns the
token, and a callback runs when buffers are used. ``shutdown`` of a queue replaces the detaching of one
buffer, which is expensive on a shared ring. Discovery is added.

There are two implementations, as in lguest: :class:`DescriptorOps` on rings and :class:`ReadWriteOps` on a
byte pipe. A block request needs its answer in the same chain, so the in-buffers of the answer are added
before the out-buffer of the request; for other devices in and out are two queues.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DeviceError
from ..transport.pipe import PipeVirtqueue
from ..virtqueue import Virtqueue
from .device import device

__all__ = [
    "UNUSED",
    "DescriptorOps",
    "ReadWriteOps",
    "Used",
    "virtio_device",
    "virtio_ops",
    "virtio_sync",
]

UNUSED = (1 << 64) - 1
"""The value of ``used`` before the buffer is used. It is no possible length."""


class Used:
    """An ``unsigned long *used``: the number of bytes sent or received, set when the buffer is used."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = UNUSED


@dataclass
class virtio_device:
    """A device: the underlying ``dev``, and its operations ``ops``."""

    dev: device
    ops: "virtio_ops"


class virtio_ops(ABC):
    """The operations of a device. Those that may have to wait for it are coroutines.

    Identifiers are positive. A negative number is an error: -ENOSPC when there is no room, -EINVAL for
    invalid arguments, -EIO when the device has failed.
    """

    sync: Callable[[virtio_device], Awaitable[None]] | None = None
    """Shows the device the added buffers; None where that is not needed. Use :func:`virtio_sync`."""

    @abstractmethod
    def add_outbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """Add ``num`` pieces to send; ``used`` gets their length when sent. Returns an identifier."""

    @abstractmethod
    def add_inbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """Add ``num`` pieces to receive into; ``used`` gets the received length. Returns an identifier."""

    @abstractmethod
    async def detach_outbuf(self, vdev: virtio_device, id: int) -> None:
        """Take an out-buffer back: the device no longer reads it."""

    @abstractmethod
    async def detach_inbuf(self, vdev: virtio_device, id: int) -> None:
        """Take an in-buffer back: the device no longer writes it."""


async def virtio_sync(vdev: virtio_device) -> None:
    """Show the device the added buffers, where the implementation needs that."""
    if vdev.ops.sync is not None:
        await vdev.ops.sync(vdev)


class _Buffer:
    """An added buffer, in or out."""

    __slots__ = ("id", "out", "sg", "used")

    def __init__(self, number: int, sg: Sequence[tuple[int, int]], used: Used, out: bool):
        self.id = number
        self.sg = list(sg)
        self.used = used
        self.out = out

    @property
    def length(self) -> int:
        return sum(length for _, length in self.sg)


class _Chain:
    """Buffers that form one chain."""

    __slots__ = ("buffers", "vq")

    def __init__(self, buffers: list[_Buffer], vq: Virtqueue):
        self.buffers = buffers
        self.vq = vq


class DescriptorOps(virtio_ops):
    """The implementation on descriptor rings: two queues, or one (``inward is outward``) for requests.

    Detaching one buffer of a request takes all of its buffers back. ``failure`` is None, or the error of the
    device. :meth:`harvest` must be the callback of both queues.
    """

    def __init__(self, dev: device):
        self.failure: DeviceError | None = None
        self._dev = dev
        self._inward: Any = None
        self._outward: Any = None
        self._numbers = 0
        self._answers: list[_Buffer] = []
        self._chains: dict[int, _Chain] = {}
        self.sync = self._kick

    def connect(self, inward: Virtqueue, outward: Virtqueue | None) -> None:
        """Set the queues to receive and to send with; None for a device that only gives."""
        self._inward, self._outward = inward, outward

    def _buffer(self, sg: Sequence[tuple[int, int]], num: int, used: Used, out: bool) -> _Buffer | int:
        if self.failure is not None:
            return -errno.EIO
        if num != len(sg) or num < 1:
            return -errno.EINVAL
        self._numbers += 1
        return _Buffer(self._numbers, sg, used, out)

    def _add(self, chain: _Chain) -> int:
        out = [piece for buffer in chain.buffers if buffer.out for piece in buffer.sg]
        inward = [piece for buffer in chain.buffers if not buffer.out for piece in buffer.sg]
        if len(out) + len(inward) > chain.vq.num_free:
            return -errno.ENOSPC
        result = chain.vq.add_buf([*out, *inward], len(out), len(inward), chain)
        if result == 0:
            for buffer in chain.buffers:
                self._chains[buffer.id] = chain
        return result

    def add_outbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """See :meth:`virtio_ops.add_outbuf`. In a request it comes last and completes it."""
        if self._outward is None:
            return -errno.EINVAL
        buffer = self._buffer(sg, num, used, True)
        if isinstance(buffer, int):
            return buffer
        answers = self._answers if self._inward is self._outward else []
        result = self._add(_Chain([buffer, *answers], self._outward))
        if result:
            return result
        answers.clear()
        return buffer.id

    def add_inbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """See :meth:`virtio_ops.add_inbuf`. For the answer to a request, it comes before the request."""
        buffer = self._buffer(sg, num, used, False)
        if isinstance(buffer, int):
            return buffer
        if self._inward is not self._outward:
            return self._add(_Chain([buffer], self._inward)) or buffer.id
        # The request that these answer needs one descriptor at least.
        waiting = sum(len(item.sg) for item in self._answers)
        if waiting + num >= self._inward.num_free:
            return -errno.ENOSPC
        self._answers.append(buffer)
        return buffer.id

    async def _kick(self, vdev: virtio_device) -> None:
        for vq in dict.fromkeys((self._inward, self._outward)):
            if vq is not None:
                await vq.kick()

    async def _detach(self, id: int) -> None:
        self._answers = [buffer for buffer in self._answers if buffer.id != id]
        chain = self._chains.get(id)
        if chain is None:
            return
        if await chain.vq.detach(chain):
            self._forget(chain)
        else:
            self.harvest(chain.vq)

    async def detach_outbuf(self, vdev: virtio_device, id: int) -> None:
        """See :meth:`virtio_ops.detach_outbuf`. ``used`` is set if it was sent before."""
        await self._detach(id)

    async def detach_inbuf(self, vdev: virtio_device, id: int) -> None:
        """See :meth:`virtio_ops.detach_inbuf`. ``used`` is set if bytes were received before."""
        await self._detach(id)

    def _forget(self, chain: _Chain) -> None:
        for buffer in chain.buffers:
            del self._chains[buffer.id]

    def harvest(self, vq: Virtqueue) -> bool:
        """Set ``used`` of all used buffers, and interrupt. The callback of the queues."""
        try:
            while (taken := vq.get_buf()) is not None:
                chain, written = taken
                self._forget(chain)
                for buffer in chain.buffers:
                    part = buffer.length if buffer.out else min(written, buffer.length)
                    written -= 0 if buffer.out else part
                    buffer.used.value = part
        except DeviceError as error:
            self.failure = error
        self._dev.irq()
        return True


class ReadWriteOps(DescriptorOps):
    """The implementation on a byte stream, like a socket: ``add_outbuf`` and ``add_inbuf`` write to the
    stream.

    ``sync`` is None: there is nothing to show the device later.
    """

    def __init__(self, dev: device):
        super().__init__(dev)
        self.sync = None

    def connect(self, inward: Virtqueue, outward: Virtqueue | None) -> None:
        """See :meth:`DescriptorOps.connect`. Errors: ``TypeError`` if a queue is not on a byte pipe."""
        for vq in (inward, outward):
            if vq is not None and not isinstance(vq, PipeVirtqueue):
                raise TypeError(f"queue {vq.index} is not on a byte pipe")
        super().connect(inward, outward)

    def _add(self, chain: _Chain) -> int:
        result = super()._add(chain)
        if result == 0 and isinstance(chain.vq, PipeVirtqueue):
            chain.vq.publish()
        return result
