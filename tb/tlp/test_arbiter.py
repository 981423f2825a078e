# amaranth: UnusedElaboratable=no
"""TlpArbiter: whole packets in turn, stamped with the requester ID."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.tlp.arbiter import TlpArbiter
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import packet_beats

INPUTS = 4


def packet(source: StreamSource, number: int, serial: int, width: int, longest: int) -> list[dict[str, int]]:
    data = random.randbytes(random.randint(0, longest * width // 32) * 4)
    header = {"header_address": number << 32 | serial << 2, "header_tag": serial & 0xFF}
    beats = [beat | header for beat in packet_beats(data, width, dwords=True)]
    for beat in beats:
        source.queue(beat)
    return beats


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def packets_stay_whole_and_in_order(dut):
    width = parameters()["width"]
    sources = [StreamSource(dut, f"i{k}", random_stalls(0.4)) for k in range(INPUTS)]
    sink = StreamSink(dut, "o", random_stalls(0.3))
    dut.requester_id.value = 0
    await start(dut)

    async def renumber():
        while True:
            await ClockCycles(dut.clk, random.randint(1, 9))
            dut.requester_id.value = random.getrandbits(16)

    cocotb.start_soon(renumber())
    sent = [[packet(sources[k], k, n, width, 6) for n in range(150)] for k in range(INPUTS)]
    places = [0] * INPUTS
    for _ in range(150 * INPUTS):
        beats = await sink.receive_packet()
        source = beats[0]["header_address"] >> 32
        wanted = sent[source][places[source]]
        places[source] += 1
        assert len(beats) == len(wanted)
        for got, beat in zip(beats, wanted, strict=True):
            assert all(got[key] == value for key, value in beat.items())
        # The ID is the same in all beats, though it changes all the time.
        assert len({beat["header_requester_id"] for beat in beats}) == 1
    await ClockCycles(dut.clk, 2)
    assert int(dut.idle.value) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def turns_are_fair_and_without_gaps(dut):
    width = parameters()["width"]
    sources = [StreamSource(dut, f"i{k}") for k in range(INPUTS)]
    sink = StreamSink(dut, "o")
    dut.requester_id.value = 0x1234
    await start(dut)
    for n in range(50):
        for k in range(INPUTS):
            packet(sources[k], k, n, width, 1)
    await sink.receive()
    await ClockCycles(dut.clk, 100)
    turns = [beat["header_address"] >> 32 for beat in sink.received]
    assert len(turns) >= 98
    assert turns[:80] == [turns[k % INPUTS] for k in range(80)]
    assert set(turns[:INPUTS]) == set(range(INPUTS))
    assert all(beat["header_requester_id"] == 0x1234 for beat in sink.received)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_idle_input_costs_nothing(dut):
    width = parameters()["width"]
    sources = [StreamSource(dut, f"i{k}") for k in range(INPUTS)]
    sink = StreamSink(dut, "o")
    dut.requester_id.value = 0
    await start(dut)
    for n in range(50):
        packet(sources[2], 2, n, width, 1)
    await RisingEdge(dut.clk)
    await ClockCycles(dut.clk, 54)
    assert len(sink.received) == 50


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_comes_out_of_nothing_takes_a_cycle_or_two(dut):
    width = parameters()["width"]
    sources = [StreamSource(dut, f"i{k}") for k in range(INPUTS)]
    sink = StreamSink(dut, "o")
    dut.requester_id.value = 0
    await start(dut)
    for k in (0, 2, 0, 3, 1, 0):
        await ClockCycles(dut.clk, 5)
        packet(sources[k], k, 0, width, 1)
        cycles = 0
        while not int(getattr(dut, f"i{k}_valid").value):
            await RisingEdge(dut.clk)
        while not int(dut.o_valid.value):
            await RisingEdge(dut.clk)
            cycles += 1
        assert cycles == (1 if k == 0 else 2), k
        await sink.receive()


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_arbiter(width):
    run_bench(TlpArbiter(width, INPUTS), "tb.tlp.test_arbiter", parameters={"width": width})


def test_no_inputs_are_refused():
    with pytest.raises(ValueError, match="inputs"):
        TlpArbiter(64, 0)
