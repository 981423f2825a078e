# amaranth: UnusedElaboratable=no
"""DmaReader: order, splits, tags, errors, time-outs, abort, and how fast it is."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.dma.reader import DmaReader
from ringwalker.spec.tlp import CompletionStatus
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.cycles import Cycles, each_cycle
from ringwalker_sim.testing.dma import HostMemoryModel

TAGS = TagRange(low=5, low_count=8, high=40, high_count=24)
SLOT = 512
TIMEOUT = 600


class Bench:
    """A reader between a client and a host, and the pulses counted."""

    def __init__(self, dut: Any, stalls: float = 0.0, **host: Any):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.width = parameters()["width"]
        self.requests = StreamSource(dut, "port_requests", stalling())
        self.data = StreamSink(dut, "port_data", stalling())
        self.host = HostMemoryModel(
            dut, request_stalls=stalling(), completion_stalls=stalling(), max_read_request=SLOT, **host
        )
        self.host.memory[:] = random.randbytes(len(self.host.memory))
        self.pulses = dict.fromkeys(("failed", "unexpected", "unsupported", "aborted"), 0)
        dut.abort.value = 0
        dut.extended_tags.value = 0

    async def start(self) -> None:
        """Start the clock; from here on every response can be awaited with :meth:`check`."""
        await start(self.dut)
        each_cycle(self.dut, self._count)

    def _count(self, cycles: Cycles) -> None:
        for name in self.pulses:
            self.pulses[name] += cycles.up(name)
        if not cycles.up("completions_ready"):
            raise AssertionError("completions.ready is not 1")

    def read(self, address: int, length: int) -> tuple[int, int]:
        self.requests.queue({"address": address, "length": length})
        return address, length

    async def check(self, read: tuple[int, int], error: bool = False) -> None:
        """Take the next response, which must be that of ``read``."""
        address, length = read
        size = self.width // 8
        beats = await self.data.receive_packet()
        assert [beat["error"] for beat in beats] == [int(error)] * len(beats), f"error is wrong for {read}"
        assert len(beats) == -(-(address % 4 + length) // size)
        if not error:
            got = b"".join(beat["data"].to_bytes(size, "little") for beat in beats)[address % 4 :][:length]
            assert got == self.host.memory[address : address + length], f"wrong data for {read}"

    def some_read(self) -> tuple[int, int]:
        """A legal read of any alignment; small ones are more frequent."""
        block = random.randrange(len(self.host.memory) // SLOT) * SLOT
        first = random.choice((0, random.randrange(SLOT), random.randrange(SLOT)))
        longest = random.choice((4, 16, SLOT)) if random.random() < 0.8 else SLOT
        return block + first, random.randint(1, min(longest, SLOT - first))

    async def idle(self) -> None:
        await ClockCycles(self.dut.clk, 4)
        assert int(self.dut.idle.value) == 1, "not idle"


async def run_random(dut: Any, bench: Bench, count: int) -> None:
    await bench.start()
    for phase in range(2):
        dut.extended_tags.value = phase
        reads = [bench.read(*bench.some_read()) for _ in range(count)]
        for read in reads:
            await bench.check(read)
        await bench.idle()
    tags = {header["tag"] for header in bench.host.reads[:count]}
    assert tags <= {TAGS.tag(k) for k in range(TAGS.low_count)}
    tags |= {header["tag"] for header in bench.host.reads}
    assert tags == {TAGS.tag(k) for k in range(TAGS.slots)}
    assert not any(bench.pulses.values()), bench.pulses


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def delivers_in_order_under_stalls(dut):
    bench = Bench(dut, stalls=0.3, latency=lambda: random.randint(1, 200), max_payload=128)
    await run_random(dut, bench, 200)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def delivers_in_order_without_stalls(dut):
    bench = Bench(dut, latency=lambda: random.randint(1, 60), max_payload=512)
    await run_random(dut, bench, 400)
    assert bench.host.most_tags > TAGS.low_count


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def asks_for_exactly_the_bytes(dut):
    bench = Bench(dut)
    await bench.start()
    for offset in range(4):
        for length in range(1, 14):
            await bench.check(bench.read(64 + offset, length))
            header = bench.host.reads[-1]
            asked = header["first_be"].bit_count() + header["last_be"].bit_count()
            assert asked + 4 * max(0, header["length"] - 2) == length
            assert header["requester_id"] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle(dut):
    bench = Bench(dut, latency=lambda: 100, reorder=False, max_payload=256)
    await bench.start()
    dut.extended_tags.value = 1
    await ClockCycles(dut.clk, 3)
    count = 120
    reads = [bench.read(SLOT * random.randrange(64), SLOT) for _ in range(count)]
    await bench.check(reads[0])
    cycles = 0
    done = []

    async def clock():
        nonlocal cycles
        while not done:
            await RisingEdge(dut.clk)
            cycles += 1

    cocotb.start_soon(clock())
    for read in reads[1:]:
        await bench.check(read)
    done.append(1)
    rate = (count - 1) * SLOT * 8 / bench.width / cycles
    dut._log.warning("reader: %.3f beats a cycle at %d bits", rate, bench.width)
    # With 32 slots of 512 bytes, a slot stays for the latency and for as long as its own data takes.
    assert rate >= 0.95


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_request_every_two_cycles_and_short_latency(dut):
    bench = Bench(dut, latency=lambda: 30, reorder=False)
    await bench.start()
    reads = [bench.read(64 * k, 4) for k in range(64)]
    accepted, asked, completed, answered = [], [], [], []
    for cycle in range(300):
        await RisingEdge(dut.clk)
        for log, name in (
            (accepted, "port_requests"),
            (asked, "requests"),
            (completed, "completions"),
            (answered, "port_data"),
        ):
            if int(getattr(dut, f"{name}_valid").value) and int(getattr(dut, f"{name}_ready").value):
                log.append(cycle)
    for read in reads:
        await bench.check(read)
    assert accepted[:8] == list(range(accepted[0], accepted[0] + 16, 2))
    assert [b - a for a, b in zip(accepted, asked, strict=True)] == [1] * 64
    assert answered[0] - completed[0] <= 5
    assert answered[:8] == list(range(answered[0], answered[0] + 16, 2))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def completions_of_a_read_may_follow_each_other_at_once(dut):
    # A dword each, so that every beat is a completion of the same read as the beat before.
    bench = Bench(dut, reorder=False, read_completion_boundary=4, max_payload=4)
    await bench.start()
    reads = [bench.read(SLOT * k + random.randrange(8), random.randrange(1, 60)) for k in range(40)]
    for read in reads:
        await bench.check(read)
    await bench.idle()
    assert not any(bench.pulses.values())


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_follows_the_last_completion_at_once_is_dropped(dut):
    bench = Bench(dut, fault=lambda header: "drop")
    await bench.start()
    for n in range(1, 9):
        read = bench.read(64 * n, 4)
        while len(bench.host.reads) < n:
            await RisingEdge(dut.clk)
        # The whole answer twice, and the second in the next cycle.
        (answer,) = bench.host.completions_for(bench.host.reads[-1], [0, 1, 2, 3], None)
        for beat in answer * 2:
            bench.host.completions.queue(beat)
        await bench.check(read)
        await bench.idle()
        assert bench.pulses["unexpected"] == n
        assert bench.pulses["failed"] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def errors_stay_with_their_read(dut):
    faults: dict[int, str] = {}
    bench = Bench(
        dut, stalls=0.2, fault=lambda header: faults.get(header["address"] // SLOT), max_payload=128
    )
    await bench.start()
    dut.extended_tags.value = 1
    kinds = ("ur", "ca", "poison")
    blocks = random.sample(range(len(bench.host.memory) // SLOT), 100)
    for block in blocks[:30]:
        faults[block] = random.choice(kinds)
    random.shuffle(blocks)
    reads = [bench.read(block * SLOT + random.randrange(100), random.randrange(1, 400)) for block in blocks]
    for read in reads:
        await bench.check(read, error=read[0] // SLOT in faults)
    await bench.idle()
    names = list(faults.values())
    assert bench.pulses["unsupported"] == names.count("ur")
    assert bench.pulses["aborted"] == names.count("ca")
    # A poisoned read of several completions is reported with each of them.
    assert bench.pulses["failed"] >= len(names)
    assert bench.pulses["unexpected"] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_wrong_byte_count_is_an_error(dut):
    bench = Bench(dut, fault=lambda header: "count" if header["address"] >= 4096 else None, max_payload=512)
    await bench.start()
    await bench.check(bench.read(0, 64))
    bad = bench.read(4096, 64)
    await bench.check(bad, error=True)
    assert bench.pulses["failed"] == 1
    # Its tag is in quarantine: the next read waits for the time-out.
    await bench.check(bench.read(64, 64))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def lost_completions_time_out(dut):
    lost = True
    bench = Bench(dut, fault=lambda header: "drop" if lost and header["address"] < 4096 else None)
    await bench.start()
    reads = [bench.read(64 * k, 48) for k in range(4)] + [bench.read(4096, 48)]
    for read in reads[:4]:
        await bench.check(read, error=True)
    await bench.check(reads[4])
    await bench.idle()
    assert bench.pulses["failed"] == 1
    # The late completions of all but one come, and are dropped; then one more time-out must pass.
    lost = False
    sent = list(bench.host.reads)
    for header in sent[:3]:
        for beats in bench.host.completions_for(header, list(range(48)), None):
            for beat in beats:
                bench.host.completions.queue(beat)
    await ClockCycles(dut.clk, 20)
    assert bench.pulses["unexpected"] == 3
    later = bench.read(128, 32)
    await ClockCycles(dut.clk, TIMEOUT // 2)
    assert len(bench.host.reads) == 5, "a tag was used in its quarantine"
    await bench.check(later)
    # All late completions came: no quarantine is left.
    lost = True
    reads = [bench.read(64 * k, 48) for k in range(4)]
    for read in reads:
        await bench.check(read, error=True)
    lost = False
    for header in bench.host.reads[-4:]:
        for beats in bench.host.completions_for(header, list(range(48)), None):
            for beat in beats:
                bench.host.completions.queue(beat)
    await ClockCycles(dut.clk, 20)
    count = len(bench.host.reads)
    later = bench.read(192, 32)
    await ClockCycles(dut.clk, 10)
    assert len(bench.host.reads) == count + 1
    await bench.check(later)
    assert bench.pulses["unexpected"] == 7


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def strangers_are_dropped(dut):
    bench = Bench(dut)
    await bench.start()
    beat = {"header_tag": 7, "header_has_data": 1, "header_length": 1, "header_byte_count": 4, "dwords": 1}
    for tag in (7, 5, 12, 40, 63):
        bench.host.completions.queue(beat | {"header_tag": tag, "first": 1, "last": 1, "data": 0xBAD})
    await ClockCycles(dut.clk, 12)
    assert bench.pulses == {"failed": 0, "unexpected": 5, "unsupported": 0, "aborted": 0}
    await bench.check(bench.read(3, 500))
    # A configuration retry is no answer to a memory read.
    retry = CompletionStatus.CONFIGURATION_RETRY.value
    bench.host.fault = lambda header: "drop"
    read = bench.read(0, 64)
    await ClockCycles(dut.clk, 10)
    tag = bench.host.reads[-1]["tag"]
    bench.host.completions.queue({"header_tag": tag, "header_status": retry, "first": 1, "last": 1})
    await bench.check(read, error=True)
    assert bench.pulses["failed"] == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def strangers_do_not_hold_off_the_time_out(dut):
    bench = Bench(dut, fault=lambda header: "drop")
    await bench.start()
    read = bench.read(0, 64)
    beat = {"header_tag": TAGS.tag(7), "header_has_data": 1, "header_length": 1, "header_byte_count": 4}
    for _ in range(2 * TIMEOUT):
        bench.host.completions.queue(beat | {"dwords": 1, "first": 1, "last": 1})
    await ClockCycles(dut.clk, TIMEOUT + 30)
    assert bench.data.received, "the read did not time out"
    await bench.check(read, error=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def abort_answers_what_was_not_sent(dut):
    bench = Bench(dut, latency=lambda: 150)
    await bench.start()
    sent = [bench.read(*bench.some_read()) for _ in range(5)]
    await ClockCycles(dut.clk, 20)
    dut.abort.value = 1
    await ClockCycles(dut.clk, 2)
    unsent = [bench.read(*bench.some_read()) for _ in range(20)]
    for read in sent:
        await bench.check(read)
    for read in unsent:
        await bench.check(read, error=True)
    await bench.idle()
    assert len(bench.host.reads) == len(sent)
    # With the host's request stream stopped for good, reads under abort are answered all the same.
    dut.abort.value = 0
    await ClockCycles(dut.clk, 2)
    again = [bench.read(*bench.some_read()) for _ in range(20)]
    for read in again:
        await bench.check(read)
    assert not any(bench.pulses.values()), bench.pulses


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def abort_does_not_wait_for_a_quarantine(dut):
    bench = Bench(dut, fault=lambda header: "drop")
    await bench.start()
    reads = [bench.read(64 * k, 48) for k in range(8)]
    for read in reads:
        await bench.check(read, error=True)
    dut.abort.value = 1
    await ClockCycles(dut.clk, 2)
    reads = [bench.read(64 * k, 4) for k in range(30)]
    await ClockCycles(dut.clk, 90)
    for read in reads:
        assert bench.data.received, "a read under abort had to wait"
        await bench.check(read, error=True)


def run(width: int) -> None:
    run_bench(
        DmaReader(width, TAGS, SLOT, TIMEOUT),
        "tb.dma.test_reader",
        parameters={"width": width},
    )


def test_reader():
    run(64)


@pytest.mark.slow
@pytest.mark.parametrize("width", [pytest.param(128, marks=pytest.mark.campaign), 256, 512])
def test_reader_other_widths(width):
    run(width)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((64, TAGS, 96, 100), "slot_bytes"),
        ((512, TAGS, 32, 100), "slot_bytes"),
        ((64, TAGS, 512, 0), "timeout_cycles"),
    ],
)
def test_wrong_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DmaReader(*arguments)
