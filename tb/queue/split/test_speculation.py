"""Speculation: when it guesses, what it guesses, and how each guess is judged."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from ringwalker.queue.split.speculation import Speculation
from ringwalker.spec.ring import AVAIL_ENTRY_BYTES, AVAIL_RING_OFFSET
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, run_bench, start
from ringwalker_sim.testing.walker import DmaReadModel, pulses, until

QUEUES = 4
SIZE = 256
DRIVER = 0x8FC4
MODULE = "tb.queue.split.test_speculation"


def head(queue, index, first=1):
    return {"queue": queue, "at": index, "id": index, "span": 0, "brought": 0, "first": first, "guess": 0}


class Bench:
    """A ring of 256 entries at an odd place; what the other blocks give is driven by hand."""

    def __init__(self, dut, latency=(20, 20), fails=lambda address: False):
        self.dut = dut
        self.memory = bytearray(1 << 16)
        width = parameters()["width"]
        self.read = DmaReadModel(dut, "read", self.memory, width, latency=latency, fails=fails)
        self.entries = StreamSource(dut, "i")
        self.heads = StreamSink(dut, "o")
        self.confirmed, self.withdrawn = pulses(dut, "confirm"), pulses(dut, "withdraw")
        for name in (
            "look",
            "look_queue",
            "begun_valid",
            "begun_carried",
            "decided_valid",
            "ended",
            "position",
        ):
            getattr(dut, name).value = 0
        for name in ("desc", "device", "vector", "enable", "reserved"):
            getattr(dut, f"row_{name}").value = 0
        dut.row_driver.value, dut.row_size.value = DRIVER, SIZE
        dut.quiet.value = dut.begun_alone.value = 1

    async def start(self):
        await start(self.dut)
        await ClockCycles(self.dut.clk, 3)

    async def visit(self, queue, entry=0, position=0, carried=0):
        """A visit is taken and begins in the cycle after; ``entry`` is what stands at ``position``."""
        dut = self.dut
        at = DRIVER + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * (position % SIZE)
        self.memory[at : at + 2] = entry.to_bytes(2, "little")
        dut.look.value, dut.look_queue.value = 1, queue
        await RisingEdge(dut.clk)
        dut.look.value, dut.position.value = 0, position
        dut.begun_valid.value, dut.begun_queue.value, dut.begun_carried.value = 1, queue, carried
        await ReadOnly()
        held = int(dut.hold.value)
        await RisingEdge(dut.clk)
        dut.begun_valid.value = 0
        return held

    async def decide(self, queue, covers=1, size=SIZE):
        """A snapshot has shown that the entry is new, or not."""
        dut = self.dut
        dut.decided_valid.value, dut.decided_queue.value = 1, queue
        dut.decided_covers.value, dut.decided_size.value = covers, size
        await RisingEdge(dut.clk)
        dut.decided_valid.value = 0

    async def end(self):
        self.dut.ended.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.ended.value = 0

    async def guess(self, queue, index):
        """Bring a guess out, and look at it."""
        await self.visit(queue, entry=index)
        await self.decide(queue)
        got = await self.heads.receive()
        assert got == head(queue, index) | {"guess": 1}


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_entry_is_read_one_cycle_after_a_visit_that_found_all_at_rest(dut):
    bench = Bench(dut)
    await bench.start()
    for position in (0, 7, 255, 256, 0xFFFF):
        bench.read.requests.clear()
        assert await bench.visit(1, position=position) == 1
        assert await until(dut, lambda: int(dut.read_requests_valid.value)) == 1
        address = DRIVER + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * (position % SIZE)
        await until(dut, lambda: int(dut.idle.value))
        assert bench.read.requests == [(address, AVAIL_ENTRY_BYTES)]
        assert int(dut.hold.value) == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def nothing_is_read_unless_all_is_at_rest(dut):
    bench = Bench(dut)
    await bench.start()
    for quiet, alone in ((0, 1), (1, 0)):
        dut.quiet.value, dut.begun_alone.value = quiet, alone
        await ClockCycles(dut.clk, 2)
        assert await bench.visit(1) == 0
        await bench.decide(1)
        await ClockCycles(dut.clk, 10)
    dut.quiet.value = dut.begun_alone.value = 1
    await ClockCycles(dut.clk, 2)
    # An index that was carried has nothing to be read with.
    assert await bench.visit(1, carried=1) == 0
    await ClockCycles(dut.clk, 10)
    assert not bench.read.requests
    # While an entry is read another visit does not find all at rest.
    await bench.visit(1)
    await bench.visit(2)
    await until(dut, lambda: int(dut.idle.value))
    assert len(bench.read.requests) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def visits_are_held_until_the_entry_is_asked_for(dut):
    bench = Bench(dut)
    bench.read._sink.stalls = iter([True] * 9 + [False] * 1000)
    await bench.start()
    assert await bench.visit(1) == 1
    while not (int(dut.read_requests_valid.value) and int(dut.read_requests_ready.value)):
        assert int(dut.hold.value) == 1
        assert not bench.read.requests
        await RisingEdge(dut.clk)
    assert int(dut.hold.value) == 0
    await until(dut, lambda: int(dut.idle.value))
    assert len(bench.read.requests) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_guess_goes_before_its_head_once_a_snapshot_covers_it(dut):
    bench = Bench(dut)
    await bench.start()
    for kind in ("before", "after", "late", "empty", "beyond", "other") * 3:
        queue, index = 1, random.randrange(SIZE)
        await bench.visit(queue, entry=SIZE if kind == "beyond" else index)
        if kind not in ("after", "late"):
            await until(dut, lambda: int(dut.idle.value))
            await ClockCycles(dut.clk, 5)
            assert not bench.heads.received, "a guess before its snapshot"
        await bench.decide(2 if kind == "other" else queue, covers=kind != "empty")
        if kind in ("late", "other"):
            # A real head came first.
            await bench.entries.send(head(queue, index))
            await bench.heads.receive()
        await ClockCycles(dut.clk, 40)
        if kind in ("before", "after"):
            assert bench.heads.received.popleft() == head(queue, index) | {"guess": 1}
            await bench.end()
        assert not bench.heads.received
    assert bench.withdrawn.count == 6


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_entry_that_could_not_be_read_is_no_guess(dut):
    bench = Bench(dut, fails=lambda address: True)
    await bench.start()
    for _ in range(3):
        await bench.visit(1, entry=3)
        # What comes with an error is random: nearly any number would be a head of this ring.
        await bench.decide(1, size=0xFFFF)
        await ClockCycles(dut.clk, 60)
        assert int(dut.idle.value)
        assert not bench.heads.received


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_guess_is_out_two_cycles_after_the_decision(dut):
    bench = Bench(dut, (1, 1))
    await bench.start()
    await bench.visit(1, entry=5)
    await ClockCycles(dut.clk, 10)
    await bench.decide(1)
    assert await until(dut, lambda: int(dut.o_valid.value)) == 2
    await bench.end()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_head_that_confirms_a_guess_is_left_out(dut):
    bench = Bench(dut, (1, 1))
    await bench.start()
    for count in (1, 3):
        before = bench.confirmed.count
        await bench.guess(1, 9)
        following = [head(1, 20 + n, first=0) for n in range(count - 1)]
        for item in (head(1, 9), *following):
            bench.entries.queue(item)
        await bench.entries.drained()
        await ClockCycles(dut.clk, 4)
        assert [bench.heads.received.popleft() for _ in following] == following
        assert not bench.heads.received
        assert bench.confirmed.count == before + 1
    assert bench.withdrawn.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def any_other_head_withdraws_a_guess_and_passes(dut):
    bench = Bench(dut, (1, 1))
    await bench.start()
    for n, other in enumerate((head(1, 8), head(2, 9), head(1, 9, first=0))):
        await bench.guess(1, 9)
        await bench.entries.send(other)
        assert await bench.heads.receive() == other
        await ClockCycles(dut.clk, 3)
        assert bench.withdrawn.count == n + 1
        # What comes afterwards has nothing to do with it.
        await bench.entries.send(head(1, 9))
        assert await bench.heads.receive() == head(1, 9)
        await ClockCycles(dut.clk, 3)
    assert bench.confirmed.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_guess_is_withdrawn_when_no_head_is_to_come(dut):
    bench = Bench(dut, (1, 1))
    await bench.start()
    await bench.guess(1, 9)
    await ClockCycles(dut.clk, 20)
    assert bench.withdrawn.count == 0
    await bench.end()
    await ClockCycles(dut.clk, 3)
    assert bench.withdrawn.count == 1
    await bench.end()
    await ClockCycles(dut.clk, 3)
    assert bench.withdrawn.count == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def with_a_carried_index_the_next_head_follows_the_last_two(dut):
    bench = Bench(dut)
    await bench.start()
    for step in (0, 3, 255, 128):
        for n in range(3):
            await bench.entries.send(head(1, (17 + step * n) % SIZE))
        await bench.entries.send(head(2, 77))
        await ClockCycles(dut.clk, 4)
        bench.heads.received.clear()
        await bench.visit(1, carried=1)
        await bench.decide(1)
        assert await bench.heads.receive() == head(1, (17 + 3 * step) % SIZE) | {"guess": 1}
        await ClockCycles(dut.clk, 3)
        await bench.end()
        await ClockCycles(dut.clk, 3)
    assert not bench.read.requests


@pytest.mark.parametrize("width", [64, pytest.param(512, marks=pytest.mark.slow)])
def test_speculation(width):
    run_bench(Speculation(width, QUEUES), MODULE, parameters={"width": width})
