"""AvailRingFetch against a ring in Python."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.queue.ring.limits import LINE_BYTES
from ringwalker.queue.split.avail_ring import AvailRingFetch
from ringwalker.spec.ring import AVAIL_ENTRY_BYTES, AVAIL_RING_OFFSET
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import DmaReadModel, QueueTableModel, pulses, until

QUEUES = 4
MODULE = "tb.queue.split.test_avail_ring"


class Rings:
    """Available rings in ``memory``, one a queue, at odd places."""

    def __init__(self, table, size=16):
        self.memory = bytearray(1 << 20)
        self.places = [0x0FFA, 0x2000 + 30, 0x8FC4, 0x30000 + 62][:QUEUES]
        self.sizes = [size, 256, 64, 2]
        for queue, (driver, size) in enumerate(zip(self.places, self.sizes, strict=True)):
            table.rows[queue] = {"driver": driver, "size": size, "enable": 1}

    def set_entry(self, queue, idx, head):
        at = self.places[queue] + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * (idx % self.sizes[queue])
        self.memory[at : at + 2] = head.to_bytes(2, "little")


def stalls(probability):
    return random_stalls(probability) if probability else None


class RingBench:
    def __init__(self, dut, stall=0.0, latency=(1, 1), fails=lambda address: False):
        self.dut = dut
        self.table = QueueTableModel(dut)
        self.rings = Rings(self.table)
        width = parameters()["width"]
        self.read = DmaReadModel(
            dut,
            "read",
            self.rings.memory,
            width,
            latency=latency,
            stalls=stalls(stall),
            data_stalls=stalls(stall),
            fails=fails,
        )
        self.snapshots = StreamSource(dut, "snapshots", stalls(stall))
        self.heads = StreamSink(dut, "heads", stalls(stall))
        self.polls = StreamSink(dut, "polls", stalls(stall))
        dut.event_idx.value = 0
        self.fail = pulses(dut, "fail")
        self.next = [0] * QUEUES
        self.firsts = []
        dut.clear_en.value = 0
        dut.clear_index.value = 0

    async def start(self):
        """Start, and forget the positions that an earlier test left: a reset does not clear memory."""
        await start(self.dut)
        for queue in range(QUEUES):
            await self.clear(queue)

    def offer(self, queue, count):
        """Make ``count`` heads available and send the snapshot; gives what must come out."""
        heads = [random.randrange(self.rings.sizes[queue]) for _ in range(count)]
        for head in heads:
            self.rings.set_entry(queue, self.next[queue], head)
            self.next[queue] += 1
        self.snapshots.queue({"queue": queue, "idx": self.next[queue] & 0xFFFF})
        return [(queue, head) for head in heads]

    async def expect(self, heads):
        for queue, head in heads:
            got = await self.heads.receive()
            assert (got["queue"], got["at"]) == (queue, head)
            self.firsts.append(got["first"])

    async def idle(self):
        await self.snapshots.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))
        assert not self.heads.received

    async def clear(self, queue):
        self.dut.clear_en.value = 1
        self.dut.clear_index.value = queue
        await RisingEdge(self.dut.clk)
        self.dut.clear_en.value = 0
        self.next[queue] = 0
        await RisingEdge(self.dut.clk)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_heads_come_out_in_order(dut):
    bench = RingBench(dut, 0.3, (1, 30))
    await bench.start()
    for _ in range(250):
        queue = random.randrange(QUEUES)
        await bench.expect(bench.offer(queue, random.randint(0, bench.rings.sizes[queue])))
    await bench.idle()
    assert bench.fail.count == 0
    for address, length in bench.read.requests:
        assert address // LINE_BYTES == (address + length - 1) // LINE_BYTES


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_snapshots_of_several_queues_overlap(dut):
    bench = RingBench(dut, 0.2, (20, 40))
    await bench.start()
    for _ in range(60):
        expected = []
        for queue in random.sample(range(QUEUES), QUEUES):
            expected += bench.offer(queue, random.randint(0, bench.rings.sizes[queue]))
        await bench.expect(expected)
    await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_first_heads_of_snapshots_are_marked(dut):
    """Also when the first entries of a snapshot are dropped, and when it takes several reads."""
    bench = RingBench(dut, 0.2, (1, 20))
    await bench.start()
    expected, marks = [], []
    for _ in range(40):
        count, bad = random.randint(0, 100), random.choice([0, 0, 1, 3])
        heads = bench.offer(1, count)
        for n in range(min(bad, count)):
            bench.rings.set_entry(1, bench.next[1] - count + n, 0xFFFF)
        expected = heads[bad:]
        marks += [1] * bool(expected) + [0] * (len(expected) - 1)
        await bench.expect(expected)
        await bench.idle()
    assert bench.firsts == marks


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_polls_say_what_a_snapshot_showed(dut):
    bench = RingBench(dut, 0.2, (1, 20))
    dut.event_idx.value = 1
    bench.table.rows[3]["enable"] = 0
    await bench.start()
    expected = []
    for _ in range(80):
        queue = random.randrange(3)
        count = random.choice([0, 0, 1, bench.rings.sizes[queue]])
        await bench.expect(bench.offer(queue, count))
        expected.append({"queue": queue, "idx": bench.next[queue] & 0xFFFF, "found": int(count != 0)})
    bench.snapshots.queue({"queue": 0, "idx": bench.next[0] & 0xFFFF, "error": 1})
    bench.snapshots.queue({"queue": 1, "idx": (bench.next[1] - 1) & 0xFFFF, "overlapped": 1})
    bench.snapshots.queue({"queue": 3})
    await bench.idle()
    await until(dut, lambda: len(bench.polls.received) == len(expected))
    assert list(bench.polls.received) == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_index_wraps(dut):
    bench = RingBench(dut)
    await bench.start()
    for _ in range(0x10000 // 256 + 2):
        await bench.expect(bench.offer(1, 256))
    await bench.idle()
    assert bench.next[1] > 0x10000
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_gives_a_head_a_cycle(dut):
    bench = RingBench(dut, 0, (1, 1))
    await bench.start()
    expected = bench.offer(1, 256)
    await until(dut, lambda: int(dut.heads_valid.value) == 1)
    cycles = await until(dut, lambda: len(bench.heads.received) == 256)
    dut._log.info("256 heads in %d cycles", cycles)
    assert cycles <= 256 + 24
    await bench.expect(expected)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_read_is_requested_two_cycles_after_the_snapshot(dut):
    bench = RingBench(dut)
    await bench.start()
    expected = bench.offer(0, 1)
    await until(dut, lambda: int(dut.snapshots_valid.value) == 1)
    assert await until(dut, lambda: int(dut.read_requests_valid.value) == 1) == 2
    await bench.expect(expected)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_refuses_a_hostile_index_and_stays_alive(dut):
    bench = RingBench(dut, 0.2, (1, 10))
    await bench.start()
    await bench.expect(bench.offer(0, 5))
    for wrong in (5 + 17, 4, 0x8000, 5 - 16):
        bench.snapshots.queue({"queue": 0, "idx": wrong & 0xFFFF})
    bench.snapshots.queue({"queue": 0, "idx": 77, "error": 1})
    await bench.idle()
    assert bench.fail.count == 5
    # Older than what was seen, but read at the same time: nothing is wrong.
    bench.snapshots.queue({"queue": 0, "idx": 4, "overlapped": 1})
    await bench.idle()
    assert bench.fail.count == 5
    await bench.expect(bench.offer(0, 16))
    await bench.idle()
    assert bench.fail.count == 5


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_drops_hostile_heads_and_failed_reads(dut):
    bad = 0
    bench = RingBench(dut, 0.2, (1, 10), fails=lambda address: address == bad)
    await bench.start()
    heads = bench.offer(2, 40)
    await bench.expect(heads)
    await bench.idle()
    expected = bench.offer(2, 20)
    bench.rings.set_entry(2, bench.next[2] - 20, 64)
    bench.rings.set_entry(2, bench.next[2] - 7, 0xFFFF)
    del expected[13], expected[0]
    await bench.expect(expected)
    await bench.idle()
    assert bench.fail.count == 2
    # 60 entries were taken: the next four are one read, to the end of the ring.
    bad = bench.rings.places[2] + AVAIL_RING_OFFSET + 60 * AVAIL_ENTRY_BYTES
    fetched = bench.offer(2, 10)
    await bench.expect(fetched[4:])
    await bench.idle()
    assert bench.fail.count > 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_clear_forgets_one_position(dut):
    bench = RingBench(dut)
    await bench.start()
    await bench.expect(bench.offer(0, 7) + bench.offer(1, 9))
    await bench.idle()
    await bench.clear(0)
    await bench.expect(bench.offer(0, 3) + bench.offer(1, 2))
    await bench.idle()
    assert bench.fail.count == 0
    await ClockCycles(dut.clk, 5)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring_index_that_was_carried_wrong_is_read_again(dut):
    bench = RingBench(dut)
    again = StreamSink(dut, "revisits", stalls(0.5))
    await bench.start()
    await bench.expect(bench.offer(1, 7))
    for idx in (6, 0, 7 + 257, 0x8000):
        bench.snapshots.queue({"queue": 1, "idx": idx, "carried": 1})
        assert (await again.receive())["queue"] == 1
    bench.snapshots.queue({"queue": 1, "idx": 7, "carried": 1})
    await bench.expect(bench.offer(1, 1))
    await bench.idle()
    assert not again.received
    assert bench.fail.count == 0


SLOW = pytest.mark.slow


@pytest.mark.parametrize("width", [256, pytest.param(64, marks=SLOW), pytest.param(512, marks=SLOW)])
def test_avail_ring_fetch(width):
    run_bench(AvailRingFetch(width, QUEUES), MODULE, parameters={"width": width}, tests=r"\.ring_")
