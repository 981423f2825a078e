"""AvailEvent against rings in Python: which queues are visited again, and what the driver sees before."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.queue.split.avail_event import AvailEvent
from ringwalker.spec.ring import AVAIL_IDX_OFFSET, avail_event_offset
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel
from ringwalker_sim.testing.walker import DmaReadModel, QueueTableModel, pulses, until

QUEUES = 6
MODULE = "tb.queue.split.test_avail_event"


def stalls(probability):
    return random_stalls(probability) if probability else None


class Bench:
    def __init__(self, dut, stall=0.0, latency=(1, 1)):
        self.dut = dut
        self.table = QueueTableModel(dut)
        self.host = HostMemoryModel(dut, "writes", None, request_stalls=stalls(stall))
        self.broken = set()
        for queue in range(QUEUES):
            places = {
                "driver": 0x1000 * queue + 0xFC + 2 * queue,
                "device": 0x8000 + 0x1000 * queue + 4 * queue,
            }
            self.table.rows[queue] = places | {"size": 1 << queue, "enable": 1}
        self.read = DmaReadModel(
            dut,
            "read",
            self.host.memory,
            parameters()["width"],
            latency=latency,
            stalls=stalls(stall),
            data_stalls=stalls(stall),
            fails=lambda address: address in self.broken,
        )
        self.polls = StreamSource(dut, "polls", stalls(stall))
        self.again = StreamSink(dut, "revisits", stalls(stall))
        self.fail = pulses(dut, "fail")

    def index_address(self, queue):
        return self.table.rows[queue]["driver"] + AVAIL_IDX_OFFSET

    def set_index(self, queue, idx):
        at = self.index_address(queue)
        self.host.memory[at : at + 2] = idx.to_bytes(2, "little")

    def event(self, queue):
        row = self.table.rows[queue]
        at = row["device"] + avail_event_offset(row["size"])
        return int.from_bytes(self.host.memory[at : at + 2], "little")

    async def idle(self):
        await self.polls.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))

    def visited(self):
        got = [item["queue"] for item in self.again.received]
        self.again.received.clear()
        return got


@cocotb.test(timeout_time=300, timeout_unit="us")
async def what_found_something_or_has_moved_since_is_visited_again(dut):
    bench = Bench(dut, 0.3, (1, 30))
    await start(dut)
    for _ in range(60):
        expected = []
        reads, writes = len(bench.read.requests), len(bench.host.writes)
        quiet = 0
        for queue in random.sample(range(QUEUES), random.randint(1, QUEUES)):
            idx, found, moved = random.getrandbits(16), random.getrandbits(1), random.getrandbits(1)
            bench.set_index(queue, (idx + moved * random.randint(1, 9)) & 0xFFFF)
            bench.polls.queue({"queue": queue, "idx": idx, "found": found})
            if found or moved:
                expected.append(queue)
            quiet += not found
            if not found:
                bench.table.rows[queue]["wanted"] = idx
        await bench.idle()
        assert sorted(bench.visited()) == sorted(expected)
        assert (len(bench.read.requests) - reads, len(bench.host.writes) - writes) == (quiet, quiet)
        for queue, row in bench.table.rows.items():
            assert bench.event(queue) == row.get("wanted", bench.event(queue))
    assert bench.fail.count == 0
    # Nothing but the events was written.
    assert bench.host.write_bytes == 2 * len(bench.host.writes)


@cocotb.test(timeout_time=300, timeout_unit="us")
async def the_index_is_read_after_the_event_was_written(dut):
    bench = Bench(dut)
    await start(dut)
    for queue in range(QUEUES):
        bench.set_index(queue, 7)
        bench.polls.queue({"queue": queue, "idx": 7, "found": 0})
    for queue in range(QUEUES):
        await until(
            dut, lambda: bool(int(dut.read_requests_valid.value) and int(dut.read_requests_ready.value))
        )
        assert int(dut.read_requests_address.value) == bench.index_address(queue)
        assert bench.event(queue) == 7
    await bench.idle()
    assert bench.visited() == []


@cocotb.test(timeout_time=300, timeout_unit="us")
async def latency_is_one_cycle_to_a_visit_and_two_to_the_write(dut):
    bench = Bench(dut)
    await start(dut)
    for found, name in ((1, "revisits_valid"), (0, "writes_valid")):
        bench.polls.queue({"queue": 1, "idx": 0, "found": found})
        await until(dut, lambda: bool(int(dut.polls_valid.value)))
        assert await until(dut, lambda name=name: bool(int(getattr(dut, name).value))) == 2
        await bench.idle()


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_failed_read_fails_and_visits_no_one(dut):
    bench = Bench(dut, 0.1, (1, 9))
    await start(dut)
    bench.broken.add(bench.index_address(2))
    for queue in (1, 2, 3):
        bench.set_index(queue, 1)
        bench.polls.queue({"queue": queue, "idx": 0, "found": 0})
    await bench.idle()
    await ClockCycles(dut.clk, 2)
    await RisingEdge(dut.clk)
    assert bench.visited() == [1, 3]
    assert bench.fail.count == 1


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_avail_event(width):
    run_bench(AvailEvent(width), MODULE, parameters={"width": width})
