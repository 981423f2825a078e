"""The split virtqueue: layouts of its three areas and its flags.

Ref: virtio 1.4, 2.7 (2.7.5 descriptor table, 2.7.6 available ring, 2.7.8 used ring), 2.9 (driver
notifications).
"""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "AVAIL_ENTRY_BYTES",
    "AVAIL_FLAGS_OFFSET",
    "AVAIL_F_NO_INTERRUPT",
    "AVAIL_IDX_OFFSET",
    "AVAIL_RING_OFFSET",
    "DESC_ALIGN",
    "DESC_BYTES",
    "DESC_F_INDIRECT",
    "DESC_F_NEXT",
    "DESC_F_WRITE",
    "DEVICE_ALIGN",
    "DRIVER_ALIGN",
    "EVENT_INDEX_BYTES",
    "MAX_QUEUE_SIZE",
    "USED_ENTRY_BYTES",
    "USED_FLAGS_OFFSET",
    "USED_F_NO_NOTIFY",
    "USED_IDX_OFFSET",
    "USED_RING_OFFSET",
    "Descriptor",
    "NotificationData",
    "RingHeader",
    "UsedElement",
    "avail_event_offset",
    "descriptor_area_bytes",
    "device_area_bytes",
    "driver_area_bytes",
    "used_event_offset",
]

MAX_QUEUE_SIZE = 32768

DESC_F_NEXT = 1
DESC_F_WRITE = 2
DESC_F_INDIRECT = 4
AVAIL_F_NO_INTERRUPT = 1
USED_F_NO_NOTIFY = 1

DESC_BYTES = 16
DESC_ALIGN = 16
DRIVER_ALIGN = 2
DEVICE_ALIGN = 4

AVAIL_FLAGS_OFFSET = 0
AVAIL_IDX_OFFSET = 2
AVAIL_RING_OFFSET = 4
AVAIL_ENTRY_BYTES = 2

USED_FLAGS_OFFSET = 0
USED_IDX_OFFSET = 2
USED_RING_OFFSET = 4
USED_ENTRY_BYTES = 8
EVENT_INDEX_BYTES = 2
"""Of ``used_event`` and ``avail_event``."""


def used_event_offset(size: Any) -> Any:
    """The offset of ``used_event`` in the available ring of a queue of ``size`` (which may be a signal)."""
    return AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * size


def avail_event_offset(size: Any) -> Any:
    """The offset of ``avail_event`` in the used ring of a queue of ``size`` (which may be a signal)."""
    return USED_RING_OFFSET + USED_ENTRY_BYTES * size


def descriptor_area_bytes(size: Any) -> Any:
    """The length of the descriptor table of a queue of ``size`` (which may be a signal, here and below)."""
    return DESC_BYTES * size


def driver_area_bytes(size: Any) -> Any:
    """The length of the available ring with ``used_event``."""
    return used_event_offset(size) + EVENT_INDEX_BYTES


def device_area_bytes(size: Any) -> Any:
    """The length of the used ring with ``avail_event``."""
    return avail_event_offset(size) + EVENT_INDEX_BYTES


class Descriptor(data.Struct):
    """``struct virtq_desc``, 16 bytes, little-endian."""

    addr: unsigned(64)
    len: unsigned(32)
    flags: unsigned(16)
    next: unsigned(16)


class RingHeader(data.Struct):
    """The four bytes before the entries of both the available and the used ring."""

    flags: unsigned(16)
    idx: unsigned(16)


class NotificationData(data.Struct):
    """What the driver writes to notify of available buffers with VIRTIO_F_NOTIFICATION_DATA.

    ``next`` is the available index of a split virtqueue: ``next_off`` is its bits 14:0, ``next_wrap`` bit 15.
    Ref: virtio 1.4, 2.9, 4.1.5.2.
    """

    queue: unsigned(16)
    next: unsigned(16)


class UsedElement(data.Struct):
    """``struct virtq_used_elem``, 8 bytes: head of the chain and bytes written into it."""

    id: unsigned(32)
    len: unsigned(32)
