"""The split virtqueue, driver's side. Ref: virtio 1.4, 2.7, 2.6.1 (virtqueue reset)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ringwalker.spec.ring import DESC_F_WRITE, Descriptor

from ..memory import dtype_of
from .errors import BindError, DeviceError, VirtioError
from .split_rings import INDEX_MASK, RING_FEATURES, QueueControl, SplitRings
from .virtqueue import Chain

__all__ = ["RING_FEATURES", "BufferSet", "QueueControl", "SplitVirtqueue"]


class BufferSet:
    """Buffers of one piece each, added many at a time; all device-readable, or all ``writable``.

    Buffer n has ``lengths[n]`` bytes at ``addresses[n]``; its token is ``tokens[n]``, by default n.
    """

    def __init__(
        self, addresses: np.ndarray, lengths: np.ndarray, writable: bool, tokens: Sequence[Any] | None = None
    ):
        self.rows = np.zeros(len(addresses), dtype_of(Descriptor))
        self.rows["addr"], self.rows["len"] = addresses, lengths
        self.rows["flags"] = DESC_F_WRITE if writable else 0
        self.room = self.rows["len"].astype(np.int64) * writable
        self.tokens = range(len(addresses)) if tokens is None else tokens
        pieces = zip(self.rows["addr"].tolist(), self.rows["len"].tolist(), self.tokens, strict=True)
        self.chains = [Chain(token, [(at, length)], int(not writable)) for at, length, token in pieces]

    def __len__(self) -> int:
        return len(self.rows)


class SplitVirtqueue(SplitRings):
    """A split virtqueue. It allocates its descriptor table and rings in guest memory.

    ``control`` is the transport, which calls :meth:`interrupt` for used buffer notifications.
    ``desc_address``, ``driver_address`` and ``device_address`` are the addresses of the three areas.

    :meth:`add_bufs` and :meth:`get_bufs` do the work of :meth:`add_buf` and :meth:`get_buf` for many buffers
    at a time, which is faster.

    :meth:`detach` and :meth:`shutdown` stop the queue. A receive buffer that the device returned empty
    because of the stop counts as not used. When they raise, the queue is ``broken``.
    """

    _taken = 0
    _real = 0

    def add_bufs(self, buffers: BufferSet, which: Sequence[int] | np.ndarray) -> int:
        """Add the buffers ``which`` in order while descriptors are free; the number of buffers added.

        The device sees them with the next :meth:`kick`. Errors: ``ValueError`` for a buffer that is in a
        queue already.
        """
        count = 0 if self.broken else min(len(which), len(self._free))
        if not count:
            return 0
        numbers = np.asarray(which[:count])
        chains = [buffers.chains[number] for number in numbers.tolist()]
        heads = [self._free.popleft() for _ in range(count)]
        for position, (head, chain) in enumerate(zip(heads, chains, strict=True)):
            if chain.place is not None:
                self._undo(heads, position)
                raise ValueError("a buffer of the set is in a queue already")
            chain.place, chain.number = (head,), self._number + position + 1
            self._chains[head] = chain
        self._number += count
        self._table.rows[heads] = buffers.rows[numbers]
        self._room[heads] = buffers.room[numbers]
        self._avail_ring[(self._added + np.arange(count)) & (self.size - 1)] = heads
        self._added = (self._added + count) & INDEX_MASK
        return count

    def _undo(self, heads: list[int], count: int) -> None:
        """Remove the first ``count`` chains of ``heads``, and free all descriptors of ``heads``."""
        for head in heads[:count]:
            self._chains.pop(head).place = None
        self._free.extendleft(reversed(heads))

    def get_bufs(self) -> tuple[list[Any], np.ndarray]:
        """All used buffers: their tokens, and the bytes written into each.

        Errors: as for :meth:`get_buf`. A call that meets an error after good buffers returns those; the next
        call raises.
        """
        count = 0 if self._done or self._stopping or self.broken else self._pending()
        slots = (self._last_used + np.arange(count)) & (self.size - 1)
        ids, lengths = self._used_id[slots], self._used_len[slots]
        heads = ids.tolist()
        chains = [self._chains.get(head) for head in heads]
        if not count or None in chains or len(set(heads)) != count or (lengths > self._room[ids]).any():
            return self._get_each()
        chains = list(map(self._chains.pop, heads))
        tokens = [chain.data for chain in chains]
        for chain in chains:
            self._release(chain)
        self._last_used = (self._last_used + count) & INDEX_MASK
        self._taken += count
        if not self._suppressed:
            self._ask_interrupts(True)
        return tokens, lengths

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

    # --- getting back --------------------------------------------------------------------------------------

    def _pending(self) -> int:
        pending = (int(self._used_idx[0]) - self._last_used) & INDEX_MASK
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
        chain = self._chains.get(head)
        if chain is None:
            why = "is not the head of an outstanding chain" if head < self.size else f"is beyond {self.size}"
            raise DeviceError(f"queue {self.index}: used entry {self._last_used} has id {head}, which {why}")
        if length > chain.writable:
            raise DeviceError(
                f"queue {self.index}: used entry {self._last_used} says {length} bytes were written into "
                f"chain {head}, which has {chain.writable} writable bytes"
            )
        del self._chains[head]
        self._last_used = (self._last_used + 1) & INDEX_MASK
        self._taken += 1
        self._release(chain)
        if self.event_idx and not self._suppressed:
            self._ask_interrupts(True)
        return chain, length

    # --- stopping ------------------------------------------------------------------------------------------

    async def _stop(self) -> tuple[bool, list[Chain]]:
        """Stop the queue and take the used buffers; whether it can go on, and the chains not used."""
        if self._stopping:
            raise RuntimeError(f"queue {self.index} is being stopped already")
        self._stopping = True
        self._returned: list[Chain] = []
        self._real = self._taken + ((int(self._used_idx[0]) - self._last_used) & INDEX_MASK)
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
