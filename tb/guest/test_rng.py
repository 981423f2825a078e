"""The entropy driver on every interface of 2007, on rings and on a pipe to a device in Python."""

import pytest

from ringwalker_sim.golden.rng import RngModel
from ringwalker_sim.guest.errors import DeviceError, RequestTimeout
from ringwalker_sim.guest.history import INTERFACES, adapt
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.rng import RngDevice, rng_driver
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory


def opened(interface: str = "modern", transport: str = "memory", model=None, **options):
    """A port, a model, and a coroutine that gives the driver's object."""
    port = SoftwarePort(GuestMemory(1 << 20))
    model = model or RngModel(port.schedule, seed=3)
    machine = Machine(port)

    async def open_it() -> RngDevice:
        await machine.bus.register_virtio_driver(adapt(interface, rng_driver(port, **options), port))
        add = machine.add_memory_device if transport == "memory" else machine.add_pipe_device
        return machine.driven(await add(model))

    return port, model, open_it


@pytest.mark.parametrize("transport", ["memory", "pipe"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_every_byte_comes_once_and_in_order(interface, transport):
    port, model, open_it = opened(interface, transport, buffer_bytes=64)

    async def job() -> bytes:
        rng = await open_it()
        return b"".join([await rng.read(length) for length in (1, 64, 65, 1000, 0, 3)])

    content = port.run(job())
    assert len(content) == 1133
    assert content == bytes(model.given)


def test_what_a_device_gives_too_much_of_is_kept_for_the_next_read():
    port, model, open_it = opened()

    async def job() -> tuple[bytes, bytes]:
        rng = await open_it()
        rng._content += b"early"
        return await rng.read(3), await rng.read(10)

    first, second = port.run(job())
    assert first == b"ear"
    assert second == b"ly" + bytes(model.given)


class SilentModel(RngModel):
    def _fill(self, request):
        return


class EmptyModel(RngModel):
    def _fill(self, request):
        request.finish(b"")


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        (SilentModel, RequestTimeout, "no buffer was filled"),
        (EmptyModel, DeviceError, "without a byte in it"),
    ],
)
def test_a_device_that_gives_nothing(kind, error, text):
    port = SoftwarePort(GuestMemory(1 << 20))
    machine = Machine(port)

    async def job() -> None:
        await machine.bus.register_virtio_driver(rng_driver(port))
        device = await machine.add_memory_device(kind(port.schedule))
        await machine.driven(device).read(8)

    with pytest.raises(error, match=text):
        port.run(job())


def test_memory_is_free_after_the_device_is_removed():
    port = SoftwarePort(GuestMemory(1 << 20))
    machine = Machine(port)

    async def job() -> None:
        await machine.bus.register_virtio_driver(rng_driver(port))
        device = await machine.add_memory_device(RngModel(port.schedule))
        await machine.driven(device).read(100)
        await machine.remove(device)

    before = port.memory.allocated
    port.run(job())
    assert port.memory.allocated == before
