"""DescriptorFetch, with the store that it fills, against chains made in Python."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import RisingEdge

from ringwalker.interfaces import DmaReadPort, QueueRead, SegmentRead
from ringwalker.queue.descriptor import DescriptorFetch
from ringwalker.queue.segments import SegmentStore
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker.streams import Chain, Head
from ringwalker_sim.bench import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.bench.walker import DmaReadModel, QueueTableModel, pulses, until

QUEUES = 3
MODULE = "tb.queue.test_descriptor"


class FetchAndStore(wiring.Component):
    """DescriptorFetch joined with a SegmentStore; what leaves them is the members' names."""

    look: Any
    free: Any
    fail: Any
    idle: Any
    empty: Any

    def __init__(self, data_width, queue_size, chains, segments):
        self.fetch = DescriptorFetch(data_width, queue_size, chains, segments)
        self.store = SegmentStore(segments)
        super().__init__(
            {
                "heads": In(stream.Signature(Head)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "chains": Out(stream.Signature(Chain)),  # pyright: ignore[reportArgumentType]
                "look": In(SegmentRead()),
                "free": In(stream.Signature(unsigned(16))),  # pyright: ignore[reportArgumentType]
                "fail": Out(1),
                "idle": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.fetch, m.submodules.store = self.fetch, self.store
        for name in ("allocate", "write", "link", "drops"):
            connect(m, getattr(self.fetch, name), getattr(self.store, name))
        for name in ("heads", "table", "read", "chains"):
            connect(m, getattr(self.fetch, name), flipped(getattr(self, name)))
        connect(m, self.store.read0, flipped(self.look))
        connect(m, self.store.free0, flipped(self.free))
        m.d.comb += [
            self.fetch.available.eq(self.store.available),
            self.fail.eq(self.fetch.fail),
            self.idle.eq(self.fetch.idle),
            self.empty.eq(self.store.idle),
        ]
        return m


def stalls(probability):
    return random_stalls(probability) if probability else None


class Bench:
    def __init__(self, dut, stall=0.0, latency=(1, 1), size=None):
        self.dut = dut
        self.table = QueueTableModel(dut)
        self.memory = bytearray(1 << 18)
        self.broken = set()
        self.read = DmaReadModel(
            dut,
            "read",
            self.memory,
            parameters()["width"],
            latency=latency,
            stalls=stalls(stall),
            data_stalls=stalls(stall),
            fails=lambda address: address in self.broken,
        )
        self.heads = StreamSource(dut, "heads", stalls(stall))
        self.chains = StreamSink(dut, "chains", stalls(stall))
        self.free = StreamSource(dut, "free", stalls(stall))
        self.fail = pulses(dut, "fail")
        dut.look_en.value = 0
        dut.look_index.value = 0
        self.size = size or parameters()["queue_size"]
        for queue in range(QUEUES):
            self.table.rows[queue] = {"desc": 0x1000 * (1 + 4 * queue), "size": self.size, "enable": 1}

    def put(self, queue, index, address, length, flags, after):
        at = self.table.rows[queue]["desc"] + DESC_BYTES * index
        raw = address.to_bytes(8, "little") + length.to_bytes(4, "little")
        self.memory[at : at + DESC_BYTES] = raw + flags.to_bytes(2, "little") + after.to_bytes(2, "little")
        return at

    def chain(self, queue, indices, readable=None, lengths=None):
        """Write a chain over descriptors ``indices`` and send its head; gives what must come out."""
        readable = random.randint(0, len(indices)) if readable is None else readable
        parts = ([], [])
        for n, index in enumerate(indices):
            address = random.getrandbits(64)
            length = lengths[n] if lengths else random.choice([0, 1, 512, random.randrange(1 << 24)])
            last = n == len(indices) - 1
            flags = (0 if last else DESC_F_NEXT) | (DESC_F_WRITE if n >= readable else 0)
            after = random.getrandbits(16) if last else indices[n + 1]
            self.put(queue, index, address, length, flags, after)
            parts[n >= readable].append((address, length))
        self.heads.queue({"queue": queue, "head": indices[0]})
        return queue, indices[0], parts

    async def walk(self, first, count):
        found = []
        index = first
        for _ in range(count):
            self.dut.look_en.value = 1
            self.dut.look_index.value = index
            await RisingEdge(self.dut.clk)
            self.dut.look_en.value = 0
            await RisingEdge(self.dut.clk)
            found.append((int(self.dut.look_address.value), int(self.dut.look_length.value)))
            self.free.queue({"payload": index})
            index = int(self.dut.look_next.value)
        return found

    async def expect(self, chain):
        queue, head, (readable, writable) = chain
        got = await self.chains.receive()
        assert (got["queue"], got["head"]) == (queue, head)
        assert (got["readable_segments"], got["writable_segments"]) == (len(readable), len(writable))
        assert got["readable"] == sum(length for _, length in readable)
        assert got["writable"] == sum(length for _, length in writable)
        assert await self.walk(got["first_readable"], len(readable)) == readable
        assert await self.walk(got["first_writable"], len(writable)) == writable

    async def idle(self):
        await self.heads.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))
        await self.free.drained()
        await until(self.dut, lambda: bool(int(self.dut.empty.value)))
        assert not self.chains.received

    async def start(self):
        await start(self.dut)
        await until(self.dut, lambda: bool(int(self.dut.empty.value)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_chains_in_order(dut):
    bench = Bench(dut, 0.3, (1, 40))
    await bench.start()
    for _ in range(40):
        expected = []
        for queue in random.sample(range(QUEUES), QUEUES):
            left = random.sample(range(bench.size), bench.size)
            while left:
                length = min(len(left), random.choice([1, 1, 2, 3, 5, bench.size]))
                expected.append(bench.chain(queue, [left.pop() for _ in range(length)]))
        for chain in expected:
            await bench.expect(chain)
    await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def long_chains_do_not_deadlock_a_small_store(dut):
    """Every chain is as long as a chain can be, and nothing is given back before the chain was passed on."""
    bench = Bench(dut, 0, (1, 20))
    await bench.start()
    for _ in range(10):
        expected = [
            bench.chain(queue, random.sample(range(bench.size), bench.size)) for queue in range(QUEUES)
        ]
        for chain in expected:
            await bench.expect(chain)
    await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def several_chains_are_walked_at_once(dut):
    """With a latency of 100 cycles, 12 chains of 3 take little more than 300 cycles."""
    if parameters()["chains"] < 12:
        return
    bench = Bench(dut, 0, (100, 100))
    await bench.start()
    expected = [bench.chain(n % QUEUES, [3 * (n // QUEUES) + k for k in range(3)]) for n in range(12)]
    cycles = await until(dut, lambda: len(bench.chains.received) == 12)
    dut._log.info("12 chains of 3 in %d cycles", cycles)
    assert cycles < 350
    for chain in expected:
        await bench.expect(chain)
    await bench.idle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def single_descriptor_chains_take_at_most_four_cycles(dut):
    bench = Bench(dut, 0, (1, 1))
    await bench.start()
    expected = [bench.chain(n % QUEUES, [n // QUEUES]) for n in range(QUEUES * bench.size)][: 2 * bench.size]
    count = len(expected)
    await until(dut, lambda: len(bench.chains.received) >= 1)
    cycles = await until(dut, lambda: len(bench.chains.received) >= count // 2)
    dut._log.info("%.2f cycles a chain", cycles / (count // 2 - 1))
    if parameters()["chains"] >= 12:
        assert cycles <= 4 * (count // 2)
    for chain in expected:
        await bench.expect(chain)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def read_is_requested_within_four_cycles_of_the_head(dut):
    bench = Bench(dut)
    await bench.start()
    expected = bench.chain(0, [5])
    await until(dut, lambda: bool(int(dut.heads_valid.value)))
    cycles = await until(dut, lambda: bool(int(dut.read_requests_valid.value)))
    dut._log.info("read requested %d cycles after the head", cycles)
    assert cycles <= 4
    await until(dut, lambda: bool(int(dut.read_data_valid.value) and int(dut.read_data_last.value)))
    cycles = await until(dut, lambda: bool(int(dut.chains_valid.value)))
    dut._log.info("chain %d cycles after its descriptor", cycles)
    assert cycles <= 3
    await bench.expect(expected)


def _bad_chains(bench):
    """Name and maker of each kind of bad chain; each writes one at descriptors 0 to 3 of queue 0."""
    size = bench.size

    def put(index, flags, after=0, length=8):
        return bench.put(0, index, 0x1000, length, flags, after)

    def next_beyond_the_table():
        put(0, DESC_F_NEXT, size)

    def loop():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 1)

    def loop_of_zero_length():
        put(0, DESC_F_NEXT, 0, 0)

    def indirect():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_INDIRECT)

    def readable_after_writable():
        put(0, DESC_F_NEXT | DESC_F_WRITE, 1)
        put(1, 0)

    def readable_total_too_large():
        put(0, DESC_F_NEXT, 1, 0xFFFFFFFF)
        put(1, 0, 0, 1)

    def writable_total_too_large():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 2, 0x80000000)
        put(2, DESC_F_WRITE, 0, 0x80000000)

    def failed_read():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 2)
        bench.broken.add(put(2, 0))

    def failed_first_read():
        bench.broken.add(put(0, 0))

    return [function for name, function in locals().items() if name not in ("bench", "put", "size")]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def bad_chains_fail_and_all_else_goes_on(dut):
    bench = Bench(dut, 0.2, (1, 20))
    await bench.start()
    for number, make in enumerate(_bad_chains(bench) * 2):
        bench.broken.clear()
        good = [bench.chain(1, [0, 1, 2])]
        make()
        bench.heads.queue({"queue": 0, "head": 0})
        good.append(bench.chain(2, [3, 1], lengths=[0xFFFFFFFF, 0], readable=0))
        for chain in good:
            await bench.expect(chain)
        await bench.idle()
        assert bench.fail.count == number + 1, make.__name__


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_longest_legal_chain_passes(dut):
    bench = Bench(dut)
    await bench.start()
    for row in bench.table.rows.values():
        row["size"] = 4
    await bench.expect(bench.chain(0, [3, 1, 0, 2]))
    await bench.idle()
    assert bench.fail.count == 0


@pytest.mark.parametrize(
    ("width", "queue_size", "chains", "segments"),
    [(64, 16, 4, 17), (256, 64, 16, 128), pytest.param(512, 16, 1, 32, marks=pytest.mark.slow)],
)
def test_descriptor_fetch(width, queue_size, chains, segments):
    run_bench(
        FetchAndStore(width, queue_size, chains, segments),
        MODULE,
        parameters={"width": width, "queue_size": queue_size, "chains": chains},
    )
