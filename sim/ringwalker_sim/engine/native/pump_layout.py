"""What Python and the C++ pumps (``src/pump.h``) agree on: structures, as fields and their bits.

Addresses are those of the guest; ``*_array`` are pointers of this process.
"""

from ringwalker.spec.blk import BlkRequestHeader
from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_ENTRY_BYTES,
    USED_F_NO_NOTIFY,
    USED_FLAGS_OFFSET,
    USED_IDX_OFFSET,
    USED_RING_OFFSET,
)

__all__ = [
    "BLOCK_LOAD",
    "BLOCK_PIECES",
    "BLOCK_QUEUE",
    "DONE",
    "FRAME_LOAD",
    "OPERATION",
    "PUMP_CONSTANTS",
    "PUMP_STRUCTURES",
    "QUEUE",
    "REQUEST",
    "SETUP",
]

BLOCK_PIECES = 3
"""Header, data and status."""

OPERATION = (("block", 64), ("kind", 32), ("length", 32))
"""A block request to be made: where it is looked for room, in blocks; its type; its data in bytes."""

DONE = (
    ("operation", 64),
    ("block", 64),
    ("started", 64),
    ("ended", 64),
    ("status", 32),
    ("written", 32),
)
"""A request that has ended. ``operation`` and ``block`` are those of :data:`REQUEST`; then cycles, the status
byte of a block request, and the used length."""

REQUEST = (
    ("operation", 64),
    ("block", 64),
    ("started", 64),
    ("buffer", 64),
    ("slot", 32),
    ("place0", 32),
    ("place1", 32),
    ("place2", 32),
    ("descriptors", 32),
    ("room", 32),
    ("number", 32),
    ("padding", 32),
)
"""A request in flight. ``operation`` is the number of a block request, whose place is ``block`` and whose
header is ``slot``; or that of the buffer of a frame. Then the cycle of the notification, the address of the
data, the ``descriptors`` (one to three) and which, how many bytes the device may write, and its number in the
order of adding, from 1 on.
"""

QUEUE = (
    ("table", 64),
    ("driver_area", 64),
    ("device_area", 64),
    ("indirect_tables", 64),
    ("doorbell", 64),
    ("message_address", 64),
    ("message_data", 64),
    ("free_array", 64),
    ("outstanding_array", 64),
    ("free_count", 32),
    ("outstanding_count", 32),
    ("size", 32),
    ("index", 32),
    ("event_index", 32),
    ("interrupt_after", 32),
    ("indirect", 32),
    ("doorbell_carries_index", 32),
    ("added", 32),
    ("last_used", 32),
    ("kicks", 32),
    ("interrupts", 32),
    ("spurious", 32),
    ("number", 32),
    ("queue", 32),
    ("padding", 32),
)
"""A queue as the driver has it, which is what it is again when the pump has stopped. ``free`` are descriptors
(16 bits each), the next in front; ``outstanding`` the requests in flight in the order of adding;
``index`` is its name at the doorbell, ``queue`` its number."""

SETUP = (
    ("memory_array", 64),
    ("memory_address", 64),
    ("queues_array", 64),
    ("queue_count", 64),
    ("done_array", 64),
    ("data_array", 64),
    ("batch", 64),
    ("row_bytes", 64),
)
"""What every pump has. Python is told when ``batch`` requests have ended; of those that read, a row of
``data`` has the bytes."""

BLOCK_QUEUE = (
    ("headers", 64),
    ("statuses", 64),
    ("slots_array", 64),
    ("slot_count", 32),
    ("padding", 32),
)
"""Beside a queue of a disk: where its headers and status bytes are, and which are free (16 bits each), the
next at the end."""

BLOCK_LOAD = (
    ("block_queues_array", 64),
    ("operations_array", 64),
    ("operation_count", 64),
    ("buffers_array", 64),
    ("buffer_count", 64),
    ("blocks", 64),
    ("pattern_array", 64),
    ("pattern_bytes", 64),
    ("stamp_factor", 64),
    ("block_factor", 64),
    ("poison", 32),
    ("exclusive", 32),
    ("moving", 32),
    ("held", 32),
    ("next", 64),
    ("held_block", 64),
    ("turn", 64),
)
"""Block requests of one row of data each. ``buffers`` are addresses of data, the next at the end. ``next`` is
the number of the next operation; if it is ``held`` its place is known, ``held_block``, and it waits for room.
``turn`` is the queue that is asked for room first. With ``exclusive`` no two requests in flight are for one
block: one whose block is in use waits, or with ``moving`` goes to the next that is not. What is written is a
part of the pattern, with number and turn over it."""

FRAME_LOAD = (
    ("first_buffer", 64),
    ("stride", 64),
    ("length", 64),
    ("header_bytes", 64),
    ("writable", 64),
    ("together", 64),
    ("left", 64),
    ("buffers_array", 64),
    ("buffer_count", 64),
)
"""Frames in buffers of ``length`` bytes, header included, a ``stride`` apart; ``writable`` by the device or
not. ``left`` are still to be added, ``together`` at a time, each time with a notification. ``buffers`` are
numbers of those that are free (32 bits each), the next in front."""

PUMP_STRUCTURES = {
    "PumpOperation": OPERATION,
    "PumpDone": DONE,
    "PumpRequest": REQUEST,
    "PumpQueue": QUEUE,
    "PumpSetup": SETUP,
    "BlockQueue": BLOCK_QUEUE,
    "BlockLoad": BLOCK_LOAD,
    "FrameLoad": FRAME_LOAD,
}
"""By their names in C++."""

PUMP_CONSTANTS = {
    "blk_pieces": BLOCK_PIECES,
    "blk_header_bytes": BlkRequestHeader.as_shape().size // 8,
    "desc_bytes": DESC_BYTES,
    "desc_next": DESC_F_NEXT,
    "desc_write": DESC_F_WRITE,
    "desc_indirect": DESC_F_INDIRECT,
    "avail_idx_offset": AVAIL_IDX_OFFSET,
    "avail_ring_offset": AVAIL_RING_OFFSET,
    "avail_entry_bytes": AVAIL_ENTRY_BYTES,
    "used_flags_offset": USED_FLAGS_OFFSET,
    "used_idx_offset": USED_IDX_OFFSET,
    "used_ring_offset": USED_RING_OFFSET,
    "used_entry_bytes": USED_ENTRY_BYTES,
    "used_no_notify": USED_F_NO_NOTIFY,
}
"""Of split rings and block requests, by their names in C++."""
