"""Resets with the sequencer wired to CommonConfig, the queue table, scheduler, doorbells and ISR."""

import random
from typing import Any

import cocotb
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import RisingEdge

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.interfaces import QueueRead, RegisterPort
from ringwalker.queue.scheduler import Scheduler
from ringwalker.queue.table import QueueTable
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, ISR, NO_VECTOR, NOTIFY_MULTIPLIER, DeviceStatus
from ringwalker.streams import Visit, stream_of
from ringwalker.transport.common_config import CommonConfig
from ringwalker.transport.isr import Isr
from ringwalker.transport.notify import Notify
from ringwalker.transport.reset_sequencer import ResetSequencer
from ringwalker_sim.testing import StreamSink, random_stalls, run_bench, start
from ringwalker_sim.testing.registers import RegisterInitiator

QUEUES = 5
QUEUE_SIZE = 128
FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
ROW_FIELDS = ("desc", "driver", "device", "size", "vector", "enable", "reserved")
RESET_ROW = dict.fromkeys(ROW_FIELDS, 0) | {"size": QUEUE_SIZE, "vector": NO_VECTOR}


async def _cycles(dut: Any, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk)


class ControlSide(Component):
    """The control side without the router: what the device's top wires in the same way."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "doorbell_registers": In(RegisterPort()),
                "isr_registers": In(RegisterPort()),
                "visits": Out(stream_of(Visit)),
                "probe": In(QueueRead()),
                "busy": In(1),
                "set_queue": In(1),
                "asserted": Out(1),
                "driver_ok": Out(1),
                "halt": Out(1),
                "device_done": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        this: Any = self
        m.submodules.common = common = CommonConfig(self.config, FEATURES)
        m.submodules.table = table = QueueTable(self.config, ("common", "probe"))
        m.submodules.reset = reset = ResetSequencer(self.config)
        m.submodules.notify = notify = Notify(self.config)
        m.submodules.isr = isr = Isr()
        m.submodules.scheduler = scheduler = Scheduler(self.config.queues)
        ports: Any = table
        connect(m, flipped(this.registers), common.registers)
        connect(m, flipped(this.doorbell_registers), notify.registers)
        connect(m, flipped(this.isr_registers), isr.registers)
        connect(m, common.table_read, ports.common)
        connect(m, flipped(this.probe), ports.probe)
        connect(m, notify.doorbells, scheduler.doorbells)
        connect(m, scheduler.visits, flipped(this.visits))
        connect(m, reset.clear, scheduler.clear)
        m.d.comb += ports.write.en.eq(reset.table_write.en | common.table_write.en)
        for member in ("index", "row", "mask"):
            target = getattr(ports.write, member)
            with m.If(reset.table_write.en):
                m.d.comb += target.eq(getattr(reset.table_write, member))
            with m.Else():
                m.d.comb += target.eq(getattr(common.table_write, member))
        m.d.comb += [
            common.hold.eq(~reset.ready),
            common.reset_done.eq(reset.device_done),
            common.queue_reset_done.eq(reset.queue_done),
            reset.device_request.eq(common.reset_request),
            reset.queue_request.eq(common.queue_reset_request),
            reset.queue_index.eq(common.queue_reset_index),
            *(
                getattr(reset, name).eq(scheduler.idle & notify.idle & ~this.busy)
                for name in ("halted", "departed", "answered", "settled")
            ),
            scheduler.halt.eq(reset.halt),
            notify.enable.eq(common.driver_ok),
            isr.clear.eq(reset.clearing),
            isr.set_queue.eq(this.set_queue),
            this.asserted.eq(isr.asserted),
            this.driver_ok.eq(common.driver_ok),
            this.halt.eq(reset.halt),
            this.device_done.eq(reset.device_done),
        ]
        return m


class Driver:
    """What a driver does with the control side. ``visited`` are the queues that were visited."""

    def __init__(self, dut: Any):
        self.dut = dut
        for name in ("busy", "set_queue", "probe_en", "probe_index"):
            getattr(dut, name).value = 0
        stalls = [random_stalls(0.2) for _ in range(6)]
        self.common = RegisterInitiator(
            dut, "registers", COMMON, request_stalls=stalls[0], response_stalls=stalls[1]
        )
        self.doorbells = RegisterInitiator(dut, "doorbell_registers", COMMON, request_stalls=stalls[2])
        self.isr = RegisterInitiator(dut, "isr_registers", ISR, request_stalls=stalls[3])
        self.get, self.set = self.common.get, self.common.set
        self.visited: list[int] = []
        self.visits = StreamSink(
            dut, "visits", stalls[4], callback=lambda visit: self.visited.append(visit["queue"])
        )

    async def row(self, queue: int) -> dict[str, int]:
        await _cycles(self.dut, 4)
        self.dut.probe_index.value = queue
        self.dut.probe_en.value = 1
        await _cycles(self.dut, 1)
        self.dut.probe_en.value = 0
        await _cycles(self.dut, 2)
        return {name: int(getattr(self.dut, f"probe_row_{name}").value) for name in ROW_FIELDS}

    async def initialise(self) -> None:
        """From reset to DRIVER_OK with every queue enabled."""
        for half in range(2):
            await self.set("driver_feature_select", half)
            await self.set("driver_feature", FEATURES >> 32 * half & 0xFFFF_FFFF)
        status = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK
        await self.set("device_status", int(status))
        assert await self.get("device_status") == status
        for queue in range(QUEUES):
            await self.set_up_queue(queue)
        await self.set("device_status", int(status | DeviceStatus.DRIVER_OK))
        assert await self.get("device_status") == status | DeviceStatus.DRIVER_OK

    async def wait_for_reset(self) -> None:
        """Read device_status until it is 0."""
        for _ in range(200):
            if await self.get("device_status") == 0:
                return
        raise AssertionError("the reset does not end")

    async def set_up_queue(self, queue: int) -> None:
        await self.set("queue_select", queue)
        assert await self.get("queue_size") == QUEUE_SIZE
        assert await self.get("queue_enable") == 0
        await self.set("queue_desc", 0x1000 * (queue + 1))
        await self.set("queue_driver", 0x10_0000 * (queue + 1))
        await self.set("queue_device", 0x1000_0000_0000 * (queue + 1))
        await self.set("queue_size", QUEUE_SIZE // 2)
        await self.set("queue_msix_vector", queue + 1)
        await self.set("queue_enable", 1)

    async def ring(self, queue: int) -> None:
        await self.doorbells.write(NOTIFY_MULTIPLIER * queue, queue, 0b0011)


def expected_row(queue: int) -> dict[str, int]:
    return {
        "desc": 0x1000 * (queue + 1),
        "driver": 0x10_0000 * (queue + 1),
        "device": 0x1000_0000_0000 * (queue + 1),
        "size": QUEUE_SIZE // 2,
        "vector": queue + 1,
        "enable": 1,
        "reserved": 0,
    }


@cocotb.test()
async def registers_wait_for_power_up(dut):
    """The first access, offered during the reset itself, sees initialised rows."""
    driver = Driver(dut)
    first = cocotb.start_soon(driver.get("queue_size"))
    await start(dut)
    assert await first == QUEUE_SIZE
    for queue in range(QUEUES):
        assert await driver.row(queue) == RESET_ROW


@cocotb.test()
async def device_reset_from_any_state(dut):
    driver = Driver(dut)
    await start(dut)
    for _ in range(12):
        await driver.initialise()
        for queue in range(QUEUES):
            assert await driver.row(queue) == expected_row(queue)
        for _ in range(10):
            await driver.ring(random.randrange(QUEUES))
        dut.set_queue.value = 1
        await _cycles(dut, 1)
        dut.set_queue.value = 0
        dut.busy.value = 1  # as if chains were in flight
        await driver.set("device_status", 0)
        await _cycles(dut, 6)
        assert not int(dut.driver_ok.value)
        for _ in range(random.randrange(3, 12)):
            assert await driver.get("device_status") == 15
            await driver.ring(random.randrange(QUEUES))
        assert int(dut.halt.value)
        assert int(dut.asserted.value)
        dut.busy.value = 0
        await driver.wait_for_reset()
        assert not int(dut.asserted.value)
        assert not int(dut.driver_ok.value)
        visited = len(driver.visited)
        await _cycles(dut, 60)
        assert len(driver.visited) == visited, "a doorbell survived the reset"
        for queue in range(QUEUES):
            assert await driver.row(queue) == RESET_ROW


@cocotb.test()
async def reset_of_a_fresh_device_is_seen_to_end(dut):
    """Status 0 is read only after the reset: a write that follows at once counts."""
    driver = Driver(dut)
    await start(dut)
    for _ in range(10):
        dut.busy.value = 1
        await driver.set("device_status", 0)
        shown = [await driver.get("device_status") for _ in range(random.randrange(1, 6))]
        assert all(shown)
        dut.busy.value = 0
        await driver.wait_for_reset()
        await driver.set("device_status", 1)
        assert await driver.get("device_status") == 1
        await driver.set("device_status", 0)
        await driver.wait_for_reset()


@cocotb.test()
async def queue_resets_leave_other_queues_alone(dut):
    driver = Driver(dut)
    await start(dut)
    await driver.initialise()
    for _ in range(25):
        chosen = random.sample(range(QUEUES), random.randrange(1, QUEUES))
        dut.busy.value = random.randrange(2)
        for queue in chosen:
            await driver.set("queue_select", queue)
            await driver.set("queue_reset", 1)
        # Meanwhile the vectors of all queues that stay change, whatever the sequencer is doing.
        others = [queue for queue in range(QUEUES) if queue not in chosen]
        vectors = {}
        for _ in range(random.randrange(12)):
            queue = random.choice(others)
            vectors[queue] = random.randrange(QUEUES)
            await driver.set("queue_select", queue)
            await driver.set("queue_msix_vector", vectors[queue])
            await _cycles(dut, random.randrange(6))
        dut.busy.value = 0
        for queue in chosen:
            await driver.set("queue_select", queue)
            polls = 0
            while await driver.get("queue_reset"):
                polls += 1
                assert polls < 200
            assert await driver.row(queue) == RESET_ROW
            await driver.set_up_queue(queue)
        for queue in others:
            assert await driver.row(queue) == expected_row(queue) | {"vector": vectors.get(queue, queue + 1)}
            await driver.set("queue_select", queue)
            await driver.set("queue_msix_vector", queue + 1)
        assert int(dut.driver_ok.value)
    driver.visited.clear()
    for queue in range(QUEUES):
        await driver.ring(queue)
    await _cycles(dut, 80)
    assert sorted(set(driver.visited)) == list(range(QUEUES))


@cocotb.test()
async def device_reset_ends_queue_resets(dut):
    driver = Driver(dut)
    await start(dut)
    for _ in range(20):
        await driver.initialise()
        for queue in random.sample(range(QUEUES), 3):
            await driver.set("queue_select", queue)
            await driver.set("queue_reset", 1)
        await _cycles(dut, random.randrange(40))
        await driver.set("device_status", 0)
        await driver.wait_for_reset()
        await _cycles(dut, 40)
        assert not int(dut.halt.value)
        for queue in range(QUEUES):
            assert await driver.row(queue) == RESET_ROW


def test_control_side():
    config = DeviceConfig(queues=QUEUES, queue_size=QUEUE_SIZE)
    run_bench(ControlSide(config), "tb.transport.test_control")
