"""SegmentWalker: lists in the segment store become runs."""

import random
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.dma.segment_lists import SegmentWalker
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import SegmentStoreModel

Segments = list[tuple[int, int]]


class Bench:
    """The walker between lists and a store. ``frees`` are given back to the store, which checks them."""

    def __init__(self, dut: Any, stalls: float = 0.0):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.store = SegmentStoreModel(dut)
        self.lists = StreamSource(dut, "lists", stalling())
        self.runs = StreamSink(dut, "o", stalling())
        self.frees = StreamSink(dut, "frees", stalling(), lambda item: self.store.free(item["payload"]))

    def put(self, segments: Segments) -> None:
        self.lists.queue({"first": self.store.add(segments), "count": len(segments)})

    async def walked(self) -> list[tuple[int, int]]:
        """The runs (address, length) of the next list."""
        return [(run["address"], run["length"]) for run in await self.runs.receive_packet()]

    async def idle(self) -> None:
        await ClockCycles(self.dut.clk, 8)
        assert int(self.dut.idle.value) == 1
        assert self.store.used == 0


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_segment_is_a_run(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put([(0x1234, 56)])
    assert await bench.walked() == [(0x1234, 56)]
    await bench.idle()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def segments_come_in_the_order_of_the_list(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put([(0x3000, 3), (0x1000, 1), (0x2000, 2)])
    assert await bench.walked() == [(0x3000, 3), (0x1000, 1), (0x2000, 2)]
    await bench.idle()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def empty_segments_are_left_out(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put([(0x1000, 0), (0x2000, 2), (0x3000, 0), (0x4000, 4), (0x5000, 0)])
    assert await bench.walked() == [(0x2000, 2), (0x4000, 4)]
    await bench.idle()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_list_without_bytes_gives_one_empty_run(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put([])
    bench.put([(0x1000, 0)])
    bench.put([(0x1000, 0), (0x2000, 0)])
    for _ in range(3):
        assert [length for _address, length in await bench.walked()] == [0]
    await bench.idle()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def every_segment_is_freed_once(dut):
    bench = Bench(dut)
    await start(dut)
    freed = []
    bench.frees.callback = lambda item: freed.append(item["payload"])
    first = bench.store.add([(0x1000, 1), (0x2000, 0), (0x3000, 3)])
    used = set(bench.store._entries)
    bench.lists.queue({"first": first, "count": 3})
    await bench.walked()
    await ClockCycles(dut.clk, 4)
    assert len(freed) == 3
    assert set(freed) == used


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_list_takes_two_cycles_and_then_a_segment_comes_every_cycle(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put([(0x1000, 4)])
    bench.put([(0x1000 * k, 4) for k in range(1, 9)])
    taken, given = [], []
    for cycle in range(30):
        await RisingEdge(dut.clk)
        for log, name in ((taken, "lists"), (given, "o")):
            if int(getattr(dut, f"{name}_valid").value) and int(getattr(dut, f"{name}_ready").value):
                log.append(cycle)
    assert given[0] - taken[0] == 2
    # A list of several holds its first run for a cycle.
    assert given[1] - taken[1] == 3
    assert {after - before for before, after in pairwise(given[1:])} == {1}


@cocotb.test(timeout_time=200, timeout_unit="us")
async def random_lists_under_stalls(dut):
    bench = Bench(dut, stalls=0.3)
    await start(dut)
    lists: list[Segments] = []
    for _ in range(120):
        count = random.choice([0, 1, 1, 2, 3, 8])
        lists.append([(random.getrandbits(40), random.choice([0, 1, 4096, 1 << 31])) for _ in range(count)])
        bench.put(lists[-1])
    for segments in lists:
        useful = [segment for segment in segments if segment[1]]
        runs = await bench.walked()
        assert runs == useful if useful else [length for _address, length in runs] == [0]
    await ClockCycles(dut.clk, 30)
    await bench.idle()


def test_segment_walker():
    run_bench(SegmentWalker(), "tb.dma.test_segment_lists")
