# amaranth: UnusedElaboratable=no
"""The block function against a model of a disk: every request type, random stalls, errors from everywhere."""

import random
from collections import deque
from dataclasses import dataclass

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.device_config import blk_features
from ringwalker.function.blk.function import BlkFunction
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.spec.blk import BLK_CONFIG, ID_BYTES, SECTOR_BYTES, BlkFeature, BlkRequestType, BlkStatus
from ringwalker.spec.modern import DEVICE_BASE, FACE_BAR
from ringwalker.streams import StorageOp
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.storage import FAILED_READ_BYTE, StorageModel

SECTORS = 2048
HEADER_BYTES = 16
QUEUE_SIZE = 256
QUEUES = 4
SERIAL = "RW-0123456789abcdef!"


@dataclass
class Request:
    """A chain as the walker hands it over; ``error_at`` is the beat from which on ``error`` is up."""

    readable: bytes
    writable: int
    error_at: int | None = None


@dataclass
class Answer:
    """What must come back: the bytes written, by offset, and the used length."""

    data: bytes
    status: int | None
    written: int


class DiskModel:
    """Executes requests one after the other, with the chunks of the function."""

    def __init__(self, data: bytes, chunk_sectors: int, beat_bytes: int, bad_sectors: set[int]):
        self.data = bytearray(data)
        self.chunk = chunk_sectors
        self.beat_bytes = beat_bytes
        self.bad = bad_sectors
        self.read_only = False

    def fails(self, op: StorageOp, sector: int, sectors: int) -> bool:
        return op is not StorageOp.FLUSH and any(s in self.bad for s in range(sector, sector + sectors))

    def _chunks(self, sector: int, length: int):
        end = sector + length // SECTOR_BYTES
        for at in range(sector, end, self.chunk):
            yield at, min(self.chunk, end - at)

    def execute(self, request: Request) -> Answer:
        failed = request.error_at is not None
        nothing = Answer(b"", None, 0)
        if len(request.readable) < HEADER_BYTES or request.writable < 1:
            return nothing
        kind = int.from_bytes(request.readable[:4], "little")
        sector = int.from_bytes(request.readable[8:16], "little")
        payload = request.readable[HEADER_BYTES:]
        room = request.writable - 1
        length = len(payload) if kind == BlkRequestType.OUT else room
        fits = length % SECTOR_BYTES == 0 and sector + length // SECTOR_BYTES <= SECTORS
        data, status = b"", int(BlkStatus.OK)
        if kind in (BlkRequestType.IN, BlkRequestType.OUT) and not fits:
            status = int(BlkStatus.IOERR)
        elif kind == BlkRequestType.IN:
            if failed:
                return nothing
            for at, count in self._chunks(sector, length):
                if self.fails(StorageOp.READ, at, count):
                    status = int(BlkStatus.IOERR)
                    data += bytes([FAILED_READ_BYTE]) * (count * SECTOR_BYTES)
                else:
                    data += self.data[at * SECTOR_BYTES : (at + count) * SECTOR_BYTES]
        elif kind == BlkRequestType.OUT and self.read_only:
            status = int(BlkStatus.IOERR)
        elif kind == BlkRequestType.OUT:
            good = len(payload)
            if request.error_at is not None:
                # A beat of data is complete with the beat of the packet that holds its last byte.
                good = request.error_at * self.beat_bytes - HEADER_BYTES
            for at, count in self._chunks(sector, length):
                end = (at + count - sector) * SECTOR_BYTES
                if end > good:
                    break
                if self.fails(StorageOp.WRITE, at, count):
                    status = int(BlkStatus.IOERR)
                else:
                    piece = payload[end - count * SECTOR_BYTES : end]
                    self.data[at * SECTOR_BYTES : (at + count) * SECTOR_BYTES] = piece
        elif kind == BlkRequestType.GET_ID:
            data = SERIAL.encode().ljust(ID_BYTES, b"\0")[:room]
        elif kind != BlkRequestType.FLUSH:
            status = int(BlkStatus.UNSUPP)
        if failed:
            return nothing
        return Answer(data, status, room + 1 if len(data) == room else len(data))


def header(kind: int, sector: int = 0) -> bytes:
    return kind.to_bytes(4, "little") + random.randbytes(4) + sector.to_bytes(8, "little")


def random_request(beat_bytes: int) -> Request:
    """Any chain that a driver, friendly or not, can make; lengths up to a few chunks."""
    chunk = parameters()["chunk_sectors"]
    sectors = random.choice([0, 1, 1, 2, 3, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1, 3 * chunk])
    sector = random.randrange(SECTORS - sectors)
    if random.random() < 0.1:
        sector = random.choice(
            [SECTORS - sectors, SECTORS - sectors + 1, SECTORS, 2**64 - 1, 2**64 - sectors]
        )
        sector %= 2**64
    length = sectors * SECTOR_BYTES
    if random.random() < 0.05:
        length += random.choice([1, 4, 256, 511])
    writable = 1 if random.random() < 0.9 else random.choice([0, 2, 17, 100, 513])
    kind = random.choices(
        [0, 1, 4, 8, 10, 11, 13, 0x80000001, 0x100000000 - 1], [40, 40, 6, 8, 1, 1, 1, 1, 1]
    )[0]
    if kind == BlkRequestType.IN:
        extra = random.choice([0, 0, 0, 0, 1, 16, 100, 600])
        request = Request(header(kind, sector) + random.randbytes(extra), length + 1)
    elif kind == BlkRequestType.OUT:
        request = Request(header(kind, sector) + random.randbytes(length), writable)
    elif kind == BlkRequestType.GET_ID:
        request = Request(header(kind), random.choice([1, 2, 9, 16, 17, 20, 21, 22, 100]))
    else:
        request = Request(header(kind, sector), writable)
    if random.random() < 0.04:
        request.readable = request.readable[: random.choice([0, 1, 7, 8, 9, 15])]
    beats = -(-len(request.readable) // beat_bytes)
    if beats and random.random() < 0.08:
        request.error_at = random.choice([beats - 1, random.randrange(beats)])
    return request


class Bench:
    """Both ends of the function, and the packets that came back."""

    def __init__(self, dut, *, stall: float = 0.0, bad_sectors: set[int] | None = None, latency=None):
        settings = parameters()
        self.dut = dut
        self.beat_bytes = settings["data_width"] // 8

        def stalls():
            return random_stalls(random.choice([stall / 2, stall, min(0.9, 2 * stall)]))

        disk = random.randbytes(SECTORS * SECTOR_BYTES)
        self.model = DiskModel(disk, settings["chunk_sectors"], self.beat_bytes, bad_sectors or set())
        self.chains = StreamSource(dut, "chain_chains", stalls())
        self.readable = StreamSource(dut, "chain_readable", stalls())
        self.replies = StreamSink(dut, "chain_replies", stalls())
        self.storage = StorageModel(
            dut, bytearray(disk), latency=latency, fails=self.model.fails, stalls=stalls
        )
        self.requests = StreamSource(dut, "registers_requests", stalls())
        self.responses = StreamSink(dut, "registers_responses", stalls())
        self.malformed = 0
        self.expected: deque[tuple[Request, Answer]] = deque()
        dut.capacity.value = SECTORS
        dut.read_only.value = 0
        dut.chain_halt.value = 0

    async def start(self) -> None:
        await start(self.dut)
        cocotb.start_soon(self._count_malformed())

    async def _count_malformed(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.malformed += int(self.dut.malformed.value)

    def submit(self, request: Request) -> None:
        self.expected.append((request, self.model.execute(request)))
        self.chains.queue(
            {"queue": random.randrange(4), "readable": len(request.readable), "writable": request.writable}
        )
        size = self.beat_bytes
        pieces = [request.readable[at : at + size] for at in range(0, len(request.readable), size)]
        for number, piece in enumerate(pieces):
            self.readable.queue(
                {
                    "data": int.from_bytes(piece, "little"),
                    "count": len(piece),
                    "first": number == 0,
                    "last": number == len(pieces) - 1,
                    "error": request.error_at is not None and number >= request.error_at,
                }
            )

    async def packet(self) -> tuple[dict[str, int], bytes]:
        """One reply packet; its framing is checked."""
        beats = await self.replies.receive_packet()
        first = beats[0]
        content = b""
        for beat in beats:
            for key in ("offset", "length", "written", "done"):
                assert beat[key] == first[key], f"{key} changes within a packet"
            assert beat["last"] or beat["count"] == self.beat_bytes
            content += beat["data"].to_bytes(self.beat_bytes, "little")[: beat["count"]]
        assert len(content) == first["length"]
        return first, content

    async def check_next(self) -> None:
        """Take the answer of the oldest request and compare."""
        request, answer = self.expected.popleft()
        buffer, end, packets = {}, 0, 0
        while True:
            first, content = await self.packet()
            packets += 1
            assert first["offset"] >= end or first["length"] == 0
            end = first["offset"] + first["length"]
            assert end <= request.writable
            buffer |= {first["offset"] + n: byte for n, byte in enumerate(content)}
            if first["done"]:
                break
        wanted = dict(enumerate(answer.data))
        if answer.status is not None:
            wanted[request.writable - 1] = answer.status
        what = (request.readable[:16].hex(), len(request.readable), request.writable, request.error_at)
        assert buffer.get(request.writable - 1) == wanted.get(request.writable - 1), what
        assert buffer == wanted, what
        assert first["written"] == answer.written, what
        assert packets == (2 if answer.data else 1)

    async def check_all(self) -> None:
        while self.expected:
            await self.check_next()

    async def quiet(self) -> None:
        """Everything is answered: storage is at rest, nothing is left over, and ``idle`` says so."""
        await ClockCycles(self.dut.clk, 20)
        assert self.storage.idle
        assert not self.replies.received
        assert int(self.dut.chain_idle.value) == 1
        assert self.storage.data == self.model.data


async def run_random(dut, count: int, stall: float, latency=None) -> Bench:
    bad = set(random.sample(range(SECTORS), 60))
    bench = Bench(dut, stall=stall, bad_sectors=bad, latency=latency)
    await bench.start()
    requests = [random_request(bench.beat_bytes) for _ in range(count)]
    for request in requests:
        bench.submit(request)
    await bench.check_all()
    await bench.quiet()
    short = sum(len(r.readable) < HEADER_BYTES or r.writable < 1 for r in requests)
    assert bench.malformed == short > 0
    assert any(entry.failed for entry in bench.storage.log)
    return bench


@cocotb.test()
async def random_requests_with_stalls(dut):
    await run_random(dut, 400, 0.3, lambda: random.choice([0, 0, 5, 60]))


@cocotb.test()
async def random_requests_at_full_speed(dut):
    bench = await run_random(dut, 300, 0.0)
    assert any(entry.op is StorageOp.FLUSH for entry in bench.storage.log)


@cocotb.test()
async def idle_is_low_while_a_chain_is_held(dut):
    bench = Bench(dut, latency=lambda: 50)
    await bench.start()
    assert int(dut.chain_idle.value) == 1
    bench.submit(Request(header(BlkRequestType.IN, 3), 513))
    await ClockCycles(dut.clk, 40)
    assert int(dut.chain_idle.value) == 0
    await bench.check_all()
    await bench.quiet()


@cocotb.test()
async def write_reaches_storage_only_when_a_chunk_is_whole(dut):
    bench = Bench(dut)
    await bench.start()
    chunk = parameters()["chunk_sectors"]
    request = Request(header(BlkRequestType.OUT, 8) + random.randbytes(3 * chunk * SECTOR_BYTES), 1)
    beats = len(request.readable) // bench.beat_bytes
    stalled = [False]
    bench.readable.stalls = iter(lambda: stalled[0], None)
    bench.submit(request)
    chunk_beats = chunk * SECTOR_BYTES // bench.beat_bytes
    while bench.readable.pending > beats - (chunk_beats - 4):
        await RisingEdge(dut.clk)
    stalled[0] = True
    await ClockCycles(dut.clk, 200)
    assert not bench.storage.log
    stalled[0] = False
    while bench.readable.pending > beats - (chunk_beats + 4):
        await RisingEdge(dut.clk)
    stalled[0] = True
    await ClockCycles(dut.clk, 400)
    assert len(bench.storage.log) == 1
    stalled[0] = False
    await bench.check_all()
    await bench.quiet()


@cocotb.test()
async def long_transfers_move_a_beat_a_cycle(dut):
    bench = Bench(dut)
    await bench.start()
    length = 64 * 1024
    beats = length // bench.beat_bytes
    for request in (
        Request(header(BlkRequestType.IN, 100), length + 1),
        Request(header(BlkRequestType.OUT, 700) + random.randbytes(length), 1),
    ):
        bench.submit(request)
        cycles, done = 0, cocotb.start_soon(bench.check_next())
        while not done.done():
            await RisingEdge(dut.clk)
            cycles += 1
        dut._log.info("%d beats in %d cycles", beats, cycles)
        chunk_beats = parameters()["chunk_sectors"] * SECTOR_BYTES // bench.beat_bytes
        assert cycles < beats + 2 * chunk_beats + 60
    await bench.quiet()


@cocotb.test()
async def requests_overlap_in_storage(dut):
    bench = Bench(dut, latency=lambda: 300)
    await bench.start()
    for number in range(16):
        bench.submit(Request(header(BlkRequestType.IN, 8 * number), 4097))
    await bench.check_all()
    await bench.quiet()
    assert bench.storage.most_waiting >= 8


async def read_config(bench: Bench, offset: int, size: int) -> int:
    value = 0
    for at in range(offset & ~3, offset + size, 4):
        bench.requests.queue({"bar": FACE_BAR, "offset": DEVICE_BASE + at, "strobe": 0xF})
        value |= (await bench.responses.receive())["data"] << (8 * (at - (offset & ~3)))
    return (value >> (8 * (offset % 4))) % (1 << (8 * size))


@cocotb.test()
async def configuration_shows_what_is_offered(dut):
    bench = Bench(dut, stall=0.3)
    await bench.start()
    bench.requests.queue({"offset": DEVICE_BASE, "write": 1, "strobe": 0xF, "data": 0x55})
    wanted = {"capacity": SECTORS, "seg_max": QUEUE_SIZE - 2, "blk_size": 4096, "num_queues": QUEUES}
    for register in BLK_CONFIG:
        got = await read_config(bench, register.offset, register.size)
        assert got == wanted.get(register.name, 0), register.name
    assert await read_config(bench, 0xFFC, 4) == 0
    assert int(dut.generation.value) == 0


@cocotb.test()
async def a_new_capacity_bumps_the_generation_once(dut):
    bench = Bench(dut)
    await bench.start()
    await ClockCycles(dut.clk, 4)
    pulses = 0
    for number, capacity in enumerate([2**40 + 5, 2**40 + 6, 8], 1):
        dut.capacity.value = capacity
        for _ in range(10):
            await RisingEdge(dut.clk)
            pulses += int(dut.config_change.value)
        assert pulses == number == int(dut.generation.value)
        assert await read_config(bench, 0, 8) == capacity
    bench.submit(Request(header(BlkRequestType.IN, 8), 513))
    bench.expected.pop()
    first, content = await bench.packet()
    assert (content, first["offset"], first["written"]) == (bytes([BlkStatus.IOERR]), 512, 0)


@cocotb.test()
async def a_read_only_disk_says_so_and_takes_no_writes(dut):
    bench = Bench(dut, stall=0.2)
    await bench.start()
    await ClockCycles(dut.clk, 4)
    assert int(dut.withheld.value) == 1 << BlkFeature.RO
    dut.read_only.value = 1
    await ClockCycles(dut.clk, 4)
    assert int(dut.withheld.value) == 0
    bench.model.read_only = True
    kinds = []
    for _ in range(100):
        request = random_request(bench.beat_bytes)
        kinds.append(request.readable[0] if request.readable else None)
        bench.submit(request)
    assert kinds.count(BlkRequestType.OUT) > 10
    await bench.check_all()
    assert {entry.op for entry in bench.storage.log} == {StorageOp.READ, StorageOp.FLUSH}
    await bench.quiet()


def config(data_width: int, chunk_sectors: int) -> DeviceConfig:
    blk = BlkSettings(capacity=64, block_size=4096, serial=SERIAL, chunk_sectors=chunk_sectors)
    return DeviceConfig(data_width=data_width, queues=QUEUES, queue_size=QUEUE_SIZE, settings=blk)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("data_width", "chunk_sectors"),
    [
        (64, 2),
        pytest.param(128, 8, marks=pytest.mark.campaign),
        *(pytest.param(*pair, marks=SLOW) for pair in ((256, 8), (512, 1))),
    ],
)
def test_blk(data_width, chunk_sectors):
    run_bench(
        BlkFunction(config(data_width, chunk_sectors)),
        "tb.function.blk.test_function",
        parameters={"data_width": data_width, "chunk_sectors": chunk_sectors},
    )


def test_features_follow_the_configuration():
    always = 1 << BlkFeature.RO | 1 << BlkFeature.SEG_MAX | 1 << BlkFeature.BLK_SIZE | 1 << BlkFeature.FLUSH
    assert blk_features(DeviceConfig(queues=1)) == always
    assert blk_features(DeviceConfig(queues=2)) == always | 1 << BlkFeature.MQ
