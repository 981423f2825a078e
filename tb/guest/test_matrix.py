"""Every driver by every interface on every transport: the drivers are the same in all cells.

The PCI cells drive the real device on the native engine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.features import Feature
from ringwalker.spec.net import NetRxMode
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.function.simulation import simulation_of
from ringwalker_sim.golden.build import model_of
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.blk import BlkDevice
from ringwalker_sim.guest.console import ConsoleDevice
from ringwalker_sim.guest.errors import BindError, RequestError
from ringwalker_sim.guest.history import INTERFACES, draft3_glue
from ringwalker_sim.guest.history.draft3_handlers import (
    virtbus_fields,
    virtbus_memory,
    virtbus_pci,
    virtbus_pipe,
)
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.net import NetDevice
from ringwalker_sim.guest.opening import TRANSPORTS, open_device
from ringwalker_sim.guest.ring_queue import RING_FEATURES
from ringwalker_sim.guest.rng import RngDevice
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL, TRANSITIONAL

STAGES = INTERFACES[1:]
FUNCTION_NAMES = ("blk", "net", "console", "rng")
SECTORS = 256
OTHER_MAC = bytes.fromhex("020000000007")


class Cell:
    """A machine with one device: ``outside`` is the device in Python, or the engine of the real one."""

    def __init__(self, port: Any, function: str, model: Any = None, disk: np.ndarray | None = None):
        self.port = port
        self.machine = Machine(port)
        self.function = function
        self.model = model
        self.disk: Any = disk

    @property
    def engine(self) -> Any:
        return self.port.engine

    def loop_back(self) -> None:
        """What the driver sends comes back."""
        if self.model is not None:
            self.model.loopback = True
        elif self.function == "net":
            self.engine.ports.mac.loopback(True)
        else:
            self.engine.ports.uart.loopback(True)

    def set_link(self, up: bool) -> None:
        (self.model or self.engine.ports.mac).set_link(up)

    def set_size(self, cols: int, rows: int) -> None:
        (self.model.set_size if self.model is not None else self.engine.ports.uart.set_terminal)(cols, rows)

    def bring(self, frame: bytes) -> None:
        """A frame comes in from outside."""
        (self.model.receive if self.model is not None else self.engine.ports.mac.send)(frame)


@contextmanager
def cell_of(function: str, transport: str, ring: str = "split") -> Iterator[Cell]:
    memory = GuestMemory(4 << 20)
    content = np.random.default_rng(8).integers(0, 256, SECTORS * 512, np.uint8)
    if transport in ("pci", "legacy pci"):
        config = (SMALL if transport == "pci" else TRANSITIONAL)[function]
        disk = DiskImage.blank(SECTORS) if function == "blk" else None
        if disk is not None:
            disk.array[:] = content
        with open_engine("native", config, memory, disk) as port:
            yield Cell(port, function, None, None if disk is None else disk.array)
        return
    if transport in ("pci model", "legacy pci model"):
        face = "legacy" if transport == "legacy pci model" else "modern"
        machine = ModelPort(replace(SMALL[function], ring=ring, face=face), memory, DiskImage.of(content))
        yield Cell(machine, function, machine.model, content)
        return
    port = SoftwarePort(memory)
    yield Cell(port, function, model_of(SMALL[function], port.schedule, DiskImage.of(content)), content)


async def settle(port: Any, condition: Callable[[], bool], cycles: int = 400_000) -> None:
    """Wait for something, but not for ever."""
    end = port.now() + cycles
    while not condition() and port.now() < end:
        await port.sleep(500)
    assert condition()


async def use_disk(cell: Cell, disk: BlkDevice, interface: str) -> None:
    assert disk.capacity == SECTORS
    assert disk.queues == (1 if interface == "2007-05" else 4)
    assert await disk.get_id() == "ringwalker"
    for queue in range(disk.queues):
        assert await disk.read(queue, 3, queue) == cell.disk[queue * 512 :][: 3 * 512].tobytes()
        data = bytes([queue + 1]) * 1024
        await disk.write(100 + 2 * queue, data, queue)
        await disk.flush(queue)
        assert cell.disk[(100 + 2 * queue) * 512 :][:1024].tobytes() == data
        with pytest.raises(RequestError, match="IOERR"):
            await disk.read(SECTORS, 1, queue)
    # More than the queue holds, and answered in any order.
    buffer = cell.port.memory.allocate(64 * 512)
    ended: list[Any] = []
    for number in range(64):
        sg = [(buffer.address + 512 * number, 200), (buffer.address + 512 * number + 200, 312)]
        while disk.submit(0, number, sg, ended.append) is None:
            await disk.kick()
            await cell.port.sleep(500)
    await disk.kick()
    await settle(cell.port, lambda: len(ended) == 64)
    assert [request.error for request in ended] == [None] * 64
    assert np.array_equal(buffer.array, cell.disk[: 64 * 512])
    buffer.free()


async def use_network(cell: Cell, net: NetDevice, interface: str) -> None:
    got: list[bytes] = []
    net.on_frame = got.append
    cell.loop_back()
    sizes = [14, 60, 61, 128, 1000, 1514, *range(64, 128)]
    frames = [net.mac + bytes([number]) * (size - 6) for number, size in enumerate(sizes)]
    for frame in frames:
        await net.send(frame)
    await net.drain()
    await settle(cell.port, lambda: len(got) == len(frames))
    assert got == frames
    await use_filter(cell, net, interface)
    before = net.media_changes
    cell.set_link(False)
    if interface == "2007-05":
        return  # This stage tells the driver nothing after the probe.
    await settle(cell.port, lambda: net.media_changes > before)
    assert not net.link_up


async def use_filter(cell: Cell, net: NetDevice, interface: str) -> None:
    """The driver tells the device what to receive."""
    got: list[bytes] = []
    net.on_frame = got.append
    stranger = OTHER_MAC + bytes(54)
    cell.bring(stranger)
    await cell.port.sleep(5000)
    assert got == []
    if interface == "2007-05":
        with pytest.raises(BindError, match="cannot write"):
            await net.set_promiscuous(True)
        return
    await net.set_promiscuous(True)
    await cell.port.sleep(1000)
    cell.bring(stranger)
    await settle(cell.port, lambda: got == [stranger])
    await net.set_promiscuous(False)
    await net.set_mac(OTHER_MAC)
    await cell.port.sleep(1000)
    cell.bring(stranger)
    await settle(cell.port, lambda: got == [stranger, stranger])
    if cell.model is not None:
        assert (cell.model.mac, cell.model.rx_mode) == (OTHER_MAC, NetRxMode(0))


async def use_console(cell: Cell, console: ConsoleDevice, interface: str) -> None:
    assert console.size == (80, 25)
    got = bytearray()
    console.on_bytes = got.extend
    cell.loop_back()
    text = bytes(range(256)) * 5 + b"the last line\n"
    await console.write(text)
    await settle(cell.port, lambda: len(got) == len(text))
    assert bytes(got) == text
    if interface in ("2007-05", "draft3"):
        with pytest.raises(BindError):
            await console.emergency_write(33)
    else:
        await console.emergency_write(33)
        await settle(cell.port, lambda: len(got) == len(text) + 1)
        assert got[-1] == 33
    cell.set_size(132, 43)
    if interface != "2007-05":
        await settle(cell.port, lambda: console.size == (132, 43))


async def use_noise(cell: Cell, rng: RngDevice, interface: str) -> None:
    source = NoiseSource(1 if cell.model is None else 0)  # the seeds that the cells have
    for length in (64, 4096, 3 * 4096, 8):
        assert await rng.read(length) == source.take(length)


USES: dict[str, Any] = {"blk": use_disk, "net": use_network, "console": use_console, "rng": use_noise}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("interface", STAGES)
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_a_driver_by_an_interface_on_a_transport(function: str, interface: str, transport: str) -> None:
    use(function, interface, transport)


@pytest.mark.parametrize("transport", ["pci model", "memory", "pipe"])
@pytest.mark.parametrize("handler", [virtbus_pci, virtbus_memory, virtbus_pipe, virtbus_fields])
@pytest.mark.parametrize("function", ["blk", "net"])
def test_any_driver_with_any_handler_on_any_transport(function: str, handler: Any, transport: str) -> None:
    """The lego of Draft III."""
    with cell_of(function, transport) as cell:

        async def main() -> None:
            machine = cell.machine
            await machine.bus.register_virtio_driver(
                draft3_glue.adapt(simulation_of(function).driver(cell.port), cell.port, handler)
            )
            if transport == "pci model":
                (device,) = await machine.probe_pci()
            elif transport == "memory":
                device = await machine.add_memory_device(cell.model)
            else:
                device = await machine.add_pipe_device(cell.model)
            await USES[function](cell, machine.driven(device), "draft3")
            await machine.close()

        cell.port.run(main())
        assert cell.port.memory.allocated == 0


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_the_same_on_a_pci_function_in_python(function: str, interface: str) -> None:
    use(function, interface, "pci model")


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_the_same_by_the_legacy_header(function: str, interface: str) -> None:
    """The stages of September and of 2.6.24 find their fields in registers of the header."""
    use(function, interface, "legacy pci model")


@pytest.mark.slow
@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_the_same_by_the_legacy_header_of_the_device(function: str, interface: str) -> None:
    use(function, interface, "legacy pci")


@pytest.mark.parametrize("function", FUNCTION_NAMES)
@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_the_drivers_without_a_stage(function: str, transport: str) -> None:
    use(function, "modern", transport)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_the_same_on_packed_rings(function: str, interface: str) -> None:
    use(function, interface, "pci model", ("RING_PACKED", "EVENT_IDX"))


@pytest.mark.parametrize("rings", [("IN_ORDER",), ("RING_PACKED", "IN_ORDER", "INDIRECT_DESC")])
@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_the_same_in_order(function: str, rings: tuple[str, ...]) -> None:
    use(function, "modern", "memory", rings)


def use(function: str, interface: str, transport: str, rings: tuple[str, ...] = ()) -> None:
    """Bring a cell up with the features ``rings``, do everything with it, and take it down."""
    wanted = sum(1 << Feature[name] for name in rings)
    ring = "both" if "RING_PACKED" in rings else "split"
    with cell_of(function, transport, ring) as cell:
        kind = "pci" if "pci" in transport else transport
        face = "legacy" if transport.startswith("legacy") else None

        async def main() -> None:
            opened = await open_device(
                cell.machine, function, interface, kind, model=cell.model, rings=wanted, face=face
            )
            assert opened.device.driver is opened.driver
            assert transport == "pipe" or opened.device.config.features & RING_FEATURES == wanted
            await USES[function](cell, opened.driven, interface)
            await opened.close()
            assert cell.machine.bus.devices == []

        cell.port.run(main())
        assert cell.port.memory.allocated == 0
