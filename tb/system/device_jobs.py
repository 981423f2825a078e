"""What the guest does in the tests of the whole device: coroutines for any engine."""

import hashlib
import random
from typing import Any

import numpy as np

from ringwalker.spec.blk import ID_BYTES, SECTOR_BYTES, BlkFeature, BlkRequestType
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest, blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.errors import RequestError
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport

__all__ = ["cycles_to_first_read", "scripted_requests", "writes_to_a_read_only_disk"]

_UNKNOWN_TYPE = 77
_KINDS = (
    *(BlkRequestType.IN, BlkRequestType.OUT) * 4,
    BlkRequestType.FLUSH,
    BlkRequestType.GET_ID,
    _UNKNOWN_TYPE,
)


async def _requests(port: Any, disk: BlkDevice, rng: random.Random, count: int) -> list[Any]:
    """``count`` requests of every kind and of odd shapes, several in flight; what came back, in order."""
    finished: list[tuple[int, int, int, str]] = []
    room = port.event()

    def done(request: BlkRequest) -> None:
        buffers = request.token[1]
        digest = hashlib.sha256(b"".join(bytes(item.array) for item in buffers)).hexdigest()
        finished.append((request.token[0], request.status, request.written, digest))
        for item in buffers:
            item.free()
        room.set()

    # One writer a sector: requests in flight may be carried out in any order.
    free = list(range(0, disk.capacity - 16, 16))
    rng.shuffle(free)
    for number in range(count):
        kind = rng.choice(_KINDS)
        sector = free.pop() if rng.random() < 0.9 else disk.capacity - rng.randrange(2)
        lengths = [rng.randrange(2, 9) * SECTOR_BYTES]
        if kind == BlkRequestType.FLUSH:
            sector, lengths = 0, []
        elif kind == BlkRequestType.GET_ID:
            sector, lengths = 0, [ID_BYTES]
        elif rng.random() < 0.5:
            cut = rng.randrange(1, lengths[0])
            lengths = [cut, lengths[0] - cut]
        buffers = [port.memory.allocate(length, 1 << rng.randrange(13)) for length in lengths]
        for item in buffers:
            item.array[:] = np.frombuffer(rng.randbytes(len(item)), dtype=np.uint8)
        sg = [(item.address, len(item)) for item in buffers]
        while disk.submit(kind, sector, sg, done, (number, buffers)) is None:
            await disk.kick()
            room.clear()
            assert await room.wait(100_000), "nothing is answered"
        if rng.random() < 0.3:
            await disk.kick()
    await disk.kick()
    while len(finished) < count:
        room.clear()
        assert await room.wait(100_000), f"{len(finished)} of {count} requests were answered"
    return sorted(finished)


async def scripted_requests(port: Any, seed: int, count: int, interrupt: str = "msix") -> dict[str, Any]:
    """Random but fixed requests; the result has every status, length and buffer, and the disk's digest."""
    rng = random.Random(seed)
    found = await enumerate_pci(port, assign=len(port.mmio32) > 0)
    transport = await VirtioPciTransport.bind(found[0], interrupt)
    bus = VirtioBus()
    await bus.register_virtio_driver(blk_driver(port))
    await bus.register_virtio_device(transport.device)
    disk: BlkDevice = transport.device.priv
    answers = await _requests(port, disk, rng, count)
    await bus.unregister_virtio_device(transport.device)
    await transport.unbind()
    return {"answers": answers, "disk": hashlib.sha256(port.disk.read()).hexdigest(), "tlps": port.tlps()}


async def writes_to_a_read_only_disk(port: Any) -> dict[str, Any]:
    """What comes of a write to a read-only disk by a driver that knows, and by one that does not look."""
    found = await enumerate_pci(port, assign=len(port.mmio32) > 0)
    transport = await VirtioPciTransport.bind(found[0])
    bus = VirtioBus()
    await bus.register_virtio_driver(blk_driver(port))
    await bus.register_virtio_device(transport.device)
    disk: BlkDevice = transport.device.priv
    answers: list[Any] = [disk.read_only]
    for _ in range(2):
        try:
            await disk.write(1, bytes(SECTOR_BYTES))
        except RequestError as error:
            answers.append(str(error))
        disk.features &= ~(1 << BlkFeature.RO)
    await disk.flush()
    return {"answers": answers, "read": (await disk.read(1, 1)).hex()}


async def cycles_to_first_read(port: Any, features: int) -> dict[str, Any]:
    """Cycles from the doorbell's TLP to that of the first read, of one request on each queue of a device at
    rest. Only on the cocotb engine."""
    from cocotb import start_soon
    from cocotb.triggers import RisingEdge

    found = await enumerate_pci(port, assign=len(port.mmio32) > 0)
    transport = await VirtioPciTransport.bind(found[0])
    bus = VirtioBus()
    await bus.register_virtio_driver(blk_driver(port, ring_features=features))
    await bus.register_virtio_device(transport.device)
    disk: BlkDevice = transport.device.priv
    dut, cycles = port.dut, []

    async def watch() -> None:
        count = 0
        while not int(dut.completer_request_valid.value):
            await RisingEdge(dut.clk)
        while not int(dut.requester_request_valid.value):
            await RisingEdge(dut.clk)
            count += 1
        assert int(dut.requester_request_header_kind.value) == RequestKind.MEMORY_READ.value
        cycles.append(count)

    with port.memory.allocate(SECTOR_BYTES, SECTOR_BYTES) as buffer:
        for queue in range(disk.queues):
            # Before the first doorbell of a queue the driver asks where it is.
            await disk.request(BlkRequestType.IN, 0, buffer.sg, queue)
            await port.sleep(500)
            task = start_soon(watch())
            await disk.request(BlkRequestType.IN, 0, buffer.sg, queue)
            await task
    return {"cycles": cycles}
