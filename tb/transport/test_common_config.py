# amaranth: UnusedElaboratable=no
"""The common configuration structure, register by register and against a model access by access."""

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR
from ringwalker.spec.modern import DeviceStatus as S
from ringwalker.spec.registers import Access
from ringwalker.transport.common_config import CommonConfig
from ringwalker_sim.testing import run_bench
from ringwalker_sim.testing.common_bench import CONFIG_GENERATION, QUEUE_SIZE, CommonBench, begin

VERSION_1 = 1 << Feature.VERSION_1
RING_RESET = 1 << Feature.RING_RESET
AREAS = ("queue_desc", "queue_driver", "queue_device")


@cocotb.test()
async def registers_have_their_reset_values(dut):
    bench = await begin(dut)
    derived = {
        "num_queues": bench.queues,
        "config_generation": CONFIG_GENERATION,
        "queue_size": QUEUE_SIZE,
        "device_feature": bench.features & 0xFFFF_FFFF,
    }
    for register in COMMON:
        assert await bench.get(register.name) == derived.get(register.name, register.reset), register.name


@cocotb.test()
async def read_write_registers_keep_and_read_only_ones_do_not(dut):
    bench = await begin(dut)
    legal = {
        "config_msix_vector": [0, bench.queues, NO_VECTOR],
        "device_status": [S.ACKNOWLEDGE, S.ACKNOWLEDGE | S.DRIVER],
        "queue_select": [0xFFFF, 0],
        "queue_size": [QUEUE_SIZE // 2, 1],
        "queue_msix_vector": [bench.queues, 0],
        "queue_enable": [1],
        "queue_reset": [0],
        "queue_desc": [0xFEDC_BA98_7654_3210, 0],
        "queue_driver": [0xFEDC_BA98_7654_3212, 2],
        "queue_device": [0xFEDC_BA98_7654_3214, 4],
    }
    last = ("queue_enable",)
    for register in sorted(COMMON, key=lambda r: r.name in last):
        name = register.name
        before = await bench.get(name)
        if register.access is Access.RW:
            for value in legal.get(name, [random.getrandbits(register.width), 0]):
                await bench.set(name, value)
                assert await bench.get(name) == value, name
        else:
            for value in (0, (1 << register.width) - 1, before ^ 1):
                await bench.set(name, value)
                assert await bench.get(name) == before, name


@cocotb.test()
async def wide_registers_are_written_in_halves_and_bytes(dut):
    bench = await begin(dut)
    for name in AREAS:
        register, value = COMMON[name], 0
        await bench.set(name, 0)
        for _ in range(40):
            dword = random.randrange(2)
            strobe, data = random.getrandbits(4), random.getrandbits(32) & ~0xF
            await bench.bus.write(register.offset + 4 * dword, data, strobe)
            for n in range(4):
                if strobe >> n & 1:
                    shift = 32 * dword + 8 * n
                    value = value & ~(0xFF << shift) | (data >> 8 * n & 0xFF) << shift
            assert await bench.get(name) == value


@cocotb.test()
async def areas_are_forced_to_their_alignment(dut):
    bench = await begin(dut)
    for name, alignment in zip(AREAS, (16, 2, 4), strict=True):
        await bench.set(name, 0x1234_5678_9ABC_DEFF)
        assert await bench.get(name) == 0x1234_5678_9ABC_DEFF & ~(alignment - 1)


@cocotb.test()
async def queue_size_takes_powers_of_two_up_to_the_maximum(dut):
    bench = await begin(dut)
    current = QUEUE_SIZE
    for value in (*range(QUEUE_SIZE + 3), 2 * QUEUE_SIZE, 1 << 15, 0xFFFF):
        await bench.set("queue_size", value)
        if value in (1, 2, 4, 8, 16, 32, 64):
            current = value
        assert await bench.get("queue_size") == current, value


@cocotb.test()
async def what_is_withheld_is_not_offered_and_not_taken(dut):
    bench = await begin(dut)
    for bit in range(64):
        if bench.features >> bit & 1 and 1 << bit != VERSION_1:
            dut.withheld.value = 1 << bit
            for half in range(2):
                await bench.set("device_feature_select", half)
                offered = (bench.features & ~(1 << bit)) >> 32 * half & 0xFFFF_FFFF
                assert await bench.get("device_feature") == offered
            for withheld, accepted in ((1 << bit, 0), (0, S.FEATURES_OK)):
                dut.withheld.value = withheld
                await bench.set("device_status", 0)
                await bench.pulse("reset_done")
                for half in range(2):
                    await bench.set("driver_feature_select", half)
                    await bench.set("driver_feature", (VERSION_1 | 1 << bit) >> 32 * half & 0xFFFF_FFFF)
                await bench.set("device_status", S.FEATURES_OK)
                assert await bench.get("device_status") & S.FEATURES_OK == accepted


@cocotb.test()
async def vectors_that_do_not_exist_read_back_as_none(dut):
    bench = await begin(dut)
    for name in ("config_msix_vector", "queue_msix_vector"):
        for value in (0, bench.queues, bench.queues + 1, 0x7FF, 1, 0x100, NO_VECTOR):
            await bench.set(name, value)
            expected = value if value <= bench.queues else NO_VECTOR
            assert await bench.get(name) == expected
            if name == "config_msix_vector":
                assert int(dut.config_vector.value) == expected


@cocotb.test()
async def queues_that_do_not_exist_read_zero_and_ignore_writes(dut):
    bench = await begin(dut)
    rows = [await bench.row(queue) for queue in range(bench.queues)]
    names = [r.name for r in COMMON if r.name.startswith("queue_") and r.name != "queue_select"]
    for select in (bench.queues, 0x400, 0xFFFF, 1 << 15):
        await bench.set("queue_select", select)
        for name in names:
            await bench.set(name, 1 if name in ("queue_enable", "queue_reset") else QUEUE_SIZE // 2)
            assert await bench.get(name) == 0, name
    assert [await bench.row(queue) for queue in range(bench.queues)] == rows


@cocotb.test()
async def an_enabled_queue_cannot_be_changed(dut):
    bench = await begin(dut)
    queue = bench.queues - 1
    await bench.set("queue_select", queue)
    for value in (0, 2, 0x101, 0xFFFF):
        await bench.set("queue_enable", value)
        assert await bench.get("queue_enable") == 0
    for n, name in enumerate(AREAS):
        await bench.set(name, (n + 1) << 36)
    await bench.set("queue_size", 16)
    await bench.set("queue_msix_vector", 1)
    await bench.set("queue_enable", 1)
    expected = {
        "desc": 1 << 36,
        "driver": 2 << 36,
        "device": 3 << 36,
        "size": 16,
        "vector": 1,
        "enable": 1,
        "reserved": 0,
    }
    assert await bench.row(queue) == expected
    for name in AREAS:
        await bench.set(name, 0xFFFF_0000)
    await bench.set("queue_size", 32)
    for value in (0, 2, 1):
        await bench.set("queue_enable", value)
    assert await bench.row(queue) == expected
    await bench.set("queue_msix_vector", 0)
    assert await bench.row(queue) == expected | {"vector": 0}


@cocotb.test()
async def a_queue_that_goes_beyond_the_last_address_is_a_failure(dut):
    bench = await begin(dut)
    size = 16
    lengths = {"queue_desc": 16 * size, "queue_driver": 6 + 2 * size, "queue_device": 6 + 8 * size}
    for name, alignment in zip(AREAS, (16, 2, 4), strict=True):
        last = (1 << 64) - lengths[name] & ~(alignment - 1)
        for address, good in ((last, True), (last + alignment, False)):
            await bench.negotiate()
            await bench.set("device_status", S.DRIVER_OK)
            await bench.set("queue_size", size)
            await bench.set(name, address)
            changes = bench.changes
            await bench.set("queue_enable", 1)
            await bench.cycles(4)
            assert await bench.get("queue_enable") == good, (name, hex(address))
            assert bool(await bench.get("device_status") & S.DEVICE_NEEDS_RESET) == (not good)
            assert (int(dut.fail.value), bench.changes - changes) == (not good, not good)
            assert int(dut.driver_ok.value) == good
            await bench.set("device_status", 0)
            await bench.cycles(4)
            assert not int(dut.fail.value), "the reset that is asked for may clear the failure of others"
            await bench.finish_reset()
            assert not int(dut.fail.value)


@cocotb.test()
async def a_failure_from_before_the_driver_is_shown_to_it(dut):
    bench = await begin(dut)
    await bench.set("queue_desc", (1 << 64) - 16)
    await bench.set("queue_enable", 1)
    await bench.cycles(4)
    assert await bench.get("device_status") == 0
    assert int(dut.fail.value)
    await bench.set("device_status", S.ACKNOWLEDGE | S.DRIVER)
    assert await bench.get("device_status") == S.ACKNOWLEDGE | S.DRIVER | S.DEVICE_NEEDS_RESET


@cocotb.test()
async def offsets_outside_the_structure_are_empty(dut):
    bench = await begin(dut)
    for offset in (COMMON.size, 0x80, 0x114, 0xFFC):
        await bench.bus.write(offset, 0xFFFF_FFFF)
        assert await bench.bus.read(offset) == 0
    assert await bench.get("device_status") == 0


@cocotb.test()
async def hold_keeps_requests_waiting(dut):
    bench = await begin(dut, 0)
    early = 0
    for _ in range(30):
        access = cocotb.start_soon(bench.set("queue_size", 2))
        await bench.cycles(random.randrange(4))
        dut.hold.value = 1
        await bench.cycles(1)
        landed = (await bench.row(0))["size"] == 2
        early += landed
        await bench.rewrite_row(0)
        for _ in range(random.randrange(20)):
            await bench.cycles(1)
            assert not int(dut.registers_requests_ready.value)
        assert (await bench.row(0))["size"] == QUEUE_SIZE
        dut.hold.value = 0
        await access
        assert (await bench.row(0))["size"] == (QUEUE_SIZE if landed else 2)
        await bench.rewrite_row(0)
    assert 0 < early < 30


@cocotb.test()
async def accesses_are_as_quick_as_promised(dut):
    bench = await begin(dut, 0)
    for _ in range(20):
        bench.bus.requests.queue({"offset": COMMON.queue_desc.offset, "write": 1, "strobe": 0xF})
    await RisingEdge(dut.registers_requests_valid)
    cycles = 0
    while bench.bus.requests.pending:
        await RisingEdge(dut.clk)
        cycles += 1
    assert cycles <= 20 * 3 + 1, cycles
    for _ in range(20):
        bench.bus.requests.queue({"offset": COMMON.queue_desc.offset, "strobe": 0xF})
    cycles = 0
    while len(bench.bus.responses.received) < 20:
        await RisingEdge(dut.clk)
        cycles += 1
    assert cycles <= 20 * 3 + 4, cycles


@cocotb.test()
async def random_accesses_agree_with_the_model(dut):
    bench = await begin(dut)
    model = bench.model
    for step in range(5000):
        action = random.random()
        if action < 0.004:
            await bench.pulse("needs_reset")
            model.needs_reset()
        elif model.resetting and action < 0.15:
            await bench.finish_reset()
        elif model.waiting and not model.resetting and action < 0.05:
            assert await bench.finish_queue_reset() == model.queue_reset_done()
        elif action < 0.06:
            # A reset now and then, since the answer to features is final.
            reset = model.accesses("device_status", 0)
            for access in reset if action < 0.015 else model.typical_writes():
                await bench.bus.write(*access)
                model.write(*access)
        elif action < 0.5:
            offset = 4 * random.randrange(17)
            assert await bench.bus.read(offset) == model.read(offset), f"step {step}, offset {offset:#x}"
        else:
            offset, value, strobe = model.random_write()
            await bench.bus.write(offset, value, strobe)
            model.write(offset, value, strobe)
        if step % 25 == 0:
            await bench.cycles(4)
            assert int(dut.status.value) == model.status
            assert int(dut.driver_features.value) == model.driver_features
            assert int(dut.driver_ok.value) == model.driver_ok
            assert int(dut.fail.value) == (model.failed and not model.resetting)
            assert int(dut.config_vector.value) == model.config_vector
            queue = random.randrange(bench.queues)
            assert await bench.row(queue) == model.rows[queue]
    await bench.cycles(4)
    assert bench.changes == model.changes
    seen = {"device reset", "queue reset", "driver ok", "needs reset", "enable", "foreign features", "beyond"}
    assert model.coverage >= seen - (set() if bench.features & RING_RESET else {"queue reset"})


@pytest.mark.parametrize(
    ("queues", "features"),
    [
        (3, VERSION_1 | RING_RESET | 0x8000_0241),
        pytest.param(1, VERSION_1 | 0x10, marks=pytest.mark.slow),
    ],
)
def test_common_config(queues, features):
    config = DeviceConfig(queues=queues, queue_size=QUEUE_SIZE)
    run_bench(
        CommonBench(config, features),
        "tb.transport.test_common_config",
        parameters={"queues": queues, "features": features},
    )


@pytest.mark.parametrize(
    "features",
    [0, -1, 1 << 64, VERSION_1 | 1 << Feature.ADMIN_VQ],
)
def test_common_config_refuses(features):
    with pytest.raises(ValueError, match="device_features is"):
        CommonConfig(DeviceConfig(), features)
