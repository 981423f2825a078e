"""The byte pipe: records in pieces of any size, and peers that do not speak them."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwalker.spec.blk import BlkRequestType
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.golden.pipe_server import PipeServer
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest, blk_driver
from ringwalker_sim.guest.errors import DeviceError, RequestTimeout, VirtioError
from ringwalker_sim.guest.machine import Machine, identity_of
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.guest.transport.pipe import PipeTransport
from ringwalker_sim.guest.transport.pipe_records import PipeEnd, PipeError, Record, RecordKind, make_pipe
from ringwalker_sim.memory import GuestMemory

SECTORS = 64


class Guest:
    """A disk behind a pipe both ends of which the test holds."""

    def __init__(self, **pipe: int):
        self.port = SoftwarePort(GuestMemory(1 << 20))
        self.machine = Machine(self.port)
        self.disk = np.random.default_rng(4).integers(0, 256, SECTORS * 512, np.uint8)
        self.model = BlkModel(self.port.schedule, DiskImage.of(self.disk), queue_size=32)
        self.near, self.far = make_pipe(self.port.schedule, **pipe)
        self.server = PipeServer(self.model, self.far)
        self.transport = PipeTransport(self.port, self.near, identity_of(2))

    async def open(self) -> BlkDevice:
        await self.transport.connect()
        await self.transport.reset()
        await self.machine.bus.register_virtio_driver(blk_driver(self.port))
        await self.machine.bus.register_virtio_device(self.transport.device)
        return self.transport.device.priv

    def run(self, body: Any) -> None:
        self.port.run(body)
        assert self.port.memory.allocated == 0


records = st.builds(
    Record,
    kind=st.sampled_from(RecordKind),
    queue=st.integers(0, 0xFFFF),
    id=st.integers(0, 2**32 - 1),
    value=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=300),
)


@given(sent=st.lists(records, max_size=20), capacity=st.integers(1, 600), seed=st.integers(0, 1000))
def test_records_arrive_whole_and_in_order(sent: list[Record], capacity: int, seed: int) -> None:
    port = SoftwarePort(GuestMemory(4096))
    near, far = make_pipe(port.schedule, capacity=capacity, latency=3, seed=seed)
    got: list[Record] = []
    far.handle = got.append
    for record in sent:
        near.send(record)
    total = sum(len(record.encode()) for record in sent)
    port.run(port.sleep(100 + 20 * total))
    assert got == sent


@pytest.mark.parametrize("capacity", [1, 7, 100, 4096])
def test_a_disk_through_pipes_of_any_size(capacity: int) -> None:
    guest = Guest(capacity=capacity, latency=2, seed=capacity)

    async def body() -> None:
        disk = await guest.open()
        assert await disk.read(5, 3) == guest.disk[5 * 512 : 8 * 512].tobytes()
        await disk.write(9, bytes(range(256)) * 4)
        assert guest.disk[9 * 512 : 11 * 512].tobytes() == bytes(range(256)) * 4
        await guest.machine.close()

    guest.run(body())


def test_a_pipe_has_room_and_takes_time() -> None:
    port = SoftwarePort(GuestMemory(4096))
    for arguments in ({"capacity": 0}, {"latency": 0}):
        with pytest.raises(ValueError, match="both must be at least 1"):
            make_pipe(port.schedule, **arguments)


# --- peers that send what they must not --------------------------------------------------------------------

GARBAGE = {
    "no header": (bytes(40), "is not the header of a record"),
    "a kind of its own": (b"\x50\x56\x63" + bytes(17), "is not the header of a record"),
    "a record for devices": (Record(RecordKind.OFFER, 0, 1, 10).encode(), "the device sends OFFER"),
    "an answer": (Record(RecordKind.ANSWER, id=4).encode(), "an answer to 4, which was not asked"),
    "a queue": (Record(RecordKind.USED, 5, 1).encode(), "queue 5 is used, which is not set up"),
    "a buffer": (Record(RecordKind.USED, 0, 999).encode(), "buffer 999 is used, which is not outstanding"),
    "too much": (
        Record(RecordKind.USED, 0, 1, 514, bytes(514)).encode(),
        "514 bytes for buffer 1 of 513",
    ),
    "a lie": (Record(RecordKind.USED, 0, 1, 514, b"").encode(), "0 bytes for buffer 1 of 513"),
    "half of it": (
        Record(RecordKind.USED, 0, 1, 0, b"12", tail=3).encode(),
        "a record of 2 bytes has a tail of 3",
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_from_the_device_is_an_error_and_never_a_hang(name: str) -> None:
    content, message = GARBAGE[name]
    guest = Guest()

    async def body() -> None:
        disk = await guest.open()
        buffer = guest.port.memory.allocate(512)
        ended: list[BlkRequest] = []
        disk.submit(BlkRequestType.IN, 0, buffer.sg, ended.append)
        guest.model.latency = 10**9
        await disk.kick()
        await guest.port.sleep(3000)
        guest.far.send_bytes(content)
        await guest.port.sleep(5000)
        (request,) = ended
        assert isinstance(request.error, DeviceError)
        assert message in str(request.error)
        with pytest.raises(DeviceError):
            await disk.read(0, 1)
        with pytest.raises(DeviceError, match="pipe device 0x2"):
            await guest.transport.status()
        buffer.free()
        await guest.machine.close()

    guest.run(body())


@pytest.mark.parametrize(
    "content",
    [
        b"garbage that is longer than a header",
        Record(RecordKind.OFFER, 9, 1).encode(),
        Record(RecordKind.READ, 7, 0, 4).encode(),
        Record(RecordKind.WRITE, 0, 0, payload=b"1").encode(),
        Record(RecordKind.USED, 0, 1).encode(),
        Record(RecordKind.OFFER, 0, 77, 1).encode() * 2,
    ],
)
def test_garbage_from_the_driver_makes_the_device_need_a_reset(content: bytes) -> None:
    guest = Guest()

    async def body() -> None:
        disk = await guest.open()
        guest.near.send_bytes(content)
        await guest.port.sleep(3000)
        assert guest.model.needs_reset
        with pytest.raises(VirtioError):
            await disk.read(0, 1)

    async def main() -> None:
        await body()
        guest.transport.end.dead = True

    guest.port.run(main())


@pytest.mark.parametrize("seed", range(30))
def test_random_garbage_at_random_times(seed: int) -> None:
    """Whatever comes, every request ends, and nothing is written outside of its buffer."""
    chance = random.Random(seed)
    guest = Guest(seed=seed)

    async def body() -> None:
        disk = await guest.open()
        buffer = guest.port.memory.allocate(8 * 512)
        ended: list[BlkRequest] = []
        for number in range(8):
            sg = [(buffer.address + 512 * number, 512)]
            disk.submit(BlkRequestType.IN, number, sg, ended.append)
        await disk.kick()
        await guest.port.sleep(chance.randint(0, 400))
        if chance.random() < 0.5:
            guest.far.send_bytes(chance.randbytes(chance.randint(20, 200)))
        else:
            kind = chance.choice([RecordKind.USED, RecordKind.ANSWER])
            queue, number, value = chance.randint(0, 3), chance.randint(0, 12), chance.randint(0, 600)
            guest.far.send(Record(kind, queue, number, value, chance.randbytes(chance.randint(0, 600))))
        await guest.port.sleep(30_000)
        assert len(ended) == 8
        for item in ended:
            assert item.error is None or isinstance(item.error, VirtioError)
        if guest.transport.failure is None:
            assert all(request.error is None or "bytes written" in str(request.error) for request in ended)
        buffer.free()
        await guest.machine.close()

    guest.run(body())


def test_a_device_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwalker_sim.guest.transport.pipe._TIMEOUT_CYCLES", 1000)
    guest = Guest()
    guest.far.handle = lambda _record: None
    with pytest.raises(RequestTimeout, match="no answer to READ in 1000 cycles"):
        guest.port.run(guest.transport.connect())


def test_an_end_that_failed_reads_no_more() -> None:
    port = SoftwarePort(GuestMemory(4096))
    near, far = make_pipe(port.schedule)
    errors: list[PipeError] = []
    handled: list[Record] = []
    far.failed, far.handle = errors.append, handled.append
    near.send_bytes(bytes(20))
    near.send(Record(RecordKind.CHANGED))
    port.run(port.sleep(5000))
    assert (len(errors), handled, far.dead) == (1, [], True)
    assert isinstance(near, PipeEnd)
