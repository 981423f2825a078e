"""WritePlanner: where the bytes of replies go in the segments of their chain."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from ringwalker.dma.planner import WritePlanner
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import pulses

Segments = list[tuple[int, int]]
Runs = list[tuple[int, int]]


def plan(segments: Segments, offset: int, length: int) -> tuple[Runs, bool]:
    """The runs (address, length) of a reply, and whether it goes beyond the segments."""
    runs, left = [], length
    for address, size in segments:
        skipped = min(offset, size)
        offset -= skipped
        piece = min(size - skipped, left)
        left -= piece
        if piece:
            runs.append((address + skipped, piece))
    return runs, left > 0


class Bench:
    def __init__(self, dut: Any, stalls: float = 0.0):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.owners = StreamSource(dut, "owners", stalling())
        self.segments = StreamSource(dut, "segments", stalling())
        self.replies = StreamSource(dut, "replies", stalling())
        self.runs = StreamSink(dut, "runs", stalling())
        self.completed = StreamSink(dut, "completed", stalling())

    def chain(self, segments: Segments, queue: int = 1, head: int = 2) -> None:
        """A chain of these segments; without any it has one of length 0, as SegmentWalker gives it."""
        room = sum(length for _address, length in segments)
        self.owners.queue({"queue": queue, "id": head, "span": head % 7, "writable": room})
        given = segments or [(0, 0)]
        for k, (address, length) in enumerate(given):
            last = int(k == len(given) - 1)
            self.segments.queue({"address": address, "length": length, "last": last})

    def reply(self, offset: int, length: int, done: int = 1, written: int = 0) -> None:
        self.replies.queue({"offset": offset, "length": length, "done": done, "written": written})

    async def planned(self) -> tuple[Runs, int]:
        """The runs of the next reply that have bytes, and ``done`` of the last."""
        runs = await self.runs.receive_packet()
        assert not any(run["done"] for run in runs[:-1])
        return [(run["address"], run["length"]) for run in runs if run["length"]], runs[-1]["done"]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_reply_goes_to_the_start_of_its_segment(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 16)])
    bench.reply(0, 8)
    assert await bench.planned() == ([(0x1000, 8)], 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_reply_is_cut_at_segments(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 4), (0x2000, 4), (0x3000, 4)])
    bench.reply(0, 10)
    assert await bench.planned() == ([(0x1000, 4), (0x2000, 4), (0x3000, 2)], 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def an_offset_skips_bytes_and_whole_segments(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 4), (0x2000, 8)])
    bench.reply(6, 3)
    assert await bench.planned() == ([(0x2002, 3)], 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def the_next_reply_goes_on_in_the_same_segment(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 16)])
    bench.reply(0, 4, done=0)
    bench.reply(6, 4, done=1)
    assert await bench.planned() == ([(0x1000, 4)], 0)
    assert await bench.planned() == ([(0x1006, 4)], 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_reply_that_writes_nothing_gives_one_empty_run(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 16)])
    bench.reply(0, 0)
    run = await bench.runs.receive()
    assert (run["length"], run["last"], run["done"]) == (0, 1, 1)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def done_completes_the_chain_with_what_the_function_wrote(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 16)], queue=5, head=77)
    bench.reply(0, 4, written=123)
    assert await bench.completed.receive() == {
        "queue": 5,
        "id": 77,
        "span": 0,
        "written": 123,
        "whole": 0,
    }


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_chain_is_whole_if_all_of_it_was_written(dut):
    bench = Bench(dut)
    await start(dut)
    for written in (15, 16, 17):
        bench.chain([(0x1000, 4), (0x2000, 12)], head=8)
        bench.reply(0, 16, written=written)
        completed = await bench.completed.receive()
        assert (completed["span"], completed["whole"]) == (1, int(written == 16))


@cocotb.test(timeout_time=100, timeout_unit="us")
async def done_drops_the_segments_that_are_left(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain([(0x1000, 4), (0x2000, 4), (0x3000, 4)])
    bench.reply(0, 2)
    bench.chain([(0x4000, 4)])
    bench.reply(0, 4)
    assert (await bench.planned())[0] == [(0x1000, 2)]
    assert (await bench.planned())[0] == [(0x4000, 4)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_reply_beyond_the_chain_is_cut_off_and_reported_once(dut):
    bench = Bench(dut)
    overrun = pulses(dut, "overrun")
    await start(dut)
    bench.chain([(0x1000, 4), (0x2000, 4)])
    bench.reply(0, 100)
    assert (await bench.planned())[0] == [(0x1000, 4), (0x2000, 4)]
    await ClockCycles(dut.clk, 4)
    assert overrun.count == 1


@cocotb.test(timeout_time=500, timeout_unit="us")
async def random_chains_under_stalls(dut):
    bench = Bench(dut, stalls=0.3)
    overrun = pulses(dut, "overrun")
    await start(dut)
    expected, completed, overruns = [], [], 0
    for _ in range(150):
        segments = [(random.getrandbits(40), random.randrange(1, 30)) for _ in range(random.randrange(5))]
        queue, head, written = random.randrange(8), random.getrandbits(16), random.getrandbits(16)
        room = sum(length for _address, length in segments)
        written = random.choice([written, room])
        bench.chain(segments, queue, head)
        position, count = 0, random.choice([1, 1, 2, 4])
        for k in range(count):
            offset, length = position + random.choice([0, 0, 5, 40]), random.choice([0, 1, 7, 30])
            done = int(k == count - 1)
            bench.reply(offset, length, done, written)
            runs, beyond = plan(segments, offset, length)
            expected.append((runs, done))
            overruns += beyond
            # A reply without bytes moves nothing.
            position = offset + length if length else position
        whole = int(written == room)
        completed.append({"queue": queue, "id": head, "span": head % 7, "written": written, "whole": whole})
    for reply in expected:
        assert await bench.planned() == reply
    assert [await bench.completed.receive() for _ in completed] == completed
    await ClockCycles(dut.clk, 4)
    assert overrun.count == overruns > 0
    assert int(dut.idle.value) == 1


def test_write_planner():
    run_bench(WritePlanner(), "tb.dma.test_planner")
