"""Mutants of ``queue/chain``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "queue.chain.check",
        next_may_be_the_size=Change(
            "a next descriptor that equals the size of the table is followed",
            "(descriptor.next >= found.size)",
            "(descriptor.next > found.size)",
        ),
        chain_may_be_one_longer=Change(
            "a chain of one buffer more than the queue has descriptors is taken",
            "(walked >= found.limit)",
            "(walked > found.limit)",
        ),
        readable_behind_writable_is_taken=Change(
            "a readable buffer is taken behind one writable one",
            "(~writable & (before.writable_segments != 0))",
            "(~writable & (before.writable_segments > 1))",
        ),
        end_of_the_address_space_is_refused=Change(
            "a buffer that ends with the last byte of the address space is refused",
            "(low + length)[bits] & ~ends",
            "(low + length)[bits]",
        ),
    ),
    *planted(
        "queue.chain.lines",
        table_is_read_beyond_its_end=Change(
            "a read of descriptors goes one beyond the end of their table",
            "chosen.left.eq(request.table.size - request.index)",
            "chosen.left.eq(request.table.size - request.index + 1)",
        ),
    ),
    *planted(
        "queue.chain.fetch",
        indirect_mark_is_not_reset=Change(
            "a slot whose chain was in an indirect table is still marked so for the next chain",
            "                self._nested.bit_select(self._newest, 1).eq(0),\n",
            "",
        ),
    ),
)
