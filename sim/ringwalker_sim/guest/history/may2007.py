"""31 May 2007: ``virtio_ops``.

New was the idea itself: common drivers over most virtual I/O mechanisms. A device takes buffers to send
(``add_outbuf``) and buffers to receive into (``add_inbuf``), which it reports by filling in ``used``;
``sync`` shows it what was added, unless the implementation has no need of that, and ``detach_*`` takes a
buffer back for good. There is no bus, no identity and no configuration: code for the hypervisor finds the
device, makes a ``virtio_device`` of it and hands it to the driver's probe.

What changed next, and why: a request and its answer were two buffers that only their order held together,
and a driver had to look through its ``used`` words to learn what had happened. So one ``add_buf`` came to
take both directions with a token, ``get_buf`` to give the token back, and a callback to say when. Detaching
one buffer, which no shared ring can do cheaply, became ``shutdown`` of all. And devices wanted finding.

Two implementations, as then: :class:`DescriptorOps` on rings and :class:`ReadWriteOps` on a byte pipe. Where
the device wants the answer in the buffer of its request (block), the in-buffers of the answer are added
before the out-buffer that asks; otherwise in and out are queues of their own.
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
"""What a driver puts into ``used`` before it adds a buffer: no length is that long."""


class Used:
    """An ``unsigned long *used``: the bytes sent or received, set once that is done."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = UNUSED


@dataclass
class virtio_device:
    """A device: the underlying ``dev``, and ``ops``, what can be done with it."""

    dev: device
    ops: "virtio_ops"


class virtio_ops(ABC):
    """The abstraction layer. What in C may reach the other end is a coroutine here.

    Identifiers are positive; a negative number is an error: -ENOSPC when there is no room, -EINVAL for
    arguments that cannot be, -EIO when the device has failed.
    """

    sync: Callable[[virtio_device], Awaitable[None]] | None = None
    """Start sending and receiving what was added; None if there is nothing to do. Use :func:`virtio_sync`."""

    @abstractmethod
    def add_outbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """Prepare to send ``num`` pieces; ``used`` gets the length once they are sent. An identifier."""

    @abstractmethod
    def add_inbuf(self, vdev: virtio_device, sg: Sequence[tuple[int, int]], num: int, used: Used) -> int:
        """Prepare to receive into ``num`` pieces; ``used`` gets the length received. An identifier."""

    @abstractmethod
    async def detach_outbuf(self, vdev: virtio_device, id: int) -> None:
        """Make sure that what was added can no longer be read by the other end."""

    @abstractmethod
    async def detach_inbuf(self, vdev: virtio_device, id: int) -> None:
        """Make sure that what was added can no longer be written by the other end."""


async def virtio_sync(vdev: virtio_device) -> None:
    """Start sending and receiving, where the implementation has anything to do for it."""
    if vdev.ops.sync is not None:
        await vdev.ops.sync(vdev)


class _Buffer:
    """A buffer that was added, in or out."""

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
    """Buffers that go to the device as one."""

    __slots__ = ("buffers", "vq")

    def __init__(self, buffers: list[_Buffer], vq: Virtqueue):
        self.buffers = buffers
        self.vq = vq


class DescriptorOps(virtio_ops):
    """The descriptor-based implementation, on two queues, or on one (``inward is outward``) for requests.

    In a request, detaching one of its buffers takes all of them back. ``failure`` says what the device did
    wrong. Whoever makes it sets :meth:`harvest` as the callback of both queues.
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

    def connect(self, inward: Virtqueue, outward: Virtqueue) -> None:
        """The queues to receive and to send with."""
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
        """See :meth:`virtio_ops.add_outbuf`. Of a request, it comes last and completes it."""
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
        """See :meth:`virtio_ops.detach_outbuf`. If it was sent meanwhile, ``used`` says so."""
        await self._detach(id)

    async def detach_inbuf(self, vdev: virtio_device, id: int) -> None:
        """See :meth:`virtio_ops.detach_inbuf`. If something was received meanwhile, ``used`` says so."""
        await self._detach(id)

    def _forget(self, chain: _Chain) -> None:
        for buffer in chain.buffers:
            del self._chains[buffer.id]

    def harvest(self, vq: Virtqueue) -> bool:
        """Fill in what is used, and interrupt: the callback of the queues."""
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
    """The read-write implementation, as on a socket: adding a buffer writes it to the stream.

    There is nothing left to do for ``sync``, so there is none.
    """

    def __init__(self, dev: device):
        super().__init__(dev)
        self.sync = None

    def connect(self, inward: Virtqueue, outward: Virtqueue) -> None:
        """The queues to receive and to send with. Errors: ``TypeError`` if they are no pipes."""
        for vq in (inward, outward):
            if not isinstance(vq, PipeVirtqueue):
                raise TypeError(f"queue {vq.index} is not on a byte pipe")
        super().connect(inward, outward)

    def _add(self, chain: _Chain) -> int:
        result = super()._add(chain)
        if result == 0 and isinstance(chain.vq, PipeVirtqueue):
            chain.vq.publish()
        return result
