"""detach, shutdown and restart while the device works: nothing is touched afterwards, lost, or doubled.

Buffers that were taken back are watched by the memory model: the device must not come near them again.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType, BlkStatus
from ringwalker.spec.features import Feature
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.golden.net import NetModel
from ringwalker_sim.guest.errors import BindError, DeviceError
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import TRANSPORTS
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.guest.virtqueue import Virtqueue
from ringwalker_sim.memory import Buffer, GuestMemory, Watch
from ringwalker_sim.testing.devices import SMALL_BLK, SMALL_CONSOLE, SMALL_NET

SECTORS = 256
PLACES = {
    **dict.fromkeys(TRANSPORTS, 0),
    "memory, packed": 1 << Feature.RING_PACKED,
    "memory, in order": 1 << Feature.IN_ORDER,
    "memory, packed, in order": 1 << Feature.RING_PACKED | 1 << Feature.IN_ORDER,
}
"""Where a queue is: a transport, and features of its rings."""
HOST = {"latency": 300, "latency_jitter": 200}


class Request:
    """A read of ``count`` sectors with all its buffers in one piece of memory: header, data, status."""

    def __init__(self, memory: GuestMemory, sector: int, count: int):
        self.sector, self.count = sector, count
        self.buffer: Buffer = memory.allocate(16 + count * SECTOR_BYTES + 1, 16)
        self.watch: Watch | None = None
        base, length = self.buffer.address, count * SECTOR_BYTES
        self.sg = [(base, 16), (base + 16, length), (base + 16 + length, 1)]
        header = self.buffer.array
        header[:16] = 0
        header[8:10] = np.frombuffer(sector.to_bytes(2, "little"), np.uint8)
        header[0] = BlkRequestType.IN
        header[-1] = 0xFF

    def check(self, disk: np.ndarray, written: int) -> None:
        """The device answered it, rightly."""
        length = self.count * SECTOR_BYTES
        assert written == length + 1
        assert self.buffer.array[-1] == BlkStatus.OK
        start = self.sector * SECTOR_BYTES
        assert np.array_equal(self.buffer.array[16:-1], disk[start : start + length])

    def taken_back(self, memory: GuestMemory) -> None:
        """From now on nobody may touch it."""
        self.buffer.array[:] = 0xEE
        self.watch = memory.watch(self.buffer.address, len(self.buffer))

    def untouched(self) -> bool:
        return self.watch is not None and not self.watch.hits and bool((self.buffer.array == 0xEE).all())


class Bed:
    """A queue of a block device, raw, and what became of the requests in it."""

    def __init__(self, port: Any, disk: np.ndarray, seed: int):
        self.port = port
        self.memory: GuestMemory = port.memory
        self.disk = disk
        self.random = random.Random(seed)
        self.machine = Machine(port)
        self.transport: Any = None
        self.vq: Any = None
        self.model: Any = None
        self.rings: Any = None
        self.added: list[Request] = []
        self.got: list[Request] = []
        self.back: list[Request] = []
        self.returns = True
        self.calls = 0

    async def start(self, transport: str, ring_reset: bool = True) -> None:
        if transport == "pci":
            (device,) = await self.machine.probe_pci()
        else:
            self.model = BlkModel(
                self.port.schedule,
                DiskImage.of(self.disk),
                queue_size=32,
                latency=50,
                jitter=900,
                ring_reset=ring_reset,
            )
            add = (
                self.machine.add_memory_device
                if transport.startswith("memory")
                else self.machine.add_pipe_device
            )
            device = await add(self.model)
        self.transport = device.config
        self.transport.ring_features = PLACES[transport]
        await self.transport.negotiate(0)
        self.vq = await self.transport.find_vq(0, self.used)
        await self.transport.driver_ok()

    def used(self, _vq: Virtqueue) -> bool:
        self.calls += 1
        if self.returns:
            self.drain()
        return self.returns

    def drain(self) -> int:
        count = 0
        while (used := self.vq.get_buf()) is not None:
            request, written = used
            request.check(self.disk, written)
            self.got.append(request)
            count += 1
        return count

    async def add(self, count: int, kicks: float = 1.0) -> None:
        """Add up to ``count`` requests, and kick with a probability of ``kicks``."""
        for _ in range(count):
            request = Request(self.memory, self.random.randrange(SECTORS - 8), self.random.randint(1, 8))
            if self.vq.add_buf(request.sg, 1, 2, request):
                request.buffer.free()
                break
            self.added.append(request)
        if self.random.random() < kicks:
            await self.vq.kick()

    @property
    def open(self) -> list[Request]:
        over = {id(request) for request in (*self.got, *self.back)}
        return [request for request in self.added if id(request) not in over]

    async def finish(self) -> None:
        """Everything comes to its end, exactly once, and what was taken back was left alone."""
        for _ in range(400):
            if not self.open:
                break
            await self.port.sleep(500)
            self.drain()
        await self.port.sleep(3000)
        assert self.drain() == 0
        assert not self.open, "completions are lost"
        ends = [id(request) for request in (*self.got, *self.back)]
        assert len(ends) == len(set(ends)) == len(self.added), "completions are doubled"
        for request in self.back:
            assert request.untouched(), "the device touched a buffer that was taken back"
        for request in self.added:
            if request.watch is not None:
                self.memory.unwatch(request.watch)
            request.buffer.free()
        await self.machine.close()
        await self.transport.del_vq(self.vq)

    async def detach(self, request: Request) -> bool:
        taken = await self.vq.detach(request)
        if taken:
            request.taken_back(self.memory)
            self.back.append(request)
        return taken


@contextmanager
def bed_on(transport: str, seed: int = 1) -> Iterator[Bed]:
    memory = GuestMemory(4 << 20)
    content = np.random.default_rng(8).integers(0, 256, SECTORS * SECTOR_BYTES, np.uint8)
    if transport != "pci":
        yield Bed(SoftwarePort(memory), content, seed)
        return
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = content
    with open_engine("native", SMALL_BLK, memory, disk, host=HOST, seed=seed) as port:
        yield Bed(port, disk.array, seed)


def run(transport: str, seed: int, body: Any, **options: Any) -> Bed:
    with bed_on(transport, seed) as bed:

        async def main() -> None:
            await bed.start(transport, **options)
            await body(bed)
            await bed.finish()

        bed.port.run(main())
        assert bed.memory.allocated == 0
        return bed


async def detach_at_random(bed: Bed, rounds: int) -> None:
    # The real device finishes at once what it has seen, so some must go that it was not notified of.
    for _ in range(rounds):
        await bed.add(bed.random.randint(1, 8), 0.7)
        await bed.port.sleep(bed.random.randint(1, 1200))
        if bed.open and bed.random.random() < 0.7:
            await bed.detach(bed.random.choice(bed.open))
        if bed.rings is not None:
            bed.rings.drains = bed.random.random() < 0.5
    await bed.vq.kick()


@pytest.mark.parametrize("transport", PLACES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_detached_buffers_are_left_alone_and_others_complete_once(transport: str, seed: int) -> None:
    async def body(bed: Bed) -> None:
        bed.rings = getattr(bed.transport, "rings", None)
        await detach_at_random(bed, 40)
        assert 5 < len(bed.back) < len(bed.added)

    run(transport, seed, body)


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("seed", range(10, 40))
def test_many_more_detaches(transport: str, seed: int) -> None:
    async def body(bed: Bed) -> None:
        bed.rings = getattr(bed.transport, "rings", None)
        await detach_at_random(bed, 150)

    run(transport, seed, body)


@pytest.mark.parametrize("transport", PLACES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shutdown_gives_back_what_was_not_finished(transport: str, seed: int) -> None:
    async def body(bed: Bed) -> None:
        for _ in range(25):
            await bed.add(bed.random.randint(1, 4))
            await bed.port.sleep(bed.random.randint(1, 1500))
            await bed.add(bed.random.randint(0, 4), 0.5)
            await bed.port.sleep(bed.random.choice([0, 0, 0, 200]))
            # Half of the time nobody takes what is finished until the queue has been shut down.
            bed.returns = bed.random.random() < 0.5
            for request in await bed.vq.shutdown():
                request.taken_back(bed.memory)
                bed.back.append(request)
            # What the device had finished is still there to be got; nothing else is.
            bed.drain()
            assert not bed.open
            assert not bed.vq.broken
            bed.returns = bed.vq.restart()
            assert bed.returns
            bed.returns = bed.random.random() < 0.5
        assert bed.got
        assert bed.back

    run(transport, seed, body)


@pytest.mark.parametrize("transport", PLACES)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_doubled_across_restart(transport: str, seed: int) -> None:
    async def body(bed: Bed) -> None:
        bed.returns = False
        refused = rounds = 0
        while len(bed.added) < 150:
            rounds += 1
            calls = bed.calls
            await bed.add(bed.random.randint(1, 4))
            for _ in range(2000):
                if bed.calls > calls:
                    break
                await bed.port.sleep(20)
            assert bed.calls == calls + 1, "no callback after restart said that it would come"
            # Callbacks are off. Buffers get used between the last get_buf and restart, at any time.
            while True:
                bed.drain()
                await bed.port.sleep(bed.random.randint(0, 300))
                assert bed.calls == calls + 1, "a callback while they are suppressed"
                if bed.vq.restart():
                    break
                refused += 1
            if not bed.open:
                continue
        assert refused
        bed.returns = True

    async def start_over(bed: Bed) -> None:
        await body(bed)

    run(transport, seed, start_over)


def test_detach_of_what_is_finished_or_unknown() -> None:
    async def body(bed: Bed) -> None:
        bed.returns = False
        await bed.add(1)
        await bed.port.sleep(5000)
        (request,) = bed.added
        assert await bed.vq.detach(request) is False, "it was finished, and get_buf gives it"
        assert bed.drain() == 1
        assert await bed.vq.detach(request) is False, "it is not there any more"
        assert await bed.vq.detach(object()) is False

    run("memory", 1, body)


def test_detach_needs_a_queue_that_can_be_stopped_alone() -> None:
    async def body(bed: Bed) -> None:
        assert not bed.transport.features >> Feature.RING_RESET & 1
        await bed.add(2)
        with pytest.raises(BindError, match="VIRTIO_F_RING_RESET"):
            await bed.vq.detach(bed.added[0])

    run("memory", 1, body, ring_reset=False)


def test_shutdown_without_queue_reset_resets_the_device() -> None:
    async def body(bed: Bed) -> None:
        await bed.add(4)
        await bed.port.sleep(300)
        for request in await bed.vq.shutdown():
            request.taken_back(bed.memory)
            bed.back.append(request)
        assert bed.vq.broken
        assert bed.vq.add_buf([(0, 1)], 1, 0, "x") < 0

    run("memory", 1, body, ring_reset=False)


def test_a_device_that_lies_while_its_queue_is_stopped() -> None:
    async def main(bed: Bed) -> None:
        await bed.start("memory")
        await bed.add(3)
        await bed.port.sleep(10)
        bed.transport.rings.drains = True
        bed.transport.rings.written_index = lambda index: index + 5
        with pytest.raises(DeviceError, match="used index"):
            await bed.vq.detach(bed.added[0])
        assert bed.vq.broken

    with bed_on("memory") as bed:
        bed.port.run(main(bed))


# --- receive buffers, which wait for the outside world -----------------------------------------------------


@pytest.mark.parametrize("transport", PLACES)
@pytest.mark.parametrize("seed", [1, 2])
def test_receive_buffers_are_detached_while_frames_arrive(transport: str, seed: int) -> None:
    memory = GuestMemory(4 << 20)
    if transport == "pci":
        with open_engine("native", SMALL_NET, memory, host=HOST, seed=seed) as port:
            port.run(receive(port, transport, port.engine.ports.mac.send, seed))
    else:
        port = SoftwarePort(memory)
        model = NetModel(port.schedule, queue_size=64)
        port.run(receive(port, transport, model.receive, seed, model))
    assert memory.allocated == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_receive_buffers_of_a_terminal_are_detached_while_bytes_arrive(seed: int) -> None:
    memory, chance = GuestMemory(1 << 20), random.Random(seed)

    async def main(port: Any) -> None:
        machine = Machine(port)
        (device,) = await machine.probe_pci()
        await device.config.negotiate(0)
        got = bytearray()

        def used(vq: Virtqueue) -> bool:
            while (item := vq.get_buf()) is not None:
                buffer, length = item
                assert length, "a buffer came back empty"
                got.extend(buffer.array[:length].tobytes())
                vq.add_buf(buffer.sg, 0, 1, buffer)
            return True

        vq = await device.config.find_vq(0, used)
        await device.config.driver_ok()
        buffers = [memory.allocate(chance.randint(1, 80)) for _ in range(8)]
        for buffer in buffers:
            assert vq.add_buf(buffer.sg, 0, 1, buffer) == 0
        sent = bytearray()
        for _ in range(60):
            part = chance.randbytes(chance.randint(1, 100))
            port.engine.ports.uart.send(part)
            sent += part
            await vq.kick()
            await port.sleep(chance.randint(1, 1200))
            victim = chance.choice(buffers)
            if await vq.detach(victim):
                watch = memory.watch(victim.address, len(victim))
                await port.sleep(chance.randint(1, 2000))
                assert not watch.hits
                memory.unwatch(watch)
                assert vq.add_buf(victim.sg, 0, 1, victim) == 0
        for _ in range(50):
            await vq.kick()
            await port.sleep(1000)
        assert got == sent, "bytes were lost, doubled or reordered"
        assert len(await vq.shutdown()) == len(buffers)
        await machine.close()
        await device.config.del_vq(vq)
        for buffer in buffers:
            buffer.free()

    with open_engine("native", SMALL_CONSOLE, memory, host=HOST, seed=seed) as port:
        port.run(main(port))
    assert memory.allocated == 0


async def receive(port: Any, transport: str, bring: Any, seed: int, model: Any = None) -> None:
    chance, machine, memory = random.Random(seed), Machine(port), port.memory
    if transport == "pci":
        (device,) = await machine.probe_pci()
    else:
        device = await (
            machine.add_memory_device if transport.startswith("memory") else machine.add_pipe_device
        )(model)
    config = device.config
    config.ring_features = PLACES[transport]
    await config.negotiate(0)
    got: list[bytes] = []

    def used(vq: Virtqueue) -> bool:
        while (item := vq.get_buf()) is not None:
            buffer, length = item
            assert length > 12, "a buffer came back empty"
            got.append(buffer.array[12:length].tobytes())
            vq.add_buf(buffer.sg, 0, 1, buffer)
        return True

    vq = await config.find_vq(0, used)
    await config.driver_ok()
    buffers = [memory.allocate(2048) for _ in range(12)]
    for buffer in buffers:
        assert vq.add_buf(buffer.sg, 0, 1, buffer) == 0
    await vq.kick()
    mac = b"\xff" * 6
    sent = [mac + bytes([n]) * chance.randint(54, 300) for n in range(150)]
    waiting = list(sent)
    while waiting:
        for _ in range(chance.randint(1, 6)):
            if waiting:
                bring(waiting.pop(0))
        await port.sleep(chance.randint(1, 1500))
        victim = chance.choice(buffers)
        if await vq.detach(victim):
            victim.array[:] = 0xEE
            watch = memory.watch(victim.address, len(victim))
            await port.sleep(chance.randint(1, 3000))
            await vq.kick()
            assert not watch.hits
            assert (victim.array == 0xEE).all()
            memory.unwatch(watch)
            assert vq.add_buf(victim.sg, 0, 1, victim) == 0
        await vq.kick()
    for _ in range(100):
        if len(got) == len(sent):
            break
        await port.sleep(1000)
        await vq.kick()
    assert got == sent, "frames were lost, doubled or reordered"
    assert len(await vq.shutdown()) == len(buffers)
    await machine.close()
    await config.del_vq(vq)
    for buffer in buffers:
        buffer.free()
