"""UsedWriter against used rings in Python."""

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.queue.used import UsedWriter
from ringwalker.spec.ring import USED_ENTRY_BYTES, USED_IDX_OFFSET, USED_RING_OFFSET
from ringwalker_sim.bench import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.bench.dma import HostMemoryModel
from ringwalker_sim.bench.walker import QueueTableModel, until

QUEUES = 4
MODULE = "tb.queue.test_used"
# The second and the fourth ring have an element over a 4 KiB address.
PLACES = [(0x1000, 16), (0x2FB8, 64), (0x5008, 2), (0x7FF8, 8)]


def stalls(probability):
    return random_stalls(probability) if probability else None


class Bench:
    def __init__(self, dut, stall=0.0):
        self.dut = dut
        self.table = QueueTableModel(dut)
        for queue, (device, size) in enumerate(PLACES):
            self.table.rows[queue] = {"device": device, "size": size, "enable": 1}
        self.host = HostMemoryModel(dut, "writes", None, request_stalls=stalls(stall))
        self.completed = StreamSource(dut, "completed", stalls(stall))
        self.used = StreamSink(dut, "used", stalls(stall), self._used)
        self.expected = bytearray(self.host.memory)
        self.idx = [0] * QUEUES
        self.said = [0] * QUEUES
        dut.clear_en.value = 0
        dut.clear_index.value = 0

    def complete(self, queue):
        head, written = random.getrandbits(16), random.getrandbits(32)
        self.completed.queue({"queue": queue, "head": head, "written": written})
        device, size = PLACES[queue]
        at = device + USED_RING_OFFSET + USED_ENTRY_BYTES * (self.idx[queue] % size)
        self.expected[at : at + 8] = head.to_bytes(4, "little") + written.to_bytes(4, "little")
        self.idx[queue] = (self.idx[queue] + 1) & 0xFFFF
        at = device + USED_IDX_OFFSET
        self.expected[at : at + 2] = self.idx[queue].to_bytes(2, "little")

    def index_in_memory(self, queue):
        at = PLACES[queue][0] + USED_IDX_OFFSET
        return int.from_bytes(self.host.memory[at : at + 2], "little")

    def _used(self, payload):
        self.said[payload["queue"]] += 1
        assert self.said[payload["queue"]] & 0xFFFF <= self.index_in_memory(payload["queue"]), "too early"

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
async def index_follows_its_element(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(8):
        bench.complete(0)
    await bench.idle()
    device, _size = PLACES[0]
    kinds = [header["address"] == device for header in bench.host.writes]
    assert kinds == [False, True] * 8


@cocotb.test(timeout_time=200, timeout_unit="us")
async def an_entry_takes_at_most_six_cycles(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(64):
        bench.complete(1)
    await until(dut, lambda: bool(int(dut.completed_valid.value)))
    cycles = await until(dut, lambda: bench.said[1] == 64)
    dut._log.info("%.2f cycles an entry", cycles / 64)
    assert cycles <= 6 * 64
    await bench.idle()
    assert bench.host.memory == bench.expected


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
    bench.idx[3] = bench.said[3] = 0
    bench.complete(3)
    bench.complete(0)
    await bench.idle()
    assert bench.host.memory == bench.expected
    assert bench.index_in_memory(3) == 1


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_used_writer(width):
    run_bench(UsedWriter(width, QUEUES), MODULE, parameters={"width": width})
