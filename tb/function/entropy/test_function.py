"""The entropy function between a driver's chains and a source of noise."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from ringwalker.config import DeviceConfig
from ringwalker.function.entropy.function import PACKET_BYTES, EntropyFunction
from ringwalker_sim.testing import StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.chains import ChainInitiator


class Bench:
    """The function, and ``noise``: all bytes that its source was given, in order."""

    def __init__(self, dut, stall: float = 0.0, slow: float = 0.0):
        self.dut = dut
        self.beat_bytes = parameters()["data_width"] // 8
        self.chain = ChainInitiator(dut, "chain", lambda: random_stalls(stall))
        self.source = StreamSource(dut, "noise", random_stalls(slow))
        self.noise = b""

    def feed(self, beats: int) -> None:
        for _ in range(beats):
            piece = random.randbytes(self.beat_bytes)
            self.noise += piece
            self.source.queue({"payload": int.from_bytes(piece, "little")})

    def take(self, length: int) -> bytes:
        """The noise that a chain of ``length`` bytes gets: whole beats for each packet."""
        content = b""
        while len(content) < length:
            piece = min(PACKET_BYTES, length - len(content))
            content += self.noise[:piece]
            self.noise = self.noise[-(-piece // self.beat_bytes) * self.beat_bytes :]
        return content


@cocotb.test()
async def a_chain_is_filled_with_noise(dut):
    bench = Bench(dut)
    await start(dut)
    bench.feed(64)
    bench.chain.submit(writable=64)
    answer = await bench.chain.answer()
    assert answer.content == bench.take(64)
    assert answer.written == 64


@cocotb.test()
async def a_chain_without_room_is_answered_with_nothing(dut):
    bench = Bench(dut)
    await start(dut)
    bench.chain.submit(writable=0)
    assert await bench.chain.answer() == (b"", 0, 1)


@cocotb.test()
async def readable_bytes_are_dropped(dut):
    bench = Bench(dut)
    await start(dut)
    bench.feed(32)
    bench.chain.submit(b"not for you" * 10, writable=9)
    assert (await bench.chain.answer()).content == bench.take(9)
    bench.chain.submit(b"x", writable=1)
    assert (await bench.chain.answer()).content == bench.take(1)


@cocotb.test()
async def a_packet_waits_until_all_of_it_is_there(dut):
    bench = Bench(dut)
    await start(dut)
    bench.feed(PACKET_BYTES // bench.beat_bytes - 1)
    bench.chain.submit(writable=PACKET_BYTES)
    await ClockCycles(dut.clk, 50)
    assert not int(dut.chain_replies_valid.value)
    assert not bench.chain.idle
    bench.feed(1)
    answer = await bench.chain.answer()
    assert answer.content == bench.take(PACKET_BYTES)


@cocotb.test()
async def a_halt_ends_a_chain_that_would_have_to_wait(dut):
    bench = Bench(dut)
    await start(dut)
    bench.feed(PACKET_BYTES // bench.beat_bytes)
    bench.chain.submit(writable=3 * PACKET_BYTES)
    await ClockCycles(dut.clk, 60)
    assert not bench.chain.idle
    bench.chain.halt(True)
    answer = await bench.chain.answer()
    assert answer.content == bench.take(PACKET_BYTES)
    assert answer.written == PACKET_BYTES
    await ClockCycles(dut.clk, 3)
    assert bench.chain.idle
    bench.chain.halt(False)
    bench.feed(1)
    bench.chain.submit(writable=3)
    assert (await bench.chain.answer()).content == bench.take(3)


@cocotb.test()
async def chains_of_all_lengths_get_all_noise_in_order(dut):
    bench = Bench(dut, stall=0.3, slow=0.3)
    await start(dut)
    bench.feed(1200)
    lengths = [0, 1, bench.beat_bytes, PACKET_BYTES - 1, PACKET_BYTES, PACKET_BYTES + 1, 2 * PACKET_BYTES]
    lengths += [random.choice([random.randrange(40), random.randrange(500)]) for _ in range(25)]
    for length in lengths:
        bench.chain.submit(random.randbytes(random.choice([0, 0, 0, 20])), writable=length)
    for length in lengths:
        answer = await bench.chain.answer()
        assert answer.content == bench.take(length)
        assert answer.written == length


@pytest.mark.parametrize("data_width", [64, pytest.param(512, marks=pytest.mark.slow)])
def test_entropy(data_width):
    run_bench(
        EntropyFunction(DeviceConfig(data_width=data_width)),
        "tb.function.entropy.test_function",
        parameters={"data_width": data_width},
    )
