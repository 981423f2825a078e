# amaranth: UnusedElaboratable=no
"""Scatter: replies become memory writes, and chains become completed."""

import random
from dataclasses import dataclass
from typing import Any

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from ringwalker.dma.scatter import Scatter
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel, SegmentStoreModel, packet_beats

PAGE = 4096


@dataclass
class Reply:
    offset: int
    data: bytes
    done: bool = False
    written: int = 0


class Bench:
    """A scatter between a function and a host; ``expected`` is what memory must become."""

    def __init__(self, dut: Any, stalls: float = 0.0, max_payload: int = 256, size: int = 1 << 16):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.width = parameters()["width"]
        self.chains = StreamSource(dut, "chains", stalling())
        self.replies = StreamSource(dut, "replies", stalling())
        self.host = HostMemoryModel(
            dut, "writes", None, request_stalls=stalling(), max_payload=max_payload, size=size
        )
        self.store = SegmentStoreModel(dut)
        self.frees = StreamSink(
            dut, "frees", stalling(), callback=lambda beat: self.store.free(beat["payload"])
        )
        self.completed = StreamSink(dut, "completed", stalling(), callback=self._complete)
        self.host.memory[:] = random.randbytes(size)
        self.expected = bytearray(self.host.memory)
        self.overruns = 0
        self.wanted: list[tuple[dict[str, int], int]] = []
        self.done = 0
        self._bytes = 0
        self._at = 0
        dut.max_payload.value = max_payload

    async def start(self) -> None:
        await start(self.dut)
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.overruns += int(self.dut.overrun.value)

    def _complete(self, beat: dict[str, int]) -> None:
        wanted, so_far = self.wanted[self.done]
        assert beat == wanted
        assert self.host.write_bytes >= so_far, "completed before the last payload was taken"
        self.done += 1

    def chain(self, segments: list[tuple[int, int]]) -> dict[str, int]:
        beat = {
            "queue": random.getrandbits(10),
            "id": random.getrandbits(16),
            "span": random.getrandbits(16),
            "writable": sum(length for _address, length in segments),
            "writable_segments": len(segments),
            "first_writable": self.store.add(segments),
        }
        self.chains.queue(beat)
        return beat

    def answer(self, chain: dict[str, int], segments: list[tuple[int, int]], replies: list[Reply]) -> None:
        """Queue the replies of a chain, and apply them to the model."""
        places = [address + k for address, length in segments for k in range(length)]
        for reply in replies:
            fields = {
                "offset": reply.offset,
                "length": len(reply.data),
                "written": reply.written,
                "done": int(reply.done),
            }
            for beat in packet_beats(reply.data, self.width):
                self.replies.queue(beat | fields)
            for place, byte in zip(places[reply.offset :], reply.data, strict=False):
                self.expected[place] = byte
            self._bytes += len(places[reply.offset :][: len(reply.data)])
        written = replies[-1].written
        owner = {name: chain[name] for name in ("queue", "id", "span")}
        done = {**owner, "written": written, "whole": int(written == chain["writable"])}
        self.wanted.append((done, self._bytes))

    async def finished(self, timeout: int = 200000) -> None:
        for _ in range(timeout):
            await RisingEdge(self.dut.clk)
            if self.done == len(self.wanted):
                break
        assert self.done == len(self.wanted)
        await ClockCycles(self.dut.clk, 10)
        assert self.store.used == 0
        assert int(self.dut.idle.value) == 1
        assert self.host.write_bytes == self._bytes
        assert self.host.memory == self.expected


def random_chain(size: int, beyond: bool) -> tuple[list[tuple[int, int]], list[Reply], int]:
    """Segments that do not overlap, ascending replies with gaps, and how many overruns they make."""
    slots = random.sample(range(size // 1024), random.choice((0, 1, 2, 3, 6)))
    segments = []
    for slot in slots:
        length = random.choice((0, 1, 3, 16, random.randint(1, 500), random.randint(1, 1020)))
        segments.append((slot * 1024 + random.randrange(1024 - length), length))
    total = sum(length for _address, length in segments)
    replies, at, overruns = [], 0, 0
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        at += random.choice((0, 0, 1, random.randint(0, 700)))
        length = random.choice((1, random.randint(0, 40), random.randint(0, 900)))
        if not beyond:
            length = max(0, min(length, total - at))
        if length:
            overruns += at + length > total
        replies.append(Reply(at, random.randbytes(length)))
        at += length
    if not replies or random.random() < 0.4:
        replies.append(Reply(random.choice((0, at)), b""))
    replies[-1].done = True
    replies[-1].written = random.getrandbits(32)
    return segments, replies, overruns


async def run_random(bench: Bench, count: int, beyond: bool) -> None:
    await bench.start()
    overruns = 0
    for _ in range(count):
        while bench.store.used > 900:
            await ClockCycles(bench.dut.clk, 50)
        segments, replies, over = random_chain(len(bench.host.memory), beyond)
        overruns += over
        bench.answer(bench.chain(segments), segments, replies)
    await bench.finished()
    assert bench.overruns == overruns


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def scatters_under_stalls(dut):
    await run_random(Bench(dut, 0.3, 128), 150, beyond=False)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def scatters_without_stalls(dut):
    await run_random(Bench(dut, 0, 256), 250, beyond=False)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def never_writes_beyond_the_chain(dut):
    await run_random(Bench(dut, 0.1, 512), 200, beyond=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def cuts_at_aligned_addresses(dut):
    bench = Bench(dut, max_payload=256)
    await bench.start()
    segments = [(PAGE - 3, 1000), (5 * PAGE + 128, 1)]
    replies = [Reply(0, random.randbytes(1001), True, 1001)]
    bench.answer(bench.chain(segments), segments, replies)
    await bench.finished()
    seen = [(h["address"], h["length"], h["first_be"], h["last_be"]) for h in bench.host.writes]
    assert seen == [
        (PAGE - 4, 1, 0b1110, 0),
        (PAGE, 64, 0xF, 0xF),
        (PAGE + 256, 64, 0xF, 0xF),
        (PAGE + 512, 64, 0xF, 0xF),
        (PAGE + 768, 58, 0xF, 0b0001),
        (5 * PAGE + 128, 1, 0b0001, 0),
    ]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_one_write_can_carry_is_not_cut(dut):
    bench = Bench(dut, max_payload=128)
    await bench.start()
    for segments in ([(200, 72)], [(1023, 125)], [(3 * PAGE - 126, 127)], [(4 * PAGE + 127, 128)]):
        reply = Reply(0, random.randbytes(segments[0][1]), True, 1)
        bench.answer(bench.chain(segments), segments, [reply])
    await bench.finished()
    seen = [(h["address"], h["length"]) for h in bench.host.writes]
    page, cut = (3 * PAGE - 128, 32), [(4 * PAGE + 124, 1), (4 * PAGE + 128, 32)]
    assert seen == [(200, 18), (1020, 32), page, (3 * PAGE, 1), *cut]


async def measure_chains(dut, segments: list[tuple[int, int]], length: int) -> None:
    bench = Bench(dut)
    await bench.start()
    for _ in range(60):
        bench.answer(bench.chain(segments), segments, [Reply(0, random.randbytes(length), True, length)])
    while bench.done < 20:
        await RisingEdge(dut.clk)
    begin, before = get_sim_time("ns"), bench.done
    while bench.done < 50:
        await RisingEdge(dut.clk)
    cycles = (get_sim_time("ns") - begin) / 4 / (bench.done - before)
    dut._log.warning("scatter: %.2f cycles a chain of %d bytes", cycles, length)
    assert cycles <= 2.1
    await bench.finished()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_chain_without_bytes_takes_two_cycles(dut):
    await measure_chains(dut, [], 0)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_chain_of_one_beat_takes_two_cycles(dut):
    size = parameters()["width"] // 8
    await measure_chains(dut, [(PAGE, 2 * size)], size)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def completed_waits_for_the_last_write(dut):
    bench = Bench(dut, stalls=0.0)
    bench.host.requests.stalls = iter(lambda: bool(blocked), None)
    blocked = True
    await bench.start()
    segments = [(64, 100)]
    bench.answer(bench.chain(segments), segments, [Reply(0, random.randbytes(100), True, 100)])
    await ClockCycles(dut.clk, 60)
    assert bench.done == 0
    assert int(dut.idle.value) == 0
    blocked = False
    await bench.finished()


async def measure(
    dut, segments: list[tuple[int, int]], lengths: list[int], count: int, max_payload: int
) -> float:
    bench = Bench(dut, max_payload=max_payload, size=1 << 17)
    await bench.start()
    for _ in range(count):
        at, replies = 0, []
        for length in lengths:
            replies.append(Reply(at, random.randbytes(length)))
            at += length
        replies[-1].done = True
        bench.answer(bench.chain(segments), segments, replies)
    while bench.done < 1:
        await RisingEdge(dut.clk)
    begin = get_sim_time("ns")
    await bench.finished()
    cycles = (get_sim_time("ns") - begin) / 4 - 10
    return sum(lengths) * (count - 1) * 8 / bench.width / cycles


async def measure_pages(dut, max_payload: int) -> None:
    rate = await measure(dut, [(PAGE * k, PAGE) for k in range(4)], [4 * PAGE], 6, max_payload)
    dut._log.warning("scatter: %.3f beats a cycle, pages, max_payload %d", rate, max_payload)
    assert rate >= 0.95


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle_with_small_packets(dut):
    await measure_pages(dut, 128)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle_with_large_packets(dut):
    await measure_pages(dut, 512)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def nearly_one_beat_a_cycle_for_block_reads(dut):
    rate = await measure(dut, [(PAGE, PAGE), (3 * PAGE + 64, 1)], [PAGE, 1], 20, 256)
    dut._log.warning("scatter: %.3f beats a cycle, 4096 + 1 bytes", rate)
    assert rate >= 0.9


OTHERS = (
    pytest.param(128, marks=pytest.mark.campaign),
    *(pytest.param(width, marks=pytest.mark.slow) for width in (256, 512)),
)


@pytest.mark.parametrize("width", [64, *OTHERS])
def test_scatter(width):
    run_bench(Scatter(width), "tb.dma.test_scatter", parameters={"width": width})
