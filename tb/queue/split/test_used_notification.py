"""UsedNotification: who is notified, and when the flags are read."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from ringwalker.queue.split.used_notification import UsedNotification
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.ring import AVAIL_F_NO_INTERRUPT, used_event_offset
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import DmaReadModel, QueueTableModel, pulses, until

QUEUES = 20
QUIET = {3, 6}  # NO_INTERRUPT
MUTE = {4, 7}  # no vector
MODULE = "tb.queue.split.test_used_notification"


def stalls(probability):
    return random_stalls(probability) if probability else None


class Bench:
    def __init__(self, dut, stall=0.0, latency=(1, 1), fails=lambda address: False):
        self.dut = dut
        self.table = QueueTableModel(dut)
        self.memory = bytearray(random.randbytes(1 << 16))
        for queue in range(QUEUES):
            vector = NO_VECTOR if queue in MUTE else 100 + queue
            row = {"driver": 0x100 * queue + 2 * (queue % 8), "size": 4, "enable": 1, "vector": vector}
            self.table.rows[queue] = row
            self.set_flags(queue, AVAIL_F_NO_INTERRUPT if queue in QUIET else 0)
        self.read = DmaReadModel(
            dut,
            "read",
            self.memory,
            parameters()["width"],
            latency=latency,
            stalls=stalls(stall),
            data_stalls=stalls(stall),
            fails=fails,
        )
        self.used = StreamSource(dut, "used", stalls(stall))
        self.interrupts = StreamSink(dut, "interrupts", stalls(stall))
        self.fail = pulses(dut, "fail")
        dut.msix_enable.value = 1
        dut.event_idx.value = dut.clear_en.value = dut.clear_index.value = 0

    def set_flags(self, queue, flags):
        at = self.table.rows[queue]["driver"]
        self.memory[at : at + 2] = (flags | random.getrandbits(15) << 1).to_bytes(2, "little")

    def set_used_event(self, queue, idx):
        row = self.table.rows[queue]
        at = row["driver"] + used_event_offset(row["size"])
        self.memory[at : at + 2] = (idx & 0xFFFF).to_bytes(2, "little")

    async def idle(self):
        await self.used.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))

    def vectors(self):
        got = [item["payload"] for item in self.interrupts.received]
        self.interrupts.received.clear()
        return got


@cocotb.test(timeout_time=300, timeout_unit="us")
async def one_by_one_each_queue_gets_its_vector_or_none(dut):
    bench = Bench(dut, 0.3, (1, 20))
    await start(dut)
    for queue in [random.randrange(QUEUES) for _ in range(200)]:
        reads = len(bench.read.requests)
        bench.used.queue({"queue": queue})
        await bench.idle()
        assert bench.vectors() == ([] if queue in QUIET | MUTE else [100 + queue])
        asked = [(bench.table.rows[queue]["driver"], 2)]
        assert bench.read.requests[reads:] == ([] if queue in MUTE else asked)
    assert bench.fail.count == 0


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_queue_that_has_been_reset_meanwhile_is_not_looked_at(dut):
    bench = Bench(dut)
    bench.table.rows[5] = {"driver": 0, "size": 0, "enable": 0, "vector": 0}
    await start(dut)
    bench.used.queue({"queue": 5})
    await bench.idle()
    assert bench.vectors() == bench.read.requests == []


@cocotb.test(timeout_time=300, timeout_unit="us")
async def with_event_idx_who_waits_for_a_written_entry_is_notified(dut):
    """Whatever the flags say; the index wraps, and several writes may be served by one look."""
    bench = Bench(dut, 0.3, (1, 20))
    dut.event_idx.value = 1
    await start(dut)
    old = dict.fromkeys(range(QUEUES), 0)
    for _ in range(300):
        queue = random.randrange(QUEUES)
        steps = [random.choice([1, 1, 3, 300, 20000]) for _ in range(random.choice([1, 1, 2]))]
        new = (old[queue] + sum(steps)) & 0xFFFF
        event = (random.choice([old[queue], new]) + random.choice([-2, -1, 0, 1])) & 0xFFFF
        bench.set_used_event(queue, event)
        idx = old[queue]
        for step in steps:
            idx = (idx + step) & 0xFFFF
            bench.used.queue({"queue": queue, "idx": idx})
        await bench.idle()
        wanted = queue not in MUTE and (event - old[queue]) & 0xFFFF < (new - old[queue]) & 0xFFFF
        assert bench.vectors() == ([100 + queue] if wanted else [])
        old[queue] = new
    # A queue that was reset begins at 0 again, and 0xFFF0 is not among the entries from 0 to 1.
    bench.used.queue({"queue": 5, "idx": 40000})
    await bench.idle()
    bench.vectors()
    dut.clear_en.value, dut.clear_index.value = 1, 5
    await ClockCycles(dut.clk, 1)
    dut.clear_en.value = 0
    bench.set_used_event(5, 0xFFF0)
    bench.used.queue({"queue": 5, "idx": 1})
    await bench.idle()
    assert bench.vectors() == []
    bench.set_used_event(5, 1)
    bench.used.queue({"queue": 5, "idx": 2})
    await bench.idle()
    assert bench.vectors() == [105]


@cocotb.test(timeout_time=300, timeout_unit="us")
async def without_msix_every_queue_is_asked_about(dut):
    bench = Bench(dut)
    dut.msix_enable.value = 0
    await start(dut)
    for queue in range(QUEUES):
        bench.used.queue({"queue": queue})
    await bench.idle()
    assert len(bench.vectors()) == QUEUES - len(QUIET)
    assert len(bench.read.requests) == QUEUES


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_burst_is_served_by_few_reads_and_no_queue_is_forgotten(dut):
    bench = Bench(dut, 0.1, (60, 60))
    await start(dut)
    for _round in range(20):
        wanted = set()
        for _ in range(100):
            queue = random.randrange(QUEUES)
            bench.used.queue({"queue": queue})
            wanted.add(queue)
        await bench.idle()
        assert set(bench.vectors()) == {100 + queue for queue in wanted - QUIET - MUTE}
    assert len(bench.read.requests) < 20 * 100 // 2


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_read_begins_after_each_used(dut):
    """What a read serves came before it: after the last ``used`` of a queue its flags are read once more."""
    bench = Bench(dut, 0, (30, 30))
    await start(dut)
    for gap in (0, 1, 2, 3, 5, 9, 20, 40, 80):
        bench.used.queue({"queue": 1})
        await bench.used.drained()
        await ClockCycles(dut.clk, gap)
        bench.used.queue({"queue": 1})
        await bench.used.drained()
        # Taken at the last edge: a read that was asked for by now is too early.
        before = len(bench.read.requests)
        await bench.idle()
        assert len(bench.read.requests) > before
        assert set(bench.vectors()) == {101}


@cocotb.test(timeout_time=300, timeout_unit="us")
async def latency_is_three_cycles_to_the_read_and_one_from_its_answer(dut):
    bench = Bench(dut, 0, (10, 10))
    await start(dut)
    bench.used.queue({"queue": 1})
    await until(dut, lambda: bool(int(dut.used_valid.value)))
    assert await until(dut, lambda: bool(int(dut.read_requests_valid.value))) == 3
    await until(dut, lambda: bool(int(dut.read_data_valid.value)))
    assert await until(dut, lambda: bool(int(dut.interrupts_valid.value))) == 1
    await bench.idle()


@cocotb.test(timeout_time=300, timeout_unit="us")
async def a_failed_read_fails_and_does_not_notify(dut):
    broken = 0x100 * 9 + 2
    bench = Bench(dut, 0.2, (1, 9), fails=lambda address: address == broken)
    await start(dut)
    for queue in (8, 9, 10):
        bench.used.queue({"queue": queue})
    await bench.idle()
    await ClockCycles(dut.clk, 2)
    assert bench.vectors() == [108, 110]
    assert bench.fail.count == 1


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_interrupt_stage(width):
    run_bench(UsedNotification(width, QUEUES), MODULE, parameters={"width": width})
