"""What the streams between blocks carry; docs/architecture.md draws where each of them runs.

All of them are ``amaranth.lib.stream`` streams: a payload stays stable while ``valid`` and not ``ready``,
and ``valid`` never waits for ``ready``. No block may assume a latency of another.
"""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream

from .spec.tlp import completion_beat, request_beat

__all__ = [
    "Chain",
    "ChainInfo",
    "ChainOwner",
    "Completed",
    "DmaReadRequest",
    "Doorbell",
    "Head",
    "IndexSnapshot",
    "Poll",
    "RegisterRequest",
    "RegisterResponse",
    "SegmentList",
    "StorageCommand",
    "StorageOp",
    "UsedIndex",
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
"""Width of a queue number inside the device: up to 1024 queues."""

SEGMENT_BITS = 16
"""Width of an index into the segment store."""


def stream_of(shape: Any) -> stream.Signature:
    """A stream of ``shape``: whatever Amaranth takes for one."""
    return stream.Signature(shape)


# --- registers ---------------------------------------------------------------------------------------------


class RegisterRequest(data.Struct):
    """One dword access to a BAR. ``offset`` is in bytes, bits 1:0 zero; ``strobe`` has a bit a byte."""

    bar: unsigned(3)
    offset: unsigned(24)
    write: unsigned(1)
    strobe: unsigned(4)
    data: unsigned(32)


class RegisterResponse(data.Struct):
    """The answer to a read. A write has none."""

    data: unsigned(32)


# --- DMA ---------------------------------------------------------------------------------------------------


class DmaReadRequest(data.Struct):
    """A read of ``length`` bytes (1 to 4096) at byte ``address``.

    It becomes one TLP: it must not cross a 4 KiB boundary nor be longer than the reader's slot or than
    the maximum read request size, counted in whole dwords.
    """

    address: unsigned(64)
    length: unsigned(13)


def dma_read_beat(data_width: int) -> data.StructLayout:
    """A beat of read data, in the order of the requests.

    ``data`` holds dwords packed from bit 0 up: the first byte asked for is byte ``address % 4`` of the
    first beat. ``error``, the same in all beats of a response, says that the host did not supply the data
    (its content is then undefined but the number of beats is as if it had).
    """
    return data.StructLayout({"data": unsigned(data_width), "first": 1, "last": 1, "error": 1})


def byte_beat(data_width: int) -> data.StructLayout:
    """A beat of a packet of bytes, packed from bit 0 up with no gaps.

    ``count`` is the number of bytes in ``data``, 1 to ``data_width // 8``; every beat but the last is
    full. ``error`` says that this beat, and all that follow to the end of the packet, are not to be used; the
    packet's length is still right.
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
    """An available buffer notification. With ``told`` it says that ``avail.idx`` is ``idx``."""

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)
    told: unsigned(1)


class Visit(data.Struct):
    """The scheduler's decision to look at a queue."""

    queue: unsigned(QUEUE_BITS)


class IndexSnapshot(data.Struct):
    """``avail.idx`` of ``queue`` as it was read from memory, or as a notification ``told`` it.

    ``overlapped``: it was asked for while an earlier read of the same index was under way, so it may be the
    older of the two; what it then lacks the earlier one has covered.
    """

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)
    error: unsigned(1)
    overlapped: unsigned(1)
    told: unsigned(1)


class Head(data.Struct):
    """A chain that the driver made available: the index of its first descriptor.

    ``first``: it is the first that its snapshot of the index covers; those that follow up to the next with
    ``first`` are of the same queue and snapshot. ``guess``: this is what the next head is expected to be; its
    snapshot is known, but its ring entry is not yet read.
    """

    queue: unsigned(QUEUE_BITS)
    head: unsigned(16)
    first: unsigned(1)
    guess: unsigned(1)


class SegmentList(data.Struct):
    """A linked list in the segment store: ``count`` segments from ``first`` on; no ``first`` if it is 0."""

    first: unsigned(SEGMENT_BITS)
    count: unsigned(SEGMENT_BITS)


class Chain(data.Struct):
    """A walked descriptor chain. Its segments stand in the segment store as two linked lists.

    ``readable`` and ``writable`` are totals in bytes, ``readable_segments`` and ``writable_segments``
    counts, ``first_readable`` and ``first_writable`` the start of each list (meaningless when the count
    is 0).
    """

    queue: unsigned(QUEUE_BITS)
    head: unsigned(16)
    readable: unsigned(32)
    writable: unsigned(32)
    readable_segments: unsigned(SEGMENT_BITS)
    writable_segments: unsigned(SEGMENT_BITS)
    first_readable: unsigned(SEGMENT_BITS)
    first_writable: unsigned(SEGMENT_BITS)


class ChainOwner(data.Struct):
    """Whose chain it is: its queue, and the index of its first descriptor."""

    queue: unsigned(QUEUE_BITS)
    head: unsigned(16)


class Poll(data.Struct):
    """What a visit to ``queue`` found: something new, or nothing; ``idx`` is the entry to come next."""

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)
    found: unsigned(1)


class Completed(data.Struct):
    """A chain that the function is done with; ``written`` is what the used ring will say."""

    queue: unsigned(QUEUE_BITS)
    head: unsigned(16)
    written: unsigned(32)


class UsedIndex(data.Struct):
    """The used index of ``queue`` was written, and is ``idx`` now."""

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)


# --- function ----------------------------------------------------------------------------------------------


class ChainInfo(data.Struct):
    """What a function learns of a chain: its queue, and how many bytes it can read and write."""

    queue: unsigned(QUEUE_BITS)
    readable: unsigned(32)
    writable: unsigned(32)


def reply_beat(data_width: int) -> data.StructLayout:
    """A beat of a function's answer to the oldest chain that it has not finished.

    A packet puts ``length`` bytes at ``offset`` of the chain's device-writable bytes. Within a chain the
    packets ascend and do not overlap. The packet with ``done`` finishes the chain, and ``written`` is what
    its used element will report. A packet of ``length`` 0 is one beat without data (``count`` 0). The
    four of them are the same in all beats of a packet; the rest is as in :func:`byte_beat`.
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
    """A beat of storage data, always full; ``last`` ends the data of one command."""
    return data.StructLayout({"data": unsigned(data_width), "last": 1})
