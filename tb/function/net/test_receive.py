# amaranth: UnusedElaboratable=no
"""Frames from the MAC through the network function: the filter, the buffer, chains of all sizes, resets."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.function.net.function import NetFunction
from ringwalker.function.net.settings import NetSettings
from ringwalker.spec.net import NetClass, NetMacCommand, NetRxMode
from ringwalker_sim.testing import parameters, run_bench
from ringwalker_sim.testing.net import RECEIVED_HEADER, NetBench

SHORTEST, LONGEST = 14, 400 + 18
BUFFER_BYTES = 2048
OWN = bytes([0x52, 0x57, 0, 0, 0, 1])
OTHER = bytes([0x52, 0x57, 0, 0, 0, 2])
GROUP = bytes([0x53, 0x57, 0, 0, 0, 1])
ALL = bytes([0xFF] * 6)


def frame(length: int, to: bytes = OWN) -> bytes:
    return (to + random.randbytes(max(0, length - len(to))))[:length]


def random_frame() -> bytes:
    beat = parameters()["data_width"] // 8
    length = random.choice(
        [SHORTEST, 60, LONGEST, random.randint(SHORTEST, LONGEST), beat * random.randint(2, 6)]
    )
    return frame(length, random.choice([OWN, OWN, OWN, ALL]))


def needed(content: bytes) -> int:
    return len(RECEIVED_HEADER) + len(content)


async def random_frames(dut, stall: float, mac_stall: float, count: int) -> None:
    bench = NetBench(dut, stall, mac_stall)
    await bench.start()
    good, odd = [], 0
    for _ in range(count):
        kind = random.random()
        if kind < 0.7:
            good.append(random_frame())
            bench.arrive(good[-1])
        elif kind < 0.8:
            bench.arrive(random_frame(), error=True)
        elif kind < 0.9:
            bench.arrive(frame(random.choice([40, 300]), random.choice([OTHER, GROUP])))
        else:
            bench.arrive(frame(random.choice([1, 6, 13, LONGEST + 1, LONGEST + 70, 5000])))
    expected = []
    for content in good:
        while random.random() < 0.1:
            bench.offer(random.randint(0, 500), random.randbytes(random.choice([1, 30, 200])))
            expected.append(b"")
            odd += 1
        small = random.random() < 0.1
        bench.offer(random.choice([0, 1, 12, needed(content) - 1]) if small else needed(content) + 9)
        expected.append(b"" if small else content)
    await bench.until(lambda: len(bench.incoming.answers) == len(expected))
    await bench.settle()
    bench.check_idle()
    for answer, content in zip(bench.incoming.answers, expected, strict=True):
        assert answer.content == (RECEIVED_HEADER + content if content else b"")
        assert answer.written == len(answer.content)
    assert bench.missed.count == 0, "chains come fast enough here"
    assert bench.undersized.count == expected.count(b"") - odd


@cocotb.test()
async def frames_meet_chains_with_stalls(dut):
    await random_frames(dut, 0.2, 0.7, 150)


@cocotb.test()
async def frames_meet_chains_at_the_speed_of_the_walker(dut):
    await random_frames(dut, 0.0, 0.5, 200)


@cocotb.test()
async def a_beat_a_cycle_without_gaps(dut):
    bench = NetBench(dut)
    await bench.start()
    for length, count in ((64, 80), (LONGEST, 16)):
        before, begun = len(bench.incoming.answers), bench.beat_bytes
        for _ in range(count):
            bench.offer(1000)
        content = [frame(length) for _ in range(count)]
        pieces = -(-len(RECEIVED_HEADER) // begun) + -(-length // begun)
        for item in content:
            bench.arrive(item)
            await ClockCycles(dut.clk, pieces)
        cycles = await bench.until(lambda wanted=before + count: len(bench.incoming.answers) == wanted)
        cycles += count * pieces
        dut._log.info("%d frames of %d bytes in %d cycles", count, length, cycles)
        # The last frame is passed on only when it is complete.
        assert cycles <= (count + 1) * pieces + 20
        if length == 64 and begun >= 32:
            assert cycles <= 4 * count
        assert [answer.content[12:] for answer in bench.incoming.answers[before:]] == content
    assert bench.missed.count == 0


@cocotb.test()
async def the_filter_follows_address_and_mode(dut):
    bench = NetBench(dut)
    await bench.start()
    promiscuous, groups = NetRxMode.PROMISCUOUS, NetRxMode.ALL_MULTICAST
    near = bytes([*OWN[:5], OWN[5] ^ 0x80])
    nearly_all = bytes([*ALL[:5], 0x7F])
    everyone = [OWN, OTHER, GROUP, ALL, near, nearly_all]
    for mode, address in (
        (0, OWN),
        (groups, OWN),
        (promiscuous, OWN),
        (promiscuous | groups, OWN),
        (0, OTHER),
        (0, near),
    ):
        await bench.registers.set("rx_mode", mode)
        await bench.registers.write(0, int.from_bytes(address[:4], "little"))
        await bench.registers.write(4, int.from_bytes(address[4:], "little"), 0b0011)
        assert await bench.registers.get("mac") & (1 << 48) - 1 == int.from_bytes(address, "little")
        wanted = [
            to
            for to in everyone
            if to in (address, ALL) or mode & promiscuous or (mode & groups and to in (GROUP, nearly_all))
        ]
        before = len(bench.incoming.answers)
        for _ in wanted:
            bench.offer(200)
        for to in everyone:
            bench.arrive(frame(50, to))
        await bench.settle()
        got = [answer.content[12:18] for answer in bench.incoming.answers[before:]]
        assert got == wanted, (mode, address)


@cocotb.test()
async def addresses_of_a_table_pass_until_it_is_empty(dut):
    bench = NetBench(dut)
    await bench.start()
    everyone = [OWN, OTHER, GROUP, ALL]
    for stations, groups, wanted in (
        ([], [GROUP], [OWN, GROUP, ALL]),
        ([OTHER], [], everyone),
        ([], [], [OWN, ALL]),
        ([OTHER, OWN], [GROUP], everyone),
        (None, None, [OWN, ALL]),
    ):
        if stations is None or groups is None:
            dut.clear.value = 1
            await ClockCycles(dut.clk, 1)
            dut.clear.value = 0
        else:
            tables = (len(part).to_bytes(4, "little") + b"".join(part) for part in (stations, groups))
            bench.command(bytes([NetClass.MAC, NetMacCommand.TABLE_SET]) + b"".join(tables))
        await bench.settle()
        before = len(bench.incoming.answers)
        for _ in wanted:
            bench.offer(200)
        for to in everyone:
            bench.arrive(frame(50, to))
        await bench.settle()
        got = [answer.content[12:18] for answer in bench.incoming.answers[before:]]
        assert got == wanted, (stations, groups)


@cocotb.test()
async def frames_without_chains_are_kept_and_then_held_back_or_dropped(dut):
    bench = NetBench(dut)
    await bench.start()
    sent = [frame(300) for _ in range(20)]
    for item in sent:
        bench.arrive(item)
    await ClockCycles(dut.clk, 1500)
    kept = BUFFER_BYTES // 304 - 2
    if parameters()["pause"]:
        assert bench.missed.count == 0
        left = -(-bench.rx.pending * bench.beat_bytes // 300)
        assert 0 < left <= 20 - kept
    else:
        assert bench.rx.pending == 0
        assert 0 < bench.missed.count <= 20 - kept
        sent = sent[: 20 - bench.missed.count]
    bench.check_idle()
    for _ in sent:
        bench.offer(312)
    await bench.until(lambda: len(bench.incoming.answers) == len(sent))
    assert [answer.content[12:] for answer in bench.incoming.answers] == sent


@cocotb.test()
async def chains_wait_outside_for_frames(dut):
    bench = NetBench(dut)
    await bench.start()
    for _ in range(3):
        bench.offer(100)
    await ClockCycles(dut.clk, 100)
    assert bench.incoming.chains.pending == 3
    bench.check_idle()
    bench.arrive(frame(60))
    await bench.until(lambda: len(bench.incoming.answers) == 1)
    assert bench.incoming.chains.pending == 2


@cocotb.test()
async def a_halt_gives_chains_back_and_keeps_frames(dut):
    bench = NetBench(dut, 0.1)
    await bench.start()
    kept = [frame(100) for _ in range(3)]
    for count in (1, 5, 9):
        for _ in range(count):
            bench.offer(200)
        bench.offer(200, bytes(77))
        await ClockCycles(dut.clk, random.randint(0, 40))
        bench.incoming.halt.value = 1
        before = len(bench.incoming.answers)
        await bench.until(lambda: bench.incoming.chains.pending == 0)
        for item in kept[:1]:
            bench.arrive(item)
        await bench.settle()
        bench.check_idle()
        assert len(bench.incoming.answers) == before + count + 1
        assert set(bench.incoming.answers[before:]) == {(b"", 0)}
        bench.incoming.halt.value = 0
        await ClockCycles(dut.clk, 3)
        bench.offer(200)
        await bench.until(lambda wanted=before + count + 2: len(bench.incoming.answers) == wanted)
        assert bench.incoming.answers[-1].content[12:] == kept[0]


@cocotb.test()
async def without_a_driver_frames_are_dropped_and_old_ones_forgotten(dut):
    bench = NetBench(dut)
    await bench.start()
    for round_ in range(10):
        for _ in range(random.randint(0, 3)):
            bench.arrive(frame(random.randint(14, 400)))
        cut = frame(LONGEST)
        bench.arrive(cut)
        await ClockCycles(dut.clk, random.randint(0, 250))
        dut.driver_ok.value = 0
        await RisingEdge(dut.clk)
        if round_ % 2:
            bench.arrive(frame(90))
            await bench.settle()
        dut.driver_ok.value = 1
        await bench.settle()
        # What the medium still had when the driver came back is new; nothing else is left.
        before = len(bench.incoming.answers)
        new = frame(77)
        bench.arrive(new)
        for _ in range(6):
            bench.offer(1000)
        await bench.settle()
        got = [answer.content[12:] for answer in bench.incoming.answers[before:]]
        assert got[-1:] == [new], f"round {round_}"
        assert len(got) == 1 or not round_ % 2
        bench.incoming.halt.value = 1
        await bench.until(lambda: bench.incoming.chains.pending == 0)
        await bench.settle()
        bench.incoming.halt.value = 0
    assert bench.missed.count == 0


@cocotb.test()
async def a_frame_that_comes_while_old_ones_are_flushed_waits_or_is_dropped(dut):
    bench = NetBench(dut)
    await bench.start()
    for _ in range(4):
        bench.arrive(frame(300))
    await bench.until(lambda: bench.rx.pending == 0)
    await bench.settle()
    assert dut.active.value == 0, "they wait for buffers"
    dut.driver_ok.value = 0
    await RisingEdge(dut.clk)
    dut.driver_ok.value = 1
    new = frame(77)
    bench.arrive(new)
    await ClockCycles(dut.clk, 4)
    for _ in range(3 * 300 // bench.beat_bytes):
        assert dut.active.value == 1, "a stopped clock would keep old frames"
        await ClockCycles(dut.clk, 1)
    bench.offer(1000)
    await bench.settle()
    assert dut.active.value == 0
    wanted = [new] if parameters()["pause"] else []
    assert [answer.content[12:] for answer in bench.incoming.answers] == wanted


SLOW, CAMPAIGN = pytest.mark.slow, pytest.mark.campaign
OTHERS = (pytest.param(128, marks=CAMPAIGN), pytest.param(256, marks=SLOW), pytest.param(512, marks=SLOW))


@pytest.mark.parametrize("data_width", [64, *OTHERS])
def test_net_receive(data_width):
    pause = data_width in (64, 512)
    net = NetSettings(mac="52:57:00:00:00:01", mtu=400, buffer_bytes=BUFFER_BYTES, pause=pause)
    config = DeviceConfig(function="net", data_width=data_width, settings=net)
    settings = {"data_width": data_width, "pause": pause}
    run_bench(NetFunction(config), "tb.function.net.test_receive", parameters=settings)
