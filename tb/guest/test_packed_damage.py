"""Packed rings with random damage, 100,000 of them: nothing is written that they do not allow; a reset cures.

It is a campaign: ``pytest tb/guest/test_packed_damage.py -m campaign`` runs all parts of 1,000 rings each,
with ``-k`` one of them, with ``--last-failed`` those that failed. A part begins from its own seed.
"""

import random
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, CapabilityType, DeviceStatus
from ringwalker.spec.packed import EVENT_BYTES, PLACE_WRAP, PackedDescriptor, available_flags, is_used
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci_structures import VirtioStructures
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import BOTH_BLK

RINGS = 1000
PARTS = 100
SECTORS = 256
MEMORY = 1 << 20
ARENA = MEMORY // 2
"""Buffers lie from here on, up to the end of memory; rings before, where no buffer may reach."""
TABLE_ROWS = 4
FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_PACKED
OPTIONS = (Feature.INDIRECT_DESC, Feature.EVENT_IDX, Feature.IN_ORDER, Feature.NOTIFICATION_DATA)
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
CYCLES = 1500
"""That is what damaged rings get; a read of a sector takes about 500."""
STORAGE_COMMANDS = 64
VOID_CYCLES = STORAGE_COMMANDS * BOTH_BLK.settings.chunk_sectors * SECTOR_BYTES * 8 // BOTH_BLK.data_width
"""So long can storage, after a reset, still give data of reads that are void; new ones wait for that."""
POLL_CYCLES = 50


class Queue:
    """A packed ring, filled by hand: ``rows`` are its descriptors, ``tables`` those of indirect ones."""

    def __init__(self, memory: GuestMemory, number: int, size: int):
        self.number, self.size = number, size
        self.desc = number * (ARENA // 8)
        self.driver = self.desc + 0x2000
        self.device = self.driver + 0x100
        self.rows = memory.struct_view(self.desc, PackedDescriptor, size)
        self.table_at = self.desc + 0x4000
        self.tables = memory.struct_view(self.table_at, PackedDescriptor, TABLE_ROWS * size)
        self.events = memory.array[self.driver : self.driver + EVENT_BYTES]
        self.at, self.wrap = 0, 1

    def put(self, pieces: list[tuple[int, int, int]], key: int, nested: bool) -> None:
        """Make a chain available: address, length and flags of each piece."""
        if nested:
            first = TABLE_ROWS * self.at
            for n, (address, length, flags) in enumerate(pieces):
                self.tables[first + n] = (address, length, 0, flags & ~DESC_F_NEXT)
            table = self.table_at + DESC_BYTES * first
            pieces = [(table, DESC_BYTES * len(pieces), DESC_F_INDIRECT)]
        for address, length, flags in pieces:
            self.rows[self.at] = (address, length, key, flags | available_flags(self.wrap))
            self.at += 1
            if self.at == self.size:
                self.at, self.wrap = 0, 1 - self.wrap


class Bed:
    """The device with four queues, of which each is damaged in every round."""

    def __init__(self, port: Any, seed: int):
        self.port, self.memory = port, port.memory
        self.chance = random.Random(seed)
        self.features = 0
        self.queues: list[Queue] = []

    async def find(self) -> None:
        (pci,) = await enumerate_pci(self.port)
        self.structures = VirtioStructures(pci)
        await self.structures.find()

    async def set(self, name: str, value: int) -> None:
        await self.structures.write(CapabilityType.COMMON, COMMON[name], value)

    async def status(self) -> int:
        return await self.structures.read(CapabilityType.COMMON, COMMON.device_status)

    async def begin(self) -> None:
        """Reset, and set all up again, with other options and sizes."""
        await self.set("device_status", 0)
        while await self.status():
            pass
        self.memory.array[:] = 0
        chosen = sum(1 << bit for bit in OPTIONS if self.chance.random() < 0.5)
        self.features = FEATURES | chosen
        for half in range(2):
            await self.set("driver_feature_select", half)
            await self.set("driver_feature", self.features >> 32 * half & 0xFFFF_FFFF)
        await self.set("device_status", STARTED & ~DeviceStatus.DRIVER_OK)
        sizes = [self.chance.choice((4, 5, 8, 13, 32)) for _ in range(BOTH_BLK.queues)]
        self.queues = [Queue(self.memory, n, size) for n, size in enumerate(sizes)]
        for queue in self.queues:
            for name, value in (
                ("queue_select", queue.number),
                ("queue_size", queue.size),
                ("queue_desc", queue.desc),
                ("queue_driver", queue.driver),
                ("queue_device", queue.device),
                ("queue_enable", 1),
            ):
                await self.set(name, value)
        await self.set("device_status", STARTED)

    def has(self, feature: Feature) -> bool:
        return bool(self.features >> feature & 1)

    async def notify(self, queue: Queue, said: int | None = None) -> None:
        place = self.structures.places[CapabilityType.NOTIFY]
        said = queue.at | queue.wrap * PLACE_WRAP if said is None else said
        shown = said if self.has(Feature.NOTIFICATION_DATA) else None
        await self.structures.ring(place.offset + queue.number * place.multiplier, queue.number, shown)

    def request(self, queue: Queue, number: int, kind: int, sector: int) -> int:
        """Offer a request for a sector; where its data is."""
        at = ARENA + 0x2000 * queue.number + 0x400 * number
        self.memory.array[at : at + 16] = 0
        self.memory.array[at], self.memory.array[at + 8] = kind, sector
        data = DESC_F_WRITE if kind == BlkRequestType.IN else 0
        pieces = [
            (at, 16, DESC_F_NEXT),
            (at + 16, SECTOR_BYTES, DESC_F_NEXT | data),
            (at + 16 + SECTOR_BYTES, 1, DESC_F_WRITE),
        ]
        nested = self.has(Feature.INDIRECT_DESC) and self.chance.random() < 0.5
        queue.put(pieces, self.chance.randrange(queue.size), nested)
        return at + 16

    async def check_good(self) -> None:
        """A device that was set up reads a sector on one of its queues."""
        queue, sector = self.chance.choice(self.queues), self.chance.randrange(SECTORS)
        begun, wrap = queue.at, queue.wrap
        at = self.request(queue, 0, BlkRequestType.IN, sector)
        await self.notify(queue)
        for _ in range((VOID_CYCLES + CYCLES) // POLL_CYCLES):
            if is_used(int(queue.rows["flags"][begun]), wrap):
                break
            await self.port.sleep(POLL_CYCLES)
        else:
            raise AssertionError(f"queue {queue.number} of a device that was reset does nothing")
        found = self.memory.array[at : at + SECTOR_BYTES].tobytes()
        assert found == self.port.image[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES].tobytes()

    def damage(self, queue: Queue) -> None:
        """Turn bits over in what is available, or all around it."""
        chance = self.chance
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
            rows = queue.tables if chance.random() < 0.2 else queue.rows
            place = chance.randrange(len(rows))
            name = chance.choice(("flags", "flags", "flags", "id", "len", "addr"))
            bit = chance.randrange({"flags": 16, "id": 16, "len": 32, "addr": 64}[name])
            rows[name][place] ^= rows.dtype[name].type(1 << bit)
            if int(rows["addr"][place]) < ARENA and not int(rows["flags"][place]) & DESC_F_INDIRECT:
                # What is allowed to be written must not be a ring.
                rows["addr"][place] += ARENA
        if chance.random() < 0.3:
            queue.events[:] = np.frombuffer(chance.randbytes(EVENT_BYTES), np.uint8)

    def allowed(self) -> np.ndarray:
        """A mask of guest memory: what the rings allow the device to write."""
        mask = np.zeros(len(self.memory.array), bool)
        for queue in self.queues:
            mask[queue.desc : queue.desc + DESC_BYTES * queue.size] = True
            mask[queue.device : queue.device + EVENT_BYTES] = True
            for rows in (queue.rows, queue.tables):
                for row in rows[(rows["flags"] & DESC_F_WRITE) != 0]:
                    start = min(int(row["addr"]), MEMORY)
                    mask[start : start + int(row["len"])] = True
        return mask

    async def round(self) -> int:
        """Damage each ring; whether the device gave up."""
        chance = self.chance
        for queue in self.queues:
            for number in range(1, 1 + chance.randint(1, max(1, (queue.size - 3) // 3))):
                kind = chance.choice((BlkRequestType.IN, BlkRequestType.IN, BlkRequestType.FLUSH))
                self.request(queue, number % 7, kind, chance.randrange(SECTORS))
            self.damage(queue)
        mask, before = self.allowed(), self.memory.array.copy()
        for queue in self.queues:
            await self.notify(queue, chance.getrandbits(16) if chance.random() < 0.1 else None)
        await self.port.sleep(CYCLES)
        gave_up = bool(await self.status() & DeviceStatus.DEVICE_NEEDS_RESET)
        await self.set("device_status", 0)
        while await self.status():
            pass
        stray = (self.memory.array != before) & ~mask
        assert not stray.any(), [hex(at) for at in np.flatnonzero(stray)[:8]]
        return gave_up


def run_part(part: int, rings: int) -> None:
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = np.random.default_rng(part).integers(0, 256, len(disk.array), np.uint8)
    host = {"latency": 20}
    with open_engine("native", BOTH_BLK, GuestMemory(MEMORY), disk, host=host, seed=part) as port:
        port.image = disk.array

        async def main() -> None:
            bed = Bed(port, part)
            await bed.find()
            failed, rounds = 0, rings // BOTH_BLK.queues
            for number in range(rounds):
                try:
                    await bed.begin()
                    await bed.check_good()
                    failed += await bed.round()
                except AssertionError as error:
                    raise AssertionError(f"part {part}, round {number}: {error}") from error
            assert 0.1 * rounds < failed < rounds, f"{failed} of {rounds} rounds ended with a reset needed"

        port.run(main())


@pytest.mark.slow
def test_some_damaged_rings() -> None:
    run_part(1000, 200)


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part {part}")
def test_damaged_rings(part: int) -> None:
    run_part(part, RINGS)
