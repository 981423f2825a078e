"""The block function forgets its chains at any moment; only what storage took comes to its end."""

from collections import deque
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.function import BlkFunction
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.streams import StorageOp
from ringwalker_sim.testing.dma import packet_beats
from ringwalker_sim.testing.inprocess import Bench, simulated

WIDTH = 512
CHUNK = 2
BEATS = SECTOR_BYTES * 8 // WIDTH
CAPACITY = 64


class Blk(Bench):
    """The function between a walker that resets and a storage, whose sectors are a byte each, all alike.

    ``commands`` are those that storage took; of writes it keeps the bytes in ``sectors``.
    """

    @classmethod
    def component(cls) -> BlkFunction:
        settings = BlkSettings(capacity=CAPACITY, chunk_sectors=CHUNK)
        return BlkFunction(DeviceConfig(data_width=WIDTH, settings=settings))

    def __init__(self) -> None:
        super().__init__()
        self.drive("capacity", CAPACITY)
        self.sectors = [0] * CAPACITY
        self.commands: list[Any] = []
        self.answers: list[Any] = []
        self._queue: deque[Any] = deque()
        self._data: list[Any] = []
        self.on("storage.commands", self._command)
        self.on("storage.write_data", self._data_beat)
        self.each_cycle(self._work)
        self.on("chain.replies", self._reply)

    def _command(self, command: Any) -> None:
        self.commands.append(command)
        self._queue.append(command)

    def _work(self) -> None:
        """Carry out the oldest command: a write when its data is there."""
        if not self._queue:
            return
        first, count = self._queue[0]["sector"], self._queue[0]["sectors"]
        op = self._queue[0]["op"]
        if op == StorageOp.WRITE.value and len(self._data) < count * BEATS:
            return
        self._queue.popleft()
        for sector in range(first, first + count):
            if op == StorageOp.READ.value:
                data = int.from_bytes(bytes([self.sectors[sector]]) * (WIDTH // 8), "little")
                beats = [{"data": data, "last": 0} for _ in range(BEATS)]
                beats[-1]["last"] = int(sector == first + count - 1)
                self.put("storage.read_data", *beats)
            else:
                piece, self._data = self._data[:BEATS], self._data[BEATS:]
                lasts = [0] * (BEATS - 1) + [int(sector == first + count - 1)]
                assert [beat["last"] for beat in piece] == lasts
                found = {beat["data"] & 0xFF for beat in piece}
                assert len(found) == 1, "data of two requests in one sector"
                self.sectors[sector] = found.pop()
        self.put("storage.results", 0)

    def _data_beat(self, beat: Any) -> None:
        self._data.append(beat)

    def _reply(self, beat: Any) -> None:
        self.answers.append(beat)

    def offer(self, kind: int, sector: int, count: int, byte: int = 0) -> None:
        """Offer a request for sectors, all bytes of which are alike."""
        content = kind.to_bytes(8, "little") + sector.to_bytes(8, "little")
        writable = 1
        if kind == BlkRequestType.OUT:
            content += bytes([byte]) * (count * SECTOR_BYTES)
        if kind == BlkRequestType.IN:
            writable += count * SECTOR_BYTES
        self.put("chain.chains", {"readable": len(content), "writable": writable})
        self.put("chain.readable", *(dict(beat) for beat in packet_beats(content, WIDTH)))

    async def forget(self) -> None:
        """The walker forgets everything in flight."""
        self.drive("chain.forget", 1)
        await self.cycles()
        self.drive("chain.forget", 0)
        self.begin_anew("chain.chains", "chain.readable", "chain.replies")
        self.answers.clear()

    async def answered(self, count: int) -> None:
        await self.until(lambda: sum(beat["done"] for beat in self.answers) >= count, "the answers", 5000)

    async def check_new(self) -> None:
        """New requests are carried out, and nothing else."""
        await self.cycles(2)
        assert self.value("chain.idle")
        byte = self.random.randrange(1, 256)
        self.offer(BlkRequestType.OUT, CAPACITY - 5, 5, byte)
        self.offer(BlkRequestType.IN, CAPACITY - 5, 5)
        self.offer(BlkRequestType.FLUSH, 0, 0)
        await self.answered(3)
        await self.cycles(20)
        assert [beat["written"] for beat in self.answers if beat["done"]] == [1, 5 * SECTOR_BYTES + 1, 1]
        read = [beat["data"] & 0xFF for beat in self.answers if not beat["done"]]
        assert read == [byte] * (5 * BEATS)
        assert self.value("chain.idle")
        assert not self._queue
        assert not self._data
        assert not self.pending("storage.results")
        assert not self.pending("storage.read_data")


@simulated(Blk)
async def test_nothing_in_flight(bench: Blk) -> None:
    await bench.forget()
    await bench.check_new()


@simulated(Blk)
async def test_no_command_after_it_but_the_one_that_was_offered(bench: Blk) -> None:
    bench.stall("storage.commands")
    bench.offer(BlkRequestType.IN, 0, 8)
    await bench.cycles(40)
    assert bench.value("storage.commands.valid")
    await bench.forget()
    await bench.cycles(20)
    assert bench.value("chain.idle")
    bench.stall("storage.commands", probability=0)
    await bench.cycles(60)
    assert len(bench.commands) == 1
    await bench.check_new()


@simulated(Blk)
async def test_a_write_that_was_offered_gets_its_data(bench: Blk) -> None:
    bench.stall("storage.commands")
    bench.offer(BlkRequestType.OUT, 4, 8, 7)
    await bench.cycles(100)
    assert bench.value("storage.commands.valid")
    await bench.forget()
    await bench.cycles(50)
    bench.stall("storage.commands", probability=0)
    await bench.cycles(60)
    assert bench.sectors[4:12] == [7] * CHUNK + [0] * (8 - CHUNK)
    await bench.check_new()


@simulated(Blk)
async def test_results_that_come_later_are_of_no_new_request(bench: Blk) -> None:
    bench.stall("storage.results", "storage.read_data")
    bench.offer(BlkRequestType.IN, 0, 8)
    await bench.until(lambda: len(bench.commands) == 4)
    await bench.forget()
    bench.offer(BlkRequestType.FLUSH, 0, 0)
    await bench.cycles(200)
    assert not bench.answers
    assert len(bench.commands) == 4
    bench.stall("storage.results", "storage.read_data", probability=0)
    await bench.answered(1)
    bench.answers.clear()
    await bench.check_new()


@simulated(Blk)
async def test_a_request_that_waits_for_old_ones_can_be_forgotten_too(bench: Blk) -> None:
    bench.stall("storage.results")
    bench.offer(BlkRequestType.FLUSH, 0, 0)
    await bench.until(lambda: len(bench.commands) == 1)
    await bench.forget()
    bench.offer(BlkRequestType.FLUSH, 0, 0)
    bench.offer(BlkRequestType.OUT, 0, 2, 1)
    await bench.cycles(100)
    await bench.forget()
    bench.stall("storage.results", probability=0)
    await bench.cycles(50)
    assert len(bench.commands) == 1
    assert not any(bench.sectors)
    await bench.check_new()


@pytest.mark.parametrize("seed", range(2))
def test_forgetting_at_any_moment(seed: int) -> None:
    async def body(bench: Blk) -> None:
        bench.random.seed(seed)
        for number in range(15):
            for name in ("commands", "write_data", "read_data", "results"):
                bench.stall(f"storage.{name}", probability=bench.random.choice([0, 0.5, 0.95]))
            bench.stall("chain.readable", "chain.replies", probability=bench.random.choice([0, 0.5]))
            before, byte = list(bench.sectors), number + 1
            for _ in range(bench.random.randrange(1, 5)):
                kind = bench.random.choice([BlkRequestType.IN, BlkRequestType.OUT, BlkRequestType.FLUSH])
                bench.offer(kind, bench.random.randrange(40), bench.random.randrange(1, 9), byte)
            await bench.cycles(bench.random.randrange(150))
            await bench.forget()
            known = len(bench.commands) + int(bench.value("storage.commands.valid"))
            if bench.random.random() < 0.3:
                bench.offer(BlkRequestType.OUT, 0, 2, byte)
                await bench.cycles(bench.random.randrange(30))
                await bench.forget()
            bench.stall(probability=0)
            await bench.check_new()
            del bench.commands[:known]
            assert [c["op"] for c in bench.commands[-8:]][-1] == StorageOp.FLUSH.value
            for old, new in zip(before[: CAPACITY - 5], bench.sectors, strict=False):
                assert new in (old, byte)
            bench.commands.clear()
            bench.answers.clear()

    Blk().run(body)
