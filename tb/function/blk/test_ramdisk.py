# amaranth: UnusedElaboratable=no
"""The RAM disk against plain bytes: random commands, some of them beyond its end."""

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.function.blk.ramdisk import RamDisk
from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.streams import StorageOp
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start

SECTORS = 40
IMAGE = random.Random(7).randbytes(3 * SECTOR_BYTES + 5)


class Bench:
    """The initiator of the storage port, and the bytes that the disk should hold."""

    def __init__(self, dut, stall: float):
        self.dut = dut
        self.beat_bytes = parameters()["data_width"] // 8
        self.data = bytearray(IMAGE.ljust(SECTORS * SECTOR_BYTES, b"\0"))
        self.commands = StreamSource(dut, "storage_commands", random_stalls(stall))
        self.write_data = StreamSource(dut, "storage_write_data", random_stalls(stall))
        self.read_data = StreamSink(dut, "storage_read_data", random_stalls(stall))
        self.results = StreamSink(dut, "storage_results", random_stalls(stall))
        self.expected: list[tuple[bytes, int]] = []

    def submit(self, op: StorageOp, sector: int = 0, sectors: int = 0) -> None:
        self.commands.queue({"op": op.value, "sector": sector, "sectors": sectors})
        bad = op is not StorageOp.FLUSH and sector + sectors > SECTORS
        start_at, length = sector * SECTOR_BYTES, sectors * SECTOR_BYTES
        answer = b""
        if op is StorageOp.READ:
            answer = bytes(length) if bad else bytes(self.data[start_at : start_at + length])
        elif op is StorageOp.WRITE:
            content = random.randbytes(length)
            if not bad:
                self.data[start_at : start_at + length] = content
            for at in range(0, length, self.beat_bytes):
                value = int.from_bytes(content[at : at + self.beat_bytes], "little")
                self.write_data.queue({"data": value, "last": at + self.beat_bytes == length})
        self.expected.append((answer, int(bad)))

    async def check(self) -> None:
        for answer, result in self.expected:
            content = b""
            while len(content) < len(answer):
                beat = await self.read_data.receive()
                content += beat["data"].to_bytes(self.beat_bytes, "little")
                assert beat["last"] == (len(content) == len(answer))
            assert content == answer
            assert (await self.results.receive())["payload"] == result
        self.expected.clear()


@cocotb.test()
async def random_commands(dut):
    for stall in (0.3, 0.0):
        bench = Bench(dut, stall)
        await start(dut, check=stall > 0)
        bench.submit(StorageOp.READ, 0, SECTORS)
        for _ in range(150):
            sectors = random.choice([0, 1, 1, 2, 8, 9])
            sector = random.choice([random.randrange(SECTORS - sectors), random.randrange(SECTORS + 4)])
            if random.random() < 0.03:
                sector = random.choice([2**64 - 1, 2**63, 2**64 - sectors]) % 2**64
            bench.submit(random.choice(list(StorageOp)), sector, sectors)
        await bench.check()
        # Back to the image for the second round: what was written stays over a reset.
        if stall:
            write_back = bench.data[:]
            for at in range(0, SECTORS, 8):
                bench.submit(StorageOp.READ, at, 8)
            await bench.check()
            assert bytes(write_back) == bytes(bench.data)
            break


@cocotb.test()
async def a_beat_a_cycle(dut):
    bench = Bench(dut, 0.0)
    await start(dut)
    beats = SECTORS * SECTOR_BYTES // bench.beat_bytes
    for op in (StorageOp.WRITE, StorageOp.READ):
        bench.submit(op, 0, SECTORS)
        cycles, done = 0, cocotb.start_soon(bench.check())
        while not done.done():
            await RisingEdge(dut.clk)
            cycles += 1
        assert cycles < beats + 12


@pytest.mark.parametrize("data_width", [64, pytest.param(512, marks=pytest.mark.slow)])
def test_ramdisk(data_width):
    run_bench(
        RamDisk(data_width, SECTORS, IMAGE),
        "tb.function.blk.test_ramdisk",
        parameters={"data_width": data_width},
    )


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="sectors must be at least 1, not 0"):
        RamDisk(64, 0)
    with pytest.raises(ValueError, match="image has 513 bytes; 1 sectors hold 512"):
        RamDisk(64, 1, bytes(513))
