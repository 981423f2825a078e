# amaranth: UnusedElaboratable=no
"""The device status, feature negotiation, and the driver's view of device and queue resets."""

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON
from ringwalker.spec.modern import DeviceStatus as S
from ringwalker.spec.registers import Access
from ringwalker_sim.testing import run_bench
from ringwalker_sim.testing.common_bench import QUEUE_SIZE, CommonBench, begin

VERSION_1 = 1 << Feature.VERSION_1
RING_RESET = 1 << Feature.RING_RESET
AREAS = ("queue_desc", "queue_driver", "queue_device")


@cocotb.test()
async def features_ok_needs_a_subset_with_version_1(dut):
    bench = await begin(dut)
    stranger = next(1 << n for n in range(64) if not bench.features >> n & 1)
    cases = [
        (0, False),
        (bench.features & ~VERSION_1, False),
        (bench.features | stranger, False),
        (VERSION_1 | stranger, False),
        (VERSION_1, True),
        (bench.features, True),
    ]
    for features, good in cases:
        await bench.negotiate(features)
        assert int(dut.driver_features.value) == features
        assert bool(await bench.get("device_status") & S.FEATURES_OK) == good, hex(features)
        await bench.set("device_status", S.DRIVER_OK)
        assert bool(await bench.get("device_status") & S.DRIVER_OK) == good
        await bench.set("driver_feature_select", 0)
        await bench.set("driver_feature", 0x1234_5678)
        assert await bench.get("driver_feature") == (features & 0xFFFF_FFFF if good else 0x1234_5678)
        await bench.set("device_status", 0)
        await bench.finish_reset()


@cocotb.test()
async def features_ok_needs_words_without_strangers_up_to_the_last(dut):
    bench = await begin(dut)
    good = S.ACKNOWLEDGE | S.DRIVER | S.FEATURES_OK
    for word in (2, 3, 4, 0x8000_0000, 0xFFFF_FFFF):
        for bit in (0, 9, 31):
            await bench.negotiate(bench.features)
            assert await bench.get("device_status") == good
            await bench.set("device_status", 0)
            await bench.finish_reset()
            await bench.set("driver_feature_select", word)
            await bench.set("driver_feature", 1 << bit)
            await bench.negotiate(bench.features)
            assert await bench.get("device_status") == good & ~S.FEATURES_OK, (word, bit)
            assert int(dut.driver_features.value) == bench.features
            await bench.set("device_status", 0)
            await bench.finish_reset()


@cocotb.test()
async def features_can_be_corrected_before_features_ok(dut):
    bench = await begin(dut)
    for word in (2, 3):
        await bench.set("driver_feature_select", word)
        await bench.set("driver_feature", 0x8001_0000)
        lane, offset = COMMON.driver_feature.offset % 4, COMMON.driver_feature.offset
        assert lane == 0
        await bench.bus.write(offset, 0, 0b0100)
        await bench.negotiate(bench.features)
        assert not await bench.get("device_status") & S.FEATURES_OK, "a byte is still not 0"
        await bench.set("driver_feature_select", word)
        await bench.bus.write(offset, 0, 0b1000)
        await bench.negotiate(bench.features)
        assert await bench.get("device_status") & S.FEATURES_OK
        await bench.set("driver_feature_select", word)
        await bench.set("driver_feature", 0xFFFF_FFFF)
        await bench.set("device_status", S.FEATURES_OK | S.DRIVER_OK)
        assert await bench.get("device_status") & S.DRIVER_OK, "features are fixed by then"
        await bench.set("device_status", 0)
        await bench.finish_reset()


@cocotb.test()
async def feature_selects_above_one_are_empty(dut):
    bench = await begin(dut)
    for select in (2, 3, 0x8000_0000, 0xFFFF_FFFF):
        await bench.set("device_feature_select", select)
        await bench.set("driver_feature_select", select)
        await bench.set("driver_feature", 0xFFFF_FFFF)
        assert await bench.get("device_feature") == 0
        assert await bench.get("driver_feature") == 0
    assert int(dut.driver_features.value) == 0
    await bench.set("device_feature_select", 1)
    assert await bench.get("device_feature") == bench.features >> 32


@cocotb.test()
async def status_takes_each_write_as_the_table_says(dut):
    bench = await begin(dut)
    ready = S.ACKNOWLEDGE | S.DRIVER | S.FEATURES_OK
    # Features are acceptable or not, then (written, read back) in turn.
    table = [
        (True, [(S.ACKNOWLEDGE, S.ACKNOWLEDGE), (S.DRIVER, S.ACKNOWLEDGE | S.DRIVER)]),
        (True, [(S.ACKNOWLEDGE | S.DRIVER, S.ACKNOWLEDGE | S.DRIVER), (S.FEATURES_OK, ready)]),
        (True, [(ready, ready), (S.ACKNOWLEDGE, ready), (S.DRIVER_OK, ready | S.DRIVER_OK)]),
        (True, [(0xFF, ready | S.DRIVER_OK | S.FAILED)]),
        (True, [(S.DRIVER_OK, 0), (S.SUSPEND, 0), (S.DEVICE_NEEDS_RESET, 0), (0x20, 0)]),
        (True, [(S.FAILED, S.FAILED), (S.ACKNOWLEDGE, S.FAILED | S.ACKNOWLEDGE)]),
        (False, [(S.FEATURES_OK, 0), (S.DRIVER, S.DRIVER), (0xFF, 0x83)]),
        (False, [(ready | S.DRIVER_OK, S.ACKNOWLEDGE | S.DRIVER)]),
    ]
    for acceptable, writes in table:
        await bench.set("driver_feature_select", 1)
        await bench.set("driver_feature", VERSION_1 >> 32 if acceptable else 0)
        for value, expected in writes:
            await bench.set("device_status", int(value))
            assert await bench.get("device_status") == expected, (acceptable, value)
            assert int(dut.status.value) == expected
            assert int(dut.driver_ok.value) == bool(expected & S.DRIVER_OK)
        await bench.set("device_status", 0)
        await bench.finish_reset()


@cocotb.test()
async def needs_reset_is_shown_and_notified(dut):
    bench = await begin(dut)
    await bench.pulse("needs_reset")
    await bench.set("device_status", S.ACKNOWLEDGE)
    await bench.pulse("needs_reset")
    assert await bench.get("device_status") == S.ACKNOWLEDGE
    await bench.set("device_status", S.DRIVER)
    await bench.pulse("needs_reset")
    assert await bench.get("device_status") == S.ACKNOWLEDGE | S.DRIVER | S.DEVICE_NEEDS_RESET
    assert bench.changes == 0, "no notification before DRIVER_OK"
    await bench.set("device_status", 0)
    await bench.finish_reset()
    await bench.negotiate()
    await bench.set("device_status", S.DRIVER_OK)
    await bench.cycles(5)
    assert int(dut.driver_ok.value)
    dut.needs_reset.value = 1
    await bench.cycles(30)
    assert bench.changes == 1
    assert not int(dut.driver_ok.value)
    assert int(dut.status.value) & S.DEVICE_NEEDS_RESET
    await bench.set("device_status", 0)
    await bench.finish_reset()
    assert await bench.get("device_status") == 0
    assert bench.changes == 1


# --- resets ------------------------------------------------------------------------------------------------


@cocotb.test()
async def a_reset_shows_the_old_status_until_it_is_done(dut):
    bench = await begin(dut)
    for status in (S.ACKNOWLEDGE | S.DRIVER, 0):
        if status:
            await bench.set("device_status", int(status))
            await bench.set("config_msix_vector", 1)
        await bench.set("device_status", 0)
        await bench.cycles(5)
        assert int(dut.reset_request.value)
        shown = await bench.get("device_status")
        assert shown == status if status else shown != 0
        # Writes are ignored, among them the first of a driver that does not wait.
        await bench.set("device_status", S.FAILED)
        await bench.set("queue_select", 1)
        await bench.set("queue_size", 2)
        await bench.set("driver_feature", 0xFFFF)
        assert await bench.get("device_status") == shown
        assert await bench.get("queue_select") == 0
        assert await bench.get("queue_size") == QUEUE_SIZE
        await bench.cycles(random.randrange(40))
        await bench.finish_reset()
        assert not int(dut.reset_request.value)
        assert not int(dut.driver_features.value)
        for register in COMMON:
            if register.access is Access.RW and register.name != "queue_size":
                assert await bench.get(register.name) == register.reset, register.name


@cocotb.test()
async def a_reset_that_nobody_wrote_is_as_one_that_the_driver_wrote(dut):
    bench = await begin(dut)
    await bench.negotiate(bench.features)
    for during_another in (False, True):
        if during_another:
            await bench.set("device_status", 0)
        dut.reset.value = 1
        await RisingEdge(dut.clk)
        dut.reset.value = 0
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        assert int(dut.reset_request.value)
        assert await bench.get("device_status") != 0
        await bench.finish_reset()
        assert await bench.get("device_status") == 0
        assert int(dut.driver_features.value) == 0
        await bench.negotiate(bench.features)


@cocotb.test()
async def queue_reset_waits_for_features_ok(dut):
    """A feature that was written is not negotiated yet."""
    bench = await begin(dut)
    await bench.set("driver_feature_select", 1)
    await bench.set("driver_feature", bench.features >> 32)
    await bench.set("queue_enable", 1)
    await bench.set("queue_reset", 1)
    assert await bench.get("queue_reset") == 0
    await bench.set("device_status", S.FEATURES_OK)
    assert await bench.get("device_status") == S.FEATURES_OK
    await bench.set("queue_reset", 1)
    assert await bench.get("queue_reset") == bool(bench.features & RING_RESET)


@cocotb.test()
async def queues_are_reset_one_by_one(dut):
    bench = await begin(dut)
    offered = bool(bench.features & RING_RESET)
    for negotiated in (False, True):
        await bench.negotiate(VERSION_1 | (bench.features & RING_RESET if negotiated else 0))
        waiting = list(range(bench.queues))
        random.shuffle(waiting)
        await bench.set("queue_select", waiting[0])
        await bench.set("queue_reset", 1)
        assert await bench.get("queue_reset") == 0, "only an enabled queue can be reset"
        for queue in waiting:
            await bench.set("queue_select", queue)
            await bench.set("queue_size", 4)
            await bench.set("queue_enable", 1)
            for value in (0, 2, 0xFFFF):
                await bench.set("queue_reset", value)
            assert await bench.get("queue_reset") == 0
            for _ in range(2):
                await bench.set("queue_reset", 1)
                assert await bench.get("queue_reset") == int(negotiated and offered)
            assert await bench.get("queue_enable") == 1
        await bench.cycles(20)
        if negotiated and offered:
            for n, queue in enumerate(waiting):
                assert await bench.finish_queue_reset() == queue
                for m, other in enumerate(waiting):
                    await bench.set("queue_select", other)
                    done = m <= n
                    assert await bench.get("queue_reset") == (not done)
                    assert await bench.get("queue_enable") == (not done)
                    assert await bench.get("queue_size") == (QUEUE_SIZE if done else 4)
            await bench.set("queue_enable", 1)
            await bench.set("queue_reset", 1)
            await bench.cycles(3)
            assert int(dut.queue_reset_request.value)
        else:
            assert not int(dut.queue_reset_request.value)
        await bench.set("device_status", 0)
        await bench.finish_reset()
        await bench.cycles(3)
        assert not int(dut.queue_reset_request.value), "a device reset takes the queue's with it"


@pytest.mark.parametrize(
    ("queues", "features"), [(3, VERSION_1 | RING_RESET | 0x8000_0241), (1, VERSION_1 | 0x10)]
)
def test_status(queues, features):
    config = DeviceConfig(queues=queues, queue_size=QUEUE_SIZE)
    run_bench(
        CommonBench(config, features),
        "tb.transport.test_device_status",
        parameters={"queues": queues, "features": features},
    )
