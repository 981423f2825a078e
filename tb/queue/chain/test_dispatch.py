"""ChainDispatch: three copies of one stream that run apart."""

import random

import cocotb
from cocotb.triggers import ClockCycles

from ringwalker.queue.chain.dispatch import ChainDispatch
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import until

OUTPUTS = ("gather", "scatter", "function")


def random_chain(source):
    return {key: random.getrandbits(len(handle)) for key, handle in source.fields.items()}


@cocotb.test(timeout_time=100, timeout_unit="us")
async def every_output_gets_every_chain(dut):
    source = StreamSource(dut, "chains", random_stalls(0.2))
    sinks = [StreamSink(dut, name, random_stalls(0.5)) for name in OUTPUTS]
    await start(dut)
    sent = [random_chain(source) for _ in range(500)]
    for chain in sent:
        source.queue(chain)
    for chain in sent:
        for sink in sinks:
            assert await sink.receive() == {key: chain[key] for key in sink.fields}
    await until(dut, lambda: bool(int(dut.idle.value)))


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_slow_output_holds_the_others_only_when_its_buffer_is_full(dut):
    depth = parameters()["depth"]
    source = StreamSource(dut, "chains")
    quick = [StreamSink(dut, name) for name in OUTPUTS[:2]]
    dut.function_ready.value = 0
    await start(dut)
    for _ in range(depth + 3):
        source.queue(random_chain(source))
    await ClockCycles(dut.clk, depth + 10)
    assert [len(sink.received) for sink in quick] == [depth, depth]
    assert source.pending == 3
    assert not int(dut.idle.value)
    dut.function_ready.value = 1
    await source.drained()
    await until(dut, lambda: bool(int(dut.idle.value)))
    assert len(quick[0].received) == depth + 3


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_chain_passes_in_one_cycle(dut):
    source = StreamSource(dut, "chains")
    sinks = [StreamSink(dut, name) for name in OUTPUTS]
    await start(dut)
    for _ in range(200):
        source.queue(random_chain(source))
    await until(dut, lambda: bool(int(dut.chains_valid.value)))
    assert await until(dut, lambda: bool(int(dut.scatter_valid.value))) == 1
    assert await until(dut, lambda: len(sinks[2].received) == 200) <= 201


def test_chain_dispatch():
    run_bench(ChainDispatch(4), "tb.queue.chain.test_dispatch", parameters={"depth": 4})
