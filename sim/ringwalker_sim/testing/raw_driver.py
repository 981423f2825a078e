"""A driver of registers and rings for tests: it says what is to be said, however wrong, and counts cycles."""

import random
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, CapabilityType, DeviceStatus
from ringwalker.spec.ring import AVAIL_F_NO_INTERRUPT

from ..guest.pci import enumerate_pci
from ..guest.transport.virtio_pci_structures import VirtioStructures
from .rings import Ring

__all__ = ["FEATURES", "STARTED", "RawDriver"]

FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET | 1 << Feature.INDIRECT_DESC
"""What is negotiated unless a test says otherwise."""

STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
"""The status of a device that works."""


class RawDriver:
    """One virtio PCI function on ``port`` (an engine's), and a :class:`Ring` for each of its queues.

    The rings lie at the start of guest memory, buffers from ``top`` on. No interrupts are set up unless
    ``interrupts``, which are counted then.
    """

    def __init__(self, port: Any, interrupts: bool = False):
        self.port = port
        self.memory = memoryview(port.memory.array)
        self.interrupts = interrupts
        self.vectors = 0
        self.top = 0
        self.rings: list[Ring] = []
        self.pci: Any = None
        self.structures: Any = None

    def area(self, length: int, align: int = 1) -> int:
        """A free area."""
        start = -(-self.top // align) * align
        self.top = start + length
        assert self.top <= len(self.memory)
        return start

    async def find(self, queues: int, size: int) -> None:
        """Find the function, and make a ring of ``size`` entries for each of its queues."""
        (self.pci,) = await enumerate_pci(self.port)
        self.structures = VirtioStructures(self.pci)
        await self.structures.find()
        random.seed(1)
        memory: Any = self.memory
        self.rings = [Ring(memory, size, self.area) for _ in range(queues)]
        if self.interrupts:
            await self.pci.enable_msix([self.interrupt])

    def interrupt(self) -> None:
        """A message has come."""
        self.vectors += 1

    async def get(self, name: str) -> int:
        """Read a register of the common configuration."""
        return await self.structures.read(CapabilityType.COMMON, COMMON[name])

    async def set(self, name: str, value: int) -> None:
        """Write one; the write is posted."""
        await self.structures.write(CapabilityType.COMMON, COMMON[name], value)

    async def set_queue(self, queue: int, reset: bool = True) -> None:
        """Tell the device of a queue, and empty its ring unless not ``reset``."""
        ring = self.rings[queue]
        if reset:
            ring.reset()
        ring.set_flags(0 if self.interrupts else AVAIL_F_NO_INTERRUPT)
        await self.set("queue_select", queue)
        await self.set("queue_size", ring.size)
        for name in ("desc", "driver", "device"):
            await self.set(f"queue_{name}", getattr(ring, name))
        if self.interrupts:
            await self.set("queue_msix_vector", 0)
        await self.set("queue_enable", 1)

    async def begin(self, features: int = FEATURES) -> None:
        """From a status of 0 to DRIVER_OK."""
        await self.set("device_status", DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)
        for half in range(2):
            await self.set("driver_feature_select", half)
            await self.set("driver_feature", features >> 32 * half & 0xFFFF_FFFF)
        await self.set("device_status", STARTED & ~DeviceStatus.DRIVER_OK)
        for queue in range(len(self.rings)):
            await self.set_queue(queue)
        await self.set("device_status", STARTED)
        assert await self.get("device_status") == STARTED

    async def kick(self, queue: int) -> None:
        """Ring the doorbell."""
        place = self.structures.places[CapabilityType.NOTIFY]
        doorbell = place.offset + queue * place.multiplier
        await self.structures.ring(doorbell, queue, None)

    async def cycles_until(self, name: str, value: int, most: int = 100_000) -> int:
        """Read a register until it has this value; gives the cycles that it took.

        Errors: ``AssertionError`` after ``most`` cycles.
        """
        begin = self.port.now()
        while (found := await self.get(name)) != value:
            assert self.port.now() - begin < most, f"{name} is {found:#x} after {most} cycles"
        return self.port.now() - begin

    async def reset(self) -> int:
        """A device reset; gives the cycles from the write to the answer of 0."""
        begin = self.port.now()
        await self.set("device_status", 0)
        await self.cycles_until("device_status", 0)
        return self.port.now() - begin

    async def reset_queue(self, queue: int) -> int:
        """A reset of one queue; gives the cycles that it took."""
        begin = self.port.now()
        await self.set("queue_select", queue)
        await self.set("queue_reset", 1)
        await self.cycles_until("queue_reset", 0)
        return self.port.now() - begin

    def requests(self) -> int:
        """Requests of the device on the link so far."""
        return sum(
            count
            for name, count in self.port.tlps().items()
            if name.startswith("up_") and "completion" not in name
        )

    async def stays_silent(self, cycles: int = 3000) -> bool:
        """Whether the device sends no request for so long."""
        before = self.requests()
        await self.port.sleep(cycles)
        return self.requests() == before

    async def used(self, queue: int, count: int, cycles: int = 100_000) -> list[int]:
        """Wait for ``count`` used chains; how many bytes were written into each."""
        begin, written = self.port.now(), []
        while len(written) < count:
            written += [length for _chain, length in self.rings[queue].used()]
            assert self.port.now() - begin < cycles, f"{len(written)} of {count} chains are used"
            await self.port.sleep(50)
        return written
