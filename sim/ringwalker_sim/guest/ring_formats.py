"""Which virtqueue goes with which ring format. Ref: virtio 1.4, 6 (VIRTIO_F_RING_PACKED)."""

from typing import Any

from ringwalker.spec.features import Feature

from ..memory import GuestMemory
from .packed_queue import PackedVirtqueue
from .ring_queue import RingVirtqueue
from .split_queue import SplitVirtqueue

__all__ = ["ring_virtqueue"]


def ring_virtqueue(memory: GuestMemory, size: int, *, features: int, **arguments: Any) -> RingVirtqueue:
    """A virtqueue of the format that was negotiated; ``arguments`` are those of its class."""
    packed = features >> Feature.RING_PACKED & 1
    return (PackedVirtqueue if packed else SplitVirtqueue)(memory, size, features=features, **arguments)
