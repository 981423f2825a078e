"""Virtqueues whose rings are in guest memory: what all ring formats have in common on the driver's side.

Ref: virtio 1.4, 2.6.1 (virtqueue reset), 2.7.5.3 and 2.8.7 (indirect descriptors).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import DESC_ALIGN, DESC_BYTES, DESC_F_WRITE

from ..memory import Buffer, GuestMemory
from ..timeline.recording import Recording
from .errors import BindError, DeviceError, VirtioError
from .recorder import Recorder
from .virtqueue import Chain, Virtqueue

__all__ = ["RING_FEATURES", "BufferSet", "IndirectTables", "QueueControl", "QueueSignals", "RingVirtqueue"]

RING_FEATURES = (
    1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX | 1 << Feature.RING_PACKED | 1 << Feature.IN_ORDER
)
"""Features that virtqueues use when they are negotiated."""

_TABLE = 16
"""Descriptors of the indirect table that each buffer of a ring has; longer tables are allocated as needed."""


@dataclass(frozen=True)
class QueueSignals:
    """How a queue and its driver reach each other on a PCI bus: the doorbell's address, the number that names
    the queue there, whether what is written carries the available index, and address and data of the message
    that is the queue's own.
    """

    doorbell: int
    name: int
    carries_index: bool
    message: tuple[int, int]


class QueueControl:
    """The operations of a transport for a virtqueue with rings. This base class reaches no device."""

    async def notify(self, vq: "RingVirtqueue") -> None:
        """Notify the device of new buffers."""
        return

    @property
    def recorder(self) -> Recorder | None:
        """What is told of all buffers of the queues, if anything is."""
        return None

    @property
    def timeline(self) -> Recording | None:
        """What is told when buffers are added and taken, if anything is."""
        return None

    def signals(self, vq: "RingVirtqueue") -> QueueSignals | None:
        """The signals of a queue that has a doorbell in memory and a message of its own; else None."""
        return None

    def can_resume(self, vq: "RingVirtqueue") -> bool:
        """Whether the queue can be stopped without a reset of the device."""
        return False

    def holds(self, vq: "RingVirtqueue") -> bool:
        """Whether the device knows the queue, and may touch its buffers."""
        return False

    async def quiesce(self, vq: "RingVirtqueue") -> bool:
        """Stop the queue; when this returns the device accesses neither its rings nor its buffers.

        Chains in flight were completed into the ring, or dropped. False: this took a device reset, and
        the queue cannot be resumed.
        """
        return False

    async def resume(self, vq: "RingVirtqueue") -> None:
        """Set the queue up on the device again, with empty rings."""
        return


class BufferSet:
    """Buffers of one piece each, added many at a time; all device-readable, or all ``writable``.

    Buffer n has ``lengths[n]`` bytes at ``addresses[n]``; its token is ``tokens[n]``, by default n.
    """

    def __init__(
        self, addresses: np.ndarray, lengths: np.ndarray, writable: bool, tokens: Sequence[Any] | None = None
    ):
        self.addresses = np.asarray(addresses).astype(np.uint64)
        self.lengths = np.asarray(lengths).astype(np.uint32)
        self.flags = DESC_F_WRITE if writable else 0
        self.room = self.lengths.astype(np.int64) * writable
        self.tokens = range(len(self.addresses)) if tokens is None else tokens
        pieces = zip(self.addresses.tolist(), self.lengths.tolist(), self.tokens, strict=True)
        self.chains = [Chain(token, [(at, length)], int(not writable)) for at, length, token in pieces]

    def __len__(self) -> int:
        return len(self.addresses)


class IndirectTables:
    """Indirect tables of descriptors of layout ``struct`` for the buffers of a queue of ``size`` entries."""

    def __init__(self, memory: GuestMemory, size: int, struct: Any):
        self._memory = memory
        self._size = size
        self._struct = struct
        self._small: Buffer | None = None
        self._rows: Any = None
        self._large: dict[int, Buffer] = {}

    def take(self, key: int, count: int) -> tuple[Any, int, int]:
        """A table of ``count`` descriptors for the buffer ``key``, a number below ``size``: rows by field,
        the number of the first row that it has of them, and that row's address."""
        if count > _TABLE:
            self._large[key] = area = self._memory.allocate(count * DESC_BYTES, DESC_ALIGN)
            return self._memory.struct_view(area.address, self._struct, count), 0, area.address
        if self._small is None:
            rows = self._size * _TABLE
            self._small = self._memory.allocate(rows * DESC_BYTES, DESC_ALIGN)
            self._rows = self._memory.struct_view(self._small.address, self._struct, rows)
        first = key * _TABLE
        return self._rows, first, self._small.address + first * DESC_BYTES

    def release(self, key: int) -> None:
        """The buffer ``key`` needs its table no more."""
        if self._large and key in self._large:
            self._large.pop(key).free()

    def forget(self) -> None:
        """No buffer needs its table any more."""
        for table in self._large.values():
            table.free()
        self._large.clear()

    def free(self) -> None:
        """Free all memory."""
        self.forget()
        if self._small is not None:
            self._small.free()
        self._small = self._rows = None


class RingVirtqueue(Virtqueue):
    """A virtqueue in guest memory. It allocates its descriptor area, driver area and device area.

    ``features`` is the negotiated mask, of which ``RING_FEATURES`` are used. With INDIRECT_DESC a buffer of
    two pieces or more occupies one descriptor of the ring. With EVENT_IDX each side says of which entry it
    wants the next notification. ``interrupt_after`` is then the number of used buffers (or all
    outstanding ones, if fewer) after which the driver wants an interrupt. With IN_ORDER the device uses
    buffers in the order in which they were added, and may say so of many at once.

    ``control`` is the transport, which calls :meth:`interrupt` for used buffer notifications.
    ``desc_address``, ``driver_address`` and ``device_address`` are the addresses of the three areas.

    :meth:`add_bufs` and :meth:`get_bufs` do the work of :meth:`add_buf` and :meth:`get_buf` for many buffers
    at a time, which is faster.

    :meth:`detach` and :meth:`shutdown` stop the queue. A receive buffer that the device returned empty
    because of the stop counts as not used. When they raise, the queue is ``broken``.
    """

    desc_address: int
    driver_address: int
    device_address: int

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        *,
        index: int = 0,
        callback: Callable[[Virtqueue], bool] | None = None,
        control: QueueControl | None = None,
        vdev: Any = None,
        features: int = 0,
    ):
        super().__init__(size, index=index, callback=callback, vdev=vdev)
        self.memory = memory
        self.indirect = bool(features >> Feature.INDIRECT_DESC & 1)
        self.event_idx = bool(features >> Feature.EVENT_IDX & 1)
        self.in_order = bool(features >> Feature.IN_ORDER & 1)
        self.interrupt_after = 1
        self._control = control or QueueControl()
        self._recorder = self._control.recorder
        self._timeline = self._control.timeline
        if self._recorder is not None:
            self._recorder.set_up(index, size, type(self).__name__, features)
        self._stopping = False
        self._drained = False
        self._returned: list[Chain] = []
        self._areas: tuple[Buffer, ...] = ()
        self._tables: IndirectTables | None = None

    # --- what formats do -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def shown(self) -> int:
        """Where the driver goes on, as a notification with data carries it. Ref: virtio 1.4, 2.9."""

    @abstractmethod
    def reset(self) -> None:
        """Empty the rings, as a device expects them when the queue is enabled. For transports."""

    @abstractmethod
    def add_bufs(self, buffers: BufferSet, which: Sequence[int] | np.ndarray) -> int:
        """Add the buffers ``which`` in order while descriptors are free; the number of buffers added.

        The device sees them with the next :meth:`kick`. Errors: ``ValueError`` for a buffer that is in a
        queue already.
        """

    @abstractmethod
    def _get_many(self) -> tuple[list[Any], np.ndarray] | None:
        """All used buffers at once; None where they are better taken one by one."""

    @abstractmethod
    def _take_used(self) -> tuple[Chain, int] | None:
        """As :meth:`_take`, of a device that uses every buffer because it has worked on it."""

    @abstractmethod
    def _show(self) -> bool:
        """Show the device all added buffers; whether it wants a notification of them."""

    # --- buffers -------------------------------------------------------------------------------------------

    def descriptors(self, pieces: int) -> int:
        """1 with indirect descriptors, else ``pieces``."""
        return 1 if self.indirect else pieces

    def free(self) -> None:
        """Free the memory of the rings. The queue must be disabled on the device."""
        self.broken = True
        for area in self._areas:
            area.free()
        if self._tables is not None:
            self._tables.free()
        self._areas = ()

    async def kick(self) -> None:
        """Show the device all added buffers, and notify it unless it suppresses notifications."""
        if self._stopping:
            return  # The added buffers are shown when the queue goes on.
        wanted = self._show()
        if self._timeline is not None:
            self._timeline.shown(self.index, wanted)
        if self.broken or not wanted:
            return
        self.kicks += 1
        await self._control.notify(self)

    def get_bufs(self) -> tuple[list[Any], np.ndarray]:
        """All used buffers: their tokens, and the bytes written into each.

        Errors: as for :meth:`get_buf`. A call that meets an error after good buffers returns those; the next
        call raises.
        """
        many = None if self._done or self._stopping or self.broken else self._get_many()
        return self._get_each() if many is None else many

    def _skipped(self, last: Chain) -> Iterator[tuple[Chain, int]]:
        """The buffers that a device with IN_ORDER has used before ``last`` without saying so: completely."""
        for chain in self._chains.values():
            if chain is last:
                return
            yield chain, chain.writable

    def _get_each(self) -> tuple[list[Any], np.ndarray]:
        tokens, lengths = [], []
        try:
            while (used := self.get_buf()) is not None:
                tokens.append(used[0])
                lengths.append(used[1])
        except DeviceError:
            if not tokens:
                raise
        return tokens, np.array(lengths, np.uint32)

    def _note_added(self, chain: Chain) -> None:
        if self._recorder is not None:
            self._recorder.added(self.index, self.memory, chain)
        if self._timeline is not None:
            length = chain.readable + chain.writable
            self._timeline.added(self.index, chain.place[0], chain.number, length)

    def _take(self) -> tuple[Chain, int] | None:
        while (taken := self._take_used()) is not None:
            chain, length = taken
            if not self._drained or length or not chain.writable:
                if self._recorder is not None:
                    self._recorder.taken(self.index, self.memory, chain, length)
                if self._timeline is not None:
                    self._timeline.taken(self.index, chain.number, length)
                return taken
            self._returned.append(chain)
        return None

    # --- stopping ------------------------------------------------------------------------------------------

    def _finish_used(self) -> None:
        """Take all used buffers, for :meth:`get_buf` to return them later."""
        while (taken := self._take()) is not None:
            self._done.append((taken[0].data, taken[1]))

    async def _stop(self) -> tuple[bool, list[Chain]]:
        """Stop the queue and take the used buffers; whether it can go on, and the chains not used."""
        if self._stopping:
            raise RuntimeError(f"queue {self.index} is being stopped already")
        self._stopping = True
        self._returned = []
        try:
            with suppress(DeviceError):  # One that lies must be stopped all the same.
                self._finish_used()
            # What comes from now on, the device may have given back unused.
            self._drained = True
            usable = await self._control.quiesce(self)
            self._finish_used()
        except VirtioError:
            self.broken = True
            raise
        finally:
            self._stopping = self._drained = False
        left = sorted([*self._returned, *self._chains.values()], key=lambda chain: chain.number)
        for chain in left:
            chain.place = None
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
        """See :meth:`Virtqueue.detach`. The queue is stopped for the time of a queue reset."""
        key = self._find(data)
        if key is None:
            return False
        if self.broken and not self._control.holds(self):
            del self._chains[key]
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
