"""The packed virtqueue, driver's side. Ref: virtio 1.4, 2.8, 2.8.22 (receiving used buffers)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ringwalker.spec.packed import available_flags, is_used
from ringwalker.spec.ring import DESC_F_WRITE

from .errors import DeviceError
from .packed_rings import PackedRings
from .ring_queue import BufferSet
from .virtqueue import Chain

__all__ = ["PackedVirtqueue"]


class PackedVirtqueue(PackedRings):
    """A packed virtqueue. See :class:`~.ring_queue.RingVirtqueue`."""

    def add_bufs(self, buffers: BufferSet, which: Sequence[int] | np.ndarray) -> int:
        """See :meth:`RingVirtqueue.add_bufs`."""
        count = 0 if self.broken else min(len(which), self._free)
        if not count:
            return 0
        numbers = np.asarray(which[:count])
        chains = [buffers.chains[number] for number in numbers.tolist()]
        keys = [self._ids.popleft() for _ in range(count)]
        for position, (key, chain) in enumerate(zip(keys, chains, strict=True)):
            if chain.place is not None:
                for taken in keys[:position]:
                    self._chains.pop(taken).place = None
                self._ids.extendleft(reversed(keys))
                raise ValueError("a buffer of the set is in a queue already")
            chain.place, chain.number = (key, 1), self._number + position + 1
            self._chains[key] = chain
        self._number += count
        offsets, wraps = self._places(self._next, count)
        rows = self._rows
        rows["addr"][offsets], rows["len"][offsets] = buffers.addresses[numbers], buffers.lengths[numbers]
        rows["id"][offsets] = keys
        flags = np.where(wraps, available_flags(1), available_flags(0)) | buffers.flags
        self._hidden += zip(offsets.tolist(), flags.tolist(), strict=True)
        self._next.advance(count)
        self._free -= count
        self._added += count
        if self._timeline is not None:
            self._timeline.added_many(self.index, keys, chains[0].number, buffers.lengths[numbers])
        return count

    # --- getting back --------------------------------------------------------------------------------------

    def _get_many(self) -> tuple[list[Any], np.ndarray] | None:
        """Where all buffers that are used have one descriptor each, and nothing is wrong."""
        if self.in_order or self._ready:
            return None
        offsets, wraps = self._places(self._used, min(len(self._chains), self.size))
        flags = self._rows["flags"][offsets]
        count = int(np.argmin(np.append(is_used(flags, wraps), False)))
        keys = self._rows["id"][offsets[:count]].tolist()
        chains = [self._chains.get(key) for key in keys]
        if not count or len(set(keys)) != count:
            return None
        lengths = self._rows["len"][offsets[:count]] * ((flags[:count] & DESC_F_WRITE) != 0)
        for chain, length in zip(chains, lengths.tolist(), strict=True):
            if chain is None or chain.place[1] != 1 or length > chain.writable:
                return None
        tokens = [self._chains[key].data for key in keys]
        if self._timeline is not None:
            numbers = [self._chains[key].number for key in keys]
            self._timeline.taken_many(self.index, numbers, lengths)
        for key in keys:
            self._release(self._chains.pop(key))
        self._used.advance(count)
        if not self._suppressed:
            self._ask_interrupts(True)
        return tokens, lengths

    def _pending(self) -> int:
        return len(self._ready) or int(self._is_used())

    def _is_used(self) -> bool:
        """Whether the next descriptor that the device is to use is used."""
        flags = int(self._rows["flags"][self._used.offset])
        return bool(self._chains) and bool(is_used(flags, self._used.wrap))

    def _take_used(self) -> tuple[Chain, int] | None:
        if not self._ready:
            if not self._is_used():
                return None
            self._read_used()
        chain, length = self._ready.popleft()
        key, count = chain.place
        del self._chains[key]
        self._used.advance(count)
        self._release(chain)
        if self.event_idx and not self._suppressed:
            self._ask_interrupts(True)
        return chain, length

    def _read_used(self) -> None:
        """Find out which chains the next used descriptor says are used."""
        row = self._rows[self._used.offset]
        key, flags = int(row["id"]), int(row["flags"])
        # The length is reserved where the device has written nothing.
        length = int(row["len"]) if flags & DESC_F_WRITE else 0
        where = f"queue {self.index}: used descriptor {self._used.offset}"
        chain = self._chains.get(key)
        if chain is None:
            why = "is not that of an outstanding buffer" if key < self.size else f"is beyond {self.size}"
            raise DeviceError(f"{where} has id {key}, which {why}")
        if length > chain.writable:
            raise DeviceError(
                f"{where} says {length} bytes were written into buffer {key}, which has {chain.writable} "
                "writable bytes"
            )
        if self.in_order:
            self._ready.extend(self._skipped(chain))
        self._ready.append((chain, length))
