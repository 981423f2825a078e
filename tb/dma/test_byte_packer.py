"""BytePacker: irregular beats become dense packets."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from ringwalker.dma.byte_packer import BytePacker
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import bytes_of


def irregular(data: bytes, error: bool, size: int, lengths=None) -> list[dict[str, int]]:
    """``data`` cut into beats of random size and start."""
    beats = []
    at = 0
    while at < len(data):
        begin = random.choice((0, random.randrange(4)))
        count = min(random.choice((size, random.randint(1, size))), size - begin, len(data) - at)
        raw = bytearray(random.randbytes(size))
        raw[begin : begin + count] = data[at : at + count]
        beats.append(
            {
                "data": int.from_bytes(raw, "little"),
                "start": begin,
                "count": count,
                "last": int(at + count == len(data)),
                "error": 0,
            }
        )
        at += count
    if error:
        random.choice(beats)["error"] = 1
    return beats


def error_flags(beats: list[dict[str, int]], size: int) -> list[int]:
    """For each dense beat of ``size`` bytes, whether an error came no later than its last byte."""
    total = sum(beat["count"] for beat in beats)
    bad_from = total
    for beat in reversed(beats):
        if beat["error"]:
            bad_from = sum(earlier["count"] for earlier in beats[: beats.index(beat)])
    return [int(min(end, total) > bad_from) for end in range(size, total + size, size)]


async def run(dut, stalls: float, count: int) -> None:
    width = parameters()["width"]
    size = width // 8
    source = StreamSource(dut, "i", random_stalls(stalls) if stalls else None)
    sink = StreamSink(dut, "o", random_stalls(stalls) if stalls else None)
    await start(dut)
    packets = []
    for _ in range(count):
        length = random.choice((1, size - 1, size, size + 1, 2 * size, random.randint(1, 8 * size)))
        data = random.randbytes(length)
        packets.append((data, irregular(data, random.random() < 0.3, size)))
    for _data, sent in packets:
        for beat in sent:
            source.queue(beat)
    for data, sent in packets:
        beats = await sink.receive_packet()
        assert bytes_of(beats, width) == data
        assert [beat["count"] for beat in beats[:-1]] == [size] * (len(beats) - 1)
        assert [beat["error"] for beat in beats] == error_flags(sent, size)
    await ClockCycles(dut.clk, 3)
    assert int(dut.idle.value) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def packs_under_stalls(dut):
    await run(dut, 0.35, 500)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def packs_without_stalls(dut):
    await run(dut, 0, 500)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle(dut):
    width = parameters()["width"]
    size = width // 8
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    await start(dut)
    data = random.randbytes(5 + 200 * size)
    beats = [data[:5], *(data[5 + k * size : 5 + (k + 1) * size] for k in range(200))]
    for k, part in enumerate(beats):
        source.queue({"data": int.from_bytes(part, "little"), "count": len(part), "last": int(k == 200)})
    first = await sink.receive()
    cycles = get_sim_time("ns")
    got = [first, *(await sink.receive_packet())]
    cycles = (get_sim_time("ns") - cycles) / 4
    assert bytes_of(got, width) == data
    assert cycles == 200


@pytest.mark.parametrize("width", [64, 256])
def test_pack(width):
    run_bench(BytePacker(width), "tb.dma.test_byte_packer", parameters={"width": width})


@pytest.mark.slow
@pytest.mark.parametrize("width", [pytest.param(128, marks=pytest.mark.campaign), 512])
def test_pack_other_widths(width):
    run_bench(BytePacker(width), "tb.dma.test_byte_packer", parameters={"width": width})
