"""CommonConfig of a device with packed rings: sizes of queues, and features that a driver must accept.

Ref: virtio 1.4, 2.8 (a queue size need not be a power of two), 2.2.2 (FEATURES_OK).
"""

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.transport.common_config import CommonConfig
from ringwalker_sim.testing.common_registers import CommonRegisters
from ringwalker_sim.testing.inprocess import simulated

SIZE = 64
VERSION, PACKED = 1 << Feature.VERSION_1, 1 << Feature.RING_PACKED
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK


class Both(CommonRegisters):
    REQUIRED = 0

    @classmethod
    def component(cls):
        config = DeviceConfig(data_width=64, queue_size=SIZE, ring="both")
        return CommonConfig(config, VERSION | PACKED, cls.REQUIRED)

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.each_cycle(self._watch)

    def _watch(self):
        if self.value("table_write.en"):
            self.sizes.append(self.value("table_write.row")["size"])

    async def accept(self, features):
        await self.begin(features, STARTED)

    async def taken(self, *sizes):
        """Those of ``sizes`` that were written to the table."""
        self.sizes.clear()
        for size in sizes:
            await self.write("queue_size", size)
        return self.sizes


class Packed(Both):
    REQUIRED = PACKED


@simulated(Both)
async def test_without_packed_rings_a_size_is_a_power_of_two(bench):
    await bench.accept(VERSION)
    assert await bench.taken(0, 1, 3, 32, 33, SIZE, SIZE + 1, 2 * SIZE) == [1, 32, SIZE]


@simulated(Both)
async def test_with_packed_rings_a_size_is_any_up_to_the_largest(bench):
    await bench.accept(VERSION | PACKED)
    assert await bench.taken(0, 1, 3, 33, SIZE - 1, SIZE, SIZE + 1, 0xFFFF) == [1, 3, 33, SIZE - 1, SIZE]


@simulated(Both)
async def test_a_device_with_both_rings_takes_a_driver_of_either(bench):
    await bench.accept(VERSION)
    assert bench.value("status") == STARTED


@simulated(Packed)
async def test_a_device_with_packed_rings_alone_takes_no_driver_of_split_ones(bench):
    await bench.accept(VERSION)
    assert bench.value("status") == STARTED & ~DeviceStatus.FEATURES_OK
    await bench.accept(VERSION | PACKED)
    assert bench.value("status") == STARTED
