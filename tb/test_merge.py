# amaranth: UnusedElaboratable=no
"""StreamMerge: which input goes first, what stays, and that nothing is lost."""

from itertools import pairwise

import cocotb
import pytest
from cocotb.triggers import ReadOnly, RisingEdge

from ringwalker.merge import StreamMerge
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start

INPUTS = 3
NONE = -1
MODULE = "tb.test_merge"


async def _offer(dut, valid, ready):
    """Offer items (the payload is the number of the input) for a cycle; gives which is at ``o``, or NONE."""
    for number in range(INPUTS):
        getattr(dut, f"i{number}_valid").value = int(number in valid)
    dut.o_ready.value = int(ready)
    await ReadOnly()
    taken = [n for n in range(INPUTS) if int(getattr(dut, f"i{n}_ready").value) and n in valid]
    offered = int(dut.chosen.value) if int(dut.o_valid.value) else NONE
    assert taken == ([offered] if ready and offered != NONE else [])
    await RisingEdge(dut.clk)
    return offered


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_lowest_input_goes_first_in_the_same_cycle(dut):
    await start(dut)
    if not parameters()["turns"]:
        for valid in ((), (0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2)):
            assert await _offer(dut, valid, ready=True) == min(valid, default=NONE)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_item_that_was_offered_stays(dut):
    await start(dut)
    assert await _offer(dut, (2,), ready=False) == 2
    assert await _offer(dut, (0, 1, 2), ready=False) == 2
    assert await _offer(dut, (0, 1, 2), ready=True) == 2
    left = {0, 1}
    while left:
        left.remove(await _offer(dut, tuple(left), ready=True))
    await _offer(dut, (), ready=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def turns_pass_on_with_every_item(dut):
    await start(dut)
    if parameters()["turns"]:
        seen = [await _offer(dut, (0, 1, 2), ready=True) for _ in range(6)]
        assert [b - a for a, b in pairwise(seen)] in ([1, 1, -2, 1, 1], [1, -2, 1, 1, -2], [-2, 1, 1, -2, 1])
        left = {0, 1, 2} - {seen[-1]}
        while left:
            last = await _offer(dut, tuple(left), ready=True)
            left.remove(last)
        for _ in range(4):
            assert await _offer(dut, (), ready=True) == NONE
        assert await _offer(dut, (0, 1, 2), ready=True) == (last + 1) % INPUTS


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def all_items_come_out_each_input_in_order(dut):
    sources = [StreamSource(dut, f"i{n}", random_stalls(0.5)) for n in range(INPUTS)]
    sink = StreamSink(dut, "o", random_stalls(0.3))
    await start(dut)
    sent = [[n << 12 | k for k in range(200)] for n in range(INPUTS)]
    for source, items in zip(sources, sent, strict=True):
        for item in items:
            source.queue({"payload": item})
    got = [(await sink.receive())["payload"] for _ in range(200 * INPUTS)]
    for n, items in enumerate(sent):
        assert [item for item in got if item >> 12 == n] == items


@pytest.mark.parametrize("turns", [False, True])
def test_stream_merge(turns):
    run_bench(StreamMerge(16, INPUTS, turns=turns), MODULE, parameters={"turns": turns})


def test_stream_merge_refuses_no_inputs():
    with pytest.raises(ValueError, match="inputs is 0"):
        StreamMerge(16, 0)
