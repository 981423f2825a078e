"""Configuration space as software sees it: access semantics, errors, state, and the window to the BARs."""

import random
from collections.abc import Iterator

import cocotb
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import bars, layout
from ringwalker.pci.config_space import ConfigSpace
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    EXTENDED_CONFIG_SPACE_BYTES,
    HEADER,
    Command,
    MsixControl,
    PmControlStatus,
    PowerState,
    Status,
)
from ringwalker.spec.pcie import DeviceControl, PcieDeviceStatus
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.register_target import RegisterTarget
from ringwalker_sim.testing.walker import pulses

CONFIG = DeviceConfig(queues=3, max_payload=256, max_read_request=1024)
SPACE = layout(CONFIG)
INPUTS = (
    "intx_asserted",
    "transactions_pending",
    "completion_unsupported",
    "completion_aborted",
    "unexpected_completion",
    "unsupported_request",
    "unsupported_posted",
    "poisoned",
    "poisoned_request",
)


class Bench:
    """Software's accesses to configuration space, by byte offset and size."""

    def __init__(self, dut, stalls: Iterator[bool] | None = None, read=None):
        self.dut = dut
        self.requests = StreamSource(dut, "config_requests", stalls)
        self.responses = StreamSink(dut, "config_responses", stalls)
        self.window = RegisterTarget(dut, "window", read, stalls)
        for name in INPUTS:
            getattr(dut, name).value = 0

    async def access(
        self, dword: int, strobe: int, data: int = 0, write: int = 0, target: int = 0x0100
    ) -> int:
        self.requests.queue(
            {"register": dword, "strobe": strobe, "data": data, "write": write, "target_id": target}
        )
        return (await self.responses.receive())["data"]

    async def read(self, offset: int, size: int = 4) -> int:
        lane = offset % 4
        value = await self.access(offset // 4, ((1 << size) - 1) << lane)
        return value >> 8 * lane & ((1 << 8 * size) - 1)

    async def write(self, offset: int, value: int, size: int = 4, **more: int) -> None:
        lane = offset % 4
        garbage = random.getrandbits(32) & ~(((1 << 8 * size) - 1) << 8 * lane)
        data = value << 8 * lane | garbage
        await self.access(offset // 4, ((1 << size) - 1) << lane, data, 1, **more)

    def place(self, structure: str, register: str) -> tuple[int, int]:
        """Offset and size in bytes of a register."""
        row = SPACE[structure].table[register]
        return SPACE[structure].offset + row.offset, row.size

    async def get(self, structure: str, register: str) -> int:
        return await self.read(*self.place(structure, register))

    async def set(self, structure: str, register: str, value: int) -> None:
        offset, size = self.place(structure, register)
        await self.write(offset, value, size)

    async def pulse(self, *names: str) -> None:
        for value in (1, 0):
            for name in names:
                getattr(self.dut, name).value = value
            await RisingEdge(self.dut.clk)
        await RisingEdge(self.dut.clk)

    def state(self, name: str) -> int:
        return int(getattr(self.dut, f"state_{name}").value)


@cocotb.test()
async def random_accesses_match_the_layout(dut):
    bench = Bench(dut, random_stalls(0.3))
    await start(dut)
    window = bench.place("virtio_pci", "window")[0] // 4
    power = bench.place("pm", "control_status")[0] // 4
    control, initiate = bench.place("pcie", "device_control")[0] // 4, 1 << 15
    model = [dword.reset for dword in SPACE.dwords]
    for number, value in enumerate(model):
        assert await bench.access(number, 0xF) == value, f"dword {number:#x} after reset"
    for _ in range(3000):
        number = random.randrange(80) if random.random() < 0.9 else random.randrange(1024)
        strobe, data, write = random.randrange(16), random.getrandbits(32), random.getrandbits(1)
        if number == control:
            data &= ~initiate
        if number in (window, power):
            continue
        got = await bench.access(number, strobe, data, write)
        if number >= len(model):
            assert write or got == 0
        elif write:
            lanes = sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1)
            writable = SPACE.dwords[number].writable & lanes
            cleared = SPACE.dwords[number].w1c & lanes & data
            model[number] = model[number] & ~writable & ~cleared | data & writable
        else:
            assert got == model[number], f"dword {number:#x}: {got:#x}, not {model[number]:#x}"
    assert not bench.window.log, "only the window's data register reaches the BARs"
    assert await bench.read(EXTENDED_CONFIG_SPACE_BYTES - 4) == 0
    assert await bench.read(CONFIG_SPACE_BYTES) == 0


@cocotb.test()
async def capabilities_are_found_by_walking(dut):
    bench = Bench(dut)
    await start(dut)
    found, offset = [], await bench.get("header", "capabilities_pointer")
    while offset:
        found.append((await bench.read(offset, 1), offset))
        offset = await bench.read(offset + 1, 1)
    assert found == [(c.values["id"], c.offset) for c in SPACE.capabilities]


@cocotb.test()
async def bars_report_their_size_and_take_an_address(dut):
    bench = Bench(dut)
    await start(dut)
    present = {bar.index: bar for bar in bars(CONFIG)}
    for index in range(6):
        offset = HEADER[f"bar{index}"].offset
        await bench.write(offset, 0xFFFFFFFF)
        sized = await bench.read(offset)
        if index in present:
            bar = present[index]
            assert sized == (~(bar.size - 1) & 0xFFFFFFFF) | bar.type_bits
            assert bench.state(f"bar{index}") == sized - bar.type_bits
        elif index == FACE_BAR + 1:
            assert sized == 0xFFFFFFFF
        else:
            assert sized == 0
            assert bench.state(f"bar{index}") == 0
    await bench.write(HEADER.bar4.offset, 0xABCDC004)
    await bench.write(HEADER.bar5.offset, 0x12345678)
    assert (bench.state("bar4"), bench.state("bar5")) == (0xABCD8000, 0x12345678)


@cocotb.test()
async def command_and_power_state_gate_the_function(dut):
    bench = Bench(dut)
    await start(dut)
    gates = {
        "io_enable": Command.IO_ENABLE,
        "memory_enable": Command.MEMORY_ENABLE,
        "bus_master_enable": Command.BUS_MASTER_ENABLE,
    }
    for name, flag in {**gates, "intx_disable": Command.INTX_DISABLE}.items():
        assert not bench.state(name)
        await bench.set("header", "command", flag)
        assert bench.state(name)
        others = {n for n in gates if n != name}
        assert not any(bench.state(n) for n in others)
    everything = sum(gates.values())
    await bench.set("header", "command", everything)
    for power, awake in (
        (PowerState.D3HOT, False),
        (1, False),
        (PowerState.D0, True),
        (2, True),
    ):
        await bench.set("pm", "control_status", power)
        assert all(bench.state(name) == awake for name in gates), power
        expected = PowerState.D0 if awake else PowerState.D3HOT
        assert await bench.get("pm", "control_status") == expected | PmControlStatus.NO_SOFT_RESET
        assert await bench.get("header", "command") == everything


@cocotb.test()
async def errors_are_logged_and_cleared_by_writing_one(dut):
    bench = Bench(dut)
    await start(dut)
    always = Status.CAPABILITIES_LIST
    unsupported, correctable = PcieDeviceStatus.UNSUPPORTED_REQUEST, PcieDeviceStatus.CORRECTABLE_ERROR
    cases = [
        (["completion_unsupported"], Status.RECEIVED_MASTER_ABORT, 0),
        (["completion_aborted"], Status.RECEIVED_TARGET_ABORT, 0),
        (["unsupported_request"], 0, unsupported | correctable),
        (["unsupported_posted"], 0, unsupported | PcieDeviceStatus.NON_FATAL_ERROR),
        (
            ["unsupported_request", "unsupported_posted"],
            0,
            unsupported | correctable | PcieDeviceStatus.NON_FATAL_ERROR,
        ),
        (["unexpected_completion"], 0, correctable),
        (["poisoned"], Status.DETECTED_PARITY_ERROR, correctable),
        (["poisoned_request"], Status.DETECTED_PARITY_ERROR, correctable),
    ]
    for names, status, device_status in cases:
        await bench.pulse(*names)
        assert await bench.get("header", "status") == status | always, names
        assert await bench.get("pcie", "device_status") == device_status, names
        await bench.set("header", "status", 0)
        assert await bench.get("header", "status") == status | always, "writing 0 clears nothing"
        await bench.set("header", "status", status)
        await bench.set("pcie", "device_status", device_status)
        assert await bench.get("header", "status") == always
        assert await bench.get("pcie", "device_status") == 0
    await bench.set("header", "command", Command.PARITY_ERROR_RESPONSE)
    await bench.pulse("poisoned_request")
    assert not await bench.get("header", "status") & Status.MASTER_DATA_PARITY_ERROR
    await bench.pulse("poisoned")
    assert await bench.get("header", "status") & Status.MASTER_DATA_PARITY_ERROR


@cocotb.test()
async def levels_are_shown(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.set("header", "command", Command.INTX_DISABLE)
    for level in (1, 0):
        dut.intx_asserted.value = level
        dut.transactions_pending.value = level
        await RisingEdge(dut.clk)
        await bench.set("header", "status", 0xFFFF)
        assert bool(await bench.get("header", "status") & Status.INTERRUPT_STATUS) == level
        pending = await bench.get("pcie", "device_status") & PcieDeviceStatus.TRANSACTIONS_PENDING
        assert bool(pending) == level


@cocotb.test()
async def sizes_and_vectors_reach_the_state(dut):
    bench = Bench(dut)
    await start(dut)
    assert (bench.state("max_payload"), bench.state("max_read_request")) == (128, 512)
    assert bench.state("extended_tags")
    for code in range(8):
        control = code * (DeviceControl.MAX_PAYLOAD_SIZE & -DeviceControl.MAX_PAYLOAD_SIZE)
        reads = (7 - code) * (DeviceControl.MAX_READ_REQUEST_SIZE & -DeviceControl.MAX_READ_REQUEST_SIZE)
        await bench.set("pcie", "device_control", control | reads)
        assert await bench.get("pcie", "device_control") == control | reads
        assert bench.state("max_payload") == min(128 << code, CONFIG.max_payload)
        assert bench.state("max_read_request") == min(128 << (7 - code), CONFIG.max_read_request)
        assert not bench.state("extended_tags")
    for flags in (MsixControl.ENABLE, MsixControl.FUNCTION_MASK, MsixControl(0)):
        await bench.set("msix", "control", flags)
        assert bench.state("msix_enable") == bool(flags & MsixControl.ENABLE)
        assert bench.state("msix_function_mask") == bool(flags & MsixControl.FUNCTION_MASK)


@cocotb.test()
async def writes_say_who_the_function_is(dut):
    bench = Bench(dut)
    await start(dut)
    assert bench.state("requester_id") == 0
    await bench.access(0, 0xF, write=1, target=0x2108)
    assert bench.state("requester_id") == 0x2108
    await bench.access(0, 0xF, write=0, target=0x4400)
    assert bench.state("requester_id") == 0x2108
    await bench.access(0, 0, write=1, target=0xFF00)
    assert bench.state("requester_id") == 0xFF00


@cocotb.test()
async def window_makes_the_access_it_describes(dut):
    stored = 0x44332211

    bench = Bench(dut, random_stalls(0.3), lambda request: stored ^ request["offset"])
    await start(dut)
    sizes = {bar.index: bar.size for bar in bars(CONFIG)}
    data_offset, _size = bench.place("virtio_pci", "window")
    for _ in range(400):
        bar = random.choice([MSIX_BAR, FACE_BAR, FACE_BAR, FACE_BAR, FACE_BAR + 1, 0, 7, 0x84])
        size = random.choice([1, 2, 4, 1, 2, 4, 0, 3, 8, 0x104])
        limit = sizes.get(bar, 0x1000)
        offset = random.choice(
            [random.randrange(limit) & ~(max(1, size & 7) - 1), limit - 1, limit - 4, limit, 1 << 31, 3]
        )
        await bench.set("virtio_pci", "bar", bar)
        await bench.set("virtio_pci", "offset", offset)
        await bench.set("virtio_pci", "size", size)
        access = random.choice([1, 2, 4])
        value = random.getrandbits(8 * access)
        legal = bar in sizes and size in (1, 2, 4) and size <= access
        legal = legal and offset % size == 0 and offset + size <= sizes[bar]
        lane = offset % 4
        before = len(bench.window.log)
        expected = {"bar": bar, "offset": offset - lane, "strobe": ((1 << size) - 1) << lane & 0xF}
        if random.getrandbits(1):
            await bench.write(data_offset, value, access)
            data = (value & ((1 << 8 * size) - 1)) << 8 * lane
            expected |= {"write": 1, "data": data & 0xFFFFFFFF}
        else:
            got = await bench.read(data_offset, access)
            mask = (1 << 8 * size) - 1
            assert got == ((stored ^ (offset - lane)) >> 8 * lane & mask if legal else 0), (bar, offset, size)
            expected |= {"write": 0}
        new = bench.window.log[before:]
        assert len(new) == int(legal), (bar, hex(offset), size, access)
        for request in new:
            assert {key: request[key] for key in expected} == expected


@cocotb.test()
async def a_function_level_reset_leaves_only_what_is_the_links(dut):
    bench = Bench(dut)
    await start(dut)
    resets = pulses(dut, "state_reset")
    window = bench.place("virtio_pci", "window")[0] // 4
    control = bench.place("pcie", "device_control")
    for number in range(len(SPACE.dwords)):
        if number not in (window, control[0] // 4):
            await bench.access(number, 0xF, 0xFFFF_FFFF, 1, target=0x1234)
    # Neither another byte of the register nor another bit of the byte asks for it.
    await bench.write(control[0], 0x00, 1)
    await bench.write(control[0], 0x7FFF, 2, target=0x1234)
    before = [await bench.access(number, 0xF) for number in range(len(SPACE.dwords)) if number != window]
    assert before != [dword.reset for n, dword in enumerate(SPACE.dwords) if n != window]
    assert resets.count == 0
    await bench.write(control[0] + 1, 0x80, 1, target=0x1234)
    for number, dword in enumerate(SPACE.dwords):
        if number != window:
            value = await bench.access(number, 0xF)
            kept = dword.kept & dword.writable
            assert value == dword.reset & ~kept | (kept if number != control[0] // 4 else 0xE0), hex(number)
    assert resets.count == 1
    assert bench.state("requester_id") == 0x1234
    assert not bench.state("bus_master_enable")
    assert not bench.state("msix_enable")


def test_config_space():
    run_bench(ConfigSpace(CONFIG), "tb.pci.test_config_space")
