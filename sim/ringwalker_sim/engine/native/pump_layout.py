"""What Python and the C++ pump (``src/block_pump.h``) agree on: structures, as fields and their bits.

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

__all__ = ["DONE", "OPERATION", "PUMP_CONSTANTS", "PUMP_STRUCTURES", "QUEUE", "REQUEST", "SETUP"]

OPERATION = (("block", 64), ("kind", 32), ("length", 32))
"""A request to be made: where it is looked for room, in blocks; its type; its data in bytes."""

DONE = (
    ("operation", 64),
    ("block", 64),
    ("started", 64),
    ("ended", 64),
    ("status", 32),
    ("written", 32),
)
"""A request that has ended: its number, its place, cycles, the status byte, and the used length."""

REQUEST = (
    ("operation", 64),
    ("block", 64),
    ("started", 64),
    ("buffer", 64),
    ("slot", 32),
    ("place0", 32),
    ("place1", 32),
    ("place2", 32),
    ("room", 32),
    ("padding", 32),
)
"""A request in flight: its number, its place, the cycle of its notification, the address of its data, where
its header is, its descriptors (one, or three), and how many bytes the device may write."""

QUEUE = (
    ("table", 64),
    ("driver_area", 64),
    ("device_area", 64),
    ("indirect_tables", 64),
    ("headers", 64),
    ("statuses", 64),
    ("doorbell", 64),
    ("message_address", 64),
    ("message_data", 64),
    ("free_array", 64),
    ("slots_array", 64),
    ("outstanding_array", 64),
    ("free_count", 32),
    ("slot_count", 32),
    ("outstanding_count", 32),
    ("size", 32),
    ("index", 32),
    ("event_index", 32),
    ("indirect", 32),
    ("doorbell_carries_index", 32),
    ("added", 32),
    ("last_used", 32),
    ("kicks", 32),
    ("interrupts", 32),
    ("spurious", 32),
    ("number", 32),
)
"""A queue as the driver has it, which is what it is again when the pump has stopped. ``free`` are descriptors
(16 bits each), the next in front; ``slots`` places for headers, the next at the end; ``outstanding`` the
requests in flight in the order of adding."""

SETUP = (
    ("memory_array", 64),
    ("memory_address", 64),
    ("operations_array", 64),
    ("operation_count", 64),
    ("buffers_array", 64),
    ("buffer_count", 64),
    ("queues_array", 64),
    ("queue_count", 64),
    ("done_array", 64),
    ("data_array", 64),
    ("batch", 64),
    ("block_bytes", 64),
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
"""``buffers`` are addresses of data, the next at the end. ``next`` is the number of the next operation; if it
is ``held`` its place is known, ``held_block``, and it waits for room. ``turn`` is the queue that is asked for
room first. Python is told when ``batch`` requests have ended. With ``exclusive`` no two requests in flight
are for one block: one whose block is in use waits, or with ``moving`` goes to the next that is not. What is
written is a part of the pattern, with number and turn over it."""

PUMP_STRUCTURES = {
    "PumpOperation": OPERATION,
    "PumpDone": DONE,
    "PumpRequest": REQUEST,
    "PumpQueue": QUEUE,
    "PumpSetup": SETUP,
}
"""By their names in C++."""

PUMP_CONSTANTS = {
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
