"""The field list of a whole device, through its BAR: a view of what the virtio structures show."""

from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker.spec.blk import ID_BYTES, BlkRequestHeader, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.fields import FIELDS_BASE, QUEUE_FIELD, BlkField, CommonField, FieldHeader
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, NO_VECTOR, DeviceStatus
from ringwalker.spec.pci import VIRTIO_VENDOR_CAPABILITY, CapabilityId
from ringwalker.transport.field_list import Field, FieldDword, field_list
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.guest.ring_queue import QueueControl
from ringwalker_sim.guest.split_queue import SplitVirtqueue
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG

FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
READY = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK


class ListDriver(QueueControl):
    """Reads and writes fields of the device on ``port``, and knows of nothing else in the BAR."""

    def __init__(self, port: Any):
        self.port = port
        self.pci: PciDevice
        self.base = 0
        self.enabled: set[int] = set()

    async def bind(self) -> None:
        (self.pci,) = await enumerate_pci(self.port)
        last = self.pci.find_capabilities(CapabilityId.VENDOR)[-1].offset
        assert await self.pci.read(VIRTIO_VENDOR_CAPABILITY.bar, last) == FACE_BAR
        self.base = await self.pci.read(VIRTIO_VENDOR_CAPABILITY.offset, last)
        assert self.base == FIELDS_BASE

    async def dword(self, offset: int) -> int:
        return await self.pci.bar_read(FACE_BAR, self.base + offset, 4)

    async def get(self, kind: int, register: str = "", queue: int | None = None) -> int:
        offset, size = self.place(kind, register, queue)
        value = 0
        for start in range(0, size, 4):
            part = await self.pci.bar_read(FACE_BAR, offset + start, min(4, size - start))
            value |= part << 8 * start
        return value

    async def set(self, kind: int, value: int, register: str = "", queue: int | None = None) -> None:
        offset, size = self.place(kind, register, queue)
        for start in range(0, size, 4):
            part = value >> 8 * start & (1 << 8 * min(4, size - start)) - 1
            await self.pci.bar_write(FACE_BAR, offset + start, min(4, size - start), part)

    def place(self, kind: int, register: str, queue: int | None) -> tuple[int, int]:
        item: Field = field_list(CONFIG).find(kind, queue)
        if not register:
            return self.base + item.offset, item.length
        row = QUEUE_FIELD[register]
        return self.base + item.offset + row.offset, row.size

    async def start(self) -> None:
        """Reset, negotiate, and let the device begin."""
        await self.set(CommonField.STATUS, 0)
        while await self.get(CommonField.STATUS):
            pass
        offered = await self.get(CommonField.DEVICE_FEATURES)
        assert offered & FEATURES == FEATURES
        await self.set(CommonField.DRIVER_FEATURES, FEATURES)
        assert await self.get(CommonField.DRIVER_FEATURES) == FEATURES
        await self.set(CommonField.STATUS, READY)
        assert await self.get(CommonField.STATUS) == READY
        await self.set(CommonField.STATUS, READY | DeviceStatus.DRIVER_OK)

    async def new_vq(self, index: int) -> SplitVirtqueue:
        """A queue of its own size at the field of queue ``index``."""
        size = await self.get(CommonField.QUEUE, "size", index)
        vq = SplitVirtqueue(self.port.memory, size // 2, index=index, control=self)
        await self.resume(vq)
        return vq

    async def resume(self, vq: SplitVirtqueue) -> None:
        for name, value in (
            ("size", vq.size),
            ("desc", vq.desc_address),
            ("driver", vq.driver_address),
            ("device", vq.device_address),
            ("enable", 1),
        ):
            await self.set(CommonField.QUEUE, value, name, vq.index)
            assert await self.get(CommonField.QUEUE, name, vq.index) == value
        self.enabled.add(vq.index)

    async def notify(self, vq: SplitVirtqueue) -> None:
        await self.set(CommonField.QUEUE, vq.index, "doorbell", vq.index)

    def can_resume(self, vq: SplitVirtqueue) -> bool:
        return True

    def holds(self, vq: SplitVirtqueue) -> bool:
        return vq.index in self.enabled

    async def quiesce(self, vq: SplitVirtqueue) -> bool:
        self.enabled.remove(vq.index)
        await self.set(CommonField.QUEUE, 1, "reset", vq.index)
        while await self.get(CommonField.QUEUE, "reset", vq.index):
            pass
        return True

    async def get_id(self, vq: SplitVirtqueue) -> bytes:
        """The device's name, asked for on ``vq``."""
        memory = self.port.memory
        head, tail = memory.allocate(16), memory.allocate(ID_BYTES + 1)
        request = BlkRequestHeader.const({"type": BlkRequestType.GET_ID}).as_value()
        memory.write(head.address, request.value.to_bytes(16, "little"))
        assert vq.add_buf([(head.address, 16), (tail.address, ID_BYTES + 1)], 1, 1, "name") == 0
        await vq.kick()
        for _ in range(100):
            await self.port.sleep(50)
            if vq.get_buf():
                break
        else:
            raise AssertionError("the request did not come back")
        answer = bytes(tail.array)
        head.free()
        tail.free()
        assert answer[-1] == 0
        return answer[:ID_BYTES].rstrip(b"\0")


@pytest.fixture
def driver() -> Iterator[ListDriver]:
    with open_engine("native", CONFIG, GuestMemory(1 << 20), DiskImage.blank(64)) as port:
        yield ListDriver(port)


async def register(driver: ListDriver, dword: FieldDword) -> int:
    """What the virtio structures show of the same: with the select register set by hand."""
    if dword.select:
        lane = (dword.select.strobe & -dword.select.strobe).bit_length() - 1
        size = dword.select.strobe.bit_count()
        place = dword.select.register + lane
        await driver.pci.bar_write(FACE_BAR, place, size, dword.select.value >> 8 * lane)
    return await driver.pci.bar_read(FACE_BAR, dword.register or 0, 4)


def test_every_field_shows_its_register(driver: ListDriver) -> None:
    async def main() -> None:
        await driver.bind()
        await driver.start()
        for queue in range(CONFIG.queues):
            for n, name in enumerate(("desc", "driver", "device")):
                await driver.set(CommonField.QUEUE, (queue << 40) + 0x11000 * n + 0x1000, name, queue)
            await driver.set(CommonField.QUEUE, queue, "vector", queue)
        await driver.set(CommonField.CONFIG_VECTOR, 4)
        for dword in field_list(CONFIG).dwords:
            shown = await driver.dword(dword.offset)
            if dword.register is None:
                assert shown == dword.value, hex(dword.offset)
                continue
            direct = await register(driver, dword)
            assert shown == dword.shown(direct) == await driver.dword(dword.offset), hex(dword.offset)
        assert await driver.get(CommonField.QUEUE, "desc", 3) == (3 << 40) + 0x1000
        assert await driver.get(CommonField.QUEUE, "vector", 2) == 2
        assert await driver.get(BlkField.CAPACITY) == 64
        assert await driver.get(BlkField.QUEUES) == 4

    driver.port.run(main())


def test_a_queue_lives_in_its_field(driver: ListDriver) -> None:
    async def main() -> None:
        await driver.bind()
        for _ in range(2):
            await driver.start()
            queues = [await driver.new_vq(index) for index in (2, 0)]
            select = COMMON_BASE + COMMON.queue_select.offset
            await driver.pci.bar_write(FACE_BAR, select, 2, 3)
            for vq in (*queues, *queues):
                assert await driver.get_id(vq) == b"ringwalker"
            assert await driver.pci.bar_read(FACE_BAR, select, 2) == 3, "as others left it"
            # One queue is reset while the other goes on.
            await driver.quiesce(queues[0])
            assert await driver.get(CommonField.QUEUE, "enable", 2) == 0
            assert await driver.get(CommonField.QUEUE, "size", 2) == CONFIG.queue_size
            assert await driver.get_id(queues[1]) == b"ringwalker"
            queues[0].reset()
            await driver.resume(queues[0])
            assert await driver.get_id(queues[0]) == b"ringwalker"
            await driver.set(CommonField.STATUS, 0)
            while await driver.get(CommonField.STATUS):
                pass
            driver.enabled.clear()
            for vq in queues:
                vq.free()
        assert driver.port.memory.allocated == 0

    driver.port.run(main())


def test_what_cannot_be_written_stays(driver: ListDriver) -> None:
    async def main() -> None:
        await driver.bind()
        await driver.start()
        before = [await driver.dword(dword.offset) for dword in field_list(CONFIG).dwords]
        for dword in field_list(CONFIG).dwords:
            for byte in range(4):
                if not dword.writable >> byte & 1:
                    await driver.pci.bar_write(FACE_BAR, FIELDS_BASE + dword.offset + byte, 1, 0xFF)
        after = [await driver.dword(dword.offset) for dword in field_list(CONFIG).dwords]
        assert after == before
        header = FieldHeader.const({"type": CommonField.STATUS, "length": 1, "flags": 3})
        assert after[0] == header.as_value().value
        # A vector that is not there is refused through the list too.
        await driver.set(CommonField.CONFIG_VECTOR, 7)
        assert await driver.get(CommonField.CONFIG_VECTOR) == NO_VECTOR

    driver.port.run(main())
