"""Vectors that drivers ask for, where there are fewer than queues. Ref: virtio 1.4, 4.1.5.1.2."""

import pytest

from ringwalker.config import ConfigError, DeviceConfig, PciOptions
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR
from ringwalker_sim.testing.common_bench import CommonBench
from ringwalker_sim.testing.inprocess import Bench, simulated

QUEUES, VECTORS = 3, 2


class Common(Bench):
    @classmethod
    def component(cls):
        config = DeviceConfig(data_width=64, queues=QUEUES, pci=PciOptions(vectors=VECTORS))
        return CommonBench(config, 1 << Feature.VERSION_1)

    async def access(self, name, value=None):
        register = COMMON[name]
        lane = register.offset % 4
        item = {"offset": register.offset & ~3, "strobe": ((1 << register.size) - 1) << lane}
        if value is not None:
            self.put("registers.requests", {**item, "write": 1, "data": value << 8 * lane})
            await self.until(lambda: not self.pending("registers.requests"))
            return 0
        self.put("registers.requests", item)
        data = (await self.get("registers.responses"))["data"]
        return data >> 8 * lane & ((1 << 8 * register.size) - 1)

    async def ask(self, name, vector):
        """What the register reads after a driver has asked for ``vector``."""
        await self.access(name, vector)
        return await self.access(name)


@simulated(Common)
async def test_a_vector_that_is_not_there_reads_back_as_no_vector(bench):
    await bench.access("queue_select", QUEUES - 1)
    for name in ("queue_msix_vector", "config_msix_vector"):
        for vector in (VECTORS, QUEUES, 0x100, 0xFFFE, NO_VECTOR):
            assert await bench.ask(name, VECTORS - 1) == VECTORS - 1
            assert await bench.ask(name, vector) == NO_VECTOR


@simulated(Common)
async def test_queues_and_configuration_changes_share_a_vector(bench):
    assert await bench.ask("config_msix_vector", 1) == 1
    for queue in range(QUEUES):
        await bench.access("queue_select", queue)
        assert await bench.ask("queue_msix_vector", 1) == 1
    await bench.access("queue_select", 0)
    assert await bench.ask("queue_msix_vector", 0) == 0
    await bench.access("queue_select", 1)
    assert await bench.access("queue_msix_vector") == 1


@pytest.mark.parametrize("vectors", [0, QUEUES + 2, True, 1.0])
def test_a_number_of_vectors_that_cannot_be_is_refused(vectors):
    with pytest.raises(ConfigError, match=r"pci\.vectors is .*; it must be an integer from 1 to"):
        DeviceConfig(queues=QUEUES, pci=PciOptions(vectors=vectors))
