"""RunReader: runs of any length and alignment become dense packets of bytes."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from ringwalker.dma.run_reader import RunReader
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import DmaReadModel

BAD = 0x8000
"""Reads from here on fail."""


class Bench:
    """The reader at 64 bits over 48 KiB of memory."""

    def __init__(self, dut: Any, stalls: float = 0.0, limit: int = 128):
        def stalling():
            return random_stalls(stalls) if stalls else None

        self.dut = dut
        self.memory = bytearray(random.randbytes(0xC000))
        self.read = DmaReadModel(
            dut,
            "read",
            self.memory,
            64,
            latency=(1, 12) if stalls else (1, 1),
            stalls=stalling(),
            data_stalls=stalling(),
            fails=lambda address: address >= BAD,
        )
        self.runs = StreamSource(dut, "runs", stalling())
        self.packets = StreamSink(dut, "o", stalling())
        dut.limit.value = limit

    def put(self, address: int, length: int, last: int = 1) -> None:
        self.runs.queue({"address": address, "length": length, "last": last})

    async def packet(self) -> tuple[bytes, list[int]]:
        """The next packet, and ``error`` of each of its beats."""
        beats = await self.packets.receive_packet()
        assert all(beat["count"] == 8 for beat in beats[:-1])
        return (
            b"".join(beat["data"].to_bytes(8, "little")[: beat["count"]] for beat in beats),
            [beat["error"] for beat in beats],
        )


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_run_is_one_read_and_one_packet(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put(0x100, 20)
    assert (await bench.packet())[0] == bench.memory[0x100:0x114]
    assert bench.read.requests == [(0x100, 20)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def bytes_are_dense_whatever_the_alignment(dut):
    bench = Bench(dut)
    await start(dut)
    for address in range(0x101, 0x104):
        bench.put(address, 13)
        assert (await bench.packet())[0] == bench.memory[address : address + 13]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_long_run_is_read_in_pieces_of_the_limit(dut):
    bench = Bench(dut, limit=64)
    await start(dut)
    bench.put(0x1030, 100)
    assert (await bench.packet())[0] == bench.memory[0x1030:0x1094]
    assert bench.read.requests == [(0x1030, 16), (0x1040, 64), (0x1080, 20)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def runs_up_to_the_last_are_one_packet(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put(0x203, 5, last=0)
    bench.put(0x102, 6, last=1)
    assert (await bench.packet())[0] == bench.memory[0x203:0x208] + bench.memory[0x102:0x108]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def an_empty_run_reads_nothing(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put(0x300, 0)
    bench.put(0x300, 4)
    assert (await bench.packet())[0] == bench.memory[0x300:0x304]
    assert bench.read.requests == [(0x300, 4)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def beats_before_a_failed_read_are_good_and_all_after_it_are_not(dut):
    bench = Bench(dut)
    await start(dut)
    bench.put(0x400, 8, last=0)
    bench.put(BAD, 8, last=0)
    bench.put(0x400, 8, last=1)
    bench.put(0x400, 8, last=1)
    assert (await bench.packet())[1] == [0, 1, 1]
    assert (await bench.packet())[1] == [0]


@cocotb.test(timeout_time=500, timeout_unit="us")
async def random_runs_under_stalls(dut):
    bench = Bench(dut, stalls=0.2)
    await start(dut)
    packets = []
    for _ in range(60):
        content, fails = b"", False
        count = random.choice([1, 1, 2, 4])
        for k in range(count):
            place = BAD if random.random() < 0.05 else 0
            address, length = place + random.randrange(0x3000), random.choice([1, 3, 8, 60, 300])
            bench.put(address, length, last=int(k == count - 1))
            content += bench.memory[address : address + length]
            fails = fails or bool(place)
        packets.append((content, fails))
    for content, fails in packets:
        got, errors = await bench.packet()
        assert len(got) == len(content)
        assert errors[-1] == fails
        assert errors == sorted(errors)
        good = 8 * errors.count(0)
        assert got[:good] == content[:good]
    await ClockCycles(dut.clk, 4)
    assert int(dut.idle.value) == 1


def test_run_reader():
    run_bench(RunReader(64, 8), "tb.dma.test_run_reader")
