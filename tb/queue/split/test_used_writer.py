"""UsedWriter against used rings in Python."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.queue.ring.limits import HOLD_CYCLES
from ringwalker.queue.split.used_writer import UsedWriter
from ringwalker.spec.ring import USED_ENTRY_BYTES, USED_IDX_OFFSET, USED_RING_OFFSET
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel
from ringwalker_sim.testing.walker import QueueTableModel, until

QUEUES = 4
MODULE = "tb.queue.split.test_used_writer"
# The second and the fourth ring have an element over a 4 KiB address.
PLACES = [(0x1000, 16), (0x2FB8, 64), (0x5008, 2), (0x7FF8, 8)]


def stalls(probability):
    return random_stalls(probability) if probability else None


class Host(HostMemoryModel):
    """Guest memory that looks into ``bench``'s rings whenever an index is written."""

    bench: "Bench"

    def _write(self, header, beats, chosen):
        super()._write(header, beats, chosen)
        for queue, (device, size) in enumerate(PLACES):
            if header["address"] == device:
                idx = self.bench.index_in_memory(queue)
                for n in range(self.bench.seen[queue], idx):
                    at = device + USED_RING_OFFSET + USED_ENTRY_BYTES * (n % size)
                    assert self.memory[at : at + 8] == self.bench.elements[queue][n], "index before element"
                self.bench.batches[queue].append(idx - self.bench.seen[queue])
                self.bench.seen[queue] = idx


class Bench:
    def __init__(self, dut, stall=0.0):
        self.dut = dut
        self.table = QueueTableModel(dut)
        for queue, (device, size) in enumerate(PLACES):
            self.table.rows[queue] = {"device": device, "size": size, "enable": 1}
        self.host = Host(dut, "writes", None, request_stalls=stalls(stall), max_payload=128)
        self.host.bench = self
        self.elements = [[] for _ in PLACES]
        self.batches = [[] for _ in PLACES]
        self.seen = [0] * QUEUES
        self.completed = StreamSource(dut, "completed", stalls(stall))
        self.used = StreamSink(dut, "used", stalls(stall), self._used)
        self.expected = bytearray(self.host.memory)
        self.idx = [0] * QUEUES
        self.said = [0] * QUEUES
        dut.hold.value = dut.clear_en.value = 0
        dut.clear_index.value = 0

    def complete(self, queue):
        head, written = random.getrandbits(16), random.getrandbits(32)
        self.completed.queue({"queue": queue, "id": head, "written": written})
        device, size = PLACES[queue]
        at = device + USED_RING_OFFSET + USED_ENTRY_BYTES * (self.idx[queue] % size)
        self.elements[queue].append(head.to_bytes(4, "little") + written.to_bytes(4, "little"))
        self.expected[at : at + 8] = self.elements[queue][-1]
        self.idx[queue] = (self.idx[queue] + 1) & 0xFFFF
        at = device + USED_IDX_OFFSET
        self.expected[at : at + 2] = self.idx[queue].to_bytes(2, "little")

    def index_in_memory(self, queue):
        at = PLACES[queue][0] + USED_IDX_OFFSET
        return int.from_bytes(self.host.memory[at : at + 2], "little")

    def _used(self, payload):
        queue, idx = payload["queue"], payload["idx"]
        assert idx > self.said[queue]
        assert idx <= self.index_in_memory(queue), "too early"
        self.said[queue] = idx

    async def start(self):
        await start(self.dut)
        for queue in range(QUEUES):
            self.dut.clear_en.value = 1
            self.dut.clear_index.value = queue
            await RisingEdge(self.dut.clk)
        self.dut.clear_en.value = 0

    async def idle(self):
        await self.completed.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))
        await RisingEdge(self.dut.clk)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def rings_are_as_in_the_model(dut):
    bench = Bench(dut, 0.3)
    await bench.start()
    for _ in range(30):
        for _ in range(random.randint(1, 40)):
            bench.complete(random.randrange(QUEUES))
        await bench.idle()
        assert bench.host.memory == bench.expected
    assert bench.said == bench.idx


@cocotb.test(timeout_time=200, timeout_unit="us")
async def runs_of_one_queue_are_as_in_the_model(dut):
    """Elements of a queue come together; batches end at lines, pages, ends of rings and other queues."""
    bench = Bench(dut, 0.1)
    await bench.start()
    dut.hold.value = 1
    for _ in range(40):
        queue = random.randrange(QUEUES)
        for _ in range(random.randint(1, 40)):
            bench.complete(queue)
    await bench.idle()
    assert bench.host.memory == bench.expected
    assert bench.said == bench.idx
    assert max(bench.batches[0]) == max(bench.batches[1]) == 16


@cocotb.test(timeout_time=200, timeout_unit="us")
async def a_chain_takes_at_most_two_cycles_under_load(dut):
    bench = Bench(dut)
    await bench.start()
    for queue in (0, 1):
        for _ in range(128):
            bench.complete(queue)
        await until(dut, lambda: bool(int(dut.completed_valid.value)))
        cycles = await until(dut, lambda queue=queue: bench.said[queue] == 128)
        dut._log.info("%.2f cycles a chain, %d writes", cycles / 128, len(bench.host.writes))
        assert cycles <= 2 * 128 + 8
        await bench.idle()
        assert bench.host.memory == bench.expected


@cocotb.test(timeout_time=200, timeout_unit="us")
async def what_waits_is_one_write_and_one_index(dut):
    bench = Bench(dut)
    await bench.start()
    dut.hold.value = 1
    for queue, count in ((0, 20), (1, 11)):
        for _ in range(count):
            bench.complete(queue)
    await bench.idle()
    assert bench.batches[0] == [16, 4], "the ring ends"
    assert bench.batches[1] == [8, 1, 2], "the ninth element crosses a page"
    assert len(bench.host.writes) == 2 * 5 + 1


@cocotb.test(timeout_time=200, timeout_unit="us")
async def a_chain_alone_is_written_at_once_or_after_the_hold(dut):
    bench = Bench(dut)
    await bench.start()
    for hold, cycles in ((0, 4), (1, 4 + HOLD_CYCLES)):
        dut.hold.value = hold
        bench.complete(0)
        await until(dut, lambda: bool(int(dut.completed_valid.value)))
        assert await until(dut, lambda: bool(int(dut.writes_valid.value))) == cycles
        assert await until(dut, lambda: int(dut.writes_header_address.value) == PLACES[0][0]) == 1
        await bench.idle()
        await ClockCycles(dut.clk, 2)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def clear_starts_a_ring_over(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(5):
        bench.complete(0)
        bench.complete(3)
    await bench.idle()
    dut.clear_en.value = 1
    dut.clear_index.value = 3
    await RisingEdge(dut.clk)
    dut.clear_en.value = 0
    bench.idx[3] = bench.said[3] = bench.seen[3] = 0
    bench.elements[3].clear()
    bench.complete(3)
    bench.complete(0)
    await bench.idle()
    assert bench.host.memory == bench.expected
    assert bench.index_in_memory(3) == 1


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_used_writer(width):
    run_bench(UsedWriter(width, QUEUES), MODULE, parameters={"width": width})
