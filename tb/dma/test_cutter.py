# amaranth: UnusedElaboratable=no
"""Cutter: runs of guest memory become pieces that fit one TLP."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.dma.cutter import LONGEST_RUN, Cutter
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start

LIMITS = (64, 128, 512, 4096)


def cut(address: int, length: int, limit: int) -> list[tuple[int, int]]:
    """The pieces (address, length) of a run."""
    if address % 4 + length <= limit and address % 4096 + length <= 4096:
        return [(address, length)]
    pieces = []
    while length:
        piece = min(length, limit - address % limit)
        pieces.append((address, piece))
        address, length = address + piece, length - piece
    return pieces


class Bench:
    def __init__(self, dut: Any, limit: int, stalls: float = 0.0):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.runs = StreamSource(dut, "i", stalling())
        self.pieces = StreamSink(dut, "o", stalling())
        dut.limit.value = limit

    def put(self, address: int, length: int, last: int = 0, done: int = 0) -> None:
        self.runs.queue({"address": address, "length": length, "last": last, "done": done})

    async def pieces_of(self, address: int, length: int, limit: int) -> list[tuple[int, int]]:
        """Receive as many pieces as the run must give."""
        got = [await self.pieces.receive() for _ in cut(address, length, limit)]
        return [(piece["address"], piece["length"]) for piece in got]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_short_run_stays_whole(dut):
    bench = Bench(dut, limit=128)
    await start(dut)
    # Also across a multiple of the limit.
    bench.put(0x1070, 100)
    assert await bench.pieces_of(0x1070, 100, 128) == [(0x1070, 100)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def pieces_after_the_first_start_at_multiples_of_the_limit(dut):
    bench = Bench(dut, limit=128)
    await start(dut)
    bench.put(0x1070, 300)
    pieces = [await bench.pieces.receive() for _ in range(4)]
    assert [(p["address"], p["length"]) for p in pieces] == [
        (0x1070, 0x10),
        (0x1080, 128),
        (0x1100, 128),
        (0x1180, 28),
    ]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def the_dwords_of_a_piece_fit_the_limit(dut):
    bench = Bench(dut, limit=64)
    await start(dut)
    # 64 bytes from byte 1 of a dword touch 17 dwords.
    bench.put(0x1001, 64)
    pieces = [await bench.pieces.receive() for _ in range(2)]
    assert [(p["address"], p["length"]) for p in pieces] == [(0x1001, 63), (0x1040, 1)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def no_piece_crosses_4_kib(dut):
    bench = Bench(dut, limit=4096)
    await start(dut)
    bench.put(0x1FF8, 16)
    pieces = [await bench.pieces.receive() for _ in range(2)]
    assert [(p["address"], p["length"]) for p in pieces] == [(0x1FF8, 8), (0x2000, 8)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def an_empty_run_gives_an_empty_piece(dut):
    bench = Bench(dut, limit=128)
    await start(dut)
    bench.put(0x1234, 0, last=1, done=1)
    piece = await bench.pieces.receive()
    assert (piece["length"], piece["last"], piece["done"]) == (0, 1, 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def last_and_done_are_in_the_last_piece_only(dut):
    bench = Bench(dut, limit=128)
    await start(dut)
    bench.put(0x1000, 300, last=1, done=1)
    pieces = [await bench.pieces.receive() for _ in range(3)]
    assert [(p["last"], p["done"]) for p in pieces] == [(0, 0), (0, 0), (1, 1)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_run_takes_two_cycles_and_then_a_piece_comes_every_cycle(dut):
    bench = Bench(dut, limit=64)
    await start(dut)
    bench.put(0x1000, 640)
    bench.put(0x2000, 64)
    taken, given = [], []
    for cycle in range(20):
        await RisingEdge(dut.clk)
        for log, name in ((taken, "i"), (given, "o")):
            if int(getattr(dut, f"{name}_valid").value) and int(getattr(dut, f"{name}_ready").value):
                log.append(cycle)
    assert given == list(range(taken[0] + 2, taken[0] + 13))


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_new_limit_is_for_the_next_run(dut):
    bench = Bench(dut, limit=128)
    bench.pieces.stalls = iter([True] * 8 + [False] * 100)
    await start(dut)
    bench.put(0x1000, 256)
    await ClockCycles(dut.clk, 4)
    dut.limit.value = 64
    bench.put(0x2000, 128)
    pieces = [await bench.pieces.receive() for _ in range(4)]
    assert [p["length"] for p in pieces] == [128, 128, 64, 64]


@cocotb.test(timeout_time=200, timeout_unit="us")
async def random_runs_under_stalls(dut):
    bench = Bench(dut, limit=LIMITS[0], stalls=0.3)
    await start(dut)
    for limit in LIMITS:
        dut.limit.value = limit
        runs = []
        for _ in range(40):
            length = random.choice(
                [0, random.randrange(8), random.randrange(200), random.randrange(4 * limit)]
            )
            address = random.getrandbits(40)
            if random.random() < 0.3:
                address = (address & ~4095) + 4096 - random.randrange(1, 100)
            runs.append((address, length, random.getrandbits(1), random.getrandbits(1)))
            bench.put(*runs[-1])
        for address, length, last, done in runs:
            expected = cut(address, length, limit)
            for k, piece in enumerate(expected):
                got = await bench.pieces.receive()
                final = k == len(expected) - 1
                assert (got["address"], got["length"]) == piece
                assert (got["last"], got["done"]) == (last & final, done & final)
        await ClockCycles(dut.clk, 2)
        assert int(dut.idle.value) == 1


def test_cutter():
    run_bench(Cutter(), "tb.dma.test_cutter")


@pytest.mark.parametrize("longest", [0, LONGEST_RUN + 1])
def test_a_longest_run_that_cannot_be_is_refused(longest):
    with pytest.raises(ValueError, match="longest"):
        Cutter(longest)
