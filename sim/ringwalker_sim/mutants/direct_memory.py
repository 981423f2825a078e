"""Mutants of ``dma``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "dma.byte_enables",
        last_bytes_are_too_many=Change(
            "of the last dword two bytes are enabled where it is one",
            "(1, 0b0001)",
            "(1, 0b0011)",
        ),
        single_dword_has_last_enables=Change(
            "a request of one dword has byte enables of a last one",
            "last_be.eq(Mux(single, 0, tail))",
            "last_be.eq(tail)",
        ),
    ),
    *planted(
        "dma.cutter",
        piece_crosses_4_kib=Change(
            "a piece goes one byte beyond a 4 KiB boundary",
            "incoming.address[:12] <= 4096",
            "incoming.address[:12] <= 4097",
        ),
    ),
    *planted(
        "dma.completions",
        oversized_completion_is_taken=Change(
            "a completion with more data than its read still waits for is taken",
            "(bytes_then == Cat(0, 0, waiting_then)) & (header.length <= waiting_then)",
            "(bytes_then == Cat(0, 0, waiting_then))",
        ),
        poisoned_data_is_taken=Change(
            "poisoned data counts as good",
            "self.fail.eq(header.poisoned)",
            "self.fail.eq(0)",
        ),
        doubled_completion_is_taken=Change(
            "a completion right behind the last one of its tag is taken once more",
            "found.eq(self.outstanding.bit_select(looking, 1) & ~(ended & self.finish))",
            "found.eq(self.outstanding.bit_select(looking, 1))",
        ),
    ),
    *planted(
        "dma.reader",
        error_stays_with_its_tag=Change(
            "a read with a tag whose last read failed fails, too",
            "(self._error & ~opened) | failed",
            "self._error | failed",
        ),
        tags_are_not_blocked=Change(
            "no read waits for the late completions of one that timed out",
            "self._blocked.eq(quarantine_next != 0)",
            "self._blocked.eq(0)",
        ),
    ),
    *planted(
        "dma.slots",
        completion_in_the_wrong_row=Change(
            "one dword of a completion that is not aligned goes to the wrong row",
            "Mux(bank < lane, next_row, row)",
            "Mux(bank <= lane, next_row, row)",
        ),
    ),
    *planted(
        "dma.run_reader",
        every_beat_is_cut=Change(
            "bytes before the start are cut from every beat, not from the first alone",
            "Mux(beat.p.first, places.o.p.start, 0)",
            "places.o.p.start",
        ),
    ),
    *planted(
        "dma.scatter",
        credits_are_given_twice=Change(
            "a write that left counts for two chains, so the second may be used before its data",
            "credits + released - taken",
            "credits + (released << 1) - taken",
        ),
    ),
    *planted(
        "dma.planner",
        position_is_not_reset=Change(
            "a chain begins where the one before ended",
            "[segment_valid.eq(0), exhausted.eq(0), position.eq(0)]",
            "[segment_valid.eq(0), exhausted.eq(0)]",
        ),
    ),
    *planted(
        "dma.shared_reads",
        owner_goes_with_the_first_beat=Change(
            "the rest of an answer goes to who asked next",
            "data.valid & data.ready & data.payload.last",
            "data.valid & data.ready",
        ),
    ),
    *planted(
        "dma.realign",
        one_dword_too_many=Change(
            "the last beat of a write has a dword too many if its end is aligned",
            "(left > 4 * k)",
            "(left >= 4 * k)",
        ),
    ),
)
