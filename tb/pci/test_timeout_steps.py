"""Completion time-outs that software chooses: how long the steps of each are, and their end."""

import pytest

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.dma.reader import TIMEOUT_STEPS
from ringwalker.pci.timeout_steps import TimeoutSteps, timeout_cycles
from ringwalker.spec.pcie import COMPLETION_TIMEOUTS_US
from ringwalker_sim.testing.inprocess import Bench, simulated

CONFIG = DeviceConfig(clock_mhz=10, completion_timeout=640, pci=PciOptions(timeout_ranges=True))
SHORTEST = 0b0001


class Steps(Bench):
    @classmethod
    def component(cls):
        return TimeoutSteps(CONFIG)

    async def between(self):
        """Cycles from one step to the next."""
        await self.until(lambda: self.value("step"), "a step")
        await self.cycles()
        return 1 + await self.until(lambda: self.value("step"), "the next step")


@simulated(Steps)
async def test_without_a_choice_it_is_the_time_out_of_the_configuration(bench):
    assert await bench.between() * TIMEOUT_STEPS == CONFIG.completion_timeout
    bench.drive("code", 0b0111)
    await bench.cycles(3)
    assert await bench.between() * TIMEOUT_STEPS == CONFIG.completion_timeout, "a reserved code"


@simulated(Steps)
async def test_a_choice_changes_the_step_that_has_begun(bench):
    bench.drive("code", 0b1110)
    await bench.cycles(1000)
    bench.drive("code", SHORTEST)
    await bench.cycles(3)
    assert await bench.between() == timeout_cycles(CONFIG, SHORTEST) // TIMEOUT_STEPS == 11


@simulated(Steps)
async def test_nothing_times_out_while_it_is_disabled(bench):
    bench.drive("disable", 1)
    bench.count("step")
    await bench.cycles(100)
    assert bench.counts["step"] == 0
    bench.drive("disable", 0)
    await bench.cycles(30)
    assert bench.counts["step"] > 0


@pytest.mark.parametrize("code", COMPLETION_TIMEOUTS_US)
@pytest.mark.parametrize("clock_mhz", [1, 250, 1000])
def test_every_choice_is_within_its_range(code, clock_mhz):
    config = DeviceConfig(clock_mhz=clock_mhz)
    low, high = COMPLETION_TIMEOUTS_US[code]
    step = max(1, timeout_cycles(config, code) // TIMEOUT_STEPS)
    assert low * clock_mhz <= (TIMEOUT_STEPS - 1) * step
    assert (TIMEOUT_STEPS + 1) * step <= high * clock_mhz
