"""CommonConfig over a real queue table, for the tests of its registers and of its status machine."""

from typing import Any

import cocotb
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import RisingEdge

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.interfaces import QueueRead, QueueWrite, RegisterPort
from ringwalker.queue.table import QueueTable
from ringwalker.spec.modern import COMMON, COMMON_BASE, NO_VECTOR
from ringwalker.spec.modern import DeviceStatus as S
from ringwalker.streams import QUEUE_BITS
from ringwalker.transport.common_config import CommonConfig

from .common_model import CommonModel
from .registers import RegisterInitiator
from .runner import parameters
from .streams import random_stalls, start

__all__ = ["CONFIG_GENERATION", "QUEUE_SIZE", "Bench", "CommonBench", "begin"]

QUEUE_SIZE = 64
CONFIG_GENERATION = 0x5C


class CommonBench(Component):
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
                "withheld": In(64),
                "reset": In(1),
                "reset_done": In(1),
                "queue_reset_done": In(1),
                "status": Out(8),
                "driver_ok": Out(1),
                "fail": Out(1),
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
        m.submodules.table = table = QueueTable(self.config, ("common", "probe"))
        ports: Any = table
        connect(m, flipped(this.registers), common.registers)
        connect(m, common.table_read, ports.common)
        connect(m, flipped(this.probe), ports.probe)
        for member in ("index", "row", "mask"):
            source, other, target = (getattr(p, member) for p in (common.table_write, this.rows, ports.write))
            with m.If(this.rows.en):
                m.d.comb += target.eq(other)
            with m.Else():
                m.d.comb += target.eq(source)
        m.d.comb += ports.write.en.eq(this.rows.en | common.table_write.en)
        inputs = ("hold", "config_generation", "needs_reset", "withheld", "reset", "reset_done")
        for name in (*inputs, "queue_reset_done"):
            m.d.comb += getattr(common, name).eq(getattr(this, name))
        for name in ("status", "driver_ok", "fail", "driver_features", "config_vector", "config_change"):
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
        for name in ("hold", "needs_reset", "reset", "reset_done", "queue_reset_done", "rows_en", "probe_en"):
            getattr(dut, name).value = 0
        for name in ("rows_index", "rows_mask", "probe_index", "withheld"):
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
    """Start ``dut`` with every row at its reset value."""
    bench = Bench(dut, stall)
    await start(dut)
    for queue in range(bench.queues):
        await bench.rewrite_row(queue)
    return bench
