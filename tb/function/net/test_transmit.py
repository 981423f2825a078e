# amaranth: UnusedElaboratable=no
"""Frames through the network function to the MAC: every length, errors, halts, and how fast."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.function.net.function import NetFunction
from ringwalker.function.net.settings import NetSettings
from ringwalker_sim.testing import parameters, random_stalls, run_bench
from ringwalker_sim.testing.net import HEADER, NetBench, ReceivedFrame

SHORTEST, LONGEST = 14, 400 + 18


def packet(length: int) -> bytes:
    """A header with anything in it, and a frame of so many bytes."""
    return random.randbytes(len(HEADER) + length)


def random_length() -> int:
    beat = parameters()["data_width"] // 8
    return random.choice(
        [SHORTEST, 60, LONGEST, random.randint(SHORTEST, LONGEST), beat * random.randint(2, 6)]
    )


async def random_packets(dut, stall: float, count: int) -> None:
    bench = NetBench(dut, stall)
    await bench.start()
    expected = []
    for _ in range(count):
        content = packet(random_length())
        if random.random() < 0.15:
            content = random.choice(
                [b"", content[:5], content[:12], packet(13), packet(LONGEST + 1), packet(3000)]
            )
        error_at = None
        beats = -(-len(content) // bench.beat_bytes)
        if beats and random.random() < 0.1:
            error_at = random.randrange(beats)
        bench.transmit(content, error_at)
        if SHORTEST <= len(content) - len(HEADER) <= LONGEST:
            expected.append(ReceivedFrame(content[len(HEADER) :], error_at is not None))
    await bench.until(lambda: len(bench.outgoing.answers) == count)
    await bench.settle()
    assert [frame.error for frame in bench.frames] == [frame.error for frame in expected]
    for got, wanted in zip(bench.frames, expected, strict=True):
        assert len(got.content) == len(wanted.content)
        assert got.error or got.content == wanted.content
    assert set(bench.outgoing.answers) == {(b"", 0)}
    bench.check_idle()


@cocotb.test()
async def packets_of_all_lengths_with_stalls(dut):
    await random_packets(dut, 0.3, 150)


@cocotb.test()
async def packets_of_all_lengths_at_full_speed(dut):
    await random_packets(dut, 0.0, 200)


@cocotb.test()
async def a_beat_a_cycle_without_gaps(dut):
    bench = NetBench(dut)
    await bench.start()
    for length, count in ((64, 60), (LONGEST, 12), (60, 40)):
        before = len(bench.outgoing.answers)
        for _ in range(count):
            bench.transmit(packet(length))
        cycles = await bench.until(lambda wanted=before + count: len(bench.outgoing.answers) == wanted)
        beats = -(-(length + len(HEADER)) // bench.beat_bytes)
        dut._log.info("%d frames of %d bytes in %d cycles", count, length, cycles)
        # An answer takes a cycle, so that is the least.
        assert cycles <= count * max(beats, 1) + 20
        if length == 64 and bench.beat_bytes >= 32:
            assert cycles <= 4 * count


@cocotb.test()
async def a_chain_is_finished_when_its_frame_is_out(dut):
    bench = NetBench(dut)
    await bench.start()
    held = [True]
    bench.tx.stalls = iter(lambda: held[0], None)
    await ClockCycles(dut.clk, 2)
    bench.transmit(packet(LONGEST))
    bench.transmit(packet(LONGEST))
    await ClockCycles(dut.clk, 300)
    assert bench.outgoing.answers == []
    held[0] = False
    await bench.until(lambda: len(bench.frames) == 2)
    await bench.settle()
    assert len(bench.outgoing.answers) == 2
    bench.check_idle()


@cocotb.test()
async def a_halt_ends_though_the_medium_takes_nothing(dut):
    bench = NetBench(dut)
    await bench.start()
    held = [False]
    bench.tx.stalls = iter(lambda: held[0], None)
    for round_ in range(12):
        held[0] = False
        bench.frames.clear()
        bench.outgoing.answers.clear()
        sent = [packet(random_length()) for _ in range(10)]
        for content in sent:
            bench.transmit(content)
        await ClockCycles(dut.clk, random.randint(0, 150))
        held[0] = True
        await ClockCycles(dut.clk, random.randint(0, 60))
        bench.outgoing.halt.value = 1
        await bench.until(lambda: len(bench.outgoing.answers) == 10, 2000)
        await ClockCycles(dut.clk, 2)
        bench.check_idle()
        bench.outgoing.halt.value = 0
        later = packet(100)
        bench.transmit(later)
        await ClockCycles(dut.clk, random.randint(0, 10))
        held[0] = False
        await bench.until(lambda: len(bench.outgoing.answers) == 11)
        await bench.settle()
        bodies = [content[len(HEADER) :] for content in sent]
        whole = [frame.content for frame in bench.frames if not frame.error]
        assert whole.pop() == later[len(HEADER) :]
        # Some frames went out, in order; at most one was cut, and that one has an error at its end.
        assert whole == bodies[: len(whole)], f"round {round_}"
        assert sum(frame.error for frame in bench.frames) <= 1


@cocotb.test()
async def a_halt_lets_frames_out_that_do_not_wait(dut):
    bench = NetBench(dut)
    await bench.start()
    sent = [packet(random_length()) for _ in range(20)]
    for content in sent:
        bench.transmit(content)
    await ClockCycles(dut.clk, 20)
    bench.outgoing.halt.value = 1
    await bench.until(lambda: len(bench.outgoing.answers) == 20)
    await bench.settle()
    assert bench.frames == [(content[len(HEADER) :], False) for content in sent]


@cocotb.test()
async def active_shows_beats_on_the_mac_port(dut):
    bench = NetBench(dut)
    await bench.start()
    bench.tx.stalls = random_stalls(0.5)
    for _ in range(5):
        bench.transmit(packet(100))
    seen = 0
    for _ in range(400):
        await RisingEdge(dut.clk)
        moves = int(dut.mac_tx_valid.value) & int(dut.mac_tx_ready.value)
        assert int(dut.active.value) == moves
        seen += moves
    assert seen == 5 * -(-100 // bench.beat_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("data_width", [256, 64, pytest.param(128, marks=pytest.mark.campaign), 512])
def test_net_transmit(data_width):
    net = NetSettings(mtu=400, buffer_bytes=2048, pause=data_width in (64, 512))
    config = DeviceConfig(function="net", data_width=data_width, settings=net)
    run_bench(NetFunction(config), "tb.function.net.test_transmit", parameters={"data_width": data_width})
