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
    ),
)
