# amaranth: UnusedElaboratable=no
"""Gather, in front of a real DmaReader: chains become packets of bytes."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from ringwalker.component import Component
from ringwalker.dma.gather import Gather
from ringwalker.dma.reader import DmaReader
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel, SegmentStoreModel, bytes_of

SLOT = 512


class GatherBench(Component):
    """A gather with its reader."""

    def __init__(self, width: int):
        self.gather = Gather(width, slot_bytes=SLOT)
        self.reader = DmaReader(width, TagRange(0, 32), SLOT, 5000)
        mine = dict(self.gather.signature.members)
        del mine["read"]
        theirs = {name: self.reader.signature.members[name] for name in ("requests", "completions")}
        super().__init__({**mine, **theirs, "abort": In(1), "reader_idle": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.gather = self.gather
        m.submodules.reader = self.reader
        wiring.connect(m, self.gather.read, self.reader.port)
        for name in ("chains", "segments", "frees", "readable"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.gather, name))
        for name in ("requests", "completions"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.reader, name))
        m.d.comb += [
            self.gather.max_read_request.eq(self.max_read_request),
            self.idle.eq(self.gather.idle),
            self.reader_idle.eq(self.reader.idle),
            self.reader.abort.eq(self.abort),
        ]
        return m


class Bench:
    def __init__(self, dut: Any, stalls: float = 0.0, max_read_request: int = 512, **host: Any):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.width = parameters()["width"]
        self.chains = StreamSource(dut, "chains", stalling())
        self.readable = StreamSink(dut, "readable", stalling())
        self.host = HostMemoryModel(
            dut,
            request_stalls=stalling(),
            completion_stalls=stalling(),
            max_read_request=min(SLOT, max_read_request),
            **host,
        )
        self.host.memory[:] = random.randbytes(len(self.host.memory))
        self.store = SegmentStoreModel(dut)
        self.frees = StreamSink(
            dut, "frees", stalling(), callback=lambda beat: self.store.free(beat["payload"])
        )
        dut.max_read_request.value = max_read_request
        dut.abort.value = 0

    def chain(self, segments: list[tuple[int, int]]) -> list[tuple[int, int]]:
        first = self.store.add(segments)
        self.chains.queue(
            {
                "readable": sum(length for _address, length in segments),
                "readable_segments": len(segments),
                "first_readable": first,
                "id": random.getrandbits(16),
            }
        )
        return segments

    async def check(self, segments: list[tuple[int, int]], error: bool = False) -> None:
        wanted = b"".join(bytes(self.host.memory[address:][:length]) for address, length in segments)
        if not wanted:
            return
        beats = await self.readable.receive_packet()
        got = bytes_of(beats, self.width)
        assert len(got) == len(wanted)
        flags = [beat["error"] for beat in beats]
        assert flags == sorted(flags)
        assert flags[-1] == int(error)
        # What is not marked is good, though the packet turns bad later: it may have been used already.
        good = len(bytes_of(beats[: flags.count(0)], self.width))
        assert got[:good] == wanted[:good]

    def some_segments(self) -> list[tuple[int, int]]:
        segments = []
        for _ in range(random.choice((0, 1, 1, 2, 3, 3, 8))):
            length = random.choice((0, 1, 16, random.randint(1, 64), random.randint(1, 3000)))
            segments.append((random.randrange(len(self.host.memory) - length), length))
        return segments

    async def finished(self) -> None:
        await ClockCycles(self.dut.clk, 20)
        assert not self.readable.received
        assert self.store.used == 0
        assert int(self.dut.idle.value) == 1
        assert int(self.dut.reader_idle.value) == 1


async def run_random(bench: Bench, count: int) -> None:
    await start(bench.dut)
    todo = [bench.some_segments() for _ in range(count)]
    for segments in todo:
        while bench.store.used > 900:
            await ClockCycles(bench.dut.clk, 50)
        bench.chain(segments)
    for segments in todo:
        await bench.check(segments)
    await bench.finished()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def gathers_under_stalls(dut):
    bench = Bench(dut, 0.3, max_read_request=128, latency=lambda: random.randint(1, 100), size=1 << 15)
    await run_random(bench, 60)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def gathers_without_stalls(dut):
    await run_random(Bench(dut, max_read_request=4096, latency=lambda: random.randint(1, 60)), 100)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def cuts_at_aligned_addresses(dut):
    bench = Bench(dut, max_read_request=256)
    await start(dut)
    await bench.check(bench.chain([(4096 + 3, 3 * 256)]))
    seen = [(header["address"], header["length"]) for header in bench.host.reads]
    assert seen == [(4096, 64), (4096 + 256, 64), (4096 + 512, 64), (4096 + 768, 1)]
    # A new limit counts for the next chain; it is the reader's slot that bounds a larger one.
    dut.max_read_request.value = 2048
    bench.host.max_read_request = SLOT
    await ClockCycles(dut.clk, 2)
    bench.host.reads.clear()
    await bench.check(bench.chain([(8192 - 4, 1000)]))
    seen = [(header["address"], header["length"]) for header in bench.host.reads]
    assert seen == [(8188, 1), (8192, 128), (8192 + 512, 121)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_one_read_can_have_is_not_cut(dut):
    bench = Bench(dut, max_read_request=256)
    await start(dut)
    segments = [(200, 72), (256 * 5 - 1, 253), (1023, 256), (4096 - 72, 72), (8192 - 71, 72)]
    for segment in segments:
        await bench.check(bench.chain([segment]))
    seen = [(header["address"], header["length"]) for header in bench.host.reads]
    cut = [(1020, 1), (1024, 64)], [(8120, 18), (8192, 1)]
    assert seen == [(200, 18), (256 * 5 - 4, 64), *cut[0], (4024, 18), *cut[1]]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reads_run_ahead(dut):
    bench = Bench(dut, latency=lambda: 400, reorder=False)
    await start(dut)
    todo = [bench.chain([(512 * k, 16), (512 * k + 64, 400)]) for k in range(12)]
    for segments in todo:
        await bench.check(segments)
    assert bench.host.most_tags == 24


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_error_spoils_its_packet(dut):
    bench = Bench(dut, 0.2, fault=lambda header: "ur" if header["address"] // 4096 == 3 else None)
    await start(dut)
    todo = []
    for _ in range(60):
        pages = [random.choice((3, 1, 2, 4, 5, 6)) for _ in range(random.randint(1, 3))]
        segments = [(page * 4096 + random.randrange(1000), random.randint(1, 1500)) for page in pages]
        todo.append((bench.chain(segments), 3 in pages))
    for segments, error in todo:
        await bench.check(segments, error)
    await bench.finished()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def runs_empty_on_abort(dut):
    bench = Bench(dut, latency=lambda: 100)
    await start(dut)
    todo = [bench.chain([(0, 5000), (123, 77)]) for _ in range(10)]
    await ClockCycles(dut.clk, 40)
    dut.abort.value = 1
    for segments in todo:
        beats = await bench.readable.receive_packet()
        assert len(bytes_of(beats, bench.width)) == sum(length for _address, length in segments)
    assert beats[-1]["error"] == 1
    await bench.finished()


async def measure(dut, segments: list[tuple[int, int]], count: int) -> float:
    bench = Bench(dut, latency=lambda: 100, reorder=False)
    await start(dut)
    todo = [bench.chain(segments) for _ in range(count)]
    await bench.check(todo[0])
    begin = get_sim_time("ns")
    for one in todo[1:]:
        await bench.check(one)
    cycles = (get_sim_time("ns") - begin) / 4
    return sum(length for _address, length in segments) * (count - 1) * 8 / bench.width / cycles


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle(dut):
    width = parameters()["width"]
    pages = await measure(dut, [(4096 * k, 4096) for k in range(4)], 6)
    dut._log.warning("gather: %.3f beats a cycle at %d bits, pages", pages, width)
    assert pages >= 0.95


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def nearly_one_beat_a_cycle_for_block_writes(dut):
    width = parameters()["width"]
    rate = await measure(dut, [(64, 16), (4096 + 512, 4096)], 20)
    dut._log.warning("gather: %.3f beats a cycle at %d bits, 16 + 4096 bytes", rate, width)
    assert rate >= 0.9


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_segment_every_two_cycles(dut):
    bench = Bench(dut, latency=lambda: 10, reorder=False)
    await start(dut)
    todo = [bench.chain([(64 * k, 4)]) for k in range(64)] + [
        bench.chain([(64 * k + n, 1) for n in range(8)]) for k in range(8)
    ]
    first = None
    while len(bench.host.reads) < 24:
        await RisingEdge(dut.clk)
        first = get_sim_time("ns") if first is None and bench.host.reads else first
    assert first is not None
    assert (get_sim_time("ns") - first) / 4 <= 2 * 24
    for segments in todo:
        await bench.check(segments)
    await bench.finished()


OTHERS = (
    pytest.param(128, marks=pytest.mark.campaign),
    *(pytest.param(width, marks=pytest.mark.slow) for width in (256, 512)),
)


@pytest.mark.parametrize("width", [64, *OTHERS])
def test_gather(width):
    run_bench(GatherBench(width), "tb.dma.test_gather", parameters={"width": width})


def test_wrong_slot_is_named():
    with pytest.raises(ValueError, match="slot_bytes"):
        Gather(64, slot_bytes=100)
