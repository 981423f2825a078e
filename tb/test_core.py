# amaranth: UnusedElaboratable=no
"""The core behind an edge that knows no PCI: a register port, a memory, and an interrupt line."""

from typing import Any

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.core import VirtioCore
from ringwalker.function.console.settings import ConsoleSettings
from ringwalker.interfaces import RegisterPort, UartPort
from ringwalker.spec.console import CONSOLE_RECEIVE_QUEUE, CONSOLE_TRANSMIT_QUEUE
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    FACE_BAR,
    ISR,
    ISR_BASE,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    DeviceStatus,
    IsrBit,
)
from ringwalker.spec.registers import RegisterTable
from ringwalker.streams import completion_beat, request_beat, stream_of
from ringwalker.tlp.arbiter import PacketArbiter
from ringwalker_sim.testing import StreamSink, StreamSource, run_bench, start
from ringwalker_sim.testing.dma import HostMemoryModel
from ringwalker_sim.testing.rings import Ring

WIDTH = 64
SIZE = 8
LARGEST = 128
CONFIG = DeviceConfig(
    function="console",
    data_width=WIDTH,
    queue_size=SIZE,
    chains=4,
    read_tags=4,
    ring_tags=4,
    max_payload=LARGEST,
    max_read_request=LARGEST,
    completion_timeout=10_000,
    fields=False,
    settings=ConsoleSettings(idle_cycles=8),
)


class MemoryEdge(Component):
    """An edge for a bus on the chip: no configuration space, no identifiers, no MSI-X.

    - ``registers`` In(RegisterPort()): an access to the registers
    - ``requests`` Out and ``completions`` In: reads and writes of memory
    - ``line`` Out 1: the interrupt
    - ``uart`` Out(UartPort()): the port of the function
    - ``idle`` Out 1: nothing will happen by itself
    - ``unsupported``, ``aborted`` Out 1, pulses: memory refused a read
    """

    def __init__(self):
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "requests": Out(stream_of(request_beat(WIDTH))),
                "completions": In(stream_of(completion_beat(WIDTH))),
                "line": Out(1),
                "uart": Out(UartPort()),
                "idle": Out(1),
                "unsupported": Out(1),
                "aborted": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.core = core = VirtioCore(CONFIG)
        m.submodules.memory = memory = PacketArbiter(request_beat(WIDTH), 2)
        edge = core.edge
        connect(m, flipped(self.registers), edge.registers)
        connect(m, edge.reads, memory.i0)
        connect(m, edge.posted, memory.i1)
        connect(m, memory.o, flipped(self.requests))
        connect(m, flipped(self.completions), edge.completions)
        connect(m, core.uart, flipped(self.uart))
        m.d.comb += [
            edge.state.bus_master_enable.eq(1),
            edge.state.max_payload.eq(LARGEST),
            edge.state.max_read_request.eq(LARGEST),
            edge.state.outbound_idle.eq(memory.idle),
            core.cols.eq(80),
            core.rows.eq(25),
            self.line.eq(edge.interrupt),
            self.idle.eq(core.idle & memory.idle),
            self.unsupported.eq(edge.errors.unsupported),
            self.aborted.eq(edge.errors.aborted),
        ]
        return m


class Driver:
    """Memory with a ring for each queue, and the registers, by structure."""

    def __init__(self, dut: Any):
        self.dut = dut
        self.memory = HostMemoryModel(dut, max_payload=LARGEST, max_read_request=LARGEST)
        self._requests = StreamSource(dut, "registers_requests")
        self._responses = StreamSink(dut, "registers_responses")
        self._top = 0
        self.rings = [Ring(self.memory.memory, SIZE, self._area) for _ in range(2)]
        self.tx = StreamSink(dut, "uart_tx")
        self.rx = StreamSource(dut, "uart_rx")

    def _area(self, length: int, align: int) -> int:
        start = -(-self._top // align) * align
        self._top = start + length
        return start

    async def _access(self, offset: int, write: int, strobe: int, data: int) -> None:
        await self._requests.send(
            {"bar": FACE_BAR, "offset": offset, "write": write, "strobe": strobe, "data": data}
        )

    async def set(self, name: str, value: int) -> None:
        """Write a register of the common configuration."""
        row = COMMON[name]
        for n in range(0, row.size, 4):
            size, offset = min(row.size, 4), row.offset + n
            lane, part = offset % 4, value >> 8 * n & 0xFFFFFFFF
            await self._access(COMMON_BASE + offset - lane, 1, (1 << size) - 1 << lane, part << 8 * lane)

    async def get(self, table: RegisterTable, base: int, name: str) -> int:
        """Read a register of a structure at ``base``."""
        row = table[name]
        lane, mask = row.offset % 4, (1 << row.size) - 1
        await self._access(base + row.offset - lane, 0, mask << lane, 0)
        data = (await self._responses.receive())["data"]
        return data >> 8 * lane & ((1 << row.width) - 1)

    async def begin(self) -> None:
        """From reset to DRIVER_OK, as the specification has it."""
        status = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
        await self.set("device_status", status)
        for half in range(2):
            await self.set("driver_feature_select", half)
            await self.set("driver_feature", (1 << Feature.VERSION_1) >> 32 * half & 0xFFFFFFFF)
        status |= DeviceStatus.FEATURES_OK
        await self.set("device_status", status)
        assert await self.get(COMMON, COMMON_BASE, "device_status") == status
        for queue, ring in enumerate(self.rings):
            await self.set("queue_select", queue)
            for name in ("desc", "driver", "device"):
                await self.set(f"queue_{name}", getattr(ring, name))
            await self.set("queue_enable", 1)
        await self.set("device_status", status | DeviceStatus.DRIVER_OK)

    async def ring(self, queue: int) -> None:
        """The doorbell of a queue."""
        await self._access(NOTIFY_BASE + queue * NOTIFY_MULTIPLIER, 1, 0xF, queue)

    async def interrupt(self) -> int:
        """Wait for the line; what the ISR says, which lowers it."""
        for _ in range(3000):
            await RisingEdge(self.dut.clk)
            if int(self.dut.line.value):
                return await self.get(ISR, ISR_BASE, "isr_status")
        raise AssertionError("no interrupt came")


@cocotb.test()
async def a_request_needs_no_pci(dut):
    driver = Driver(dut)
    await start(dut)
    await driver.begin()
    text = b"no bus here"
    at = driver._area(len(text), 1)
    driver.memory.memory[at : at + len(text)] = text
    driver.rings[CONSOLE_TRANSMIT_QUEUE].offer([(at, len(text))], [])
    await driver.ring(CONSOLE_TRANSMIT_QUEUE)
    sent = [(await driver.tx.receive())["payload"] for _ in text]
    assert bytes(sent) == text
    assert await driver.interrupt() == IsrBit.QUEUE
    await ClockCycles(dut.clk, 4)
    assert not int(dut.line.value)
    assert [written for _chain, written in driver.rings[CONSOLE_TRANSMIT_QUEUE].used()] == [0]


@cocotb.test()
async def what_comes_in_is_written_to_memory(dut):
    driver = Driver(dut)
    await start(dut)
    await driver.begin()
    at = driver._area(16, 1)
    driver.rings[CONSOLE_RECEIVE_QUEUE].offer([], [(at, 16)])
    await driver.ring(CONSOLE_RECEIVE_QUEUE)
    for byte in b"typed":
        driver.rx.queue({"payload": byte})
    assert await driver.interrupt() == IsrBit.QUEUE
    assert [written for _chain, written in driver.rings[CONSOLE_RECEIVE_QUEUE].used()] == [5]
    assert bytes(driver.memory.memory[at : at + 5]) == b"typed"
    await ClockCycles(dut.clk, 200)
    assert int(dut.idle.value)


@cocotb.test()
async def refused_reads_are_reported_and_break_the_device(dut):
    driver = Driver(dut)
    await start(dut)
    await driver.begin()
    driver.memory.fault = lambda header: "ur"
    refusals = 0
    driver.rings[CONSOLE_TRANSMIT_QUEUE].offer([(0, 4)], [])
    await driver.ring(CONSOLE_TRANSMIT_QUEUE)
    for _ in range(500):
        await RisingEdge(dut.clk)
        refusals += int(dut.unsupported.value)
    assert refusals
    assert await driver.get(COMMON, COMMON_BASE, "device_status") & DeviceStatus.DEVICE_NEEDS_RESET
    assert await driver.interrupt() == IsrBit.CONFIG


@pytest.mark.slow
def test_core_behind_another_edge():
    run_bench(MemoryEdge(), "tb.test_core")
