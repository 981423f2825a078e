"""Mutants of ``queue/split``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "queue.split.avail_index",
        index_from_the_wrong_half=Change(
            "which half of its dword the index is in is taken from the wrong bit of its address",
            "new.odd.eq(address[1])",
            "new.odd.eq(address[2])",
        ),
        overlap_is_not_marked=Change(
            "an index that was asked for while an earlier read of it was in flight is not marked",
            "new.overlapped.eq(same)",
            "new.overlapped.eq(0)",
        ),
    ),
    *planted(
        "queue.split.avail_entries",
        benches=("tb/queue/split/test_avail_entries.py", "tb/queue/split/test_avail_ring.py"),
        entries_do_not_wrap=Change(
            "the slot is not wrapped at the end of the available ring",
            "rest.slot.eq((rest.slot + self._entries) & (rest.size - 1))",
            "rest.slot.eq(rest.slot + self._entries)",
        ),
        index_one_too_far_is_believed=Change(
            "an index that is ahead by one more than the queue's size is believed",
            "with m.Elif(new > row.size):",
            "with m.Elif(new > row.size + 1):",
        ),
        head_of_the_size_is_taken=Change(
            "a head that equals the queue's size is taken for a descriptor",
            "self.heads.valid.eq(value < context.size)",
            "self.heads.valid.eq(value <= context.size)",
        ),
        entries_cross_a_line=Change(
            "a read of entries goes one entry beyond its line",
            "line_left.eq(_LINE_ENTRIES - place[",
            "line_left.eq(_LINE_ENTRIES + 1 - place[",
        ),
    ),
    *planted(
        "queue.split.used_batch",
        used_slot_does_not_wrap=Change(
            "the slot is not wrapped at the end of the used ring",
            "slot = position & (row.size - 1)",
            "slot = position",
        ),
    ),
)
