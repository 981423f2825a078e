"""The block driver on a device in Python, with PCI and without it, and on devices that misbehave."""

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.spec.blk import BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.build import model_of
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.golden.ring_server import RingServer
from ringwalker_sim.guest import blk as blk_module
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest, blk_driver
from ringwalker_sim.guest.bus import VirtioBus, VirtioDeviceId
from ringwalker_sim.guest.errors import BindError, DeviceError, RequestError, RequestTimeout
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.guest.transport.memory import MemoryTransport
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.memory import GuestMemory

SECTORS = 64


class Machine:
    """A machine with a disk of random content, its driver bound."""

    def __init__(self, config: DeviceConfig | None = None, transport: str = "msix", **model: Any):
        self.config = config or DeviceConfig(queue_size=16)
        self.memory = GuestMemory(4 << 20)
        self.disk = np.random.default_rng(3).integers(0, 256, SECTORS * 512, np.uint8)
        self.kind = transport
        if transport == "direct":
            self.port: Any = SoftwarePort(self.memory)
            self.model: Any = model_of(self.config, self.port.schedule, DiskImage.of(self.disk))
            self.rings = RingServer(self.model, self.memory)
        else:
            self.port = ModelPort(self.config, self.memory, DiskImage.of(self.disk), **model)
            self.model, self.rings = self.port.model, self.port.rings
        self.bus = VirtioBus()
        self.transport: Any = None

    async def bind(self, ids: Any = ()) -> BlkDevice:
        if self.kind == "direct":
            self.transport = MemoryTransport(self.rings, VirtioDeviceId(0x5000, 2, 0x5000, 2, 0x010000))
        else:
            (pci,) = await enumerate_pci(self.port)
            self.transport = await VirtioPciTransport.bind(pci, self.kind)
        await self.bus.register_virtio_device(self.transport.device)
        await self.bus.register_virtio_driver(blk_driver(self.port, ids=ids))
        return self.transport.device.priv

    async def unbind(self) -> None:
        await self.bus.unregister_virtio_device(self.transport.device)
        await self.transport.unbind()

    def run(self, test: Callable[[BlkDevice], Coroutine[Any, Any, Any]]) -> Any:
        """Bind the driver, run ``test``, take everything down; no guest memory may be left in use."""

        async def main() -> Any:
            disk = await self.bind()
            result = await test(disk)
            await self.unbind()
            return result

        result = self.port.run(main())
        assert self.memory.allocated == 0
        return result


@pytest.mark.parametrize("transport", ["msix", "intx", "direct"])
def test_every_request_over_every_transport(transport: str) -> None:
    machine = Machine(transport=transport)
    before = machine.disk.copy()

    async def body(disk: BlkDevice) -> None:
        assert (disk.capacity, disk.block_size) == (SECTORS, 512)
        for room in (1, 8, 19, 20, 21, 64):
            assert await disk.get_id(room=room) == "ringwalker"[:room]
        assert await disk.read(0, SECTORS) == before.tobytes()
        assert await disk.read(SECTORS - 1, 1) == before[-512:].tobytes()
        data = bytes(range(256)) * 6
        await disk.write(5, data)
        expected = before[4 * 512 : 9 * 512].copy()
        expected[512:-512] = np.frombuffer(data, np.uint8)
        assert await disk.read(4, 5) == expected.tobytes()
        await disk.flush()

    machine.run(body)
    assert (machine.disk[5 * 512 : 8 * 512] == np.frombuffer(bytes(range(256)) * 6, np.uint8)).all()


@pytest.mark.parametrize(("written", "right"), [(0, False), (19, False), (20, True), (65, True), (66, False)])
def test_a_long_buffer_for_the_serial_number_may_be_counted_in_all_ways(written: int, right: bool) -> None:
    # Up to the gap in front of the status, or all of the chain, as QEMU does.
    machine = Machine()
    machine.port.rings.mangle = lambda head, _written: (head, written)

    async def body(disk: BlkDevice) -> None:
        if right:
            assert await disk.get_id(room=64) == "ringwalker"
        else:
            with pytest.raises(DeviceError, match=r"used length of|were written into"):
                await disk.get_id(room=64)

    machine.run(body)


def test_error_status_becomes_an_exception() -> None:
    async def body(disk: BlkDevice) -> None:
        for sector, count in ((SECTORS, 1), (SECTORS - 1, 2), (2**55, 1)):
            with pytest.raises(RequestError, match=f"IN at sector {sector}: IOERR"):
                await disk.read(sector, count)
        with pytest.raises(RequestError, match="OUT at sector 64: IOERR"):
            await disk.write(SECTORS, bytes(512))
        with pytest.raises(RequestError, match="type 77 at sector 0: UNSUPP"):
            await disk.request(77, 0, [])
        with pytest.raises(ValueError, match="data has 100 bytes"):
            await disk.write(0, bytes(100))
        assert len(await disk.read(0, 1)) == 512, "the disk goes on working"

    Machine().run(body)


def test_requests_complete_out_of_order_and_in_scattered_buffers() -> None:
    machine = Machine(DeviceConfig(queue_size=64), jitter=500)
    ended: list[int] = []

    async def body(disk: BlkDevice) -> None:
        buffers = [machine.memory.allocate(512) for _ in range(16)]
        event = machine.port.event()

        def done(request: BlkRequest) -> None:
            assert request.error is None
            ended.append(request.token)
            if len(ended) == 16:
                event.set()

        for number, buffer in enumerate(buffers):
            sg = [(buffer.address, 100), (buffer.address + 100, 412)]
            assert disk.submit(BlkRequestType.IN, number, sg, done, number)
        assert disk.submit(BlkRequestType.FLUSH, 0, [], done) is None, "the queue has 64 entries, all in use"
        await disk.kick()
        assert await event.wait(10_000)
        for number, buffer in enumerate(buffers):
            assert (buffer.array == machine.disk[number * 512 :][:512]).all()
            buffer.free()

    machine.run(body)
    assert sorted(ended) == list(range(16))
    assert ended != list(range(16))


@pytest.mark.parametrize("vectors", [None, 3, 2, 1])
def test_several_queues_with_a_vector_each_or_fewer(vectors: int | None) -> None:
    machine = Machine(DeviceConfig(queues=4, queue_size=16, pci=PciOptions(vectors=vectors)))

    async def body(disk: BlkDevice) -> None:
        assert disk.queues == 4
        for queue in range(4):
            assert await disk.read(queue, 1, queue=queue) == machine.disk[queue * 512 :][:512].tobytes()
        assert [vq.interrupts for vq in machine.transport.device.vqs] == [1, 1, 1, 1]

    machine.run(body)


@pytest.mark.parametrize(
    ("identity", "ids", "serves"),
    [
        (Identity(), (), True),
        (Identity(preset="oasis"), (), True),
        (Identity(vendor=0x1234, device=0x5678), (), False),
        (Identity(vendor=0x1234, device=0x5678), (VirtioDeviceId(0x1234, 0x5678),), True),
        (Identity(class_code=0x018000), (), False),
    ],
)
def test_identities(identity: Identity, ids: Any, serves: bool) -> None:
    machine = Machine(DeviceConfig(identity=identity))
    assert (machine.port.run(machine.bind(ids)) is not None) is serves


def test_block_size_is_read() -> None:
    machine = Machine(DeviceConfig(settings=BlkSettings(block_size=4096)))

    async def body(disk: BlkDevice) -> int:
        return disk.block_size

    assert machine.run(body) == 4096


def test_driver_can_be_taken_away_and_given_back() -> None:
    machine = Machine()

    async def twice() -> None:
        disk = await machine.bind()
        first = await disk.read(0, 1)
        await machine.unbind()
        machine.bus = VirtioBus()
        disk = await machine.bind()
        assert await disk.read(0, 1) == first
        await machine.unbind()

    machine.port.run(twice())
    assert machine.memory.allocated == 0


@pytest.mark.parametrize("transport", ["msix", "intx", "direct"])
def test_removal_ends_requests_that_are_outstanding(transport: str) -> None:
    machine = Machine(transport=transport, latency=5000)
    ended: list[BlkRequest] = []

    async def body(disk: BlkDevice) -> None:
        for sector in range(3):
            disk.submit(BlkRequestType.FLUSH, sector, [], ended.append)
        await disk.kick()
        await machine.port.sleep(100)

    machine.run(body)
    assert [str(request.error) for request in ended] == ["the device was removed"] * 3


@pytest.mark.parametrize("ring_reset", [True, False])
def test_shutdown_of_a_queue(ring_reset: bool) -> None:
    machine = Machine(latency=5000, ring_reset=ring_reset)

    async def body(disk: BlkDevice) -> None:
        (vq,) = machine.transport.device.vqs
        tokens = [disk.submit(BlkRequestType.FLUSH, n, [], lambda _request: None) for n in range(3)]
        await disk.kick()
        await machine.port.sleep(100)
        assert await vq.shutdown() == tokens
        assert vq.broken is not ring_reset
        assert bool(machine.transport.features >> Feature.RING_RESET & 1) is ring_reset
        await machine.port.sleep(20_000)
        assert not vq.used_pending
        if ring_reset:
            machine.model.latency = 10
            disk._queues[0].pending.clear()
            assert await disk.read(1, 1) == machine.disk[512:1024].tobytes()

    machine.run(body)


@pytest.mark.parametrize("transport", ["msix", "intx", "direct"])
def test_capacity_change_is_noticed(transport: str) -> None:
    machine = Machine(transport=transport)

    async def body(disk: BlkDevice) -> None:
        machine.model.set_capacity(7)
        await machine.port.sleep(1000)
        assert (disk.capacity, disk.capacity_changes) == (7, 1)

    machine.run(body)


def test_configuration_that_changes_while_it_is_read_is_read_again() -> None:
    machine = Machine()

    async def body(disk: BlkDevice) -> None:
        capacities = iter([0xFFFF_FFFF, 0x1_0000_0000])
        original = machine.model.config_bytes

        def changing() -> bytes:
            value = next(capacities, None)
            if value is not None:
                machine.model.capacity = value
                machine.model.generation += 1
            return original()

        machine.model.config_bytes = changing
        machine.model.set_capacity(1)
        await machine.port.sleep(2000)
        assert disk.capacity == 0x1_0000_0000

    machine.run(body)


# --- devices that misbehave --------------------------------------------------------------------------------


def expect_failure(machine: Machine, message: str, kind: type[Exception] = DeviceError) -> None:
    async def body(disk: BlkDevice) -> None:
        with pytest.raises(kind, match=message):
            await disk.read(0, 1)

    machine.run(body)


@pytest.mark.parametrize(
    ("mangle", "message"),
    [
        (lambda head, written: (head + 1, written), "not the head of an outstanding chain"),
        (lambda head, written: (head | 0x10000, written), "which is beyond 16"),
        (lambda head, written: (head, written + 1), "which has 513 writable bytes"),
        (
            lambda head, written: (head, written - 1),
            "status OK with a used length of 512 bytes; it must be 513",
        ),
    ],
)
def test_a_device_that_lies_in_the_used_ring(mangle: Any, message: str) -> None:
    machine = Machine()
    machine.port.rings.mangle = mangle
    expect_failure(machine, message)


def test_after_a_lie_the_disk_is_not_used_any_more() -> None:
    machine = Machine()
    machine.port.rings.mangle = lambda head, written: (head + 1, written)

    async def body(disk: BlkDevice) -> None:
        for _ in range(2):
            with pytest.raises(DeviceError, match="not the head"):
                await disk.read(0, 1)

    machine.run(body)


def test_a_device_that_jumps_with_the_used_index() -> None:
    machine = Machine()
    machine.port.rings.written_index = lambda index: index + 7
    expect_failure(machine, "used index is 8, 8 after the last one seen")


def test_a_device_that_writes_no_status() -> None:
    machine = Machine()
    machine.model._execute = lambda _readable, _room: (np.empty(0, np.uint8), b"")
    expect_failure(machine, "used without a status")


def test_a_device_that_invents_a_status() -> None:
    machine = Machine()
    answer = machine.model._answer
    machine.model._answer = lambda *arguments: (answer(*arguments)[0], 9)
    expect_failure(machine, "status 9 does not exist")


def test_a_device_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blk_module, "TIMEOUT_CYCLES", 1000)
    machine = Machine()
    machine.port.rings.doorbell = lambda index: None
    expect_failure(machine, "IN at sector 0 was not answered in 1000 cycles", RequestTimeout)


@pytest.mark.parametrize("address", [1 << 60, (1 << 64) - 0x100])
def test_a_device_that_needs_a_reset(address: int) -> None:
    machine = Machine()

    async def body(disk: BlkDevice) -> None:
        with pytest.raises(ValueError, match="add_buf gives EINVAL"):
            disk.submit(BlkRequestType.IN, 0, [(0, 0)], lambda _request: None)
        with pytest.raises(DeviceError, match="DEVICE_NEEDS_RESET"):
            await disk.request(BlkRequestType.OUT, 0, [(address, 512)])
        assert await machine.transport.needs_reset()
        with pytest.raises(DeviceError, match="DEVICE_NEEDS_RESET"):
            await disk.read(0, 1)

    machine.run(body)


@pytest.mark.parametrize("breaks", ["version", "features", "status", "queues"])
def test_a_device_that_cannot_be_used(breaks: str) -> None:
    machine = Machine()
    model, port = machine.model, machine.port
    message = {
        "version": "does not offer VIRTIO_F_VERSION_1",
        "features": "refuses the features",
        "status": "the reset of the device does not end",
        "queues": "no queue 0",
    }[breaks]
    if breaks == "version":
        model.features &= ~(1 << Feature.VERSION_1)
    elif breaks == "features":
        set_status = port.registers.write_status
        port.registers.write_status = lambda value: set_status(value & ~DeviceStatus.FEATURES_OK)
    elif breaks == "status":
        port.modern.common = lambda name: 0xFF
        port.sleep = _no_sleep
    else:
        port.rings.queues.clear()
    with pytest.raises((BindError, RequestTimeout), match=message):
        port.run(machine.bind())
    if breaks in ("version", "features"):
        assert port.model.status & DeviceStatus.FAILED


@pytest.mark.parametrize("word", [0, 2, 3, 4, 0xFFFF_FFFF])
def test_a_feature_that_was_not_offered_is_refused_in_any_word(word: int) -> None:
    machine = Machine()

    async def body() -> None:
        (pci,) = await enumerate_pci(machine.port)
        transport = await VirtioPciTransport.bind(pci, "msix")
        await transport.write_common("driver_feature_select", word)
        await transport.write_common("driver_feature", 1 << 31)
        await transport.write_common("driver_feature_select", 1)
        await transport.write_common("driver_feature", 1 << Feature.VERSION_1 - 32)
        await transport.add_status(DeviceStatus.FEATURES_OK)
        assert not await transport.status() & DeviceStatus.FEATURES_OK
        await transport.reset()
        await transport.negotiate(0)

    machine.port.run(body())


@pytest.mark.parametrize("area", ["queue_desc", "queue_driver", "queue_device"])
def test_a_queue_beyond_the_last_address_needs_a_reset(area: str) -> None:
    machine = Machine()

    async def body(disk: BlkDevice) -> None:
        transport = machine.transport
        await transport.write_common("queue_select", 0)
        await transport.write_common("queue_reset", 1)
        await transport.write_common(area, (1 << 64) - 16)
        await transport.write_common("queue_enable", 1)
        assert await transport.read_common("queue_enable") == 0
        assert await transport.needs_reset()

    machine.run(body)


async def _no_sleep(cycles: int) -> None:
    pass
