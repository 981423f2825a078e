"""The device's half of rings in guest memory: what both formats have in common.

Ref: virtio 1.4, 2.7.4 (message framing), 2.7.5.3 and 2.8.7 (indirect descriptors).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE

from ..memory import ScatterGather
from .dma import END_OF_ADDRESSES, Dma

__all__ = ["RING_FEATURES", "DeviceRing", "QueueState", "RingFault", "TakenChain"]

RING_FEATURES = (
    1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX | 1 << Feature.RING_PACKED | 1 << Feature.IN_ORDER
)
"""Features of rings, all of which these have."""

_MOST_BYTES = 1 << 32


class RingFault(Exception):
    """The driver has put something into a ring that must not be there."""


@dataclass
class QueueState:
    """The registers of a queue, on the device."""

    size: int
    desc: int = 0
    driver: int = 0
    device: int = 0
    enable: int = 0
    vector: int = NO_VECTOR
    epoch: int = 0
    """Number of resets. A completion from before a reset is dropped."""


@dataclass
class TakenChain:
    """A chain that was available: ``key`` is what the driver knows it by, ``span`` the number of descriptors
    of the ring that it takes; its pieces are (address, length)."""

    key: int
    span: int = 1
    readable: ScatterGather = field(default_factory=list)
    writable: ScatterGather = field(default_factory=list)

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return len(self.readable) + len(self.writable)

    def add(self, address: int, length: int, writable: bool) -> None:
        """The next piece. Errors: :class:`RingFault` for one that may not follow."""
        if address + length > END_OF_ADDRESSES:
            raise RingFault(f"{length} bytes at {address:#x} go beyond the last address")
        if self.writable and not writable:
            raise RingFault("a readable piece after a writable one")
        pieces = self.writable if writable else self.readable
        pieces.append((address, length))
        if sum(size for _address, size in pieces) >= _MOST_BYTES:
            raise RingFault("a chain of 4 GiB or more")


class DeviceRing(ABC):
    """The rings of ``queue``, reached by ``dma``; ``features`` are those that were negotiated.

    ``written_index(index)`` may change the used index of a split ring, for tests of a faulty device. Errors:
    :class:`RingFault` for what a driver must not do, and :class:`.DmaFault`.
    """

    def __init__(self, dma: Dma, queue: QueueState, features: int):
        self.dma = dma
        self.queue = queue
        self.features = features
        self.event_idx = self.has(Feature.EVENT_IDX)
        self.taken = 0
        """How many chains were taken so far."""
        self.written_index: Callable[[int], int] = lambda index: index

    def has(self, feature: Feature) -> bool:
        """Whether a feature was negotiated."""
        return bool(self.features >> feature & 1)

    @abstractmethod
    def chains(self) -> Iterator[TakenChain]:
        """What became available since the last call. With EVENT_IDX then ask for a notification of more."""

    @abstractmethod
    def use(self, batch: list[tuple[TakenChain, int]]) -> None:
        """Say that chains are used, each with the bytes that were written. Several are in the order in which
        they were taken, and of all but the last all writable bytes were written."""

    @abstractmethod
    def wants_interrupt(self) -> bool:
        """Whether the driver wants a notification of what was used last."""

    def read_descriptor(self, table: int, at: int, layout: np.dtype) -> tuple[int, ...]:
        """Descriptor ``at`` of the table at address ``table``."""
        return self.dma.read_fields(table + at * DESC_BYTES, layout)

    def add_piece(self, chain: TakenChain, address: int, length: int, flags: int) -> None:
        """Add a buffer to a chain."""
        if chain.pieces == self.queue.size:
            raise RingFault("a chain longer than its queue")
        chain.add(address, length, bool(flags & DESC_F_WRITE))

    def indirect_entries(self, address: int, length: int, flags: int) -> int:
        """How many descriptors an indirect table has; whether it is writable does not matter."""
        if not self.has(Feature.INDIRECT_DESC):
            raise RingFault("an indirect table without VIRTIO_F_INDIRECT_DESC")
        if flags & DESC_F_NEXT:
            raise RingFault("an indirect table in front of more descriptors")
        if not length or length % DESC_BYTES or address + length > END_OF_ADDRESSES:
            raise RingFault(f"an indirect table of {length} bytes at {address:#x}")
        return length // DESC_BYTES

    @staticmethod
    def is_indirect(flags: int) -> bool:
        """Whether a descriptor points to an indirect table."""
        return bool(flags & DESC_F_INDIRECT)
