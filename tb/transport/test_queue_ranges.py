"""Areas of a queue at the end of the address space."""

import pytest

from ringwalker.spec.ring import descriptor_area_bytes, device_area_bytes, driver_area_bytes
from ringwalker.transport.queue_ranges import QueueRanges
from ringwalker_sim.testing.inprocess import Bench, simulated

LARGEST = 256
SIZES = (2, 4, 32, 128, LARGEST)
END = 1 << 64
AREAS = {
    "desc": (descriptor_area_bytes, 16),
    "driver": (driver_area_bytes, 2),
    "device": (device_area_bytes, 4),
}


class Ranges(Bench):
    @classmethod
    def component(cls):
        return QueueRanges(LARGEST)

    def beyond(self, size: int, packed: int = 0, **areas: int) -> bool:
        """The answer for areas at 0 but for those that are named."""
        self.drive("size", size)
        self.drive("packed", packed)
        for name in AREAS:
            self.drive(name, areas.get(name, 0))
        return bool(self.value("beyond"))


@pytest.mark.parametrize("size", [1, 2, 256, 1024])
def test_areas_are_as_large_as_the_specification_says(size):
    assert descriptor_area_bytes(size) == 16 * size
    assert driver_area_bytes(size) == 6 + 2 * size
    assert device_area_bytes(size) == 6 + 8 * size


@simulated(Ranges)
async def test_an_area_may_end_with_the_last_byte_and_no_later(bench):
    for size in SIZES:
        for name, (length, alignment) in AREAS.items():
            last = (END - length(size)) // alignment * alignment
            assert not bench.beyond(size, **{name: last}), (name, size)
            assert bench.beyond(size, **{name: last + alignment}), (name, size)
            assert bench.beyond(size, **{name: END - alignment}), (name, size)


@simulated(Ranges)
async def test_the_ends_of_lower_blocks_are_no_end(bench):
    for size in SIZES:
        for name, (_length, alignment) in AREAS.items():
            for bit in range(20, 64):
                assert not bench.beyond(size, **{name: END - alignment - (1 << bit)}), (name, bit)


@simulated(Ranges)
async def test_packed_queues_have_two_small_areas(bench):
    for size in SIZES:
        for name in ("driver", "device"):
            assert not bench.beyond(size, 1, **{name: END - 4})
        assert not bench.beyond(size, 1, desc=END - 16 * size)
        assert bench.beyond(size, 1, desc=END - 16)


@simulated(Ranges)
async def test_random_areas_are_as_arithmetic_says(bench):
    rnd, outcomes = bench.random, {False: 0, True: 0}
    for _ in range(1000):
        size = rnd.choice((1, *SIZES))
        areas = {
            name: (rnd.choice((END - rnd.randrange(1, 5000), rnd.getrandbits(64))) // alignment * alignment)
            for name, (_length, alignment) in AREAS.items()
        }
        expected = any(areas[name] + length(size) > END for name, (length, _alignment) in AREAS.items())
        assert bench.beyond(size, **areas) == expected, (size, areas)
        outcomes[expected] += 1
    assert min(outcomes.values()) > 100
