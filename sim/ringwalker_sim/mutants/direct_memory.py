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
)
