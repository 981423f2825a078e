"""One machine, one registry, devices by several transports: matching, hot registration, removal in flight."""

import random
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.blk import BlkRequestType
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.golden.console import ConsoleModel
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.golden.net import NetModel
from ringwalker_sim.guest.blk import BlkRequest, blk_driver
from ringwalker_sim.guest.bus import (
    ANY,
    VIRTIO_DEV_ID,
    TypeId,
    VirtioDevice,
    VirtioDeviceId,
    VirtioDriver,
)
from ringwalker_sim.guest.errors import BindError, RequestError
from ringwalker_sim.guest.history import INTERFACES, adapt
from ringwalker_sim.guest.machine import Machine, identity_of
from ringwalker_sim.guest.net import net_driver
from ringwalker_sim.guest.opening import TRANSPORTS, open_device
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG


class Bench:
    """A machine whose PCI function is a disk, in Python or in hardware."""

    def __init__(self, port: Any):
        self.port = port
        self.memory: GuestMemory = port.memory
        self.machine = Machine(port)
        self.log: list[str] = []

    def disk(self, sectors: int = 64, **options: Any) -> BlkModel:
        return BlkModel(
            self.port.schedule, DiskImage.of(np.full(sectors * 512, sectors, np.uint8)), **options
        )

    def driver(self, name: str, *ids: Any, result: int = 0) -> VirtioDriver:
        async def probe(device: VirtioDevice) -> int:
            self.log.append(f"{name}+{device.index}")
            return result

        async def remove(device: VirtioDevice) -> None:
            self.log.append(f"{name}-{device.index}")

        return VirtioDriver(name, ids, probe, remove)

    def run(self, body: Any) -> None:
        async def main() -> None:
            await body
            await self.machine.close()

        self.port.run(main())
        assert self.memory.allocated == 0


@pytest.fixture
def bench() -> Bench:
    config = DeviceConfig(queue_size=16)
    return Bench(ModelPort(config, GuestMemory(4 << 20), DiskImage.of(np.full(32 * 512, 32, np.uint8))))


# --- matching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "matches"),
    [
        (TypeId("blk"), True),
        (TypeId("net"), False),
        (TypeId(""), False),
        (TypeId(2), True),
        (TypeId(1), False),
        (TypeId(0), False),
        (VIRTIO_DEV_ID(2, 0x0100), True),
        (VIRTIO_DEV_ID(2, 0x0200), False),
        (VirtioDeviceId(ANY, ANY, ANY, ANY, 0x018000, 0xFF0000), True),
        (VirtioDeviceId(ANY, ANY, ANY, ANY, 0x018000, 0xFFFF00), False),
        (VirtioDeviceId(ANY, 2, 0x5000, 2), True),
        (VirtioDeviceId(ANY, 2, 0x5000, 3), False),
        (VirtioDeviceId(ANY, 2, 0x5001, ANY), False),
    ],
)
def test_matching_by_string_by_constant_and_by_pci_id(entry: Any, matches: bool) -> None:
    assert entry.matches(identity_of(2)) is matches


def test_no_type_matches_no_type() -> None:
    stranger = VirtioDeviceId(0x1234, 2)
    for entry in (TypeId(0), TypeId(""), TypeId(2), TypeId("blk")):
        assert not entry.matches(stranger)
    assert TypeId("adder", driver_data=3).matches(VirtioDeviceId(0x1234, 2, name="adder"))


@pytest.mark.parametrize(
    ("identity", "kind", "name"),
    [
        (VirtioDeviceId(0x5000, 1), 1, "net"),
        (VirtioDeviceId(0x1AF4, 0x1043), 3, "console"),
        (VirtioDeviceId(0x1234, 2), 0, ""),
        (VirtioDeviceId(0x5000, 0x99), 0x99, ""),
        (VirtioDeviceId(0x5000, 0x99, name="adder"), 0x99, "adder"),
        (VirtioDeviceId(0x1AF4, 0x1000), 0, ""),
        (VirtioDeviceId(0x1AF4, 0x1000, subdevice=2), 2, "blk"),
        (VirtioDeviceId(0x1AF4, 0x1040, subdevice=2), 0, ""),
    ],
)
def test_the_type_of_an_identity(identity: VirtioDeviceId, kind: int, name: str) -> None:
    assert (identity.type, identity.type_name) == (kind, name)


def test_the_pci_driver_makes_a_child_of_every_virtio_function_and_of_no_other() -> None:
    async def children(identity: Identity, vendors: tuple[int, ...] = ()) -> int:
        config = DeviceConfig(identity=identity)
        machine = Machine(ModelPort(config, GuestMemory(1 << 20), DiskImage.blank(1)))
        return len(await machine.probe_pci(vendors=vendors))

    port = SoftwarePort(GuestMemory(4096))
    for identity, vendors, count in (
        (Identity(), (), 1),
        (Identity("oasis"), (), 1),
        (Identity("oasis", device=0x1080), (), 0),
        (Identity(vendor=0x1234), (), 0),
        (Identity(vendor=0x1234), (0x1234,), 1),
    ):
        config = DeviceConfig(identity=identity)
        port = ModelPort(config, GuestMemory(1 << 20), DiskImage.blank(1))
        machine = Machine(port)
        assert len(port.run(machine.probe_pci(vendors=vendors))) == count


def test_two_drivers_for_one_device(bench: Bench) -> None:
    async def body() -> None:
        bus = bench.machine.bus
        first, second = bench.driver("string", TypeId("blk")), bench.driver("constant", TypeId(2))
        refuses = bench.driver("refuses", TypeId("blk"), result=-19)
        for driver in (refuses, first, second):
            await bus.register_virtio_driver(driver)
        device = await bench.machine.add_memory_device(bench.disk())
        assert device.driver is first
        await bus.unregister_virtio_driver(first)
        assert device.driver is second
        await bus.unregister_virtio_driver(second)
        assert device.driver is None
        assert bench.log == [
            "refuses+0",
            "string+0",
            "string-0",
            "refuses+0",
            "constant+0",
            "constant-0",
            "refuses+0",
        ]

    bench.run(body())


@pytest.mark.parametrize("drivers_first", [True, False])
def test_devices_by_three_transports_on_one_bus(bench: Bench, drivers_first: bool) -> None:
    async def body() -> None:
        machine, port = bench.machine, bench.port
        drivers = [blk_driver(port), net_driver(port)]

        async def register() -> None:
            for driver in drivers:
                await machine.bus.register_virtio_driver(driver)

        if drivers_first:
            await register()
        (pci,) = await machine.probe_pci()
        memory = await machine.add_memory_device(bench.disk(64))
        pipe = await machine.add_pipe_device(bench.disk(80), capacity=100)
        net = await machine.add_memory_device(NetModel(port.schedule))
        nobodys = await machine.add_memory_device(ConsoleModel(port.schedule))
        if not drivers_first:
            await register()
        assert [device.index for device in machine.bus.devices] == [0, 1, 2, 3, 4]
        assert nobodys.driver is None
        with pytest.raises(BindError, match="no driver for 5000:0003"):
            machine.driven(nobodys)
        for device, sectors in ((pci, 32), (memory, 64), (pipe, 80)):
            assert device.priv.capacity == sectors
            assert await device.priv.read(3, 2) == bytes([sectors]) * 1024
        assert net.priv.mtu == 1500
        await machine.remove(memory)
        assert await pci.priv.read(0, 1) == bytes([32]) * 512
        again = await machine.add_memory_device(bench.disk(96))
        assert again.index == 1, "its place is taken again"
        assert await again.priv.read(95, 1) == bytes([96]) * 512
        await machine.bus.unregister_virtio_driver(drivers[0])
        assert [device.driver for device in (pci, again, pipe)] == [None] * 3
        assert net.driver is drivers[1]

    bench.run(body())


def test_hardware_and_models_in_one_machine() -> None:
    """A disk in RTL, another on shared rings, a network behind a pipe: each by an interface of its own."""
    memory = GuestMemory(8 << 20)
    with open_engine("native", CONFIG, memory, DiskImage.blank(64)) as port:
        bench = Bench(port)

        async def body() -> None:
            machine = bench.machine
            hard = await open_device(machine, "blk", "2007-09", "pci")
            soft = await open_device(machine, "blk", "2.6.24", "memory", model=bench.disk(80))
            model = NetModel(port.schedule, loopback=True)
            net = await open_device(machine, "net", "2007-05", "pipe", model=model)
            got: list[bytes] = []
            net.driven.on_frame = got.append
            for number in range(20):
                await hard.driven.write(number, bytes([number + 1]) * 512)
                await net.driven.send(model.mac + bytes([number]) * 100)
                assert await soft.driven.read(number, 1) == bytes([80]) * 512
            for number in range(20):
                assert await hard.driven.read(number, 1) == bytes([number + 1]) * 512
            assert [frame[6] for frame in got] == list(range(20))
            await soft.close()
            assert await hard.driven.read(3, 1) == bytes([4]) * 512

        bench.run(body())


def test_registration_and_removal_in_any_order(bench: Bench) -> None:
    chance = random.Random(11)

    async def body() -> None:
        machine, port = bench.machine, bench.port
        driver: VirtioDriver | None = None
        devices: list[tuple[VirtioDevice, int]] = []
        for _ in range(150):
            move = chance.random()
            if move < 0.15:
                if driver is None:
                    driver = adapt(chance.choice(INTERFACES), blk_driver(port), port)
                    await machine.bus.register_virtio_driver(driver)
                else:
                    await machine.bus.unregister_virtio_driver(driver)
                    driver = None
            elif move < 0.5 and len(devices) < 5:
                sectors = chance.randint(1, 200)
                add = chance.choice([machine.add_memory_device, machine.add_pipe_device])
                devices.append((await add(bench.disk(sectors, queue_size=16)), sectors))
            elif move < 0.7 and devices:
                device, _ = devices.pop(chance.randrange(len(devices)))
                await machine.remove(device)
            for device, sectors in devices:
                assert (device.driver is None) is (driver is None)
                if driver is not None:
                    assert await device.priv.read(0, 1) == bytes([sectors]) * 512

    bench.run(body())


# --- removal with buffers in flight ------------------------------------------------------------------------


async def remove_in_flight(bench: Bench, transport: str, interface: str, sleep: int) -> None:
    model = None if transport == "pci" else bench.disk(64, queue_size=32, latency=400, jitter=800)
    opened = await open_device(bench.machine, "blk", interface, transport, model=model)
    buffer = bench.memory.allocate(16 * 512)
    ended: list[BlkRequest] = []
    for number in range(8):
        sg = [(buffer.address + 1024 * number, 1024)]
        assert opened.driven.submit(BlkRequestType.IN, number, sg, ended.append) is not None
    await opened.driven.kick()
    await bench.port.sleep(sleep)
    await opened.close()
    assert len(ended) == 8, "every request ends, once"
    assert len({id(request) for request in ended}) == 8
    assert all(request.error is None or isinstance(request.error, RequestError) for request in ended)
    buffer.array[:] = 0xEE
    watch = bench.memory.watch(buffer.address, len(buffer))
    await bench.port.sleep(5000)
    assert not watch.hits, "the device touches what is not its own any more"
    assert (buffer.array == 0xEE).all()
    bench.memory.unwatch(watch)
    buffer.free()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_removal_with_buffers_in_flight(transport: str, interface: str) -> None:
    memory = GuestMemory(4 << 20)
    if transport != "pci":
        bench = Bench(SoftwarePort(memory))
        for sleep in (0, 300, 600, 900):
            bench.run(remove_in_flight(bench, transport, interface, sleep))
        return
    with open_engine("native", CONFIG, memory, DiskImage.blank(64)) as port:
        bench = Bench(port)
        for sleep in (0, 200, 800):
            # The function is found again after it was removed.
            bench.machine = Machine(port)
            bench.run(remove_in_flight(bench, transport, interface, sleep))


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_a_network_device_is_removed_with_buffers_in_flight(transport: str, interface: str) -> None:
    bench = Bench(SoftwarePort(GuestMemory(4 << 20)))

    async def body() -> None:
        for sleep in (0, 150, 1000):
            model = NetModel(bench.port.schedule, queue_size=16, loopback=True)
            opened = await open_device(bench.machine, "net", interface, transport, model=model)
            for _ in range(10):
                await opened.driven.send(model.mac + bytes(100))
            await bench.port.sleep(sleep)
            await opened.close()
            with pytest.raises(RequestError, match="removed"):
                await opened.driven.send(model.mac + bytes(100))
            await bench.port.sleep(2000)

    bench.run(body())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tape",), 'function is .tape.; it must be "blk", '),
        (("blk", "2005"), "interface is '2005'"),
        (("blk", "draft3", "usb"), "transport is 'usb'; it must be one of pci, memory, pipe"),
        (("net", "draft3", "memory"), "transport 'memory' needs a model of a net device"),
    ],
)
def test_names_that_there_are_not(bench: Bench, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench.port.run(open_device(bench.machine, *arguments))


def test_no_such_function(bench: Bench) -> None:
    with pytest.raises(BindError, match="no PCI function is a net device without a driver"):
        bench.port.run(open_device(bench.machine, "net", "modern", "pci"))


def test_fields_are_needed_by_two_stages() -> None:
    config = DeviceConfig(identity=Identity("oasis"))
    bench = Bench(ModelPort(config, GuestMemory(1 << 20), DiskImage.blank(1)))
    for interface in ("2007-09", "2.6.24"):
        with pytest.raises(BindError, match="the function has no field list; one with the identity of 2007"):
            bench.port.run(open_device(bench.machine, "blk", interface, "pci"))
