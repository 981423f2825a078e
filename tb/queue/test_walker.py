"""RingWalker from doorbell to interrupt: rings in host memory, and an echo for a function."""

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
from ringwalker.queue.formats import FORMATS
from ringwalker.queue.table import QueueTable
from ringwalker.queue.walker import RingWalker, walker_tables
from ringwalker.spec.features import Feature
from ringwalker.spec.ring import (
    AVAIL_F_NO_INTERRUPT,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_ENTRY_BYTES,
    USED_RING_OFFSET,
)
from ringwalker.streams import Doorbell, completion_beat, request_beat, stream_of
from ringwalker.tlp.arbiter import TlpArbiter
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.cycles import each_cycle
from ringwalker_sim.testing.dma import HostMemoryModel
from ringwalker_sim.testing.rings import EchoFunction, Ring, inverted
from ringwalker_sim.testing.walker import pulses, until

MODULE = "tb.queue.test_walker"
MEMORY = 1 << 20
RINGS = 0x10000
"""Rings lie below this address, buffers above."""
SIZES = [256, 32, 2]
TABLES = walker_tables(FORMATS["split"])
QUIET = 2


class WalkerAndTable(Component):
    """RingWalker, the queue table that it reads, and its two request streams merged."""

    def __init__(self, config):
        self.config = config
        width = config.data_width
        self._inputs = dict.fromkeys(("halt", "abort", "msix_enable", "extended_tags"), 1)
        self._inputs |= {"max_payload": 13, "max_read_request": 13, "features": 64}
        self._outputs = ("fail", "unexpected", "unclaimed", "unsupported", "aborted", "idle")
        super().__init__(
            {
                "write": In(QueueWrite()),
                "clear": In(QueueClear()),
                "doorbells": In(stream_of(Doorbell)),
                "requests": Out(stream_of(request_beat(width))),
                "completions": In(stream_of(completion_beat(width))),
                "function": Out(ChainPort(width)),
                "interrupts": Out(stream_of(16)),
                **{name: In(size) for name, size in self._inputs.items()},
                **{name: Out(1) for name in self._outputs},
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.walker = walker = RingWalker(self.config)
        m.submodules.table = table = QueueTable(self.config, TABLES)
        arbiter: Any = TlpArbiter(self.config.data_width, 2)
        m.submodules.arbiter = arbiter
        for name in TABLES:
            connect(m, getattr(walker, name), getattr(table, name))
        connect(m, flipped(self.write), table.write)
        connect(m, walker.posted, arbiter.i0)
        connect(m, walker.reads, arbiter.i1)
        connect(m, arbiter.o, flipped(self.requests))
        for name in ("clear", "doorbells", "completions", "function", "interrupts"):
            connect(m, getattr(walker, name), flipped(getattr(self, name)))
        m.d.comb += [getattr(walker, name).eq(getattr(self, name)) for name in self._inputs]
        m.d.comb += [getattr(self, name).eq(getattr(walker, name)) for name in self._outputs]
        m.d.comb += self.idle.eq(walker.idle & arbiter.idle)
        return m


class Bench:
    def __init__(self, dut, stall=0.0, latency=(10, 60), sizes=SIZES, late=False, **echo):
        def stalls():
            return random_stalls(stall) if stall else None

        self.dut = dut
        self.latency = latency
        self.host = HostMemoryModel(
            dut,
            size=MEMORY,
            latency=lambda: random.randint(*self.latency),
            max_payload=128,
            max_read_request=256,
            reorder=latency[0] != latency[1],
            late=lambda: late and random.random() < 0.5,
            request_stalls=stalls(),
            completion_stalls=stalls(),
            fault=lambda header: "ur" if header["address"] in self.broken else None,
        )
        self.host.memory[:] = random.randbytes(MEMORY)
        self.broken = set()
        self.top = 0x100
        self.rings = [Ring(self.host.memory, size, self._ring_area) for size in sizes]
        self.shadow = bytearray(MEMORY)
        self.at = RINGS
        self.event_idx = False
        self.carries = False
        self.lies = []
        self.rung = 0
        self.taken = []
        self.cycle = 0
        each_cycle(dut, self._watch)
        self.doorbells = StreamSource(dut, "doorbells", stalls())
        self.interrupts = StreamSink(dut, "interrupts", stalls(), self._interrupt)
        self.echo = EchoFunction(dut, parameters()["width"], stalls=stalls, **echo)
        self.vectors = [0] * len(sizes)
        self.served = [0] * len(sizes)
        self.fail = pulses(dut, "fail")
        for name in ("write_en", "clear_en", "clear_index", "halt", "abort", "write_mask", "write_index"):
            getattr(dut, name).value = 0
        dut.msix_enable.value = dut.extended_tags.value = dut.function_idle.value = 1
        dut.features.value = 1 << Feature.INDIRECT_DESC
        dut.max_payload.value = 128
        dut.max_read_request.value = 256

    def use_event_idx(self):
        """Negotiate VIRTIO_F_EVENT_IDX: doorbells are then rung only if the device asked for them."""
        self.event_idx = True
        self.dut.features.value = 1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX

    def _watch(self, cycles):
        """Note the cycle and the address of the last beat of each write that leaves."""
        self.cycle += 1
        if all(cycles.up(f"requests_{name}") for name in ("valid", "ready", "last")):
            beat = self.host.requests.unpacked(cycles.beat("requests"))
            if beat["dwords"]:
                self.taken.append((self.cycle, beat["header_address"]))

    def _interrupt(self, payload):
        self.vectors[payload["payload"]] += 1

    def _ring_area(self, length, align):
        self.top += random.randrange(0, 0x900, align)
        self.top += -self.top % align
        at, self.top = self.top, self.top + length
        assert self.top <= RINGS
        return at

    async def start(self):
        checks = await start(self.dut)
        await ClockCycles(self.dut.clk, 200)
        await self.set_up()
        return checks

    async def set_up(self):
        """Write the queue table and forget all positions, as a reset and a driver do."""
        self.dut.write_mask.value = (1 << 32) - 1
        for queue, ring in enumerate(self.rings):
            ring.reset()
            ring.set_flags(AVAIL_F_NO_INTERRUPT if queue == QUIET else 0)
            self.dut.write_en.value = self.dut.clear_en.value = 1
            self.dut.write_index.value = self.dut.clear_index.value = queue
            for key, value in (ring.row | {"vector": queue, "reserved": 0}).items():
                getattr(self.dut, f"write_row_{key}").value = value
            await RisingEdge(self.dut.clk)
        self.dut.write_en.value = self.dut.clear_en.value = 0
        self.vectors = [0] * len(self.rings)
        self.served = [0] * len(self.rings)

    def buffer(self, length):
        self.at += random.choice([0, 1, 2, 3, 64, 4096 - self.at % 4096])
        if self.at + length > MEMORY:
            self.at = RINGS
        at, self.at = self.at, self.at + length
        return at, length

    def offer(self, queue, readable, writable, nested=0):
        """Offer a chain with buffers of these lengths, the last ``nested`` of them in an indirect table."""
        parts = [self.buffer(n) for n in readable], [self.buffer(n) for n in writable]
        table, _length = self.buffer(DESC_BYTES * nested)
        return self.rings[queue].offer(*parts, nested, table)

    def offer_random(self, queue):
        free = len(self.rings[queue].free)
        count = random.randint(1, min(free, random.choice([1, 3, 3, 8])))
        lengths = [random.choice([0, 1, 16, 512, random.randint(1, 700)]) for _ in range(count)]
        cut = random.randint(0, count)
        self.offer(queue, lengths[:cut], lengths[cut:], random.choice([0, count, random.randint(0, count)]))

    def ring_doorbell(self, queue):
        if self.event_idx and not self.rings[queue].wants_doorbell():
            return
        self.rung += 1
        lie = random.choice(self.lies) if self.lies else 0
        idx = (self.rings[queue].avail_idx + lie) & 0xFFFF
        self.doorbells.queue({"queue": queue, "next": idx, "carried": int(self.carries)})

    def serve(self):
        """As a driver with VIRTIO_F_EVENT_IDX: look when interrupted, ask for the next, and look again."""
        for number, ring in enumerate(self.rings):
            if self.vectors[number] != self.served[number]:
                self.served[number] = self.vectors[number]
                while self.check_used([ring]):
                    ring.set_used_event(ring.used_idx)

    def check_used(self, rings=None):
        """Compare what was used since the last call with what an echo does; gives how many chains."""
        count = 0
        for ring in rings or self.rings:
            for chain, written in ring.used():
                length = self.echo.written(sum(length for _, length in chain.writable))
                answer = inverted(chain.content, length)
                assert written == length
                memory = b"".join(bytes(self.host.memory[at : at + n]) for at, n in chain.writable)
                assert memory[:length] == answer
                count += 1
        return count

    async def idle(self, cycles=20000):
        await self.doorbells.drained()
        # A doorbell that waits for its visit does not count as something in flight.
        await ClockCycles(self.dut.clk, 10)
        await until(self.dut, lambda: bool(int(self.dut.idle.value)) and self.echo.idle, cycles)

    async def all_used(self):
        def used():
            self.check_used()
            return not any(ring.under_way for ring in self.rings)

        await until(self.dut, used, 50000)


def half(writable):
    return writable // 2


@cocotb.test(timeout_time=300, timeout_unit="us")
async def random_chains_on_random_queues(dut):
    bench = Bench(dut, 0.2, pieces=lambda length: random.randint(1, 700), written=half)
    await bench.start()
    offered = 0
    for _ in range(300):
        queue = random.randrange(len(bench.rings))
        for _ in range(random.randint(1, 4)):
            if bench.rings[queue].free:
                bench.offer_random(queue)
                offered += 1
        bench.ring_doorbell(queue)
        await ClockCycles(dut.clk, random.choice([0, 1, 5, 30, 100]))
        bench.check_used()
    await bench.all_used()
    await bench.idle()
    dut._log.info("%d chains, interrupts %s, tags %d", offered, bench.vectors, bench.host.most_tags)
    assert bench.fail.count == 0
    assert bench.echo.chains == offered
    assert bench.vectors[QUIET] == 0
    assert 0 < bench.vectors[0] <= offered


@cocotb.test(timeout_time=300, timeout_unit="us")
async def nothing_but_the_writable_buffers_and_the_used_ring_changes(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    for _ in range(20):
        before = bytes(bench.host.memory)
        chains = []
        for queue in range(len(bench.rings)):
            ring = bench.rings[queue]
            chains.append(bench.offer(queue, [random.randint(1, 300)], [random.randint(1, 600)]))
            bench.ring_doorbell(queue)
        before = bytearray(bench.host.memory)
        await bench.idle()
        for ring, chain in zip(bench.rings, chains, strict=True):
            for at, length in [*chain.writable, (ring.device, 4 + 8 * ring.size)]:
                before[at : at + length] = bench.host.memory[at : at + length]
        assert before == bench.host.memory
        assert bench.check_used() == len(chains)


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_used_buffer_is_notified_after_it_can_be_seen(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    for queue in (0, 1) * 10:
        bench.vectors[queue] = 0
        bench.offer(queue, [20], [30])
        bench.ring_doorbell(queue)
        await until(dut, lambda queue=queue: bench.vectors[queue] == 1)
        assert bench.check_used() == 1
    await bench.idle()


@cocotb.test(timeout_time=300, timeout_unit="us")
async def with_event_idx_few_notifications_and_nothing_lost(dut):
    """Doorbells only when asked for, and a driver that looks at the used rings only when interrupted."""
    bench = Bench(dut, 0.1, (10, 100), written=half)
    bench.use_event_idx()
    await bench.start()
    offered = 0
    for _ in range(250):
        queue = random.randrange(len(bench.rings))
        for _ in range(random.randint(1, 4)):
            if bench.rings[queue].free:
                bench.offer_random(queue)
                offered += 1
                bench.ring_doorbell(queue)
        await ClockCycles(dut.clk, random.choice([0, 1, 5, 30, 100, 300]))
        bench.serve()

    def served():
        bench.serve()
        return not any(ring.under_way for ring in bench.rings)

    await until(dut, served, 50000)
    await bench.idle()
    dut._log.info("%d chains, %d doorbells, interrupts %s", offered, bench.rung, bench.vectors)
    assert bench.fail.count == 0
    assert bench.echo.chains == offered
    assert bench.rung < offered
    assert sum(bench.vectors) <= offered


@cocotb.test(timeout_time=600, timeout_unit="us")
async def what_was_read_too_early_is_never_used(dut):
    """The device is called before there is anything, on a host that looks at memory early or late."""
    bench = Bench(dut, 0, (5, 150), late=True)
    await bench.start()
    offered = 0
    for n in range(200):
        queue = random.choice([1, 2])
        bench.carries = n >= 100
        bench.ring_doorbell(queue)
        await ClockCycles(dut.clk, random.randint(0, 160))
        bench.offer_random(queue)
        offered += 1
        bench.ring_doorbell(queue)
        await bench.all_used()
        await bench.idle()
    assert bench.fail.count == 0
    assert bench.echo.chains == offered


@cocotb.test(timeout_time=300, timeout_unit="us")
async def an_index_that_was_carried_is_used_or_read_again(dut):
    """Indices that are carried are right, late, or beyond all reason; nothing is lost, nothing used twice."""
    bench = Bench(dut, 0.1, (10, 100), written=half)
    bench.carries = True
    await bench.start()
    offered = 0
    for n in range(300):
        bench.lies = [0, 0, 0, -1, -2, -1000, 1000, 0x8000] if n % 2 else []
        queue = random.randrange(len(bench.rings))
        for _ in range(random.randint(1, 4)):
            if bench.rings[queue].free:
                bench.offer_random(queue)
                offered += 1
        bench.ring_doorbell(queue)
        await ClockCycles(dut.clk, random.choice([0, 1, 5, 30, 100, 300]))
        bench.check_used()
    bench.lies = []
    for queue in range(len(bench.rings)):
        bench.ring_doorbell(queue)
    await bench.all_used()
    await bench.idle()
    assert bench.fail.count == 0
    assert bench.echo.chains == offered


@cocotb.test(timeout_time=300, timeout_unit="us")
async def reads_before_the_first_payload(dut):
    """Three after each other; two if the index is carried and the head is the one expected."""
    bench = Bench(dut, 0, (200, 200))
    await bench.start()
    ring = bench.rings[0]
    for carries, in_turn, most in ((False, False, 3), (True, False, 2), (True, True, 2)):
        bench.carries = carries
        for n in range(4):
            # The driver takes the descriptors that it was given back last, or all of them in turn.
            ring.free = [(k + 2 * n * in_turn) % ring.size for k in range(9, -1, -1)]
            chain = bench.offer(0, [16], [16])
            bench.host.reads.clear()
            bench.ring_doorbell(0)
            (payload, _length) = chain.readable[0]
            cycles = await until(
                dut, lambda at=payload & ~3: any(read["address"] == at for read in bench.host.reads)
            )
            dut._log.info("carried %d, in turn %d: payload read after %d cycles", carries, in_turn, cycles)
            await bench.idle()
            assert bench.check_used() == 1
        assert cycles < 200 * (most - 1) + 100


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_buffer_is_used_soon_after_its_last_byte(dut):
    bench = Bench(dut, 0, (30, 30))
    await bench.start()
    for length in (8, 100, 1000):
        chain = bench.offer(0, [16], [length])
        element = bench.rings[0].device + USED_RING_OFFSET + USED_ENTRY_BYTES * bench.rings[0].used_idx
        bench.taken.clear()
        bench.ring_doorbell(0)
        await bench.idle()
        at, length = chain.writable[0]
        payload = [cycle for cycle, address in bench.taken if at & ~3 <= address < at + length]
        cycles = next(cycle for cycle, address in bench.taken if address == element) - payload[-1]
        dut._log.info("used element %d cycles after the last payload beat", cycles)
        assert cycles <= 20
        bench.check_used()


@cocotb.test(timeout_time=300, timeout_unit="us")
async def single_descriptor_chains_take_less_than_four_cycles(dut):
    if parameters()["chains"] < 64:
        return
    bench = Bench(dut, 0, (137, 137))
    await bench.start()
    ring = bench.rings[0]
    for readable, writable in (([64], []), ([], [64])):
        ring.free.sort(reverse=True)
        for _ in range(ring.size):
            bench.offer(0, readable, writable)
        bench.ring_doorbell(0)
        await until(dut, lambda: ring.number(ring.device + 2, 2) % ring.size >= 64)
        cycles = await until(dut, lambda: ring.number(ring.device + 2, 2) % ring.size >= 240)
        dut._log.info("%.2f cycles a chain, tags %d", cycles / 176, bench.host.most_tags)
        assert cycles <= 3.5 * 176
        await bench.idle()
        assert bench.check_used() == ring.size


@cocotb.test(timeout_time=300, timeout_unit="us")
async def latency_and_throughput(dut):
    """Many small chains in flight take far less time each than one alone."""
    bench = Bench(dut, 0, (100, 100), [32])
    await bench.start()
    reads = len(bench.host.reads)
    bench.offer(0, [16], [16])
    bench.ring_doorbell(0)
    await until(dut, lambda: bool(int(dut.doorbells_valid.value)))
    first = await until(dut, lambda: bool(int(dut.requests_valid.value)))
    dut._log.info("first read %d cycles after the doorbell", first)
    alone = first + await until(dut, lambda: bool(bench.check_used()))
    await bench.idle()
    dut._log.info("one chain alone: %d cycles, %d reads", alone, len(bench.host.reads) - reads)
    busy = await _busy_cycles(bench, 200)
    dut._log.info("16 in flight: %.1f cycles a chain", busy)
    bench.latency = (4, 4)
    await _busy_cycles(bench, 20)
    quick = await _busy_cycles(bench, 200)
    dut._log.info("16 in flight, read latency 4: %.1f cycles a chain", quick)
    assert first <= 8
    assert busy < alone / 10.5
    # A line of descriptors is 8 beats at 64 bits.
    assert quick < (24 if parameters()["width"] == 64 else 13)


async def _busy_cycles(bench, total):
    """Cycles a chain while the driver keeps 16 chains of two descriptors available."""
    ring = bench.rings[0]
    used = offered = cycles = 0
    while used < total:
        rung = False
        while len(ring.free) >= 2 and offered < total:
            bench.offer(0, [16], [16])
            offered += 1
            rung = True
        if rung:
            bench.ring_doorbell(0)
        await RisingEdge(bench.dut.clk)
        cycles += 1
        used += bench.check_used()
    await bench.idle()
    return cycles / total


def _hostile(bench):
    """Ways to break queue 0."""
    ring = bench.rings[0]

    def next_beyond():
        ring.describe(0, RINGS, 8, DESC_F_NEXT, ring.size)
        ring.publish(0)

    def loop():
        ring.describe(0, RINGS, 8, DESC_F_NEXT, 1)
        ring.describe(1, RINGS, 8, DESC_F_NEXT, 0)
        ring.publish(0)

    def indirect_table_cut_short():
        ring.describe(0, RINGS, 17, DESC_F_INDIRECT, 0)
        ring.publish(0)

    def readable_after_writable():
        ring.describe(0, RINGS, 8, DESC_F_NEXT | DESC_F_WRITE, 1)
        ring.describe(1, RINGS, 8, 0, 0)
        ring.publish(0)

    def head_beyond():
        ring.publish(0x8000)

    def index_ahead():
        ring.avail_idx += ring.size
        ring.publish(0)

    def no_table():
        bench.broken.add(ring.desc)
        ring.describe(0, RINGS, 8, 0, 0)
        ring.publish(0)

    def no_ring():
        bench.broken.add(ring.driver & ~3)
        ring.publish(0)

    return [maker for name, maker in locals().items() if name not in ("bench", "ring")]


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_broken_ring_fails_and_the_walker_drains(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    for make in _hostile(bench):
        for queue in (1, 2):
            bench.offer(queue, [40], [50])
            bench.ring_doorbell(queue)
        failures = bench.fail.count
        make()
        bench.ring_doorbell(0)
        await until(dut, lambda failures=failures: bench.fail.count > failures)
        # As the device does: no new visits, nothing more is read or written.
        dut.halt.value = dut.abort.value = 1
        await bench.idle()
        dut.halt.value = dut.abort.value = 0
        bench.broken.clear()
        await bench.set_up()
        failures = bench.fail.count
        for queue in range(len(bench.rings)):
            bench.offer(queue, [40], [50])
            bench.ring_doorbell(queue)
        await bench.all_used()
        await bench.idle()
        assert bench.fail.count == failures, make.__name__


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_failed_payload_read_fails_and_has_no_effect(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    bench.at = RINGS + 0x100
    chain = bench.offer(1, [64], [64])
    bench.broken.add(chain.readable[0][0] & ~3)
    (at, length) = chain.writable[0]
    before = bytes(bench.host.memory[at : at + length])
    bench.ring_doorbell(1)
    await bench.idle()
    assert bench.fail.count == 1
    assert bench.echo.errors == 1
    assert bytes(bench.host.memory[at : at + length]) == before
    assert [written for _chain, written in bench.rings[1].used()] == [0]


@cocotb.test(timeout_time=300, timeout_unit="us")
async def abort_in_the_middle_of_traffic_drains(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    for _round in range(12):
        for queue in range(len(bench.rings)):
            while bench.rings[queue].free:
                bench.offer_random(queue)
            bench.ring_doorbell(queue)
        await ClockCycles(dut.clk, random.randint(1, 600))
        dut.halt.value = dut.abort.value = 1
        # A packet that is on its way out is finished.
        await ClockCycles(dut.clk, 100)
        writes = len(bench.host.writes)
        await bench.idle()
        assert len(bench.host.writes) == writes, "a write after abort"
        dut.halt.value = dut.abort.value = 0
        await bench.set_up()
    failures = bench.fail.count
    for queue in range(len(bench.rings)):
        bench.offer_random(queue)
        bench.ring_doorbell(queue)
    await bench.all_used()
    await bench.idle()
    assert bench.fail.count == failures


@cocotb.test(timeout_time=300, timeout_unit="us")
async def halt_lets_chains_under_way_finish_and_keeps_doorbells(dut):
    bench = Bench(dut, 0.1)
    await bench.start()
    for _round in range(10):
        bench.offer(0, [100], [100])
        bench.ring_doorbell(0)
        await ClockCycles(dut.clk, random.randint(3, 200))
        dut.halt.value = 1
        await bench.idle()
        assert bench.check_used() == 1
        bench.offer(0, [8], [8])
        bench.ring_doorbell(0)
        await bench.doorbells.drained()
        await ClockCycles(dut.clk, 300)
        assert bench.check_used() == 0
        dut.halt.value = 0
        await bench.all_used()
        await bench.idle()
    assert bench.fail.count == 0


@pytest.mark.parametrize(
    ("width", "chains"),
    [
        pytest.param(64, 16, marks=pytest.mark.slow),
        pytest.param(256, 64, marks=pytest.mark.campaign),
        pytest.param(512, 64, marks=pytest.mark.campaign),
    ],
)
def test_ring_walker(width, chains):
    config = DeviceConfig(
        data_width=width,
        queues=len(SIZES),
        queue_size=256,
        chains=chains,
        read_tags=chains,
        max_payload=128,
        max_read_request=256,
        completion_timeout=5000,
    )
    run_bench(WalkerAndTable(config), MODULE, parameters={"width": width, "chains": chains})
