"""VIRTIO_F_SUSPEND: what the status shows and when the device is to be at rest, one fact each.

Ref: virtio 1.4, 3.4 (Device Suspend).
"""

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.transport.common_config import CommonConfig
from ringwalker.transport.quiet import QUIET_CYCLES
from ringwalker_sim.testing.common_registers import CommonRegisters
from ringwalker_sim.testing.inprocess import simulated

VERSION, SUSPEND, RESET = 1 << Feature.VERSION_1, 1 << Feature.SUSPEND, 1 << Feature.RING_RESET
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK
RUNS = STARTED | DeviceStatus.DRIVER_OK
RESTS = STARTED | DeviceStatus.SUSPEND
SOON = 3 * QUIET_CYCLES


class Common(CommonRegisters):
    """The registers, in front of a device that is at rest whenever it is asked."""

    @classmethod
    def component(cls):
        return CommonConfig(DeviceConfig(data_width=64, suspend=True), VERSION | SUSPEND | RESET)

    def __init__(self):
        super().__init__()
        self.drive("halted", 1)
        self.drive("settled", 1)

    async def begin(self, features=VERSION | SUSPEND, status=RUNS):
        await super().begin(features, status)
        assert self.value("status") == status

    async def suspend(self):
        await self.write("device_status", RUNS | DeviceStatus.SUSPEND)


@simulated(Common)
async def test_suspend_takes_the_place_of_driver_ok_and_driver_ok_that_of_suspend(bench):
    await bench.begin()
    for _ in range(3):
        await bench.suspend()
        await bench.until(lambda: bench.value("status") == RESTS, "SUSPEND", SOON)
        assert not bench.value("driver_ok")
        assert bench.value("suspend_halt")
        await bench.write("device_status", RUNS | DeviceStatus.SUSPEND)
        assert bench.value("status") == RUNS
        assert bench.value("driver_ok")
        assert not bench.value("suspend_halt")


@simulated(Common)
async def test_without_the_feature_the_bit_is_ignored(bench):
    await bench.begin(VERSION)
    await bench.suspend()
    await bench.cycles(SOON)
    assert bench.value("status") == RUNS


@simulated(Common)
async def test_before_driver_ok_the_bit_is_ignored(bench):
    await bench.begin(status=STARTED)
    await bench.write("device_status", STARTED | DeviceStatus.SUSPEND)
    await bench.cycles(SOON)
    assert bench.value("status") == STARTED
    await bench.suspend()
    await bench.cycles(SOON)
    assert bench.value("status") == RUNS, "also in the write that sets DRIVER_OK"


@simulated(Common)
async def test_the_status_changes_once_chains_have_ended_and_all_notifications_have_left(bench):
    await bench.begin()
    bench.drive("halted", 0)
    bench.drive("settled", 0)
    await bench.suspend()
    await bench.cycles(SOON)
    assert (bench.value("suspend_halt"), bench.value("suspend_hold")) == (1, 0)
    bench.drive("halted", 1)
    await bench.cycles(SOON)
    assert (bench.value("suspend_halt"), bench.value("suspend_hold")) == (1, 1)
    assert bench.value("status") == RUNS
    bench.drive("settled", 1)
    await bench.until(lambda: bench.value("status") == RESTS, "SUSPEND", SOON)
    assert bench.value("suspend_hold")


@simulated(Common)
async def test_it_waits_for_the_reset_of_a_queue(bench):
    await bench.begin()
    bench.drive("busy", 1)
    await bench.suspend()
    await bench.cycles(SOON)
    assert not bench.value("suspend_halt")
    bench.drive("busy", 0)
    await bench.until(lambda: bench.value("status") == RESTS, "SUSPEND", SOON)


@simulated(Common)
async def test_a_queue_is_reset_while_the_device_rests_but_not_while_it_comes_to_rest(bench):
    await bench.begin(VERSION | SUSPEND | RESET)
    bench.drive("table_read.row", {"enable": 1})
    bench.drive("halted", 0)
    await bench.suspend()
    await bench.write("queue_reset", 1)
    await bench.cycles(SOON)
    assert (bench.value("suspend_halt"), bench.value("queue_reset_request")) == (1, 0)
    bench.drive("halted", 1)
    await bench.until(lambda: bench.value("queue_reset_request"), "the reset of the queue", SOON)
    assert bench.value("status") == RESTS
    await bench.write("device_status", RUNS)
    assert (bench.value("status"), bench.value("queue_reset_request")) == (RUNS, 1), "it goes on"


@simulated(Common)
async def test_a_reset_ends_it_at_any_time(bench):
    for moment in (0, 5, QUIET_CYCLES + 5, SOON):
        await bench.begin()
        await bench.suspend()
        await bench.cycles(moment)
        await bench.write("device_status", 0)
        assert bench.value("reset_request")
        assert not bench.value("suspend_halt")
        assert not bench.value("suspended")
        bench.drive("reset_done", 1)
        await bench.cycles()
        bench.drive("reset_done", 0)
        await bench.cycles(2)
        assert bench.value("status") == 0


@simulated(Common)
async def test_a_failure_ends_it_and_the_driver_is_notified(bench):
    bench.count("config_change")
    for moment in (2, SOON):
        await bench.begin()
        await bench.suspend()
        await bench.cycles(moment)
        bench.counts.clear()
        bench.drive("needs_reset", 1)
        await bench.cycles()
        bench.drive("needs_reset", 0)
        await bench.cycles(3)
        assert bench.value("status") == RUNS | DeviceStatus.DEVICE_NEEDS_RESET
        assert bench.counts["config_change"] == 1
        await bench.write("device_status", 0)
        bench.drive("reset_done", 1)
        await bench.cycles()
        bench.drive("reset_done", 0)
        await bench.cycles(2)
