"""Realign: pieces of a dense stream, each moved to its offset in a dword."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from ringwalker.dma.realign import Realign
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import packet_beats


def random_packet(size: int) -> tuple[bytes, list[tuple[int, int, bool]]]:
    """A packet, and placements (offset, length, final) of it that may leave some of it over."""
    data = random.randbytes(random.choice((0, 1, size, random.randint(1, 10 * size))))
    placements, at = [], 0
    while at < len(data) and random.random() < 0.9:
        length = min(random.choice((0, 1, size, random.randint(1, 4 * size))), len(data) - at)
        placements.append((random.randrange(4), length, False))
        at += length
    if placements and random.random() < 0.8:
        placements[-1] = (*placements[-1][:2], True)
    else:
        placements.append((random.randrange(4), 0, True))
    return data, placements


async def check(sink: StreamSink, width: int, offset: int, data: bytes) -> None:
    beats = await sink.receive_packet()
    size = width // 8
    total = offset + len(data)
    assert len(beats) == -(-total // size)
    got = b"".join(beat["data"].to_bytes(size, "little") for beat in beats)
    assert got[offset:total] == data
    dwords = [size // 4] * (len(beats) - 1) + [-(-(total - (len(beats) - 1) * size) // 4)]
    assert [beat["dwords"] for beat in beats] == [(1 << count) - 1 for count in dwords]


async def run(dut, stalls: float, count: int) -> None:
    width = parameters()["width"]
    source = StreamSource(dut, "i", random_stalls(stalls) if stalls else None)
    placements = StreamSource(dut, "placements", random_stalls(stalls) if stalls else None)
    sink = StreamSink(dut, "o", random_stalls(stalls) if stalls else None)
    await start(dut)
    packets = [random_packet(width // 8) for _ in range(count)]
    for data, parts in packets:
        for beat in packet_beats(data, width):
            source.queue(beat)
        for offset, length, final in parts:
            placements.queue({"offset": offset, "length": length, "final": int(final)})
    for data, parts in packets:
        at = 0
        for offset, length, _final in parts:
            if length:
                await check(sink, width, offset, data[at : at + length])
            at += length
    await ClockCycles(dut.clk, 30)
    assert not sink.received
    assert int(dut.idle.value) == 1
    assert not source.pending


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def placements_under_stalls(dut):
    await run(dut, 0.35, 400)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def placements_without_stalls(dut):
    await run(dut, 0, 400)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle(dut):
    width = parameters()["width"]
    size = width // 8
    source, placements, sink = StreamSource(dut, "i"), StreamSource(dut, "placements"), StreamSink(dut, "o")
    await start(dut)
    data = random.randbytes(64 * size)
    for beat in packet_beats(data, width):
        source.queue(beat)
    parts = [(1, 8 * size - 1)] + [(0, 8 * size)] * 7 + [(0, 1)]
    for k, (offset, length) in enumerate(parts):
        placements.queue({"offset": offset, "length": length, "final": int(k == 8)})
    await sink.receive()
    begin = get_sim_time("ns")
    for _ in range(64):
        await sink.receive()
    assert (get_sim_time("ns") - begin) / 4 == 64


@pytest.mark.parametrize("width", [64, 256])
def test_realign(width):
    run_bench(Realign(width), "tb.dma.test_realign", parameters={"width": width})


@pytest.mark.slow
@pytest.mark.parametrize("width", [pytest.param(128, marks=pytest.mark.campaign), 512])
def test_realign_other_widths(width):
    run_bench(Realign(width), "tb.dma.test_realign", parameters={"width": width})
