"""The recorded boot, played to the simulated device: cut and paced at random, broken off, then noise."""

import contextlib
import hashlib
import logging
import os
import random
import socket
import time
from pathlib import Path

import pytest

from ringwalker_sim.guest.blk import BlkDevice, blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.testing.vfio_recording import Exchange, read_recording
from ringwalker_sim.vfio_user.bodies import RegionAccess
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vfio_user.protocol import HEADER_BYTES, Command, Flag, Header
from ringwalker_sim.vfio_user.serving import DeviceHandle

RECORDING = read_recording(Path(__file__).parent / "boot.jsonl")
RAM_BYTES = 256 << 20


class Guest:
    """Plays QEMU's side of the recording with descriptors of its own, ``ram`` and eventfds."""

    def __init__(self, path: Path, ram: int):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.ram = ram

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_args: object) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the server hung up")
            data += part
        return data

    def send(self, exchange: Exchange) -> None:
        """Send a message in up to three pieces, sometimes with a pause between."""
        fds = []
        for _ in range(exchange.fds):
            memory = exchange.header.command == Command.DMA_MAP
            fds.append(os.dup(self.ram) if memory else os.eventfd(0))
        raw = exchange.request
        cuts = sorted(random.sample(range(1, len(raw)), random.choice((0, 0, 1, 2))))
        sent = 0
        for end in (*cuts, len(raw)):
            if sent == 0 and fds:
                sent = socket.send_fds(self.socket, [raw[:end]], fds)
            self.socket.sendall(raw[sent:end])
            sent = end
            if random.random() < 0.02:
                time.sleep(random.random() * 0.002)
        for fd in fds:
            os.close(fd)

    def answer(self) -> tuple[Header, bytes]:
        """The next answer; what the device asks of memory without a descriptor is refused."""
        while True:
            header = Header.unpack(self._exactly(HEADER_BYTES))
            body = self._exactly(header.size - HEADER_BYTES)
            if header.is_reply:
                return header, body
            flags = Flag.REPLY | Flag.ERROR
            self.socket.sendall(Header(header.id, header.command, HEADER_BYTES, flags, 14).pack())

    def play(self, exchanges: list[Exchange]) -> int:
        """The exchanges; how many answers were errors."""
        errors = 0
        for exchange in exchanges:
            self.send(exchange)
            if not exchange.answer:
                continue
            header, body = self.answer()
            assert (header.id, header.command) == (exchange.header.id, exchange.header.command)
            errors += bool(header.flags & Flag.ERROR)
            if header.command == Command.REGION_READ and not header.flags & Flag.ERROR:
                access = RegionAccess.unpack(exchange.body, write=False)
                assert len(body) == len(exchange.answer) - HEADER_BYTES
                if (access.region, access.offset) == (7, 0):
                    assert body[16:][:4] == bytes.fromhex("f41a4210")[: access.count]
        return errors


@pytest.fixture(scope="module")
def ram():
    fd = os.memfd_create("ram")
    os.ftruncate(fd, RAM_BYTES)
    yield fd
    os.close(fd)


def image_hash(handle: DeviceHandle) -> str:
    assert handle.disk is not None
    return hashlib.sha256(handle.disk.read().tobytes()).hexdigest()


def read_first_sector(handle: DeviceHandle, memory: SharedMemory) -> None:
    """A guest comes, and its disk works."""

    async def main() -> bytes:
        (pci,) = await enumerate_pci(port)
        transport = await VirtioPciTransport.bind(pci)
        bus = VirtioBus()
        await bus.register_virtio_driver(blk_driver(port))
        await bus.register_virtio_device(transport.device)
        disk: BlkDevice = transport.device.priv
        return await disk.read(0, 1)

    with VfioPort(handle.socket, memory) as port:
        assert handle.disk is not None
        assert port.run(main()) == handle.disk.read(0, 512).tobytes()


@pytest.mark.parametrize("times", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_replays_do_no_harm(served: DeviceHandle, memory: SharedMemory, ram: int, times: int) -> None:
    before = image_hash(served)
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(times):
        with Guest(served.socket, ram) as guest:
            assert guest.play(RECORDING) == 0
    read_first_sector(served, memory)
    assert image_hash(served) == before
    assert served.stats()["faults"] == 0
    # The server may not have seen yet that the last guest has gone.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 8


def test_peers_that_break_off_or_talk_nonsense_cost_only_themselves(
    served: DeviceHandle, memory: SharedMemory, ram: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ringwalker.vfio_user")
    before = image_hash(served)
    for round_ in range(40):
        count = random.randint(1, len(RECORDING))
        with Guest(served.socket, ram) as guest, contextlib.suppress(ConnectionError, TimeoutError):
            guest.play(RECORDING[:count])
            if round_ % 2:
                guest.socket.sendall(random.randbytes(random.randint(1, 400)))
            elif round_ % 3:
                guest.socket.sendall(RECORDING[count - 1].request[:-1])
    assert any("peer gone" in message for message in caplog.messages)
    assert any("closed the connection" in message for message in caplog.messages)
    read_first_sector(served, memory)
    assert image_hash(served) == before


def test_messages_with_random_content_are_answered_or_end_the_conversation(
    served: DeviceHandle, memory: SharedMemory, ram: int
) -> None:
    before = image_hash(served)
    commands = [command for command in Command if command is not Command.VERSION]
    for _ in range(30):
        with Guest(served.socket, ram) as guest, contextlib.suppress(ConnectionError):
            guest.play(RECORDING[: random.choice((1, 30, 90))])
            for number in range(20):
                command = random.choice(commands)
                # Small numbers hit regions, indices and sizes that exist.
                body = b"".join(
                    random.choice(
                        (random.randint(0, 8), random.randint(0, 300), random.getrandbits(31))
                    ).to_bytes(4, "little")
                    for _ in range(random.randint(0, 9))
                )
                request = Header(number, command, HEADER_BYTES + len(body)).pack() + body
                guest.send(Exchange(request, random.choice((0, 0, 1, 3)), b"x"))
                header, _body = guest.answer()
                assert header.id == number
    read_first_sector(served, memory)
    assert image_hash(served) == before
