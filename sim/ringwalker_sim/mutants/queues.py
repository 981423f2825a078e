"""Mutants of ``queue``, beside its two rings and the chains."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "queue.scheduler",
        stale_index_is_carried=Change(
            "after a notification without an index one that came before still counts",
            "(silent & ~taken) | Mux(doorbell.carried, 0, rung)",
            "silent & ~taken",
        ),
        reset_queue_is_still_visited=Change(
            "a queue that was notified before its reset is visited behind it",
            "(pending & ~taken & ~cleared) | rung",
            "(pending & ~taken) | rung",
        ),
    ),
    *planted(
        "queue.table",
        whole_rows_are_written=Change(
            "a write of some bytes of a row writes all of them",
            "port.en.eq(write.mask)",
            "port.en.eq(-1)",
        ),
    ),
    *planted(
        "queue.ring.used_queues",
        queue_waits_twice=Change(
            "a queue that waits already is put behind the others once more",
            "order.i.valid.eq(self.i.valid & ~again)",
            "order.i.valid.eq(self.i.valid)",
        ),
    ),
    *planted(
        "queue.ring.batch_due",
        held_batch_waits_for_ever=Change(
            "used elements that are held back do not become due with their age",
            "(~self.hold | self.full | old)",
            "(~self.hold | self.full)",
        ),
    ),
)
