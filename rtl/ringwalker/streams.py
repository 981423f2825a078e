"""What the streams between blocks carry. docs/architecture.md draws where each of them runs.

All are streams of ``amaranth.lib.stream``: the payload is stable while ``valid`` is up and ``ready`` is not,
and ``valid`` never waits for ``ready``. No block may assume a latency of another.
"""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream

from .spec.tlp import completion_beat, request_beat

__all__ = [
    "MOST_QUEUES",
    "Chain",
    "ChainInfo",
    "ChainOwner",
    "Completed",
    "DmaReadRequest",
    "Doorbell",
    "Head",
    "RegisterRequest",
    "RegisterResponse",
    "SegmentList",
    "StorageCommand",
    "StorageOp",
    "Visit",
    "byte_beat",
    "completion_beat",
    "dma_read_beat",
    "reply_beat",
    "request_beat",
    "storage_beat",
    "stream_of",
]

QUEUE_BITS = 10
"""Width of a queue number inside the device."""

MOST_QUEUES = 1 << QUEUE_BITS

MOST_BROUGHT = 16
"""Descriptors that come with a head at most."""

SEGMENT_BITS = 16
"""Width of an index into the segment store."""


def stream_of(shape: Any) -> stream.Signature:
    """A stream of ``shape``, which is whatever Amaranth takes for a shape."""
    return stream.Signature(shape)


# --- registers ---------------------------------------------------------------------------------------------


class RegisterRequest(data.Struct):
    """One dword access to a BAR: ``offset`` in bytes, bits 1:0 zero; ``strobe`` with a bit for each byte."""

    bar: unsigned(3)
    offset: unsigned(24)
    write: unsigned(1)
    strobe: unsigned(4)
    data: unsigned(32)


class RegisterResponse(data.Struct):
    """The answer to a read."""

    data: unsigned(32)


# --- DMA ---------------------------------------------------------------------------------------------------


class DmaReadRequest(data.Struct):
    """A read of ``length`` bytes (1 to 4096) at byte ``address``.

    It becomes one TLP. So it must not cross 4 KiB, and the dwords that it touches must fit the reader's slot
    and the maximum read request size.
    """

    address: unsigned(64)
    length: unsigned(13)


def dma_read_beat(data_width: int) -> data.StructLayout:
    """A beat of a response, the data of one DmaReadRequest.

    - ``data``: dwords, packed from bit 0 up. The first byte asked for is byte ``address % 4`` of the first
      beat.
    - ``error``: the host did not supply the data. It is the same in all beats of a response. The data is
      undefined then, but has as many beats as without error.
    """
    return data.StructLayout({"data": unsigned(data_width), "first": 1, "last": 1, "error": 1})


def byte_beat(data_width: int) -> data.StructLayout:
    """A beat of a packet of bytes, packed from bit 0 up without gaps.

    - ``count``: how many bytes are in ``data``, 1 to ``data_width // 8``. Every beat but the last is full.
    - ``error``: this beat and all after it in the packet must not be used. The packet may end with it, before
      its right length.
    """
    return data.StructLayout(
        {
            "data": unsigned(data_width),
            "count": range(data_width // 8 + 1),
            "first": 1,
            "last": 1,
            "error": 1,
        }
    )


# --- queue -------------------------------------------------------------------------------------------------


class Doorbell(data.Struct):
    """An available buffer notification.

    If ``carried``, it says where the driver goes on: ``next`` is the upper half of what it wrote (Ref: virtio
    1.4, 2.9), whose meaning is the ring format's.
    """

    queue: unsigned(QUEUE_BITS)
    next: unsigned(16)
    carried: unsigned(1)


class Visit(data.Struct):
    """The scheduler's decision to look at a queue."""

    queue: unsigned(QUEUE_BITS)


class Head(data.Struct):
    """A chain that the driver made available.

    ``at``: where its first descriptor stands in the queue's descriptor area. ``id``: what the driver knows
    it by once it is used; in a split ring that is the same number. ``span``: how many descriptors of the
    ring it takes, where the format counts them. ``brought``: so many of its first descriptors come with it,
    so that they need not be read. ``first``: it is the first of those that were made available together;
    those that follow up to the next with ``first`` are of the same queue. ``guess``: the ring format expects
    this to be the next head, and says later whether it is.
    """

    queue: unsigned(QUEUE_BITS)
    at: unsigned(16)
    id: unsigned(16)
    span: unsigned(16)
    brought: range(MOST_BROUGHT + 1)
    first: unsigned(1)
    guess: unsigned(1)


class SegmentList(data.Struct):
    """A linked list in the segment store: ``count`` segments from ``first`` on."""

    first: unsigned(SEGMENT_BITS)
    count: unsigned(SEGMENT_BITS)


class Chain(data.Struct):
    """A descriptor chain that was walked. Its segments are in the segment store, as two linked lists.

    ``id`` is what the driver knows it by once it is used, ``span`` how many descriptors of the ring it
    takes; both go back to the ring format unchanged. ``readable`` and ``writable`` are totals in bytes,
    ``readable_segments`` and ``writable_segments`` counts, ``first_readable`` and ``first_writable`` the
    start of each list (meaningless when the count is 0).
    """

    queue: unsigned(QUEUE_BITS)
    id: unsigned(16)
    span: unsigned(16)
    readable: unsigned(32)
    writable: unsigned(32)
    readable_segments: unsigned(SEGMENT_BITS)
    writable_segments: unsigned(SEGMENT_BITS)
    first_readable: unsigned(SEGMENT_BITS)
    first_writable: unsigned(SEGMENT_BITS)


class ChainOwner(data.Struct):
    """Whose chain it is: its queue, what the driver knows it by, and how many descriptors it takes."""

    queue: unsigned(QUEUE_BITS)
    id: unsigned(16)
    span: unsigned(16)


class Completed(data.Struct):
    """A chain that the function is done with: which one, and how many bytes were written into it.

    ``whole``: these are all of its device-writable bytes.
    """

    queue: unsigned(QUEUE_BITS)
    id: unsigned(16)
    span: unsigned(16)
    written: unsigned(32)
    whole: unsigned(1)


# --- function ----------------------------------------------------------------------------------------------


class ChainInfo(data.Struct):
    """What a function learns of a chain: its queue, and how many bytes are to read and to write."""

    queue: unsigned(QUEUE_BITS)
    readable: unsigned(32)
    writable: unsigned(32)


def reply_beat(data_width: int) -> data.StructLayout:
    """A beat of a function's answer to the oldest chain that it has not finished.

    A packet puts ``length`` bytes at ``offset`` of the chain's device-writable bytes. Within a chain the
    packets ascend and do not overlap. A packet of ``length`` 0 is one beat without data (``count`` 0).

    - ``offset``, ``length``, ``written``, ``done``: the same in all beats of a packet. The packet with
      ``done`` finishes the chain; then ``written`` (bytes) goes into its used element.
    - ``data``, ``count``, ``first``, ``last``: as in :func:`byte_beat`.
    """
    return data.StructLayout(
        {
            "data": unsigned(data_width),
            "count": range(data_width // 8 + 1),
            "first": 1,
            "last": 1,
            "offset": 32,
            "length": 32,
            "written": 32,
            "done": 1,
        }
    )


class StorageOp(enum.Enum, shape=2):
    """What a storage command does."""

    READ = 0
    WRITE = 1
    FLUSH = 2


class StorageCommand(data.Struct):
    """A command to the storage behind a block function: ``sectors`` of 512 bytes from ``sector`` on."""

    op: StorageOp
    sector: unsigned(64)
    sectors: unsigned(16)


def storage_beat(data_width: int) -> data.StructLayout:
    """A beat of storage data, always full. ``last`` ends the data of one command."""
    return data.StructLayout({"data": unsigned(data_width), "last": 1})
