"""The split virtqueue, driver's side. Ref: virtio 1.4, 2.7, 2.6.1 (virtqueue reset)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import DeviceError
from .ring_queue import BufferSet
from .split_rings import INDEX_MASK, SplitRings
from .virtqueue import Chain

__all__ = ["SplitVirtqueue"]


class SplitVirtqueue(SplitRings):
    """A split virtqueue. See :class:`~.ring_queue.RingVirtqueue`."""

    def add_bufs(self, buffers: BufferSet, which: Sequence[int] | np.ndarray) -> int:
        """See :meth:`RingVirtqueue.add_bufs`."""
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
        self._addr[heads], self._len[heads] = buffers.addresses[numbers], buffers.lengths[numbers]
        self._flags[heads], self._next[heads] = buffers.flags, 0
        self._room[heads] = buffers.room[numbers]
        self._avail_ring[(self._added + np.arange(count)) & (self.size - 1)] = heads
        self._added = (self._added + count) & INDEX_MASK
        if self._timeline is not None:
            self._timeline.added_many(self.index, heads, chains[0].number, buffers.lengths[numbers])
        return count

    def _undo(self, heads: list[int], count: int) -> None:
        """Remove the first ``count`` chains of ``heads``, and free all descriptors of ``heads``."""
        for head in heads[:count]:
            self._chains.pop(head).place = None
        self._free.extendleft(reversed(heads))

    # --- getting back --------------------------------------------------------------------------------------

    def _get_many(self) -> tuple[list[Any], np.ndarray] | None:
        count = 0 if self.in_order else self._pending()
        slots = (self._last_used + np.arange(count)) & (self.size - 1)
        ids, lengths = self._used_id[slots], self._used_len[slots]
        heads = ids.tolist()
        chains = [self._chains.get(head) for head in heads]
        if not count or None in chains or len(set(heads)) != count or (lengths > self._room[ids]).any():
            return None
        chains = list(map(self._chains.pop, heads))
        tokens = [chain.data for chain in chains]
        if self._timeline is not None:
            self._timeline.taken_many(self.index, [chain.number for chain in chains], lengths)
        for chain in chains:
            self._release(chain)
        self._last_used = (self._last_used + count) & INDEX_MASK
        if not self._suppressed:
            self._ask_interrupts(True)
        return tokens, lengths

    def _pending(self) -> int:
        pending = (int(self._used_idx[0]) - self._last_used) & INDEX_MASK
        if pending > len(self._chains):
            raise DeviceError(
                f"queue {self.index}: used index is {int(self._used_idx[0])}, {pending} after the last one "
                f"seen, but only {len(self._chains)} buffers are outstanding"
            )
        return pending

    def _take_used(self) -> tuple[Chain, int] | None:
        if not self._ready:
            if not self._pending():
                return None
            self._read_entry()
        chain, length = self._ready.popleft()
        del self._chains[chain.place[0]]
        self._last_used = (self._last_used + 1) & INDEX_MASK
        self._release(chain)
        if self.event_idx and not self._suppressed:
            self._ask_interrupts(True)
        return chain, length

    def _read_entry(self) -> None:
        """Find out which chains the next entry of the used ring says are used."""
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
        if self.in_order:
            self._ready.extend(self._skipped(chain))
            if len(self._ready) >= self._pending():
                count = len(self._ready) + 1
                self._ready.clear()
                raise DeviceError(
                    f"queue {self.index}: used entry {self._last_used} is of chain {head}, number {count} of "
                    f"those outstanding, but the used index is {int(self._used_idx[0])}"
                )
        self._ready.append((chain, length))
