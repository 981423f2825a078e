"""rotate: units of a value, turned towards the high end."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from ringwalker.dma.rotate import rotate


def rotated(unit: int, width: int, cases: list[tuple[int, int]]) -> list[int]:
    """What comes out for each (value, amount)."""
    m = Module()
    value, amount = Signal(width), Signal(range(width // unit))
    result = rotate(m, value, amount, unit, "rotated")
    results = []

    async def drive(ctx):
        for number, by in cases:
            ctx.set(value, number)
            ctx.set(amount, by)
            results.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(drive)
    simulator.run()
    return results


def test_an_amount_of_0_changes_nothing():
    assert rotated(8, 32, [(0x11223344, 0)]) == [0x11223344]


def test_the_lowest_unit_goes_up_by_the_amount():
    assert rotated(8, 32, [(0x000000AA, 1), (0x000000AA, 3)]) == [0x0000AA00, 0xAA000000]


def test_what_leaves_at_the_top_comes_in_at_the_bottom():
    assert rotated(8, 32, [(0xAA000000, 1), (0x11223344, 2)]) == [0x000000AA, 0x33441122]


def test_a_unit_may_be_one_bit():
    assert rotated(1, 4, [(0b0001, 1), (0b1001, 1), (0b0011, 3)]) == [0b0010, 0b0011, 0b1001]


def test_random_values_against_shifts():
    cases = [(random.getrandbits(64), random.randrange(8)) for _ in range(200)]
    whole = (1 << 64) - 1
    expected = [(value << 8 * by | value >> (64 - 8 * by)) & whole for value, by in cases]
    assert rotated(8, 64, cases) == expected


def test_an_amount_of_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match="amount must have log2"):
        rotate(Module(), Signal(64), Signal(2), 8, "rotated")
