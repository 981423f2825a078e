# amaranth: UnusedElaboratable=no
"""CompletionRouter: completions go by tag."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.tlp.completion_router import CompletionRouter
from ringwalker.tlp.tags import TagRange, allocate_tags
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import packet_beats

RANGES = allocate_tags([4, 64, 16])


async def run(dut, stalls: float) -> None:
    width = parameters()["width"]
    source = StreamSource(dut, "i", random_stalls(stalls) if stalls else None)
    sinks = [StreamSink(dut, f"o{k}") for k in range(len(RANGES))]
    await start(dut)
    wanted = [[] for _ in RANGES]
    strangers = beats = pulses = 0
    for _ in range(600):
        tag = random.randrange(256)
        packet = packet_beats(random.randbytes(4 * random.randint(0, 40)), width, dwords=True)
        owner = next(
            (k for k, tags in enumerate(RANGES) if tag in [tags.tag(j) for j in range(tags.slots)]), None
        )
        for beat in packet:
            beat["header_tag"] = tag
            source.queue(beat)
            beats += 1
            if owner is not None:
                wanted[owner].append(beat)
        strangers += owner is None
    for _ in range(int(beats * 2.5) + 20):
        await RisingEdge(dut.clk)
        pulses += int(dut.unexpected.value)
        assert int(dut.i_ready.value) == 1
        if not stalls and not source.pending:
            break
    await ClockCycles(dut.clk, 4)
    assert not source.pending
    assert strangers > 0
    assert pulses == strangers
    for sink, beats_wanted in zip(sinks, wanted, strict=True):
        assert len(sink.received) == len(beats_wanted)
        for got, beat in zip(sink.received, beats_wanted, strict=True):
            assert all(got[key] == value for key, value in beat.items())


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def routes_by_tag(dut):
    await run(dut, 0.3)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def routes_a_beat_a_cycle(dut):
    await run(dut, 0)


@pytest.mark.parametrize("width", [64])
def test_router(width):
    run_bench(CompletionRouter(width, RANGES), "tb.tlp.test_completion_router", parameters={"width": width})


def test_overlapping_ranges_are_refused():
    with pytest.raises(ValueError, match="overlap"):
        CompletionRouter(64, [TagRange(0, 4), TagRange(3, 4)])
    with pytest.raises(ValueError, match="ranges"):
        CompletionRouter(64, [])
