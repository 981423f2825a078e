"""Messages that C++ carries out: the same answers as in Python, which gets whatever is unusual."""

import array
import errno
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, NOTIFY_BASE
from ringwalker_sim.guest.blk import BlkDevice
from ringwalker_sim.testing.served_guest import do_job, submit_reads, with_disk
from ringwalker_sim.vfio_user import protocol
from ringwalker_sim.vfio_user.bodies import RegionAccess
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vfio_user.interrupts import Vectors
from ringwalker_sim.vfio_user.protocol import HEADER_BYTES, Command, Flag, Header
from ringwalker_sim.vfio_user.regions import Regions
from ringwalker_sim.vfio_user.serving import DeviceHandle

NUM_QUEUES = COMMON_BASE + COMMON.num_queues.offset
SELECT = COMMON_BASE + COMMON.driver_feature_select.offset


class Python:
    """Counts what is carried out in Python: ``accesses`` of BARs, ``begun`` of which C++ has made the
    request, and ``interrupts``.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.accesses = self.begun = self.interrupts = 0
        read, write, fire = Regions.read, Regions.write, Vectors.fire

        def counted_read(regions: Regions, access: RegionAccess) -> bytes:
            self.accesses += access.region == FACE_BAR
            self.begun += regions.begun != 0
            return read(regions, access)

        def counted_write(regions: Regions, access: RegionAccess) -> bool:
            self.accesses += access.region == FACE_BAR
            return write(regions, access)

        def counted_fire(msix: Vectors, vector: int) -> None:
            self.interrupts += 1
            fire(msix, vector)

        monkeypatch.setattr(Regions, "read", counted_read)
        monkeypatch.setattr(Regions, "write", counted_write)
        monkeypatch.setattr(Vectors, "fire", counted_fire)


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> Python:
    return Python(monkeypatch)


@pytest.fixture
def bound(served: DeviceHandle, memory: SharedMemory) -> Iterator[VfioPort]:
    """A port whose device has a driver, so that its BAR is decoded."""
    with VfioPort(served.socket, memory) as port:
        with_disk(port, lambda _transport, disk: disk.read(0, 1))
        assert port.client.read(FACE_BAR, NUM_QUEUES, 2) == b"\x01\x00"
        yield port


def connection(port: VfioPort) -> socket.socket:
    """The socket of a port, for messages that its client does not send. It is closed with the client's."""
    return socket.socket(fileno=os.dup(port.client.fileno()))


def answer(raw: socket.socket) -> tuple[Header, bytes]:
    raw.settimeout(10)
    header = Header.unpack(raw.recv(HEADER_BYTES, socket.MSG_WAITALL))
    return header, raw.recv(header.size - HEADER_BYTES, socket.MSG_WAITALL)


def read_message(number: int, offset: int = NUM_QUEUES, count: int = 2) -> bytes:
    return protocol.message(number, Command.REGION_READ, RegionAccess(offset, FACE_BAR, count).pack())


def test_python_has_no_part_in_the_requests_of_a_guest(
    served: DeviceHandle, memory: SharedMemory, python: Python
) -> None:
    before = served.stats()
    with VfioPort(served.socket, memory) as port:
        do_job(port, served)
    after = served.stats()
    moved = {key: after[key] - before[key] for key in ("bar_reads", "bar_writes", "msix")}
    assert moved["msix"] > 0
    assert python.interrupts == 0
    assert python.accesses <= 2, "they ask where the BAR is, after each write of the command register"
    assert moved["bar_writes"] + moved["bar_reads"] > 40


def test_a_bar_reads_the_same_either_way(bound: VfioPort, python: Python) -> None:
    client = bound.client
    whole = client.read(FACE_BAR, COMMON_BASE, 24)
    assert python.accesses == 1
    for count in (1, 2, 3, 4, 5, 8):
        for at in range(24 - count + 1):
            if at % 8 + count <= 8:
                assert client.read(FACE_BAR, COMMON_BASE + at, count) == whole[at : at + count]
    assert python.accesses == 1
    assert client.read(FACE_BAR, COMMON_BASE + 6, 4) == whole[6:10]
    assert python.accesses == 2, "two registers in one"


@pytest.mark.parametrize("posted", [False, True], ids=["answered", "posted"])
def test_a_write_is_there_when_it_is_read(bound: VfioPort, python: Python, posted: bool) -> None:
    for value in range(3):
        bound.client.write(FACE_BAR, SELECT, value.to_bytes(4, "little"), posted)
        assert bound.client.read(FACE_BAR, SELECT, 4) == value.to_bytes(4, "little")
    assert python.accesses == 0


def test_a_message_in_pieces_is_one(bound: VfioPort) -> None:
    write = RegionAccess(SELECT, FACE_BAR, 4).pack(b"\x01\x00\x00\x00")
    for message in (read_message(7), protocol.message(8, Command.REGION_WRITE, write)):
        for cut in (3, HEADER_BYTES, HEADER_BYTES + 5, len(message) - 1):
            with connection(bound) as raw:
                raw.sendall(message[:cut])
                time.sleep(0.02)
                raw.sendall(message[cut:])
                header, _body = answer(raw)
                assert (header.id, header.flags) == (message[0], Flag.REPLY)
    assert bound.client.read(FACE_BAR, SELECT, 4) == b"\x01\x00\x00\x00"


def short_write(number: int) -> bytes:
    body = RegionAccess(SELECT, FACE_BAR, 4).pack(b"\x01")
    return protocol.message(number, Command.REGION_WRITE, body)


@pytest.mark.parametrize(
    ("message", "fds"),
    [
        (read_message(9, 1 << 14), 0),
        (read_message(9, (1 << 64) - 8, 8), 0),
        (short_write(9), 0),
        (read_message(9), 1),
        (protocol.message(9, Command.REGION_READ, RegionAccess(0, 9, 4).pack()), 0),
    ],
    ids=["behind the end", "wrapping", "too little data", "with a descriptor", "no region"],
)
def test_what_is_wrong_is_refused_as_ever(
    bound: VfioPort, message: bytes, fds: int, caplog: pytest.LogCaptureFixture
) -> None:
    with connection(bound) as raw:
        rights = array.array("i", [raw.fileno()] * fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else []
        raw.sendmsg([message], ancillary)
        header, body = answer(raw)
        assert (header.id, header.flags, header.error) == (9, Flag.REPLY | Flag.ERROR, errno.EINVAL)
        assert body == b""
        assert caplog.messages, "it says why"
        raw.sendall(read_message(10))
        assert answer(raw)[1][-2:] == b"\x01\x00"


def test_a_read_that_python_has_to_finish_is_made_once(
    served: DeviceHandle, memory: SharedMemory, python: Python
) -> None:
    """The device's own reads fail, or come as messages, while the peer's wait for their answers."""
    count = 60

    def requests() -> int:
        return served.bridge.engine.stats()["down_memory_read"]

    async def body(_transport: Any, disk: BlkDevice) -> None:
        submit_reads(port, disk, 4)
        port.unmap_memory()
        doorbell = RegionAccess(NOTIFY_BASE, FACE_BAR, 2).pack(bytes(2))
        asked = requests()
        with connection(port) as raw:
            raw.sendall(
                protocol.message(99, Command.REGION_WRITE, doorbell, Flag.NO_REPLY)
                + b"".join(read_message(number) for number in range(count))
            )
            for number in range(count):
                header, data = answer(raw)
                assert (header.id, header.flags, data[-2:]) == (number, Flag.REPLY, b"\x01\x00")
        assert requests() - asked == count

    before = served.stats()
    with VfioPort(served.socket, memory) as port:
        with_disk(port, body)
    deadline = time.monotonic() + 10
    while served.stats()["peers"] == before["peers"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.stats()["faults"] > before["faults"]
    assert python.begun > 0
    served.bridge._counts["faults"] = before["faults"]
    with VfioPort(served.socket, memory) as port:
        do_job(port, served)
