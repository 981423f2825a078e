"""The packed virtqueue: layouts of its descriptors and event suppression structures, and its flags.

The flags NEXT, WRITE and INDIRECT, the size of a descriptor and the alignment of the descriptor ring are
those of :mod:`.ring`.

Ref: virtio 1.4, 2.8 (2.8.1 wrap counters, 2.8.10 event suppression, 2.8.13 descriptor format).
"""

import enum
from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "DESC_F_AVAIL",
    "DESC_F_USED",
    "EVENT_BYTES",
    "EVENT_FLAGS_OFFSET",
    "PLACE_WRAP",
    "EventFlags",
    "EventSuppression",
    "PackedDescriptor",
    "RingPlace",
    "available_flags",
    "is_available",
    "is_used",
]

DESC_F_AVAIL = 1 << 7
DESC_F_USED = 1 << 15

PLACE_WRAP = 1 << 15
"""The wrap counter in the 16 bits of a :class:`RingPlace`."""

EVENT_BYTES = 4
"""Size and alignment of an event suppression structure."""

EVENT_FLAGS_OFFSET = 2


class PackedDescriptor(data.Struct):
    """``struct pvirtq_desc``, 16 bytes: an available descriptor, or a used one, whose ``addr`` is unused."""

    addr: unsigned(64)
    len: unsigned(32)
    id: unsigned(16)
    flags: unsigned(16)


class RingPlace(data.Struct):
    """A descriptor of the ring, and the wrap counter of who comes to it next.

    The field ``desc`` of an event suppression structure is one, and so is ``next`` of a notification with
    data.
    """

    offset: unsigned(15)
    wrap: unsigned(1)


class EventSuppression(data.Struct):
    """``struct pvirtq_event_suppress``: of which descriptors its reader is to notify its writer.

    ``place`` is a :class:`RingPlace`. It counts with the flags DESC, which VIRTIO_F_EVENT_IDX allows.
    """

    place: unsigned(16)
    flags: unsigned(16)


class EventFlags(enum.IntEnum):
    """``desc_event_flags``, bits 1:0 of ``flags`` of an event suppression structure; 3 is reserved."""

    ENABLE = 0
    DISABLE = 1
    DESC = 2


def is_available(flags: Any, wrap: Any) -> Any:
    """Whether the flags of a descriptor make it available to a device with this wrap counter, 0 or 1.

    Both are signals, numbers, or arrays of numbers. Ref: virtio 1.4, 2.8.1.
    """
    return (_bit(flags, DESC_F_AVAIL) == wrap) & (_bit(flags, DESC_F_USED) != wrap)


def is_used(flags: Any, wrap: Any) -> Any:
    """Whether the flags of a descriptor make it used to a driver with this wrap counter, 0 or 1."""
    return (_bit(flags, DESC_F_AVAIL) == wrap) & (_bit(flags, DESC_F_USED) == wrap)


def available_flags(wrap: int) -> int:
    """The flags with which a driver of this wrap counter, 0 or 1, makes a descriptor available."""
    return DESC_F_AVAIL if wrap else DESC_F_USED


def _bit(flags: Any, mask: int) -> Any:
    return (flags >> (mask.bit_length() - 1)) & 1
