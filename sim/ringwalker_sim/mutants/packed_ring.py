"""Mutants of ``queue/packed``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

_RING = "tb/queue/packed/test_ring.py"

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "queue.packed.poll",
        "packed",
        packed_ring_is_read_beyond_its_end=Change(
            "a read goes one descriptor beyond the end of the ring",
            "left.eq(row.size - place.offset)",
            "left.eq(row.size - place.offset + 1)",
        ),
        notification_during_a_read_is_lost=Change(
            "a notification that comes while its queue is being read is forgotten",
            "flight.rings.eq(self._visited & (flight.alive != 0))",
            "flight.rings.eq(0)",
        ),
    ),
    *planted(
        "queue.packed.scan",
        "packed",
        (_RING,),
        chain_longer_than_its_queue=Change(
            "a chain of one descriptor more than the queue has is taken",
            "(follows & (span >= read.size))",
            "(follows & (span > read.size))",
        ),
        stale_line_is_believed=Change(
            "what was read of a chain in a second line counts, though it may be older than the first",
            "proved.eq(chain.known | ~crossed)",
            "proved.eq(1)",
        ),
    ),
    *planted(
        "queue.packed.place",
        "packed",
        (_RING, "tb/queue/packed/test_used_writer.py"),
        lap_is_not_counted=Change(
            "the wrap counter does not turn at the end of the ring",
            "place.lap ^ over",
            "place.lap",
        ),
    ),
    *planted(
        "queue.packed.used_batch",
        "packed",
        ("tb/queue/packed/test_used_writer.py",),
        write_flag_is_turned_over=Change(
            "the flag WRITE says of a used descriptor that nothing was written",
            "Mux(chain.written != 0, DESC_F_WRITE, 0)",
            "Mux(chain.written == 0, DESC_F_WRITE, 0)",
        ),
        packed_batch_passes_the_rings_end=Change(
            "a batch goes on behind the last descriptor of the ring",
            "single & ~starts",
            "single",
        ),
    ),
    *planted(
        "queue.packed.used_writer",
        "packed",
        one_used_descriptor_too_many=Change(
            "the write of a batch is one descriptor too long",
            "(batch.count - 1) * _DWORDS",
            "batch.count * _DWORDS",
        ),
    ),
    *planted(
        "queue.packed.used_notification",
        "packed",
        event_of_the_oldest_is_missed=Change(
            "the driver is not notified when the oldest of the new descriptors is the one that it waits for",
            "(behind != 0) & (behind <= asked.since)",
            "(behind != 0) & (behind < asked.since)",
        ),
    ),
    *planted(
        "queue.packed.device_event",
        "packed",
        (_RING,),
        event_is_looked_for_on_the_wrong_lap=Change(
            "after the event was written the flags are compared with the wrong wrap counter",
            "in_flight.i.payload.wrap.eq(~end.place.lap)",
            "in_flight.i.payload.wrap.eq(end.place.lap)",
        ),
    ),
    *planted(
        "queue.packed.descriptors",
        "packed",
        packed_chain_does_not_wrap=Change(
            "a chain goes on behind the last descriptor of the ring",
            "found.next.eq(Mux(last, 0, self.index + 1))",
            "found.next.eq(self.index + 1)",
        ),
    ),
)
