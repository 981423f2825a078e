"""Packed rings and use in order on the real device, on the native engine, with the driver that all have."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED, EventFlags
from ringwalker.spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.guest.blk import BlkDevice, blk_driver
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.guest.packed_queue import PackedVirtqueue
from ringwalker_sim.guest.rng import RngDevice
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import BOTH_BLK, SMALL_RNG

SECTORS = 256
PACKED = 1 << Feature.RING_PACKED
RINGS = (
    (),
    ("IN_ORDER",),
    ("RING_PACKED",),
    ("RING_PACKED", "IN_ORDER"),
)


@pytest.mark.parametrize("events", [(), ("EVENT_IDX",)])
@pytest.mark.parametrize("rings", RINGS)
def test_noise_through_many_laps_of_a_ring(rings: tuple[str, ...], events: tuple[str, ...]) -> None:
    """The ring of 64 goes round several times, and each byte is the next of the source."""
    wanted = sum(1 << Feature[name] for name in (*rings, *events))
    with open_engine("native", SMALL_RNG, GuestMemory(4 << 20)) as port:

        async def main() -> None:
            opened = await open_device(Machine(port), "rng", rings=wanted, buffer_bytes=16)
            device, source = opened.driven, NoiseSource(1)
            assert isinstance(device, RngDevice)
            assert opened.device.config.features & wanted == wanted
            for length in (8, 16, 104, 3000):
                assert await device.read(length) == source.take(length)
            await opened.close()

        port.run(main())


@pytest.fixture
def port() -> Iterator[Any]:
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = np.random.default_rng(8).integers(0, 256, len(disk.array), np.uint8)
    with open_engine("native", BOTH_BLK, GuestMemory(4 << 20), disk) as port:
        port.image = disk.array
        yield port


# --- rings that break the rules -----------------------------------------------------------------------------


class Broken:
    """A queue of a device that was set up, with reads of sectors in its ring, before the device sees them."""

    def __init__(self, port: Any, features: int = PACKED, size: int = 8):
        self.port, self.features, self.size = port, features, size
        self.memory: GuestMemory = port.memory
        self.machine = Machine(port)
        self.transport: Any = None
        self.vq: Any = None
        self.buffers: list[Any] = []

    async def open(self, requests: int) -> None:
        (device,) = await self.machine.probe_pci()
        self.transport = device.config
        self.transport.ring_features = self.features
        await self.transport.negotiate(0)
        self.vq = await self.transport.find_vq(0, None, self.size)
        assert isinstance(self.vq, PackedVirtqueue)
        await self.transport.driver_ok()
        for number in range(requests):
            buffer = self.memory.allocate(16 + SECTOR_BYTES + 1, 16)
            self.buffers.append(buffer)
            buffer.array[:16] = 0
            buffer.array[0], buffer.array[8] = BlkRequestType.IN, number
            base = buffer.address
            pieces = [(base, 16), (base + 16, SECTOR_BYTES), (base + 16 + SECTOR_BYTES, 1)]
            assert self.vq.add_buf(pieces, 1, 2, buffer) == 0

    async def shown(self, cycles: int = 20_000) -> bool:
        """Show the ring to the device, and notify it whatever it wants; whether it gave up."""
        self.vq._show()
        await self.transport.notify(self.vq)
        end = self.port.now() + cycles
        while self.port.now() < end:
            await self.port.sleep(500)
            if await self.transport.needs_reset():
                return True
        return False

    def allowed(self) -> np.ndarray:
        """A mask of guest memory: what the ring allows the device to write."""
        mask = np.zeros(len(self.memory.array), bool)
        ring = self.vq.desc_address
        mask[ring : ring + 16 * self.size] = True
        mask[self.vq.device_address : self.vq.device_address + 4] = True
        for row in self.vq._rows:
            if int(row["flags"]) & DESC_F_WRITE:
                start = int(row["addr"])
                mask[start : start + int(row["len"])] = True
        return mask

    async def recover(self) -> None:
        """After a reset the device reads a sector as if nothing had been."""
        for device in tuple(self.machine.bus.devices):
            await self.machine.remove(device)
        for buffer in self.buffers:
            buffer.free()
        self.vq.free()
        driver = blk_driver(self.port, ring_features=self.features)
        await self.machine.bus.register_virtio_driver(driver)
        await self.machine.probe_pci()
        disk: Any = self.machine.driven(self.machine.bus.devices[0])
        assert isinstance(disk, BlkDevice)
        assert await disk.read(3, 1) == self.port.image[3 * 512 : 4 * 512].tobytes()
        await self.machine.close()


def _next_on_the_last(vq: Any) -> None:
    vq._rows["flags"][2] |= DESC_F_NEXT


def _longer_than_the_queue(vq: Any) -> None:
    vq._rows["flags"][:] = DESC_F_AVAIL | DESC_F_NEXT
    vq._rows["len"][:] = 16
    vq._hidden = [(0, DESC_F_AVAIL | DESC_F_NEXT)]


def _rest_not_available(vq: Any) -> None:
    vq._rows["flags"][1] ^= DESC_F_AVAIL


def _wrap_lies_in_the_rest(vq: Any) -> None:
    vq._rows["flags"][1] ^= DESC_F_AVAIL | DESC_F_USED


def _more_than_4_gib(vq: Any) -> None:
    vq._rows["len"][1:3] = 0xFFFF_FFFF


def _indirect_without_the_feature(vq: Any) -> None:
    vq._hidden = [(0, vq._hidden[0][1] & ~DESC_F_NEXT | DESC_F_INDIRECT)]


def _readable_behind_writable(vq: Any) -> None:
    vq._rows["flags"][2] ^= DESC_F_WRITE


def _address_that_nobody_has(vq: Any) -> None:
    vq._rows["addr"][0] = 1 << 50


REFUSED = {
    "NEXT on the last": _next_on_the_last,
    "longer than the queue": _longer_than_the_queue,
    "rest not available": _rest_not_available,
    "wrap lies in the rest": _wrap_lies_in_the_rest,
    "more than 4 GiB": _more_than_4_gib,
    "indirect without the feature": _indirect_without_the_feature,
    "readable behind writable": _readable_behind_writable,
    "an address that nobody has": _address_that_nobody_has,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_ring_needs_a_reset_and_then_all_is_well(port: Any, name: str) -> None:
    async def main() -> None:
        broken = Broken(port)
        await broken.open(1)
        REFUSED[name](broken.vq)
        assert await broken.shown()
        await broken.recover()

    port.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("flags", [EventFlags.DESC, 3, EventFlags.DISABLE])
@pytest.mark.parametrize("features", [PACKED, PACKED | 1 << Feature.EVENT_IDX])
def test_an_event_structure_that_makes_no_sense_does_no_harm(port: Any, flags: int, features: int) -> None:
    async def main() -> None:
        broken = Broken(port, features)
        await broken.open(2)
        broken.vq._driver_event["place"] = 0x7FFF
        broken.vq._driver_event["flags"] = flags
        assert not await broken.shown()
        assert broken.vq.get_buf()[1] == SECTOR_BYTES + 1
        assert broken.vq.get_buf()[1] == SECTOR_BYTES + 1
        await broken.recover()

    port.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_random_damage_leads_to_no_stray_write(port: Any, seed: int) -> None:
    """Bits of flags, lengths and ids are turned over; what the ring does not allow is never written."""
    chance = random.Random(seed)

    async def main() -> None:
        for _ in range(25):
            broken = Broken(port, PACKED | chance.choice((0, 1 << Feature.IN_ORDER, 1 << Feature.EVENT_IDX)))
            await broken.open(chance.randint(1, 2))
            vq = broken.vq
            for _ in range(chance.randint(1, 4)):
                name = chance.choice(("flags", "flags", "id", "len"))
                vq._rows[name][chance.randrange(broken.size)] ^= 1 << chance.randrange(16)
            vq._hidden = [
                (at, flags ^ (1 << chance.randrange(16)) * (chance.random() < 0.3))
                for at, flags in vq._hidden
            ]
            for at, flags in vq._hidden:
                vq._rows["flags"][at] = flags
            mask = broken.allowed()
            before = broken.memory.array.copy()
            await broken.shown(3000)
            changed = broken.memory.array != before
            assert not (changed & ~mask).any(), np.flatnonzero(changed & ~mask)[:8]
            await broken.recover()

    port.run(main())


# --- resets -------------------------------------------------------------------------------------------------

SWEPT = 800
"""More cycles than a request of this device takes."""


@pytest.mark.slow
@pytest.mark.parametrize("features", [PACKED | 1 << Feature.INDIRECT_DESC, PACKED | 1 << Feature.IN_ORDER])
def test_a_device_reset_in_any_cycle_of_a_request(port: Any, features: int) -> None:
    """The request is an indirect table, or three descriptors in order; the next one after it is right."""

    async def main() -> None:
        finished = 0
        for cycle in range(SWEPT):
            broken = Broken(port, features)
            await broken.open(1)
            broken.vq._show()
            await broken.transport.notify(broken.vq)
            await port.sleep(cycle)
            finished += broken.vq.used_pending
            await broken.recover()
        assert 0 < finished < SWEPT

    port.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("features", [PACKED, PACKED | 1 << Feature.IN_ORDER | 1 << Feature.EVENT_IDX])
def test_a_queue_reset_in_any_cycle_of_requests_spares_the_other_queue(port: Any, features: int) -> None:
    """Each request of the queue that is reset is used or given back; those of its neighbour are all right."""

    async def main() -> None:
        driver = blk_driver(port, ring_features=features)
        machine = Machine(port)
        await machine.bus.register_virtio_driver(driver)
        await machine.probe_pci()
        (device,) = machine.bus.devices
        disk: BlkDevice = machine.driven(device)
        buffer = port.memory.allocate(8 * SECTOR_BYTES, SECTOR_BYTES)
        for cycle in range(0, SWEPT, 3):
            ended: list[Any] = []
            for number in range(8):
                sg = [(buffer.address + SECTOR_BYTES * number, SECTOR_BYTES)]
                assert disk.submit(BlkRequestType.IN, number, sg, ended.append, queue=number % 2)
            await disk.kick(0)
            await disk.kick(1)
            await port.sleep(cycle)
            vq = device.config.vqs[0]
            back = await vq.shutdown()
            for request in back:
                place = disk._queues[0]
                del place.pending[request.slot]
                place.slots.append(request.slot)
            for _ in range(100):
                if len(ended) + len(back) == 8:
                    break
                await port.sleep(100)
            assert len(ended) + len(back) == 8, cycle
            assert [request.error for request in ended] == [None] * len(ended), cycle
            assert await disk.read(9, 1, 0) == port.image[9 * 512 : 10 * 512].tobytes()
            assert np.array_equal(buffer.array[512:1024], port.image[512:1024])
            buffer.array[:] = 0
        await machine.close()
        buffer.free()

    port.run(main())
