"""HalfBuffer: items in order, one every two cycles."""

import random
from itertools import pairwise

import cocotb
from cocotb.triggers import RisingEdge

from ringwalker.buffers import HalfBuffer
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def items_stay_in_order_under_stalls(dut):
    source = StreamSource(dut, "i", random_stalls(0.3))
    sink = StreamSink(dut, "o", random_stalls(0.3))
    await start(dut)
    items = [random.getrandbits(16) for _ in range(200)]
    for item in items:
        source.queue({"payload": item})
    assert [(await sink.receive())["payload"] for _ in items] == items
    await RisingEdge(dut.clk)
    assert int(dut.idle.value) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_item_passes_every_two_cycles(dut):
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    await start(dut)
    for item in range(10):
        source.queue({"payload": item})
    taken, given = [], []
    for cycle in range(40):
        await RisingEdge(dut.clk)
        for log, name in ((taken, "i"), (given, "o")):
            if int(getattr(dut, f"{name}_valid").value) and int(getattr(dut, f"{name}_ready").value):
                log.append(cycle)
    assert len(sink.received) == 10
    assert {after - before for before, after in pairwise(taken)} == {2}
    assert [after - before for before, after in zip(taken, given, strict=True)] == [1] * 10


def test_half_buffer():
    run_bench(HalfBuffer(16), "tb.test_buffers")
