"""Resets of the whole device while chains of any length are in flight, on the native engine."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.pci import HEADER, Command
from ringwalker.spec.ring import DESC_F_NEXT
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.testing.raw_driver import FEATURES, STARTED, RawDriver

LATENCY = 300
BOUND = 4 * LATENCY + 2000
"""Cycles that a reset may take, whatever is in flight."""
LATE = {"latency_jitter": 250, "storage_latency": 400}
MEMORY = 4 << 20
SECTORS = 2048
LONGEST = 0xFFFFFFFF
SIZE = SMALL_BLK.queue_size
CHUNK = SMALL_BLK.settings.chunk_sectors * SECTOR_BYTES
OLD, NEW = 0x11, 0xEE


class Bed:
    """The block device, its driver, and the buffers of requests."""

    def __init__(self, port: Any, disk: DiskImage):
        self.port = port
        self.disk = disk
        self.driver = RawDriver(port)
        self.memory = self.driver.memory

    async def start(self) -> None:
        await self.driver.find(SMALL_BLK.queues, SIZE)
        await self.driver.begin()
        self.headers = self.driver.area(16 * 64, 16)
        self.status = self.driver.area(64)
        self.data = self.driver.area(1 << 20, 4096)
        self.tables = self.driver.area(16 * 1024, 16)

    def header(self, place: int, kind: int, sector: int = 0) -> tuple[int, int]:
        at = self.headers + 16 * place
        self.memory[at : at + 16] = kind.to_bytes(8, "little") + sector.to_bytes(8, "little")
        return at, 16

    def offer(self, queue: int, kind: int, length: int, pieces: int = 1, nested: bool = False) -> None:
        """A request for ``length`` bytes, from sector 0 on, in so many pieces of data."""
        header, status = self.header(queue, kind), (self.status + queue, 1)
        step = length // pieces
        data = [(self.data + 3 * n + step * n, step) for n in range(pieces)]
        readable, writable = (
            ([header, *data], [status])
            if kind == BlkRequestType.OUT
            else (
                [header],
                [*data, status],
            )
        )
        count = len(readable) + len(writable) if nested else 0
        self.driver.rings[queue].offer(readable, writable, count, self.tables + 4096 * queue)

    def endless(self, queue: int = 0) -> None:
        """A write request with as many bytes as a descriptor can say."""
        ring = self.driver.rings[queue]
        ring.describe(0, *self.header(queue, BlkRequestType.OUT), DESC_F_NEXT, 1)
        ring.describe(1, self.data, LONGEST - 16, 0, 0)
        ring.publish(0)

    def load(self, turn: int) -> None:
        """Long requests on all queues, in few and in many pieces, direct and indirect."""
        longest = 24 * CHUNK // 8
        self.offer(0, BlkRequestType.OUT, longest, 1 + turn % 3)
        self.offer(1, BlkRequestType.IN, longest, 1 + 11 * (turn % 2))
        self.offer(2, (BlkRequestType.OUT, BlkRequestType.IN)[turn % 2], longest, 24, nested=True)
        self.offer(3, BlkRequestType.IN, longest, 24)

    async def check_good(self) -> None:
        """The device is as new: every queue works."""
        await self.driver.begin()
        pattern = np.random.default_rng(self.port.now()).integers(0, 256, 1024, np.uint8).tobytes()
        for queue in range(SMALL_BLK.queues):
            at = self.data + 4096 * queue
            self.memory[at : at + 1024] = pattern
            sector = SECTORS - 2 * (queue + 1)
            requests = (BlkRequestType.OUT, [(at, 1024)], []), (BlkRequestType.IN, [], [(at + 2048, 1024)])
            for kind, readable, writable in requests:
                header = self.header(queue, kind, sector)
                status = (self.status + queue, 1)
                self.driver.rings[queue].offer([header, *readable], [*writable, status])
                await self.driver.kick(queue)
                assert await self.driver.used(queue, 1) == [1 + sum(length for _, length in writable)]
                assert self.memory[self.status + queue] == 0
            assert bytes(self.memory[at + 2048 : at + 3072]) == pattern


@contextmanager
def opened(latency: int = LATENCY, **host: Any) -> Iterator[Bed]:
    disk = DiskImage.blank(SECTORS)
    with open_engine(
        "native", SMALL_BLK, GuestMemory(MEMORY), disk, host={"latency": latency, **host}
    ) as port:
        yield Bed(port, disk)


def run(body: Callable[[Bed], Coroutine[Any, Any, None]], latency: int = LATENCY, **host: Any) -> None:
    with opened(latency, **host) as bed:

        async def main() -> None:
            await bed.start()
            await body(bed)

        bed.port.run(main())


@pytest.mark.parametrize("latency", [20, 125, 1000])
def test_a_reset_does_not_take_as_long_as_a_guest_claims(latency: int) -> None:
    async def body(bed: Bed) -> None:
        for wait in (0, 100, 700, 3000):
            bed.endless()
            await bed.driver.kick(0)
            await bed.port.sleep(wait + 4 * latency)
            assert await bed.driver.reset() <= 4 * latency + 2000
            assert await bed.driver.stays_silent()
            await bed.check_good()

    run(body, latency)


def test_a_device_that_needs_a_reset_becomes_quiet() -> None:
    """Though a chain of 4 GiB is in flight; and its reset is as quick as any."""

    async def body(bed: Bed) -> None:
        for wait in (0, 500, 4000):
            bed.endless()
            await bed.driver.kick(0)
            await bed.port.sleep(2000)
            bed.driver.rings[1].publish(0x7FFF)
            await bed.driver.kick(1)
            await bed.driver.cycles_until("device_status", STARTED | DeviceStatus.DEVICE_NEEDS_RESET)
            await bed.port.sleep(BOUND)
            assert await bed.driver.stays_silent()
            await bed.port.sleep(wait)
            assert await bed.driver.reset() <= BOUND
            await bed.check_good()

    run(body)


def test_reads_that_fail_do_not_go_on_either() -> None:
    """The buffer ends outside of memory: the first read that fails is the end of it."""

    async def body(bed: Bed) -> None:
        ring = bed.driver.rings[0]
        ring.describe(0, *bed.header(0, BlkRequestType.OUT), DESC_F_NEXT, 1)
        ring.describe(1, MEMORY - 4096, LONGEST - 16, 0, 0)
        ring.publish(0)
        await bed.driver.kick(0)
        await bed.driver.cycles_until("device_status", STARTED | DeviceStatus.DEVICE_NEEDS_RESET)
        await bed.port.sleep(BOUND)
        assert await bed.driver.stays_silent()
        assert await bed.driver.reset() <= BOUND
        await bed.check_good()

    run(body)


def test_without_bus_mastering_nothing_leaves_and_lost_work_needs_a_reset() -> None:
    async def body(bed: Bed) -> None:
        for wait in range(0, 2000, 130):
            bed.load(wait)
            for queue in range(SMALL_BLK.queues):
                await bed.driver.kick(queue)
            await bed.port.sleep(wait)
            await bed.driver.pci.set_command(clear_bits=Command.BUS_MASTER_ENABLE)
            await bed.port.sleep(100)
            assert await bed.driver.stays_silent()
            busy = any(ring.under_way and not list(ring.used()) for ring in bed.driver.rings)
            status = await bed.driver.get("device_status")
            assert bool(status & DeviceStatus.DEVICE_NEEDS_RESET) == busy
            await bed.driver.pci.set_command(Command.BUS_MASTER_ENABLE)
            assert await bed.driver.stays_silent()
            assert await bed.driver.reset() <= BOUND
            await bed.check_good()

    run(body)


async def _sweep(bed: Bed, waits: range) -> None:
    """Reset the device so many cycles after doorbells of long chains, once for each of ``waits``."""
    for turn, wait in enumerate(waits):
        bed.memory[bed.data : bed.data + (1 << 16)] = bytes([NEW]) * (1 << 16)
        bed.disk.array[: 64 * CHUNK] = OLD
        bed.load(turn)
        for queue in range(SMALL_BLK.queues):
            await bed.driver.kick(queue)
        if wait:
            await bed.port.sleep(wait)
        assert await bed.driver.reset() <= BOUND
        after = bytes(bed.memory[bed.data : bed.data + (1 << 16)])
        assert await bed.driver.stays_silent(1500)
        assert bytes(bed.memory[bed.data : bed.data + (1 << 16)]) == after
        await bed.check_good()
        # What was written came whole, chunk by chunk.
        chunks = np.asarray(bed.disk.array[: 64 * CHUNK]).reshape(-1, CHUNK)
        assert (chunks == chunks[:, :1]).all()


@pytest.mark.parametrize(
    ("step", "host"),
    [
        (131, LATE),
        pytest.param(27, {}, marks=pytest.mark.slow),
        pytest.param(1, {}, marks=pytest.mark.campaign),
        pytest.param(1, LATE, marks=pytest.mark.campaign),
    ],
)
def test_a_reset_at_many_moments(step: int, host: dict[str, Any]) -> None:
    run(lambda bed: _sweep(bed, range(0, 4000, step)), **host)


def test_a_function_level_reset_in_traffic() -> None:
    """Nothing leaves after it; configuration space is as after power-up; set up again, all is well."""

    async def body(bed: Bed) -> None:
        driver = bed.driver
        for turn, wait in enumerate(range(0, 3000, 170)):
            bed.load(turn)
            for queue in range(SMALL_BLK.queues):
                await driver.kick(queue)
            await bed.port.sleep(wait)
            await driver.pci.function_level_reset()
            await bed.port.sleep(60)
            assert await driver.stays_silent(200)
            assert await driver.pci.read(HEADER.command) == 0
            assert await driver.pci.read(HEADER.bar4) & ~0xF == 0
            (driver.pci,) = await enumerate_pci(bed.port)
            assert await driver.cycles_until("device_status", 0) <= BOUND
            assert await driver.get("queue_enable") == 0
            await bed.check_good()

    run(body)


def test_a_queue_reset_in_a_lane_with_others_is_quick_and_loses_nothing() -> None:
    """Queue 0 has a chain of 4 GiB. The others are answered, each of their chains, and notified."""

    async def body(bed: Bed) -> None:
        driver, memory = bed.driver, bed.memory
        lost = 0
        for turn, wait in enumerate(range(0, 3000, 210)):
            # The chain of queue 0 stands before the others, between them, or behind.
            before = {queue: len(list(driver.rings[queue].used())) for queue in range(SMALL_BLK.queues)}
            assert not any(before.values())
            order = [1, 2, 3]
            order.insert(turn % 4, 0)
            for queue in order:
                if queue == 0:
                    bed.endless()
                else:
                    for _ in range(3):
                        bed.offer(queue, BlkRequestType.IN, 4 * SECTOR_BYTES)
                await driver.kick(queue)
            await bed.port.sleep(wait)
            cycles = await driver.reset_queue(0)
            assert cycles <= BOUND
            ring = driver.rings[0]
            memory[ring.desc : ring.desc + 64] = bytes(64)
            for queue in (1, 2, 3):
                found = driver.rings[queue].used_idx
                assert len(await driver.used(queue, 3)) == 3, (queue, found)
            lost += cycles > 1000
            await driver.set_queue(0)
            await bed.port.sleep(3000)
            assert await driver.stays_silent()
            assert await driver.get("device_status") == STARTED
            bed.offer(0, BlkRequestType.IN, SECTOR_BYTES)
            await driver.kick(0)
            assert await driver.used(0, 1) == [SECTOR_BYTES + 1]
        assert lost, "no lane was flushed"

    run(body)


@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event index"])
def test_other_queues_are_notified_after_a_queue_reset(event_idx: bool) -> None:
    """As a driver that sleeps until an interrupt comes."""

    async def body(bed: Bed) -> None:
        driver = bed.driver
        await driver.reset()
        driver.interrupts = True
        await driver.pci.enable_msix([driver.interrupt])
        await driver.begin(FEATURES | (1 << Feature.EVENT_IDX) * event_idx)
        for wait in range(0, 2500, 130):
            bed.offer(1, BlkRequestType.IN, 4 * SECTOR_BYTES)
            bed.endless()
            bed.offer(1, BlkRequestType.IN, 4 * SECTOR_BYTES)
            await driver.kick(1)
            await bed.port.sleep(wait)
            await driver.kick(0)
            await driver.reset_queue(0)
            ring, begin = driver.rings[1], bed.port.now()
            while ring.under_way:
                seen = driver.vectors
                for _ in ring.used():
                    ring.set_used_event(ring.used_idx)
                while ring.under_way and driver.vectors == seen:
                    assert bed.port.now() - begin < 20_000, f"the driver still sleeps, {wait}"
                    await bed.port.sleep(20)
            await driver.set_queue(0)

    run(body)
