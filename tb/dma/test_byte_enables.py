"""dword_span: which dwords a piece of memory touches, and which of their bytes it is."""

import random

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from ringwalker.dma.byte_enables import dword_span


def spans(cases: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """``dwords``, ``first_be``, ``last_be`` and ``total`` for each (offset, length)."""
    m = Module()
    offset, length = Signal(2), Signal(13)
    span = dword_span(m, offset, length)
    results = []

    async def drive(ctx):
        for start, count in cases:
            ctx.set(offset, start)
            ctx.set(length, count)
            results.append(tuple(ctx.get(x) for x in (span.dwords, span.first_be, span.last_be, span.total)))

    simulator = Simulator(m)
    simulator.add_testbench(drive)
    simulator.run()
    return results


def expected(offset: int, length: int) -> tuple[int, ...]:
    """The same, from a list of bytes."""
    enabled = [0] * offset + [1] * length
    total = len(enabled)
    enabled += [0] * (-total % 4)
    dwords = [enabled[k : k + 4] for k in range(0, len(enabled), 4)]
    masks = [sum(bit << k for k, bit in enumerate(dword)) for dword in dwords]
    return len(dwords), masks[0], masks[-1] if len(masks) > 1 else 0, total


def test_a_dword_has_no_last_byte_enables():
    assert spans([(0, 4)]) == [(1, 0b1111, 0, 4)]


def test_one_byte_enables_one_byte():
    assert spans([(2, 1)]) == [(1, 0b0100, 0, 3)]


def test_bytes_within_a_dword_have_their_ends_in_the_first_enables():
    assert spans([(1, 2)]) == [(1, 0b0110, 0, 3)]


def test_a_piece_across_a_dword_boundary_has_both_enables():
    assert spans([(3, 2)]) == [(2, 0b1000, 0b0001, 5)]


def test_a_piece_that_ends_with_a_dword_enables_all_of_it():
    assert spans([(1, 7)]) == [(2, 0b1110, 0b1111, 8)]


def test_the_longest_piece_has_1024_dwords():
    assert spans([(0, 4096), (3, 4093)]) == [(1024, 0b1111, 0b1111, 4096), (1024, 0b1000, 0b1111, 4096)]


def test_short_pieces_at_every_offset_and_random_longer_ones():
    cases = [(offset, length) for offset in range(4) for length in range(1, 14)]
    cases += [(offset, random.randint(1, 4096 - offset)) for offset in random.choices(range(4), k=200)]
    assert spans(cases) == [expected(*case) for case in cases]
