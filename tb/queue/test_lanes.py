# amaranth: UnusedElaboratable=no
"""Two ring walkers side by side: neither waits for the other's function, and each halts alone."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.interfaces import ChainPort, QueueClear, QueueWrite
from ringwalker.queue.lanes import STILL_CYCLES, Lanes
from ringwalker.queue.table import QueueTable
from ringwalker.queue.walker import PAYLOAD
from ringwalker.streams import QUEUE_BITS, Doorbell, completion_beat, request_beat, stream_of
from ringwalker.tlp.arbiter import TlpArbiter
from ringwalker.tlp.tags import TAGS
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel
from ringwalker_sim.testing.rings import EchoFunction, Ring, inverted
from ringwalker_sim.testing.walker import pulses, until

MEMORY = 1 << 18
RINGS = 0x8000
"""Rings lie below this address, buffers above."""
LANES = ((0,), (1, 2))
QUEUES = 3
SIZE = 16
INPUTS = ("halt", "halt_all", "active", "abort", "msix_enable", "extended_tags")
OUTPUTS = ("halted", "fail", "unexpected", "idle", "still", "waiting")


class LanesAndTable(Component):
    """Lanes, the queue table that they read, and their two request streams merged."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        width = config.data_width
        super().__init__(
            {
                "write": In(QueueWrite()),
                "clear": In(QueueClear()),
                "doorbells": In(stream_of(Doorbell)),
                "requests": Out(stream_of(request_beat(width))),
                "completions": In(stream_of(completion_beat(width))),
                **{f"function{n}": Out(ChainPort(width)) for n in range(len(LANES))},
                "interrupts": Out(stream_of(16)),
                "halt_queue": In(QUEUE_BITS),
                "max_payload": In(13),
                "max_read_request": In(13),
                **{name: In(1) for name in INPUTS},
                **{name: Out(1) for name in OUTPUTS},
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.lanes = lanes = Lanes(self.config, LANES)
        m.submodules.table = table = QueueTable(self.config, lanes.tables)
        arbiter: Any = TlpArbiter(self.config.data_width, 2)
        m.submodules.arbiter = arbiter
        for name in lanes.tables:
            connect(m, getattr(lanes, name), getattr(table, name))
        connect(m, flipped(self.write), table.write)
        connect(m, lanes.posted, arbiter.i0)
        connect(m, lanes.reads, arbiter.i1)
        connect(m, arbiter.o, flipped(self.requests))
        for name in ("clear", "doorbells", "completions", "function0", "function1", "interrupts"):
            connect(m, getattr(lanes, name), flipped(getattr(self, name)))
        for name in (*INPUTS, "halt_queue", "max_payload", "max_read_request"):
            m.d.comb += getattr(lanes, name).eq(getattr(self, name))
        m.d.comb += [getattr(self, name).eq(getattr(lanes, name)) for name in OUTPUTS]
        return m


class Bench:
    """Three rings in host memory, and behind each lane an echo that can be made to take no chains."""

    def __init__(self, dut, stall=0.0):
        def stalls():
            return random_stalls(stall) if stall else None

        self.dut = dut
        self.host = HostMemoryModel(
            dut,
            size=MEMORY,
            latency=lambda: random.randint(10, 60),
            max_payload=128,
            max_read_request=256,
            request_stalls=stalls(),
            completion_stalls=stalls(),
        )
        self.top, self.at = 0x100, RINGS
        self.rings = [Ring(self.host.memory, SIZE, self._ring_area) for _ in range(QUEUES)]
        self.doorbells = StreamSource(dut, "doorbells", stalls())
        self.vectors = [0] * QUEUES
        self.interrupts = StreamSink(dut, "interrupts", stalls(), self._interrupt)
        width = parameters()["width"]
        self.echoes = [EchoFunction(dut, width, f"function{n}", stalls=stalls) for n in range(len(LANES))]
        self.blocked = [False, False]
        for n, echo in enumerate(self.echoes):
            for sink in echo._sinks:
                sink.stalls = iter(lambda n=n: self.blocked[n], None)
        self.fail = pulses(dut, "fail")
        for name in (*INPUTS, "halt_queue", "write_en", "clear_en", "clear_index", "write_index"):
            getattr(dut, name).value = 0
        dut.msix_enable.value = dut.extended_tags.value = 1
        dut.function0_idle.value = dut.function1_idle.value = 1
        dut.max_payload.value = 128
        dut.max_read_request.value = 256

    def _interrupt(self, payload):
        self.vectors[payload["payload"]] += 1

    def _ring_area(self, length, align):
        self.top += -self.top % align
        at, self.top = self.top, self.top + length
        assert self.top <= RINGS
        return at

    async def start(self):
        await start(self.dut)
        await ClockCycles(self.dut.clk, 200)
        self.dut.write_mask.value = (1 << 32) - 1
        for queue, ring in enumerate(self.rings):
            self.dut.write_en.value = self.dut.clear_en.value = 1
            self.dut.write_index.value = self.dut.clear_index.value = queue
            for key, value in (ring.row | {"vector": queue, "reserved": 0}).items():
                getattr(self.dut, f"write_row_{key}").value = value
            await RisingEdge(self.dut.clk)
        self.dut.write_en.value = self.dut.clear_en.value = 0

    def offer(self, queue, count=1, only_writable=False):
        """Offer so many chains of a few buffers, and ring the doorbell."""
        for _ in range(count):
            readable, writable = (
                [self.buffer(random.randint(1, 300)) for _ in range(random.randint(1, 2))] for _ in range(2)
            )
            if only_writable:
                readable = []
            self.rings[queue].offer(readable, writable)
        self.doorbells.queue({"queue": queue})

    def buffer(self, length):
        if self.at + length > MEMORY:
            self.at = RINGS
        at, self.at = self.at, self.at + length
        return at, length

    def check_used(self):
        """Compare what was used since the last call with what an echo does."""
        for ring in self.rings:
            for chain, written in ring.used():
                length = sum(size for _, size in chain.writable)
                memory = b"".join(bytes(self.host.memory[at : at + n]) for at, n in chain.writable)
                assert written == length
                assert memory == inverted(chain.content, length)

    def under_way(self, queue):
        self.check_used()
        return len(self.rings[queue].under_way)

    async def used(self, *queues):
        await until(self.dut, lambda: not any(self.under_way(queue) for queue in queues))

    def halts(self):
        return int(self.dut.function0_halt.value), int(self.dut.function1_halt.value)

    async def settled(self, name, value):
        await ClockCycles(self.dut.clk, 300)
        assert int(getattr(self.dut, name).value) == value, name


@cocotb.test(timeout_time=400, timeout_unit="us")
async def chains_on_all_queues(dut):
    bench = Bench(dut, 0.2)
    await bench.start()
    for _ in range(80):
        queue = random.randrange(QUEUES)
        room = len(bench.rings[queue].free) // 4
        if room:
            bench.offer(queue, random.randint(1, room))
        await ClockCycles(dut.clk, random.choice([0, 5, 50, 150]))
        bench.check_used()
    await bench.used(0, 1, 2)
    await bench.settled("idle", 1)
    assert [echo.errors for echo in bench.echoes] == [0, 0]
    assert all(echo.chains > 10 for echo in bench.echoes)
    assert all(bench.vectors)
    assert bench.fail.count == 0


@cocotb.test(timeout_time=200, timeout_unit="us")
async def a_completion_that_no_lane_waits_for_is_unexpected_once(dut):
    """Of a tag that a reader of some lane has, and of one that none has; those waited for are not."""
    bench = Bench(dut)
    unexpected = pulses(dut, "unexpected")
    await bench.start()
    for queue in range(QUEUES):
        bench.offer(queue, 2)
    await bench.used(0, 1, 2)
    await bench.settled("idle", 1)
    assert unexpected.count == 0
    for count, tag in enumerate((0, TAGS - 1)):
        bench.host.completions.queue({"header_tag": tag, "header_status": 1, "first": 1, "last": 1})
        await bench.settled("idle", 1)
        assert unexpected.count == count + 1
    assert bench.fail.count == 0


@cocotb.test(timeout_time=200, timeout_unit="us")
async def a_lane_whose_function_waits_holds_up_no_other(dut):
    bench = Bench(dut)
    await bench.start()
    for blocked, running in ((0, (1, 2)), (1, (0,))):
        bench.blocked[blocked] = True
        await ClockCycles(dut.clk, 2)
        for queue in LANES[blocked]:
            bench.offer(queue, 4)
        for _ in range(5):
            for queue in running:
                bench.offer(queue, 4)
            await bench.used(*running)
        assert all(bench.under_way(queue) == 4 for queue in LANES[blocked])
        assert int(dut.idle.value) == 0
        bench.blocked[blocked] = False
        await bench.used(0, 1, 2)
        await bench.settled("idle", 1)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def a_halt_is_for_the_lane_of_its_queue(dut):
    bench = Bench(dut)
    await bench.start()
    for queue, lane, others in ((0, 0, (1, 2)), (1, 1, (0,)), (2, 1, (0,))):
        dut.halt_queue.value = queue
        dut.halt.value = 1
        await ClockCycles(dut.clk, 2)
        assert bench.halts() == (lane == 0, lane == 1)
        for number in range(QUEUES):
            bench.offer(number, 2)
        await bench.used(*others)
        await ClockCycles(dut.clk, 500)
        assert all(bench.under_way(number) == 2 for number in LANES[lane])
        assert int(dut.halted.value) == 1
        dut.halt.value = 0
        await bench.used(0, 1, 2)
        await bench.settled("idle", 1)
    dut.halt.value = dut.halt_all.value = 1
    await ClockCycles(dut.clk, 2)
    assert bench.halts() == (1, 1)
    for number in range(QUEUES):
        bench.offer(number)
    await ClockCycles(dut.clk, 500)
    assert [bench.under_way(number) for number in range(QUEUES)] == [1, 1, 1]
    dut.halt.value = dut.halt_all.value = 0
    await bench.used(0, 1, 2)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def halted_is_about_what_is_to_halt(dut):
    bench = Bench(dut)
    await bench.start()
    bench.blocked[0] = True
    await ClockCycles(dut.clk, 2)
    bench.offer(0, 3)
    await ClockCycles(dut.clk, 600)
    dut.halt.value = 1
    for queue, everything, wanted in ((1, 0, 1), (2, 0, 1), (0, 0, 0), (1, 1, 0)):
        dut.halt_queue.value, dut.halt_all.value = queue, everything
        await bench.settled("halted", wanted)
    bench.blocked[0] = False
    await bench.used(0)
    await bench.settled("halted", 1)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def still_means_that_only_functions_can_go_on(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.settled("still", 1)
    bench.blocked[0] = True
    await ClockCycles(dut.clk, 2)
    # Bytes that the function does not take count as a read in flight.
    bench.offer(0, 3, only_writable=True)
    # The doorbell, then reads of the host: not still before they are over.
    await until(dut, lambda: not int(dut.still.value), 20)
    cycles = await until(dut, lambda: int(dut.still.value))
    assert cycles > STILL_CYCLES
    assert not bench.host.pending
    assert int(dut.idle.value) == 0
    dut.active.value = 1
    await ClockCycles(dut.clk, 3)
    assert int(dut.still.value) == 0
    await bench.settled("still", 0)
    dut.active.value = 0
    await bench.settled("still", 1)
    for _ in range(3):
        bench.offer(1)
        await until(dut, lambda: not int(dut.still.value), 20)
        await bench.used(1)
        await bench.settled("still", 1)
    bench.blocked[0] = False
    await until(dut, lambda: not int(dut.still.value), 20)
    await bench.used(0)
    await bench.settled("still", 1)


@pytest.mark.parametrize(
    "width", [pytest.param(64, marks=pytest.mark.slow), pytest.param(256, marks=pytest.mark.campaign)]
)
def test_lanes(width):
    config = DeviceConfig(
        data_width=width,
        queues=QUEUES,
        queue_size=SIZE,
        chains=4,
        max_payload=128,
        max_read_request=256,
        completion_timeout=5000,
    )
    run_bench(LanesAndTable(config), "tb.queue.test_lanes", parameters={"width": width})


@pytest.mark.parametrize("lanes", [(), ((0, 1),), ((0, 1), (1, 2)), ((0, 1, 2), ()), ((0, 1, 2, 3),)])
def test_every_queue_must_be_in_one_lane(lanes):
    with pytest.raises(ValueError, match="each queue from 0 to 2 must be in one"):
        Lanes(DeviceConfig(queues=QUEUES), lanes)


@pytest.mark.parametrize(
    ("config", "write_only", "payload"),
    [
        (DeviceConfig(queues=3, read_tags=128, ring_tags=32), (0,), [4, 128]),
        (DeviceConfig(queues=3, read_tags=128, ring_tags=64), (0,), [4, 100]),
        (DeviceConfig(queues=3, read_tags=128, ring_tags=32), (), [84, 84]),
        (DeviceConfig(queues=3, read_tags=2), (0,), [2, 2]),
    ],
)
def test_lanes_that_are_only_written_to_leave_tags_to_the_others(config, write_only, payload):
    lanes = Lanes(config, [(0,), (1, 2)], write_only)
    assert [tags[PAYLOAD] for tags in lanes.tags] == payload
    assert sum(sum(tags.values()) for tags in lanes.tags) <= TAGS
