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
        used_batch_passes_the_rings_end=Change(
            "the first element of the ring does not begin a batch",
            "element.first.eq(slot_zero | (address[2:12] == _PAGE_DWORDS - 1))",
            "element.first.eq(address[2:12] == _PAGE_DWORDS - 1)",
        ),
        id_and_length_are_swapped=Change(
            "id and length of a used element are swapped",
            "Cat(chain.id, Const(0, 16), chain.written)",
            "Cat(chain.written, chain.id, Const(0, 16))",
        ),
    ),
    *planted(
        "queue.split.used_writer",
        used_flags_are_overwritten=Change(
            "the write of the used index has the byte enables of the flags, too",
            "beat.header.first_be.eq(0b11 << shift)",
            "beat.header.first_be.eq(0b1111)",
        ),
    ),
    *planted(
        "queue.split.used_notification",
        used_event_is_off_by_one=Change(
            "the driver is also notified one entry before the one that it waits for",
            "(flags - asked.old)[:16] < (asked.new - asked.old)[:16]",
            "(flags - asked.old)[:16] <= (asked.new - asked.old)[:16]",
        ),
        no_interrupt_is_ignored=Change(
            "a driver that wants no interrupts gets them",
            "(flags & AVAIL_F_NO_INTERRUPT) == 0,",
            "Const(1),",
        ),
    ),
    *planted(
        "queue.split.avail_event",
        avail_event_is_one_behind=Change(
            "avail_event names the entry before the next",
            "beat.data.eq(poll.idx.replicate(2))",
            "beat.data.eq((poll.idx - 1)[:16].replicate(2))",
        ),
        avail_event_in_the_wrong_half=Change(
            "the byte enables of avail_event are those of the other half of the dword",
            "Mux(event[1], 0b1100, 0b0011)",
            "Mux(event[1], 0b0011, 0b1100)",
        ),
    ),
    *planted(
        "queue.split.speculation",
        wrong_guess_is_confirmed=Change(
            "a guess is confirmed by any first head of its queue",
            "(head.at == guess.head) & head.first",
            "head.first",
        ),
    ),
    *planted(
        "queue.split.ring",
        failed_flags_are_not_reported=Change(
            "a failed read of what the driver suppresses does not count as a failure",
            "for block in (entries, notification, event))",
            "for block in (entries, event))",
        ),
    ),
)
