"""Register faces: a row in the table is all that a device, its BARs and its capabilities need."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.hdl import Const, Module, Mux
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import ClockCycles

import ringwalker.transport.faces as faces_module
from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.interfaces import RegisterPort
from ringwalker.pci.capabilities import Bar, bars, layout
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR_BASE,
    NOTIFY_BASE,
    CapabilityType,
)
from ringwalker.spec.pci import HEADER
from ringwalker.transport.face import RegisterFace, Window
from ringwalker.transport.faces import FACES, RegisterFaces, face_windows
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.register_target import RegisterTarget

CONFIG = DeviceConfig(queues=2, fields=False)
IO_BAR = 0
STATUS = COMMON_BASE + (COMMON.device_status.offset & ~3)
BASES = {"common": COMMON_BASE, "notify": NOTIFY_BASE, "isr": ISR_BASE, "device": DEVICE_BASE}


class TwoPorts(Component):
    """A face of two I/O ports: the status, and the ISR."""

    i: In(RegisterPort())
    o: Out(RegisterPort())
    idle: Out(1)

    def elaborate(self, platform):
        m: Any = Module()
        connect(m, flipped(self.i), flipped(self.o))
        request = self.i.requests.p
        with m.If(request.bar == IO_BAR):
            m.d.comb += [
                self.o.requests.p.bar.eq(FACE_BAR),
                self.o.requests.p.offset.eq(Mux(request.offset[2], ISR_BASE, STATUS)),
            ]
        m.d.comb += self.idle.eq(Const(1))
        return m


TWO_PORTS = RegisterFace(
    "two_ports",
    lambda config: True,
    lambda config: (Window("two_ports", IO_BAR, 0, 8, io=True),),
    lambda config: TwoPorts(),
)


class Bench:
    """An initiator, and blocks that answer with their own name and the offset."""

    def __init__(self, dut: Any):
        stalls = parameters()["stalls"]
        self.requests = StreamSource(dut, "i_requests", random_stalls(stalls))
        self.responses = StreamSink(dut, "i_responses", random_stalls(stalls))
        self.targets = {
            name: RegisterTarget(dut, name, lambda request, name=name: self.content(name, request["offset"]))
            for name in BASES
        }

    @staticmethod
    def content(name: str, offset: int) -> int:
        return (list(BASES).index(name) + 1) << 24 | offset

    async def read(self, bar: int, offset: int) -> int:
        self.requests.queue({"bar": bar, "offset": offset, "strobe": 0xF})
        return (await self.responses.receive())["data"]


@cocotb.test()
async def each_window_is_a_block(dut):
    bench = Bench(dut)
    await start(dut)
    for name, base in BASES.items():
        assert await bench.read(FACE_BAR, base) == bench.content(name, 0)
        assert await bench.read(FACE_BAR, base + 4) == (bench.content(name, 4) if name != "isr" else 0)


@cocotb.test()
async def nothing_is_outside_the_windows(dut):
    bench = Bench(dut)
    await start(dut)
    for bar, offset in ((FACE_BAR, DEVICE_BASE - 4), (2, COMMON_BASE), (FACE_BAR, COMMON.size)):
        assert await bench.read(bar, offset) == 0
    assert all(not target.log for target in bench.targets.values())


@cocotb.test()
async def views_and_registers_can_be_mixed(dut):
    bench = Bench(dut)
    await start(dut)
    for _ in range(200):
        offset = random.choice([0, 4])
        seen = bench.content("isr", 0) if offset else bench.content("common", STATUS - COMMON_BASE)
        assert await bench.read(IO_BAR, offset) == seen
        name = random.choice(list(BASES))
        assert await bench.read(FACE_BAR, BASES[name]) == bench.content(name, 0)
    await ClockCycles(dut.clk, 2)
    assert int(dut.idle.value)


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_modern_face(stalls):
    run_bench(
        RegisterFaces(CONFIG),
        "tb.transport.test_faces",
        parameters={"stalls": stalls},
        tests="each_|nothing_",
    )


def test_a_row_more_is_a_view_in_front_of_the_registers():
    faces = RegisterFaces(CONFIG, (*FACES, TWO_PORTS))
    run_bench(faces, "tb.transport.test_faces", parameters={"stalls": 0.3}, tests="each_|views_")


def test_a_row_more_has_its_bar(monkeypatch):
    monkeypatch.setattr(faces_module, "FACES", (*FACES, TWO_PORTS))
    assert Bar(IO_BAR, 8, io=True) in bars(CONFIG)
    dword, shift, _width = layout(CONFIG)["header"].locate(HEADER.bar0.name)
    assert layout(CONFIG).dwords[dword].reset >> shift == 1
    assert len(layout(CONFIG).capabilities) == 8, "no capability is asked for"


def test_fields_are_there_for_devices_that_have_them():
    kinds = [window.capability for window in face_windows(DeviceConfig(fields=True))]
    assert CapabilityType.VENDOR in kinds
    assert CapabilityType.VENDOR not in [window.capability for window in face_windows(CONFIG)]
