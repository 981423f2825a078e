"""The field list over registers: what it shows and changes, and that nobody else notices."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.spec.fields import FIELDS_BASE, CommonField, NetField
from ringwalker.spec.modern import COMMON, DEVICE_BASE, FACE_BAR, MSIX_BAR, NOTIFY_BASE
from ringwalker.transport.field_face import FieldFace
from ringwalker.transport.field_list import FieldDword, field_list
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.register_target import RegisterTarget

QUEUE_REGISTERS = range(COMMON.queue_size.offset, COMMON.admin_queue_index.offset)
FEATURE_REGISTERS = {
    COMMON.device_feature.offset: COMMON.device_feature_select.offset,
    COMMON.driver_feature.offset: COMMON.driver_feature_select.offset,
}


def merged(old: int, new: int, strobe: int) -> int:
    """``old`` with the bytes of ``strobe`` from ``new``."""
    mask = sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1)
    return old & ~mask | new & mask


class Registers:
    """Dwords by BAR and offset; those of queues and features have one for each value of their select."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, int, int], int] = {}

    def bank(self, bar: int, offset: int) -> int:
        """What the select register of this place holds."""
        if bar == FACE_BAR and offset in QUEUE_REGISTERS:
            return self.get(bar, COMMON.queue_select.offset & ~3) >> 16
        if bar == FACE_BAR and offset in FEATURE_REGISTERS:
            return self.get(bar, FEATURE_REGISTERS[offset])
        return 0

    def get(self, bar: int, offset: int, bank: int | None = None) -> int:
        bank = self.bank(bar, offset) if bank is None else bank
        return self.values.setdefault(
            (bar, offset, bank), random.Random(f"{bar} {offset} {bank}").getrandbits(32)
        )

    def put(self, bar: int, offset: int, value: int, strobe: int, bank: int | None = None) -> None:
        bank = self.bank(bar, offset) if bank is None else bank
        self.values[bar, offset, bank] = merged(self.get(bar, offset, bank), value, strobe)

    def apply(self, request: dict[str, int]) -> None:
        if request["write"]:
            self.put(request["bar"], request["offset"], request["data"], request["strobe"])

    def read(self, request: dict[str, int]) -> int:
        return self.get(request["bar"], request["offset"])


class ListModel:
    """What the list is to show and do, over registers of its own."""

    def __init__(self, config: DeviceConfig):
        self.dwords = field_list(config).dwords
        self.registers = Registers()

    def access(self, request: dict[str, int]) -> int | None:
        place = request["offset"] - FIELDS_BASE
        if request["bar"] != FACE_BAR or not 0 <= place < 4 * len(self.dwords):
            self.registers.apply(request)
            return None if request["write"] else self.registers.read(request)
        dword = self.dwords[place // 4]
        if dword.register is None:
            return None if request["write"] else dword.value
        bank = self._bank(dword)
        if not request["write"]:
            return dword.shown(self.registers.get(FACE_BAR, dword.register, bank))
        for n in range(4):
            if (request["strobe"] & dword.writable) >> n & 1:
                there = (n + dword.rotate) % 4
                value = (request["data"] >> 8 * n & 0xFF) << 8 * there
                self.registers.put(FACE_BAR, dword.register, value, 1 << there, bank)
        return None

    def _bank(self, dword: FieldDword) -> int | None:
        if dword.select is None:
            return None
        lowest = (dword.select.strobe & -dword.select.strobe).bit_length() - 1
        return dword.select.value >> 8 * lowest


def config_of(values: dict[str, Any]) -> DeviceConfig:
    return DeviceConfig(function=values["function"], queues=values["queues"])


def random_access(size: int) -> dict[str, int]:
    edges = [
        FIELDS_BASE - 4,
        FIELDS_BASE + size,
        0,
        COMMON.queue_select.offset & ~3,
        DEVICE_BASE,
        NOTIFY_BASE,
    ]
    edges += [*FEATURE_REGISTERS, *FEATURE_REGISTERS.values(), random.choice(QUEUE_REGISTERS) & ~3]
    inside = FIELDS_BASE + random.randrange(0, size, 4)
    access = {
        "bar": random.choice([FACE_BAR] * 12 + [MSIX_BAR]),
        "offset": random.choice([inside, random.choice(edges)]),
        "write": random.getrandbits(1),
        "strobe": random.choice([0b1111, random.randrange(16)]),
        "data": random.getrandbits(32),
    }
    if access["offset"] in (*FEATURE_REGISTERS.values(), COMMON.queue_select.offset & ~3):
        # As a driver would, now one queue and now another.
        access["data"] = random.randrange(4) << 16 | random.randrange(3)
    return access


@cocotb.test()
async def random_accesses(dut):
    given = parameters()
    config = config_of(given)
    model, registers = ListModel(config), Registers()
    requests = StreamSource(dut, "i_requests", random_stalls(given["stalls"]))
    responses = StreamSink(dut, "i_responses", random_stalls(given["stalls"]))
    target = RegisterTarget(dut, "o", registers.read, random_stalls(given["stalls"]), registers.apply)
    await start(dut)
    wanted = []
    for n in range(1500):
        access = random_access(field_list(config).size)
        requests.queue(access)
        reply = model.access(access)
        if reply is not None:
            wanted.append((n, access["offset"], reply))
    for n, offset, reply in wanted:
        got = (await responses.receive())["data"]
        assert got == reply, f"access {n} at {offset:#x}: {got:#x}, not {reply:#x}"
    await requests.drained()
    while not int(dut.idle.value):
        await RisingEdge(dut.clk)
    different = {key for key, value in model.registers.values.items() if registers.get(*key) != value}
    assert not different, "registers differ, or a select was left changed"
    assert len(target.log) > 1000


@cocotb.test()
async def what_is_not_of_the_list_passes_at_once(dut):
    requests, responses = StreamSource(dut, "i_requests"), StreamSink(dut, "i_responses")
    target = RegisterTarget(dut, "o", lambda request: request["offset"])
    await start(dut)
    for offset in (0, FIELDS_BASE - 4, NOTIFY_BASE):
        requests.queue({"bar": FACE_BAR, "offset": offset, "strobe": 15})
        while not int(dut.i_requests_valid.value):
            await RisingEdge(dut.clk)
        assert int(dut.o_requests_valid.value), "in the same cycle"
        assert (await responses.receive())["data"] == offset
    assert [request["offset"] for request in target.log] == [0, FIELDS_BASE - 4, NOTIFY_BASE]


@cocotb.test()
async def one_access_of_a_queue_field_is_four_of_registers(dut):
    config = config_of(parameters())
    requests, responses = StreamSource(dut, "i_requests"), StreamSink(dut, "i_responses")
    target = RegisterTarget(dut, "o", lambda request: 0x8765_4321)
    await start(dut)
    queue = config.queues - 1
    place = FIELDS_BASE + field_list(config).find(CommonField.QUEUE, queue).offset
    requests.queue({"bar": FACE_BAR, "offset": place, "strobe": 0b0011, "data": 0xAAAA_0008, "write": 1})
    requests.queue({"bar": FACE_BAR, "offset": place, "strobe": 0b1111})
    assert (await responses.receive())["data"] == 0x8765_4321
    select, size = COMMON.queue_select.offset & ~3, COMMON.queue_size.offset
    found = [(item["offset"], item["write"], item["strobe"]) for item in target.log]
    assert found == [
        *((select, 0, 0b1100), (select, 1, 0b1100), (size, 1, 0b0011), (select, 1, 0b1100)),
        *((select, 0, 0b1100), (select, 1, 0b1100), (size, 0, 0b1111), (select, 1, 0b1100)),
    ]
    for first in (0, 4):
        assert target.log[first + 1]["data"] >> 16 == queue
        assert target.log[first + 3]["data"] >> 16 == 0x8765


@cocotb.test()
async def a_write_to_what_cannot_be_written_reaches_nobody(dut):
    fields = field_list(config_of(parameters()))
    requests, responses = StreamSource(dut, "i_requests"), StreamSink(dut, "i_responses")
    target = RegisterTarget(dut, "o")
    await start(dut)
    for dword in fields.dwords:
        if dword.writable != 0b1111:
            access = {"bar": FACE_BAR, "offset": FIELDS_BASE + dword.offset, "write": 1}
            requests.queue({**access, "strobe": ~dword.writable & 0b1111, "data": 0xFFFF_FFFF})
    requests.queue({"bar": FACE_BAR, "offset": FIELDS_BASE, "strobe": 0b1111})
    assert (await responses.receive())["data"] == fields.fields[0].header.value
    assert target.log == []
    mode = fields.find(NetField.MEDIA).offset
    requests.queue({"bar": FACE_BAR, "offset": FIELDS_BASE + mode, "strobe": 0b1111})
    await responses.receive()
    assert [item["strobe"] for item in target.log] == [0b1100], "only the bytes that are shown are read"


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_fields(stalls):
    run_bench(
        FieldFace(DeviceConfig(function="net")),
        "tb.transport.test_field_face",
        parameters={"stalls": stalls, "function": "net", "queues": 3},
        tests=None if not stalls else "random_",
    )


def test_one_queue():
    run_bench(
        FieldFace(DeviceConfig()),
        "tb.transport.test_field_face",
        parameters={"stalls": 0.3, "function": "blk", "queues": 1},
        tests="random_|one_access",
    )
