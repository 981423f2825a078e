# amaranth: UnusedElaboratable=no
"""The posted path: mux, packet buffer and gate."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.component import Component
from ringwalker.dma.posted import PacketBuffer, PostedGate, PostedMux
from ringwalker.spec.tlp import RequestKind
from ringwalker.streams import request_beat, stream_of
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.dma import packet_beats

INPUTS = 3
DEPTH = 32


class PostedBench(Component):
    """The three in a row: ``i0`` to ``i2`` into the mux, the buffer and the gate.

    ``entered`` and ``left`` are transfers into and out of the buffer, ``offers`` is valid at its output.
    """

    def __init__(self, width: int):
        self.width = width
        beat = request_beat(width)
        super().__init__(
            {
                **{f"i{k}": In(stream_of(beat)) for k in range(INPUTS)},
                "o": Out(stream_of(beat)),
                "abort": In(1),
                "idle": Out(1),
                "entered": Out(1),
                "entered_last": Out(1),
                "left": Out(1),
                "left_last": Out(1),
                "offers": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.mux = mux = PostedMux(self.width, INPUTS)
        m.submodules.buffer = buffer = PacketBuffer(self.width, DEPTH)
        m.submodules.gate = gate = PostedGate(self.width)
        for k in range(INPUTS):
            wiring.connect(m, wiring.flipped(getattr(self, f"i{k}")), getattr(mux, f"i{k}"))
        wiring.connect(m, mux.o, buffer.i)
        wiring.connect(m, buffer.o, gate.i)
        wiring.connect(m, gate.o, wiring.flipped(self.o))
        m.d.comb += [
            gate.abort.eq(self.abort),
            self.idle.eq(mux.idle & buffer.idle & gate.idle),
            self.entered.eq(buffer.i.valid & buffer.i.ready),
            self.entered_last.eq(buffer.i.p.last),
            self.left.eq(buffer.o.valid & buffer.o.ready),
            self.left_last.eq(buffer.o.p.last),
            self.offers.eq(buffer.o.valid),
        ]
        return m


class Bench:
    def __init__(self, dut: Any, stalls: float = 0.0):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.width = parameters()["width"]
        self.sources = [StreamSource(dut, f"i{k}", stalling()) for k in range(INPUTS)]
        self.sink = StreamSink(dut, "o", stalling())
        dut.abort.value = 0

    def packet(self, source: int, serial: int, longest: int = 16, read: bool = False) -> list[dict[str, int]]:
        """A request whose address says where it comes from."""
        header = {
            "header_kind": (RequestKind.MEMORY_READ if read else RequestKind.MEMORY_WRITE).value,
            "header_address": source << 32 | serial << 2,
        }
        data = b"" if read else random.randbytes(random.randint(1, longest * self.width // 32) * 4)
        beats = [beat | header for beat in packet_beats(data, self.width, dwords=True)]
        for beat in beats:
            self.sources[source].queue(beat)
        return beats


def same(got: dict[str, int], sent: dict[str, int]) -> bool:
    return all(got[key] == value for key, value in sent.items())


async def check_order(bench: Bench, sent: list[list[list[dict[str, int]]]]) -> list[int]:
    """Take all packets: whole, and those of each source in order. Gives the sources in turn."""
    turns = []
    places = [0] * INPUTS
    for _ in range(sum(len(packets) for packets in sent)):
        beats = await bench.sink.receive_packet()
        source = beats[0]["header_address"] >> 32
        wanted = sent[source][places[source]]
        assert len(beats) == len(wanted)
        assert all(map(same, beats, wanted))
        places[source] += 1
        turns.append(source)
    return turns


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def packets_stay_whole_and_in_order(dut):
    bench = Bench(dut, 0.3)
    await start(dut)
    sent = [[bench.packet(k, n, read=random.random() < 0.2) for n in range(120)] for k in range(INPUTS)]
    await check_order(bench, sent)
    await ClockCycles(dut.clk, 3)
    assert int(dut.idle.value) == 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def turns_are_fair(dut):
    bench = Bench(dut)
    await start(dut)
    sent = [[bench.packet(k, n, longest=4) for n in range(40)] for k in range(INPUTS)]
    turns = await check_order(bench, sent)
    assert turns[:90] == [turns[k % INPUTS] for k in range(90)]
    assert set(turns[:INPUTS]) == set(range(INPUTS))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def whole_packets_only(dut):
    bench = Bench(dut, 0.4)
    bench.sink.stalls = None
    await start(dut)
    for n in range(60):
        bench.packet(0, n)
    complete = left = 0
    inside = False
    while left < 60:
        await RisingEdge(dut.clk)
        assert complete > left or not int(dut.offers.value), "a beat came out before its packet was in"
        assert int(dut.offers.value) or not inside, "a gap within a packet"
        if int(dut.left.value):
            inside = not int(dut.left_last.value)
            left += int(dut.left_last.value)
        complete += int(dut.entered.value) & int(dut.entered_last.value)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_beat_a_cycle(dut):
    bench = Bench(dut)
    await start(dut)
    header = {"header_kind": RequestKind.MEMORY_WRITE.value}
    size = bench.width // 8
    for _ in range(40):
        for beat in packet_beats(bytes(16 * size), bench.width, dwords=True):
            bench.sources[0].queue(beat | header)
    await bench.sink.receive()
    cycles = 0
    count = 1
    while count < 40 * 16:
        await RisingEdge(dut.clk)
        cycles += 1
        count += len(bench.sink.received)
        bench.sink.received.clear()
    dut._log.warning("posted path: %d beats in %d cycles", count - 1, cycles)
    assert cycles <= 40 * 16 + 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def abort_swallows_whole_writes_only(dut):
    bench = Bench(dut, 0.3)
    await start(dut)
    sent = [[bench.packet(k, n, read=n % 4 == 3) for n in range(150)] for k in range(INPUTS)]

    async def toggle():
        for k in range(40):
            await ClockCycles(dut.clk, random.randint(20, 60))
            dut.abort.value = (k + 1) % 2

    task = cocotb.start_soon(toggle())
    await task
    await ClockCycles(dut.clk, 8000)
    assert int(dut.idle.value) == 1
    places = [0] * INPUTS
    reads = writes = 0
    beats = list(bench.sink.received)
    while beats:
        source = beats[0]["header_address"] >> 32
        serial = (beats[0]["header_address"] & 0xFFFFFFFF) >> 2
        wanted = sent[source][serial]
        assert serial >= places[source]
        assert all(sent[source][n][0]["header_kind"] for n in range(places[source], serial)), "a read is lost"
        places[source] = serial + 1
        assert all(map(same, beats[: len(wanted)], wanted))
        reads += wanted[0]["header_kind"] == RequestKind.MEMORY_READ.value
        writes += wanted[0]["header_kind"] == RequestKind.MEMORY_WRITE.value
        beats = beats[len(wanted) :]
    assert reads == sum(packets[n][0]["header_kind"] == 0 for packets in sent for n in range(150))
    assert 20 < writes < 330


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_posted(width):
    run_bench(PostedBench(width), "tb.dma.test_posted", parameters={"width": width})


def test_wrong_depth_is_named():
    with pytest.raises(ValueError, match="depth_beats"):
        PacketBuffer(64, 24)
