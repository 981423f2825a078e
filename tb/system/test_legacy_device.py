"""A transitional device under a legacy driver that keeps few rules, on the native engine."""

import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_BAR,
    LEGACY_QUEUE_ALIGN,
    LEGACY_QUEUE_SHIFT,
    legacy_device_offset,
    legacy_driver_offset,
    legacy_queue_bytes,
)
from ringwalker.spec.modern import DeviceStatus, IsrBit
from ringwalker.spec.ring import AVAIL_F_NO_INTERRUPT
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import TRANSITIONAL
from ringwalker_sim.testing.rings import Ring

pytestmark = pytest.mark.slow

CONFIG = TRANSITIONAL["blk"]
SIZE, QUEUES = CONFIG.queue_size, CONFIG.queues
SECTORS = 2048
LONG = 64 * SECTOR_BYTES
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
HOST = {"latency": 300, "latency_jitter": 250, "storage_latency": 400}


class OldDriver:
    """A driver of the header, whose rings stand where a legacy driver has them."""

    def __init__(self, port: Any):
        self.port = port
        self.memory = memoryview(port.memory.array)
        self.top = LEGACY_QUEUE_ALIGN
        self.pages = [self.area(legacy_queue_bytes(SIZE), LEGACY_QUEUE_ALIGN) for _ in range(QUEUES)]
        self.rings = [self._ring(page) for page in self.pages]
        self.buffers = self.area(QUEUES * 2 * LONG, 4096)
        self.headers = self.area(QUEUES * SIZE * 32, 32)
        self._made = 0

    def area(self, length: int, align: int) -> int:
        start = -(-self.top // align) * align
        self.top = start + length
        assert self.top <= len(self.memory)
        return start

    def _ring(self, page: int) -> Ring:
        places = iter((page, page + legacy_driver_offset(SIZE), page + legacy_device_offset(SIZE)))
        memory: Any = self.memory
        return Ring(memory, SIZE, lambda length, align: next(places))

    async def find(self) -> None:
        (self.pci,) = await enumerate_pci(self.port)

    async def get(self, name: str) -> int:
        return await self.pci.bar_read(LEGACY_BAR, LEGACY[name].offset, LEGACY[name].size)

    async def set(self, name: str, value: int) -> None:
        await self.pci.bar_write(LEGACY_BAR, LEGACY[name].offset, LEGACY[name].size, value)

    async def give(self, queue: int) -> None:
        """Give the device the pages of an empty queue."""
        self.rings[queue].reset()
        await self.set("queue_select", queue)
        assert await self.get("queue_size") == SIZE
        await self.set("queue_pfn", self.pages[queue] >> LEGACY_QUEUE_SHIFT)

    async def begin(self, features: int = 1 << Feature.INDIRECT_DESC) -> None:
        await self.set("device_status", 0)
        await self.set("device_status", STARTED)
        await self.set("driver_features", features)
        for queue in range(QUEUES):
            await self.give(queue)
        await self.set("device_status", STARTED | DeviceStatus.DRIVER_OK)

    def read(self, queue: int, sector: int, length: int = SECTOR_BYTES, buffer: int | None = None) -> int:
        """Offer a read of the disk; gives where its data goes."""
        at = self.buffers + 2 * LONG * queue if buffer is None else buffer
        header = self.headers + 32 * (self._made % (QUEUES * SIZE))
        self._made += 1
        content = int(BlkRequestType.IN).to_bytes(8, "little") + sector.to_bytes(8, "little")
        self.memory[header : header + 16] = content
        self.rings[queue].offer([(header, 16)], [(at, length), (header + 16, 1)])
        return at

    async def used(self, queue: int, count: int) -> list[int]:
        begin, written = self.port.now(), []
        while len(written) < count:
            written += [length for _chain, length in self.rings[queue].used()]
            assert self.port.now() - begin < 100_000, f"{len(written)} of {count} chains are used"
            await self.port.sleep(50)
        return written

    async def check_good(self) -> None:
        """The device is as new: every queue works."""
        await self.begin()
        for queue in range(QUEUES):
            at = self.read(queue, 3 * queue)
            self.memory[at : at + SECTOR_BYTES] = bytes(SECTOR_BYTES)
            await self.set("queue_notify", queue)
            assert await self.used(queue, 1) == [SECTOR_BYTES + 1]
            assert bytes(self.memory[at : at + SECTOR_BYTES]) == sector(3 * queue)


def sector(number: int) -> bytes:
    """What the disk has there."""
    return number.to_bytes(2, "little") * (SECTOR_BYTES // 2)


def run(body: Callable[[OldDriver], Coroutine[Any, Any, None]]) -> None:
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = bytearray(b"".join(map(sector, range(SECTORS))))
    with open_engine("native", CONFIG, GuestMemory(4 << 20), disk, host=HOST) as port:
        driver = OldDriver(port)

        async def main() -> None:
            await driver.find()
            await body(driver)

        port.run(main())


def test_the_device_works_before_driver_ok_and_features() -> None:
    async def body(driver: OldDriver) -> None:
        await driver.set("device_status", DeviceStatus.ACKNOWLEDGE)
        await driver.give(1)
        at = driver.read(1, 77)
        await driver.set("queue_notify", 1)
        assert await driver.used(1, 1) == [SECTOR_BYTES + 1]
        assert bytes(driver.memory[at : at + SECTOR_BYTES]) == sector(77)
        await driver.set("driver_features", 1 << Feature.INDIRECT_DESC)
        await driver.set("device_status", STARTED | DeviceStatus.DRIVER_OK)
        driver.read(1, 78)
        await driver.set("queue_notify", 1)
        await driver.used(1, 1)
        assert bytes(driver.memory[at : at + SECTOR_BYTES]) == sector(78)

    run(body)


def test_nothing_is_written_after_a_reset_that_nobody_waits_for() -> None:
    async def body(driver: OldDriver) -> None:
        for wait in (0, 40, 300, 700, 1500):
            await driver.begin()
            for queue in range(QUEUES):
                driver.read(queue, 0, LONG)
                await driver.set("queue_notify", queue)
            await driver.port.sleep(wait)
            await driver.set("device_status", 0)
            # Whatever it is that a driver does next.
            await driver.get("queue_size")
            driver.memory[driver.pages[0] : driver.top] = b"\xaa" * (driver.top - driver.pages[0])
            await driver.port.sleep(5000)
            assert (
                bytes(driver.memory[driver.pages[0] : driver.top]).count(0xAA) == driver.top - driver.pages[0]
            )
            assert await driver.get("device_status") == 0
        await driver.check_good()

    run(body)


def test_a_queue_that_is_freed_is_left_alone_and_others_go_on() -> None:
    async def body(driver: OldDriver) -> None:
        await driver.begin()
        for wait in (0, 200, 900):
            driver.read(0, 0, LONG)
            driver.read(1, 0, LONG)
            for queue in (0, 1):
                await driver.set("queue_notify", queue)
            await driver.port.sleep(wait)
            await driver.set("queue_select", 0)
            await driver.set("queue_pfn", 0)
            assert await driver.get("queue_pfn") == 0
            page, end = driver.pages[0], driver.pages[0] + legacy_queue_bytes(SIZE)
            driver.memory[page:end] = b"\xbb" * (end - page)
            assert await driver.used(1, 1) == [LONG + 1]
            await driver.port.sleep(3000)
            assert bytes(driver.memory[page:end]).count(0xBB) == end - page
            await driver.give(0)
            at = driver.read(0, 9)
            await driver.set("queue_notify", 0)
            assert await driver.used(0, 1) == [SECTOR_BYTES + 1]
            assert bytes(driver.memory[at : at + SECTOR_BYTES]) == sector(9)

    run(body)


@pytest.mark.parametrize("features", [0, 1 << Feature.NOTIFY_ON_EMPTY])
def test_who_suppresses_interrupts_gets_one_when_all_is_used(features: int) -> None:
    async def body(driver: OldDriver) -> None:
        await driver.begin(features)
        await driver.get("isr_status")
        driver.rings[2].set_flags(AVAIL_F_NO_INTERRUPT)
        for _ in range(3):
            for number in range(5):
                driver.read(2, number)
            await driver.set("queue_notify", 2)
            await driver.used(2, 5)
            await driver.port.sleep(2000)
            assert await driver.get("isr_status") == (IsrBit.QUEUE if features else 0)

    run(body)


def test_no_access_to_the_header_harms_a_device_at_work() -> None:
    async def body(driver: OldDriver) -> None:
        draw = random.Random(5)
        bar = driver.pci.bars[LEGACY_BAR]
        for _ in range(4):
            await driver.begin()
            for _ in range(60):
                if draw.random() < 0.4:
                    queue = draw.randrange(QUEUES)
                    if len(driver.rings[queue].free) > 3:
                        driver.read(queue, draw.randrange(SECTORS))
                    await driver.set("queue_notify", draw.choice([queue, draw.getrandbits(16)]))
                size = draw.choice([1, 2, 4])
                offset = draw.choice([draw.randrange(0, 24, size), draw.randrange(0, bar.size, size)])
                if draw.getrandbits(1):
                    await driver.pci.bar_read(LEGACY_BAR, offset, size)
                else:
                    value = draw.choice([0, 1, draw.getrandbits(8 * size)])
                    await driver.pci.bar_write(LEGACY_BAR, offset, size, value)
            await driver.check_good()

    run(body)
