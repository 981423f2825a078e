"""The driver on the real device: what is awkward is done through the registers, on the native engine."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest

from ringwalker.pci.completer import NONPOSTED_REQUESTS
from ringwalker.spec.blk import BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.engine.native.abi import Outcome
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest, blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.errors import DeviceError, RequestError
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.guest.virtqueue import Virtqueue
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job

SECTORS = 256


class Machine:
    """The device with a disk of random content, on an engine of its own."""

    def __init__(self, port: Any, disk: DiskImage):
        self.port = port
        self.memory: GuestMemory = port.memory
        self.image = disk.array
        self.bus = VirtioBus()
        self.transport: Any = None

    async def bind(self, interrupt: str = "msix") -> BlkDevice:
        (pci,) = await enumerate_pci(self.port)
        self.transport = await VirtioPciTransport.bind(pci, interrupt)
        self.bus = VirtioBus()
        await self.bus.register_virtio_driver(blk_driver(self.port))
        await self.bus.register_virtio_device(self.transport.device)
        return self.transport.device.priv

    async def unbind(self) -> None:
        await self.bus.unregister_virtio_device(self.transport.device)
        await self.transport.unbind()

    def run(self, body: Callable[[BlkDevice], Coroutine[Any, Any, Any]], interrupt: str = "msix") -> None:
        async def main() -> None:
            disk = await self.bind(interrupt)
            await body(disk)
            await self.unbind()

        self.port.run(main())
        assert self.memory.allocated == 0

    def sectors(self, first: int, count: int) -> bytes:
        return self.image[first * 512 : (first + count) * 512].tobytes()


@pytest.fixture
def machine() -> Iterator[Machine]:
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = np.random.default_rng(8).integers(0, 256, len(disk.array), np.uint8)
    with open_engine("native", CONFIG, GuestMemory(4 << 20), disk) as port:
        yield Machine(port, disk)


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_every_request_on_every_queue(machine: Machine, interrupt: str) -> None:
    async def body(disk: BlkDevice) -> None:
        assert (disk.capacity, disk.queues) == (SECTORS, 4)
        for queue in range(4):
            assert await disk.get_id(queue) == "ringwalker"
            assert await disk.get_id(queue, room=40) == "ringwalker"
            assert await disk.read(queue, 3, queue) == machine.sectors(queue, 3)
            data = bytes([queue]) * 1024
            await disk.write(queue * 2, data, queue)
            await disk.flush(queue)
            assert machine.sectors(queue * 2, 2) == data
            with pytest.raises(RequestError, match="IOERR"):
                await disk.read(SECTORS, 1, queue)
            with pytest.raises(RequestError, match="UNSUPP"):
                await disk.request(99, 0, [], queue)

    machine.run(body, interrupt)


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_a_workload_over_four_queues(machine: Machine, interrupt: str) -> None:
    task = BlockTask(Workload("randrw", requests=400, queue_depth=40, block_size=1024))
    result = machine.port.run(Job(task, interrupt=interrupt).run(machine.port, CONFIG))
    assert (result["requests"], result["errors"]) == (400, 0), result["messages"]


@pytest.mark.parametrize(
    "features",
    [
        ["INDIRECT_DESC"],
        ["EVENT_IDX"],
        ["NOTIFICATION_DATA"],
        ["NOTIF_CONFIG_DATA"],
        ["NOTIFICATION_DATA", "NOTIF_CONFIG_DATA"],
        ["INDIRECT_DESC", "EVENT_IDX"],
        ["INDIRECT_DESC", "EVENT_IDX", "NOTIFICATION_DATA"],
    ],
)
@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_a_workload_with_what_rings_offer_beside(
    machine: Machine, features: list[str], interrupt: str
) -> None:
    # More requests at once than chains of three descriptors would fit.
    depth = 4 * 32 if "INDIRECT_DESC" in features else 40
    load = Workload("randrw", requests=400, queue_depth=depth, block_size=1024)
    job = Job(BlockTask(load, ring_features=tuple(features)), interrupt=interrupt)
    result = machine.port.run(job.run(machine.port, CONFIG))
    assert (result["requests"], result["errors"]) == (400, 0), result["messages"]


def test_bars_that_something_else_assigned_are_used_as_they_are(machine: Machine) -> None:
    async def main() -> None:
        (first,) = await enumerate_pci(machine.port)
        (second,) = await enumerate_pci(machine.port, assign=False)
        assert first.bars == second.bars
        transport = await VirtioPciTransport.bind(second)
        assert await transport.num_queues() == 4
        await transport.unbind()

    machine.port.run(main())


def test_data_in_pieces_of_any_length(machine: Machine) -> None:
    async def body(disk: BlkDevice) -> None:
        buffer = machine.memory.allocate(8192, 64)
        base = buffer.address
        pieces = [(base + 7, 1), (base + 100, 511), (base + 4000, 2000), (base + 1001, 48)]
        await disk.request(BlkRequestType.IN, 9, pieces)
        got = b"".join(machine.memory.read(*piece) for piece in pieces)
        assert got == machine.sectors(9, 5)
        buffer.array[:] = np.random.default_rng(4).integers(0, 256, 8192, np.uint8)
        await disk.request(BlkRequestType.OUT, 40, pieces)
        assert machine.sectors(40, 5) == b"".join(machine.memory.read(*piece) for piece in pieces)
        buffer.free()

    machine.run(body)


def test_a_queue_is_shut_down_and_goes_on_while_others_work(machine: Machine) -> None:
    async def body(disk: BlkDevice) -> None:
        assert machine.transport.features >> Feature.RING_RESET & 1
        vq = machine.transport.vqs[1]
        buffer = machine.memory.allocate(4096)
        for turn in range(6):
            ended: list[BlkRequest] = []
            requests = [
                disk.submit(BlkRequestType.IN, n, [(buffer.address, 4096)], ended.append, queue=1)
                for n in range(8)
            ]
            await disk.kick(1)
            await machine.port.sleep(50 * turn)
            tokens = await vq.shutdown()
            assert len(tokens) + len(ended) == 8
            assert tokens == [request for request in requests if request not in ended]
            # Nothing of what was taken back may still arrive.
            buffer.array[:] = 0xEE
            await machine.port.sleep(3000)
            assert (buffer.array == 0xEE).all()
            assert not vq.used_pending
            for token in tokens:
                disk._queues[1].slots.append(token.slot)
                del disk._queues[1].pending[token.slot]
            assert await disk.read(5, 2, queue=1) == machine.sectors(5, 2)
            assert await disk.read(5, 2, queue=0) == machine.sectors(5, 2)
        buffer.free()

    machine.run(body)


def test_the_device_is_removed_with_requests_outstanding_and_comes_back(machine: Machine) -> None:
    async def main() -> None:
        buffer = machine.memory.allocate(4096)
        for turn in range(4):
            disk = await machine.bind()
            ended: list[BlkRequest] = []
            for n in range(8):
                disk.submit(BlkRequestType.IN, n, [(buffer.address, 4096)], ended.append)
            await disk.kick()
            await machine.port.sleep(100 * turn)
            await machine.unbind()
            assert len(ended) == 8
            buffer.array[:] = 0xEE
            await machine.port.sleep(3000)
            assert (buffer.array == 0xEE).all(), "the device writes after its reset"
        disk = await machine.bind()
        assert await disk.read(0, 4) == machine.sectors(0, 4)
        await machine.unbind()
        buffer.free()

    machine.port.run(main())
    assert machine.memory.allocated == 0


def test_callbacks_are_suppressed_until_restart(machine: Machine) -> None:
    async def main() -> None:
        (pci,) = await enumerate_pci(machine.port)
        transport = await VirtioPciTransport.bind(pci)
        await transport.negotiate(0)
        calls: list[int] = []

        def callback(vq: Virtqueue) -> bool:
            calls.append(vq.index)
            return False

        vq = await transport.find_vq(0, callback)
        await transport.driver_ok()
        header = machine.memory.allocate(16)
        header.array[0] = BlkRequestType.FLUSH
        status = machine.memory.allocate(8)

        async def flush(number: int) -> None:
            assert vq.add_buf([(header.address, 16), (status.address + number, 1)], 1, 1, number + 1) == 0
            await vq.kick()
            await machine.port.sleep(2000)

        await flush(0)
        assert (calls, vq.interrupts) == ([0], 1)
        await flush(1)
        await flush(2)
        assert (calls, vq.interrupts) == ([0], 1), "the device interrupts although it was asked not to"
        assert vq.restart() is False
        assert [vq.get_buf() for _ in range(3)] == [(1, 1), (2, 1), (3, 1)]
        assert vq.restart() is True
        await flush(3)
        assert (calls, vq.interrupts) == ([0, 0], 2)
        await transport.unbind()
        await transport.del_vq(vq)
        header.free()
        status.free()

    machine.port.run(main())
    assert machine.memory.allocated == 0


def test_a_malformed_ring_needs_a_reset_and_after_it_all_is_well(machine: Machine) -> None:
    async def main() -> None:
        disk = await machine.bind()
        vq = machine.transport.vqs[0]
        ended: list[BlkRequest] = []
        request = disk.submit(BlkRequestType.FLUSH, 0, [], ended.append)
        assert request is not None
        vq._next[:] = 0x7FFF
        await disk.kick()
        await machine.port.sleep(5000)
        assert await machine.transport.status() & DeviceStatus.DEVICE_NEEDS_RESET
        assert [str(item.error) for item in ended] == ["the device has set DEVICE_NEEDS_RESET"]
        with pytest.raises(DeviceError, match="DEVICE_NEEDS_RESET"):
            await disk.read(0, 1)
        await machine.unbind()
        disk = await machine.bind()
        assert await disk.read(0, 4) == machine.sectors(0, 4)
        await machine.unbind()

    machine.port.run(main())


def test_a_buffer_outside_memory_needs_a_reset(machine: Machine) -> None:
    async def main() -> None:
        disk = await machine.bind()
        with pytest.raises(DeviceError, match="DEVICE_NEEDS_RESET"):
            await disk.request(BlkRequestType.OUT, 0, [(1 << 40, 512)])
        await machine.unbind()

    before = machine.sectors(0, SECTORS)
    machine.port.run(main())
    assert machine.sectors(0, SECTORS) == before


END = 1 << 64
"""The first address that there is not."""


@pytest.mark.parametrize("kind", [BlkRequestType.IN, BlkRequestType.OUT])
def test_a_buffer_beyond_the_last_address_needs_a_reset_and_is_not_touched(
    machine: Machine, kind: BlkRequestType
) -> None:
    async def main() -> None:
        disk = await machine.bind()
        with pytest.raises(DeviceError, match="DEVICE_NEEDS_RESET"):
            await disk.request(kind, 0, [(END - 0x100, 0x200)])
        await machine.unbind()

    with machine.memory.allocate(0x1000) as lowest:
        assert lowest.address == 0, "where the addresses go on that would wrap"
        watch = machine.memory.watch(0, 0x1000)
        machine.port.run(main())
    assert not watch.hits
    assert not machine.port.engine.faults


def test_a_buffer_may_end_with_the_last_address(machine: Machine) -> None:
    top = np.zeros(0x1000, np.uint8)

    async def body(disk: BlkDevice) -> None:
        await disk.request(BlkRequestType.IN, 3, [(END - 0x400, 0x400)])
        assert top[-0x400:].tobytes() == machine.sectors(3, 2)
        top[:] = 0x77
        await disk.request(BlkRequestType.OUT, 8, [(END - 0x200, 0x200)])
        assert machine.sectors(8, 1) == b"\x77" * 512

    machine.port.engine.map(END - len(top), top)
    machine.run(body)


@pytest.mark.parametrize("area", ["queue_desc", "queue_driver", "queue_device"])
def test_a_queue_beyond_the_last_address_needs_a_reset_and_is_not_touched(
    machine: Machine, area: str
) -> None:
    async def main() -> None:
        (pci,) = await enumerate_pci(machine.port)
        transport = await VirtioPciTransport.bind(pci)
        await transport.negotiate(0)
        await transport.driver_ok()
        await transport.write_common("queue_select", 2)
        await transport.write_common(area, END - 16)
        await transport.write_common("queue_enable", 1)
        assert await transport.needs_reset()
        assert await transport.read_common("queue_enable") == 0
        before = machine.port.tlps()
        for doorbell in (2, 0):
            structures = transport.structures
            await structures.ring(structures.doorbell(doorbell, doorbell), doorbell, None)
        await machine.port.sleep(2000)
        after = machine.port.tlps()
        assert [after[name] - before[name] for name in ("up_memory_read", "up_memory_write")] == [0, 0]
        await transport.reset()
        assert not await transport.needs_reset()
        await transport.unbind()

    machine.port.run(main())
    assert not machine.port.engine.faults


def test_the_cpu_sends_no_more_requests_than_the_device_takes_and_writes_pass_them() -> None:
    # The port of completions is as good as blocked for ever.
    host = {"stalls": {"completer_completion": 0.999999}, "completion_timeout": 3000}
    with open_engine("native", CONFIG, GuestMemory(4 << 20), DiskImage.blank(SECTORS), host=host) as port:
        engine: Any = port.engine
        tickets = [engine.submit(RequestKind.CONFIG_READ_0, 0, 4) for _ in range(NONPOSTED_REQUESTS + 3)]
        engine.memory_write(0x1000, 1, 4)
        engine.run(500)
        assert engine.tlps()["down_config_read"] == NONPOSTED_REQUESTS
        assert engine.tlps()["down_memory_write"] == 1
        outcomes = [engine.wait(ticket)[0] for ticket in tickets]
        assert outcomes == [Outcome.TIMEOUT] * len(tickets), "also those that were not sent"
        assert engine.tlps()["down_config_read"] == NONPOSTED_REQUESTS


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_a_workload_while_completions_are_held_at_random(interrupt: str) -> None:
    host = {"stalls": {"completer_completion": 0.98}}
    with open_engine("native", CONFIG, GuestMemory(4 << 20), DiskImage.blank(SECTORS), host=host) as port:
        task = BlockTask(Workload("randrw", requests=200, queue_depth=40, block_size=1024))
        result = port.run(Job(task, interrupt=interrupt).run(port, CONFIG))
        assert (result["requests"], result["errors"]) == (200, 0), result["messages"]


def test_capacity_can_change(machine: Machine) -> None:
    async def body(disk: BlkDevice) -> None:
        machine.port.engine.ports.storage.set_capacity(SECTORS // 2)
        await machine.port.sleep(5000)
        assert (disk.capacity, disk.capacity_changes) == (SECTORS // 2, 1)
        with pytest.raises(RequestError, match="IOERR"):
            await disk.read(SECTORS // 2, 1)

    machine.run(body)
