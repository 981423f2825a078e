# amaranth: UnusedElaboratable=no
"""SlotMemory: written at any dword, read a row at a time."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.dma.slots import SlotMemory
from ringwalker_sim.testing import run_bench, start

SLOTS, SLOT_BYTES = 4, 64
ROWS, DWORDS = SLOT_BYTES // 8, SLOT_BYTES // 4


class Bench:
    """The memory at 64 bits, and what must be in it: a list of dwords for each slot."""

    def __init__(self, dut: Any):
        self.dut = dut
        self.dwords = [[0] * DWORDS for _ in range(SLOTS)]
        for name in ("write_en", "write_slot", "write_position", "write_data", "write_mask"):
            getattr(dut, name).value = 0
        for name in ("read_en", "read_slot", "read_row"):
            getattr(dut, name).value = 0

    def put(self, slot: int, position: int, data: list[int], mask: int) -> None:
        """Write in the cycle that begins; the caller waits for its end."""
        self.dut.write_en.value = 1
        self.dut.write_slot.value = slot
        self.dut.write_position.value = position
        self.dut.write_data.value = data[1] << 32 | data[0]
        self.dut.write_mask.value = mask
        for k in range(2):
            if mask >> k & 1:
                self.dwords[slot][position + k] = data[k]

    async def write(self, slot: int, position: int, data: list[int], mask: int = 3) -> None:
        self.put(slot, position, data, mask)
        await RisingEdge(self.dut.clk)
        self.dut.write_en.value = 0

    async def read(self, slot: int, row: int) -> list[int]:
        """Both dwords of a row, low dword first."""
        self.dut.read_en.value = 1
        self.dut.read_slot.value = slot
        self.dut.read_row.value = row
        await RisingEdge(self.dut.clk)
        self.dut.read_en.value = 0
        await RisingEdge(self.dut.clk)
        value = int(self.dut.read_data.value)
        return [value & 0xFFFFFFFF, value >> 32]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_row_that_was_written_is_read(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.write(1, 4, [0x11111111, 0x22222222])
    assert await bench.read(1, 2) == [0x11111111, 0x22222222]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_write_at_an_odd_dword_reaches_two_rows(dut):
    bench = Bench(dut)
    await start(dut)
    for position in (0, 2):
        await bench.write(0, position, [0, 0])
    await bench.write(0, 1, [0x33333333, 0x44444444])
    assert await bench.read(0, 0) == [0, 0x33333333]
    assert await bench.read(0, 1) == [0x44444444, 0]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def dwords_that_are_masked_stay(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.write(2, 6, [1, 2])
    await bench.write(2, 6, [3, 4], mask=0b10)
    assert await bench.read(2, 3) == [1, 4]
    # At an odd dword the mask turns with the data.
    await bench.write(2, 7, [5, 6], mask=0b01)
    assert await bench.read(2, 3) == [1, 5]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def slots_are_apart(dut):
    bench = Bench(dut)
    await start(dut)
    for slot in range(SLOTS):
        await bench.write(slot, 0, [slot, 10 + slot])
    for slot in range(SLOTS):
        assert await bench.read(slot, 0) == [slot, 10 + slot]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_row_stays_until_the_next_read(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.write(3, 0, [7, 8])
    await bench.write(3, 2, [9, 10])
    assert await bench.read(3, 0) == [7, 8]
    dut.read_row.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
        assert int(dut.read_data.value) == 8 << 32 | 7


@cocotb.test(timeout_time=100, timeout_unit="us")
async def random_writes_and_reads_at_once(dut):
    bench = Bench(dut)
    await start(dut)
    for slot in range(SLOTS):
        for row in range(ROWS):
            await bench.write(slot, 2 * row, [0, 0])
    expected = None
    for _ in range(400):
        # A write is in memory for a read in the next cycle, and not before.
        slot, row = random.randrange(SLOTS), random.randrange(ROWS)
        reads, following = random.random() < 0.8, expected
        if reads:
            following = bench.dwords[slot][2 * row : 2 * row + 2]
        dut.read_en.value, dut.read_slot.value, dut.read_row.value = int(reads), slot, row
        dut.write_en.value = 0
        target, position = random.randrange(SLOTS), random.randrange(DWORDS - 1)
        if target != slot:
            bench.put(target, position, [random.getrandbits(32) for _ in range(2)], random.randrange(4))
        await RisingEdge(dut.clk)
        if expected is not None:
            assert int(dut.read_data.value) == expected[1] << 32 | expected[0]
        expected = following


def test_slot_memory():
    run_bench(SlotMemory(64, SLOTS, SLOT_BYTES), "tb.dma.test_slots")


@pytest.mark.parametrize("slot_bytes", [4, 48, 8192])
def test_slot_sizes_are_powers_of_two_from_a_row_to_4096(slot_bytes):
    with pytest.raises(ValueError, match="slot_bytes"):
        SlotMemory(64, SLOTS, slot_bytes)
