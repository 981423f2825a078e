# amaranth: UnusedElaboratable=no
"""The common configuration structure over a real queue table, compared with a model access by access."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.interfaces import QueueRead, QueueWrite, RegisterPort
from ringwalker.queue.table import QueueTable
from ringwalker.spec.common import COMMON, COMMON_BASE, NO_VECTOR
from ringwalker.spec.common import DeviceStatus as S
from ringwalker.spec.features import Feature
from ringwalker.spec.registers import Access
from ringwalker.streams import QUEUE_BITS
from ringwalker.transport.common import CommonConfig
from ringwalker_sim.bench import parameters, random_stalls, run_bench, start
from ringwalker_sim.bench.common_model import CommonModel
from ringwalker_sim.bench.registers import RegisterInitiator

QUEUE_SIZE = 64
CONFIG_GENERATION = 0x5C
VERSION_1 = 1 << Feature.VERSION_1
RING_RESET = 1 << Feature.RING_RESET
AREAS = ("queue_desc", "queue_driver", "queue_device")


class CommonBench(wiring.Component):
    """CommonConfig and its table. ``rows`` writes the table in place of the reset sequencer."""

    def __init__(self, config: DeviceConfig, device_features: int):
        self.config = config
        self.device_features = device_features
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "rows": In(QueueWrite()),
                "probe": In(QueueRead()),
                "hold": In(1),
                "config_generation": In(8),
                "needs_reset": In(1),
                "reset_done": In(1),
                "queue_reset_done": In(1),
                "status": Out(8),
                "driver_ok": Out(1),
                "driver_features": Out(64),
                "config_vector": Out(16),
                "config_change": Out(1),
                "reset_request": Out(1),
                "queue_reset_request": Out(1),
                "queue_reset_index": Out(QUEUE_BITS),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        this: Any = self
        m.submodules.common = common = CommonConfig(self.config, self.device_features)
        m.submodules.table = table = QueueTable(self.config, 2)
        ports: Any = table
        connect(m, flipped(this.registers), common.registers)
        connect(m, common.table_read, ports.read0)
        connect(m, flipped(this.probe), ports.read1)
        for member in ("index", "row", "mask"):
            source, other, target = (getattr(p, member) for p in (common.table_write, this.rows, ports.write))
            with m.If(this.rows.en):
                m.d.comb += target.eq(other)
            with m.Else():
                m.d.comb += target.eq(source)
        m.d.comb += ports.write.en.eq(this.rows.en | common.table_write.en)
        for name in ("hold", "config_generation", "needs_reset", "reset_done", "queue_reset_done"):
            m.d.comb += getattr(common, name).eq(getattr(this, name))
        for name in ("status", "driver_ok", "driver_features", "config_vector", "config_change"):
            m.d.comb += getattr(this, name).eq(getattr(common, name))
        for name in ("reset_request", "queue_reset_request", "queue_reset_index"):
            m.d.comb += getattr(this, name).eq(getattr(common, name))
        return m


class Bench:
    """The pieces of a test: the initiator, the model, and what the reset sequencer would do."""

    def __init__(self, dut: Any, stall: float):
        self.dut = dut
        self.queues: int = parameters()["queues"]
        self.features: int = parameters()["features"]
        for name in ("hold", "needs_reset", "reset_done", "queue_reset_done", "rows_en", "probe_en"):
            getattr(dut, name).value = 0
        for name in ("rows_index", "rows_mask", "probe_index"):
            getattr(dut, name).value = 0
        for name in ("desc", "driver", "device", "enable", "reserved", "size", "vector"):
            getattr(dut, f"rows_row_{name}").value = 0
        dut.config_generation.value = CONFIG_GENERATION
        self.bus = RegisterInitiator(
            dut,
            "registers",
            COMMON,
            base=COMMON_BASE,
            request_stalls=random_stalls(stall) if stall else None,
            response_stalls=random_stalls(stall) if stall else None,
        )
        self.model = CommonModel(self.queues, QUEUE_SIZE, self.queues + 1, self.features, CONFIG_GENERATION)
        self.get, self.set = self.bus.get, self.bus.set
        self.changes = 0
        cocotb.start_soon(self._count_changes())

    async def _count_changes(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.changes += int(self.dut.config_change.value)

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def pulse(self, name: str) -> None:
        """One cycle of ``name``, after the last write that was taken had its effect."""
        await self.cycles(4)
        getattr(self.dut, name).value = 1
        await RisingEdge(self.dut.clk)
        getattr(self.dut, name).value = 0
        await RisingEdge(self.dut.clk)

    async def rewrite_row(self, queue: int) -> None:
        self.dut.rows_index.value = queue
        self.dut.rows_mask.value = 0xFFFF_FFFF
        self.dut.rows_row_size.value = QUEUE_SIZE
        self.dut.rows_row_vector.value = NO_VECTOR
        await self.pulse("rows_en")

    async def finish_reset(self) -> None:
        for queue in range(self.queues):
            await self.rewrite_row(queue)
        await self.pulse("reset_done")
        self.model.reset()

    async def finish_queue_reset(self) -> int:
        while not int(self.dut.queue_reset_request.value):
            await RisingEdge(self.dut.clk)
        queue = int(self.dut.queue_reset_index.value)
        await self.rewrite_row(queue)
        await self.pulse("queue_reset_done")
        return queue

    async def row(self, queue: int) -> dict[str, int]:
        self.dut.probe_index.value = queue
        await self.pulse("probe_en")
        await RisingEdge(self.dut.clk)
        names = ("desc", "driver", "device", "size", "vector", "enable", "reserved")
        return {name: int(getattr(self.dut, f"probe_row_{name}").value) for name in names}

    async def negotiate(self, features: int | None = None) -> None:
        features = self.features if features is None else features
        await self.set("device_status", S.ACKNOWLEDGE)
        await self.set("device_status", S.ACKNOWLEDGE | S.DRIVER)
        for half in range(2):
            await self.set("driver_feature_select", half)
            await self.set("driver_feature", features >> 32 * half & 0xFFFF_FFFF)
        await self.set("device_status", S.ACKNOWLEDGE | S.DRIVER | S.FEATURES_OK)


async def begin(dut: Any, stall: float = 0.2) -> Bench:
    bench = Bench(dut, stall)
    await start(dut)
    for queue in range(bench.queues):
        await bench.rewrite_row(queue)
    return bench


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
async def offsets_outside_the_structure_are_empty(dut):
    bench = await begin(dut)
    for offset in (COMMON.size, 0x80, 0x114, 0xFFC):
        await bench.bus.write(offset, 0xFFFF_FFFF)
        assert await bench.bus.read(offset) == 0
    assert await bench.get("device_status") == 0


# --- features and status -----------------------------------------------------------------------------------


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
async def needs_reset_is_shown_and_told(dut):
    bench = await begin(dut)
    await bench.pulse("needs_reset")
    await bench.set("device_status", S.ACKNOWLEDGE)
    await bench.pulse("needs_reset")
    assert await bench.get("device_status") == S.ACKNOWLEDGE
    await bench.set("device_status", S.DRIVER)
    await bench.pulse("needs_reset")
    assert await bench.get("device_status") == S.ACKNOWLEDGE | S.DRIVER | S.DEVICE_NEEDS_RESET
    assert bench.changes == 0, "nobody is to be told before DRIVER_OK"
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
        assert shown == status or (not status and shown)
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


@cocotb.test()
async def hold_keeps_requests_waiting(dut):
    bench = await begin(dut, 0)
    for _ in range(20):
        access = cocotb.start_soon(bench.set("queue_size", 2))
        await bench.cycles(random.randrange(4))
        dut.hold.value = 1
        await bench.cycles(3)
        await bench.rewrite_row(0)
        await bench.cycles(random.randrange(20))
        assert (await bench.row(0))["size"] == QUEUE_SIZE
        waited = not access.done()
        dut.hold.value = 0
        await access
        await bench.cycles(4)
        assert (await bench.row(0))["size"] == (2 if waited else QUEUE_SIZE)
        await bench.rewrite_row(0)


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
            for name, value in model.typical_writes():
                register = COMMON[name]
                lane = register.offset % 4
                access = (register.offset - lane, value << 8 * lane, (1 << register.size) - 1 << lane)
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
            assert int(dut.config_vector.value) == model.config_vector
            queue = random.randrange(bench.queues)
            assert await bench.row(queue) == model.rows[queue]
    await bench.cycles(4)
    assert bench.changes == model.changes
    assert model.coverage >= {"device reset", "queue reset", "driver ok", "needs reset", "enable"} - (
        set() if bench.features & RING_RESET else {"queue reset"}
    )


@pytest.mark.parametrize(
    ("queues", "features"), [(3, VERSION_1 | RING_RESET | 0x8000_0241), (1, VERSION_1 | 0x10)]
)
def test_common_config(queues, features):
    config = DeviceConfig(queues=queues, queue_size=QUEUE_SIZE)
    run_bench(
        CommonBench(config, features),
        "tb.transport.test_common",
        parameters={"queues": queues, "features": features},
    )


@pytest.mark.parametrize(
    "features",
    [0, -1, 1 << 64, VERSION_1 | 1 << Feature.NOTIF_CONFIG_DATA, VERSION_1 | 1 << Feature.ADMIN_VQ],
)
def test_common_config_refuses(features):
    with pytest.raises(ValueError, match="device_features is"):
        CommonConfig(DeviceConfig(), features)
