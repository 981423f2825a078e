"""The guest of a testbench on devices in Python: drivers and monitor together, by both transports."""

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.features import Feature
from ringwalker_sim.errors import ParameterError
from ringwalker_sim.guest.errors import BindError
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.vip import ModelBus, guest_of_model, model_config
from ringwalker_sim.vip import AxiMmio, BusError, Guest, ProtocolError

ALL_FEATURES = 1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX | 1 << Feature.IN_ORDER
BASE = 0x1000_0000


def on_bus(function: str, ring: str = "split", **options: Any) -> tuple[Guest, ModelBus]:
    bus = ModelBus(model_config(function, ring))
    return Guest.on_bus(bus, **{"memory": 4 << 20, "base": BASE, "patience": 2000, **options}), bus


async def use_blk(disk: Any, loop: Any, _model: Any) -> None:
    content = os.urandom(2048)
    await disk.write(3, content)
    assert await disk.read(3, 4) == content
    reads = [loop.start(disk.read(sector, 2)) for sector in range(20)]
    for read in reads:
        assert len(await read.join()) == 1024


async def use_rng(source: Any, _loop: Any, _model: Any) -> None:
    assert len(await source.read(10_000)) == 10_000


async def use_net(interface: Any, loop: Any, model: Any) -> None:
    frames: list[bytes] = []
    interface.on_frame = frames.append
    model.loopback = True
    sent = [b"\xff" * 6 + bytes([number] * 60) for number in range(40)]
    for frame in sent:
        await interface.send(frame)
    await interface.drain()
    await loop.sleep(5000)
    assert frames == sent


async def use_console(terminal: Any, _loop: Any, model: Any) -> None:
    shown: list[bytes] = []
    model.on_output = shown.append
    await terminal.write(b"hello" * 100)
    assert terminal.written == 500


USES = {"blk": use_blk, "rng": use_rng, "net": use_net, "console": use_console}


@pytest.mark.parametrize("features", [0, ALL_FEATURES], ids=["plain", "features"])
@pytest.mark.parametrize("rings", ["split", "packed"])
@pytest.mark.parametrize("transport", ["pci", "mmio"])
@pytest.mark.parametrize("function", USES)
def test_every_driver_works_and_the_model_keeps_to_the_rules(
    function: str, transport: str, rings: str, features: int
) -> None:
    if transport == "pci":
        guest, loop = guest_of_model(model_config(function, "both"), patience=2000)
        model = loop.model
    else:
        guest, bus = on_bus(function, "both")
        loop, model = bus.loop, bus.model

    async def work() -> None:
        driven = await guest.probe(rings=rings, ring_features=features)
        assert type(driven.device.vqs[0]).__name__.lower().startswith(rings)
        await USES[function](driven, loop, model)
        await guest.close()

    loop.run(work())
    assert guest.findings.found == []
    looked = guest.findings.looked
    assert looked["used_length"] >= 2
    assert looked["interrupt_sent"] >= 1
    assert "used_length" in guest.report()


# --- what a device does wrong ends the test ------------------------------------------------------------


def test_a_lost_interrupt_ends_what_waits_for_it() -> None:
    guest, bus = on_bus("blk")
    bus.lost = lambda count: count == 2

    async def work() -> int:
        disk = await guest.probe()
        await disk.write(0, bytes(512))
        with pytest.raises(
            ProtocolError, match=r"^core-09\.03 \(MUST\), mmio queue 0, cycle \d+: .* 2000 cycles"
        ):
            await disk.read(0, 1)
        return bus.loop.now()

    assert bus.loop.run(work()) < 5000
    with pytest.raises(ProtocolError):
        guest.check()


def test_a_wrong_length_ends_the_test() -> None:
    guest, bus = on_bus("rng")
    bus.rings.mangle = lambda head, written: (head, written + 1)

    async def work() -> None:
        source = await guest.probe()
        with pytest.raises(ProtocolError, match=r"^core-10\.02 "):
            await source.read(8)

    bus.loop.run(work())


def test_without_stop_the_test_goes_on_and_the_end_raises() -> None:
    guest, bus = on_bus("blk", stop=False)
    bus.lost = lambda count: count == 2

    async def work() -> None:
        disk = await guest.probe()
        await disk.write(0, bytes(512))
        read = bus.loop.start(disk.read(0, 1))
        await bus.loop.sleep(5000)
        # The next notification tells of both.
        await disk.read(1, 1)
        assert await read.join() == bytes(512)
        with pytest.raises(ProtocolError, match=r"^core-09\.03 "):
            await guest.close()

    bus.loop.run(work())


# --- errors of a testbench -----------------------------------------------------------------------------


def probe(guest: Guest, loop: Any, **options: Any) -> None:
    loop.run(guest.probe(**options))


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        ("magic_value", 0, "mmio: no virtio device: magic_value reads 0x0, and must be 0x74726976"),
        ("version", 1, "mmio: version is 1; a device here must have 2"),
        ("device_id", 0, "mmio: device_id is 0, so there is no device"),
        ("device_id", 99, "there is no driver for device type 99; give one with drivers={99: ...}"),
    ],
)
def test_a_bus_without_a_device_that_can_be_driven(register: str, value: int, message: str) -> None:
    guest, bus = on_bus("rng")
    bus.identity[register] = value
    with pytest.raises(BindError) as error:
        probe(guest, bus.loop)
    assert str(error.value) == message


def test_a_bus_has_one_device() -> None:
    guest, bus = on_bus("rng")
    with pytest.raises(BindError, match=r"^there is one device on the bus, and no number 1$"):
        probe(guest, bus.loop, number=1)


def test_rings_have_two_formats() -> None:
    guest, bus = on_bus("rng")
    with pytest.raises(ParameterError, match=r"^rings is 'round'; it must be 'split' or 'packed'$"):
        probe(guest, bus.loop, rings="round")


def test_no_function_behind_the_root_complex() -> None:
    port = SoftwarePort(GuestMemory(1 << 16))
    with pytest.raises(BindError, match=r"^no PCI function answers: connect it .* rc.enumerate"):
        probe(Guest(port), port)


def test_a_function_that_is_not_virtio() -> None:
    config = model_config("rng")
    guest, port = guest_of_model(config)
    original = port.config_read

    async def other(bdf: int, offset: int, size: int) -> int:
        value = await original(bdf, offset, size)
        return 0x1234 if offset == 0 and size == 2 and value != 0xFFFF else value

    port.config_read = other
    with pytest.raises(BindError, match=r"^none of the PCI functions is a virtio device: 01:00.0 1234:1044$"):
        probe(guest, port)


def test_a_bar_without_an_address() -> None:
    guest, port = guest_of_model(model_config("rng"))
    guest.port.mmio32 = range(0)
    with pytest.raises(BindError, match=r"^01:00.0: BAR \d has no address: await rc.enumerate\(\) before"):
        probe(guest, port)


def test_a_second_function_that_there_is_not() -> None:
    guest, port = guest_of_model(model_config("rng"))
    with pytest.raises(BindError, match=r"^there are 1 virtio devices, and no number 1$"):
        probe(guest, port, number=1)


def test_an_access_without_an_answer_is_one_line() -> None:
    class Silent(ModelBus):
        async def read(self, offset: int, size: int) -> int:
            raise BusError(f"the read of {size} bytes at {offset:#x} is not answered in 10000 cycles")

    bus = Silent(model_config("rng"))
    with pytest.raises(BusError, match=r"^the read of 4 bytes at 0x0 is not answered"):
        probe(Guest.on_bus(bus), bus.loop)


# --- ports of AXI --------------------------------------------------------------------------------------


def design(**changes: int | None) -> Any:
    """The ports of a design with an AXI-Lite slave and an AXI master, by width; None: it is not there."""
    widths: dict[str, int] = {"clk": 1, "rst": 1, "irq": 1}
    for prefix, width, address in (("s_axil", 32, 12), ("m_axi", 64, 32)):
        for name in ("aw", "ar"):
            widths |= {
                f"{prefix}_{name}addr": address,
                f"{prefix}_{name}valid": 1,
                f"{prefix}_{name}ready": 1,
            }
        widths |= {f"{prefix}_{name}data": width for name in "wr"}
        widths |= {f"{prefix}_{name}{end}": 1 for name in "wrb" for end in ("valid", "ready")}
        widths[f"{prefix}_wstrb"] = width // 8
    for name in ("awid", "awlen", "wlast", "bid", "arid", "arlen", "rlast", "rid"):
        widths[f"m_axi_{name}"] = 1
    ports = {name: width for name, width in (widths | changes).items() if width is not None}
    return SimpleNamespace(_name="dut", **{name: [0] * width for name, width in ports.items()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s_axil_arvalid": None}, "the design has no port s_axil_arvalid, which AXI-Lite needs"),
        ({"m_axi_rlast": None}, "the design has no port m_axi_rlast, which AXI needs"),
        ({"s_axil_wdata": 128}, "s_axil_wdata has 128 bits; it must have 32 or 64"),
        ({"m_axi_wdata": 48}, "m_axi_wdata has 48 bits; it must have 32, 64, 128, 256, 512 or 1024"),
        ({"m_axi_rdata": 32}, "m_axi_rdata has 32 bits, and m_axi_wdata 64"),
        ({"m_axi_wstrb": 4}, "m_axi_wstrb has 4 bits; 64 bits of data need 8"),
        ({"irq": None}, "the design has no port irq; say which one it is"),
    ],
)
def test_ports_that_do_not_fit_are_named(changes: dict[str, int | None], message: str) -> None:
    with pytest.raises(ParameterError) as error:
        AxiMmio(design(**changes))
    assert str(error.value) == message


# --- memory and suite ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bytearray, lambda size: np.zeros(size // 8, np.uint64)])
def test_any_buffer_can_be_the_ram(kind: Any) -> None:
    buffer = kind(1 << 20)
    guest, bus = on_bus("blk", memory=buffer)

    async def work() -> None:
        disk = await guest.probe()
        await disk.write(0, b"\xa5" * 512)
        await guest.close()

    bus.loop.run(work())
    assert b"\xa5" * 512 in bytes(memoryview(buffer).cast("B"))
    assert guest.memory.base == BASE


def test_a_buffer_that_cannot_be_written_is_no_ram() -> None:
    with pytest.raises(ValueError, match="must be writable"):
        GuestMemory.over(bytes(4096))


def test_the_suite_runs_on_the_function() -> None:
    guest, port = guest_of_model(model_config("rng"))

    async def work() -> list[Any]:
        source = await guest.probe()
        await source.read(16)
        return await guest.conform("core-03.*", "entropy-*")

    outcomes = port.run(work())
    assert len(outcomes) >= 3
    assert {outcome.verdict for outcome in outcomes} <= {"passed", "skipped"}
    assert "passed" in {outcome.verdict for outcome in outcomes}
    assert guest.findings.found == []


def test_the_suite_needs_pci() -> None:
    guest, bus = on_bus("rng")
    with pytest.raises(ParameterError, match="the conformance suite tests PCI functions"):
        bus.loop.run(guest.conform())
