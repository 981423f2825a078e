"""The vfio-user server on real sockets, with a device that plays back a recorded boot."""

import array
import contextlib
import errno
import logging
import os
import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.testing.vfio_recording import read_recording
from ringwalker_sim.vfio_user import bodies, protocol
from ringwalker_sim.vfio_user.conversation import Step
from ringwalker_sim.vfio_user.listener import SocketInUse, SocketRemoved
from ringwalker_sim.vfio_user.peer import Peer
from ringwalker_sim.vfio_user.protocol import HEADER_BYTES, Command, Header
from ringwalker_sim.vfio_user.server import Server

RECORDING = read_recording(Path(__file__).parent / "boot.jsonl")


class Playback:
    """Answers as the recorded device did, in the recorded order; counts descriptors that it was given."""

    def __init__(self):
        answers = {c: [e.answer[HEADER_BYTES:] for e in RECORDING if e.header.command == c] for c in Command}
        self.reads = [raw[16:] for raw in answers[Command.REGION_READ]]
        self.regions = [
            int.from_bytes(raw[16:24], "little") for raw in answers[Command.DEVICE_GET_REGION_INFO]
        ]
        self.irqs = [
            (int.from_bytes(raw[4:8], "little"), int.from_bytes(raw[12:16], "little"))
            for raw in answers[Command.DEVICE_GET_IRQ_INFO]
        ]
        self.descriptors = 0
        self.writes = 0
        self.resets = 0
        self.peers = 0

    def attached(self, peer: Peer) -> None:
        self.peers += 1
        self.next = {"reads": iter(self.reads), "regions": iter(self.regions), "irqs": iter(self.irqs)}

    def detached(self) -> None:
        pass

    def region_size(self, region: int) -> int:
        return next(self.next["regions"])

    def irq_info(self, index: int) -> tuple[int, int]:
        return next(self.next["irqs"])

    def region_read(self, access: bodies.RegionAccess) -> bytes:
        return next(self.next["reads"])

    def region_write(self, access: bodies.RegionAccess) -> None:
        self.writes += 1

    def _keep(self, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        self.descriptors += len(fds)

    def dma_map(self, mapping: bodies.DmaMap, fd: int | None) -> None:
        self._keep([] if fd is None else [fd])

    def dma_unmap(self, mapping: bodies.DmaUnmap) -> None:
        pass

    def set_irqs(self, request: bodies.IrqSet, fds: list[int]) -> None:
        self._keep(fds)

    def reset(self) -> None:
        self.resets += 1

    def advance(self) -> Step:
        return Step.MESSAGE


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, Playback]]:
    """A running server's socket and its device."""
    device = Playback()
    server = Server(tmp_path / "s", device)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server.path, device
    server.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()
    server.close()
    assert not server.path.exists()


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    for _ in range(1000):
        with contextlib.suppress(BlockingIOError):  # the server has not taken the last peers yet
            connection.connect(str(path))
            return connection
        time.sleep(0.01)
    connection.close()
    raise AssertionError("the server takes no peers")


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "the server hung up"
        data += part
    return data


def _send_chunked(connection: socket.socket, raw: bytes, fds: list[int]) -> None:
    """Send in random pieces; descriptors go with the first byte, as QEMU sends them."""
    cut = random.choice((len(raw), random.randint(1, len(raw))))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = connection.sendmsg([raw[:cut]], ancillary)
    connection.sendall(raw[sent:])


def _replay(path: Path) -> int:
    """Play QEMU's side; every answer must be the recorded one. How many descriptors were sent."""
    descriptors = 0
    offered = {"max_msg_fds": protocol.MAX_FDS, "max_data_xfer_size": protocol.MAX_DATA}
    with _connect(path) as connection:
        for exchange in RECORDING:
            fds = [os.open(os.devnull, os.O_RDWR) for _ in range(exchange.fds)]
            _send_chunked(connection, exchange.request, fds)
            for fd in fds:
                os.close(fd)
            descriptors += len(fds)
            if not exchange.answer:
                continue
            size = Header.unpack(head := _exactly(connection, HEADER_BYTES)).size
            answer = head + _exactly(connection, size - HEADER_BYTES)
            if exchange.header.command == Command.VERSION:
                assert bodies.version(answer[HEADER_BYTES:])[2] == offered
            else:
                assert answer == exchange.answer
    return descriptors


def _wait_for_peers(device: Playback, count: int) -> None:
    deadline = time.monotonic() + 10
    while device.peers < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert device.peers == count


@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_replays_are_answered_as_recorded_however_they_are_cut(served, times: int) -> None:
    path, device = served
    before = len(os.listdir("/proc/self/fd"))
    sent = sum(_replay(path) for _ in range(times))
    _wait_for_peers(device, times)
    assert (device.descriptors, device.resets) == (sent, times)
    # Nothing of what was sent is still open: one for the listener's next look at most.
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_garbage_and_hang_ups_cost_only_the_peer(served, caplog: pytest.LogCaptureFixture) -> None:
    path, _device = served
    caplog.set_level(logging.INFO, "ringwalker.vfio_user")
    version = RECORDING[0].request
    for round_ in range(60):
        with _connect(path) as connection, contextlib.suppress(ConnectionError):
            if round_ % 3 == 0:
                connection.sendall(random.randbytes(random.randint(16, 200)))
            elif round_ % 3 == 1:
                connection.sendall(version[: random.randint(1, len(version) - 1)])
            else:
                connection.sendall(version + random.randbytes(8))
    _replay(path)
    assert any("peer gone" in message or "closed the connection" in message for message in caplog.messages)


def test_an_unknown_command_gets_an_error_and_the_conversation_goes_on(served) -> None:
    path, _device = served
    with _connect(path) as connection:
        connection.sendall(Header(7, 99, HEADER_BYTES).pack())
        answer = Header.unpack(_exactly(connection, HEADER_BYTES))
        assert (answer.id, answer.flags & protocol.Flag.ERROR) == (7, protocol.Flag.ERROR)
        assert answer.error
        connection.sendall(RECORDING[0].request)
        assert Header.unpack(_exactly(connection, HEADER_BYTES)).command == Command.VERSION


def test_a_socket_that_is_served_is_not_taken_away(served) -> None:
    path, device = served
    with pytest.raises(SocketInUse, match="another server"):
        Server(path, device)


@contextlib.contextmanager
def serving(path: Path, once: bool = False) -> Iterator[tuple[Server, list[BaseException]]]:
    """A server in a thread of its own, which ends with the block within a second, and what it raised."""
    server = Server(path, Playback())
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            server.serve(once)
        except BaseException as error:
            raised.append(error)
        finally:
            server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server, raised
    finally:
        server.stop()
        thread.join(timeout=1)
        assert not thread.is_alive(), "the server does not end"


def _hangs_up(connection: socket.socket) -> bool:
    """Whether the server ends the connection, after whatever it still sends."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(4096):
            pass
    return True


def _wait(condition: Callable[[], Any]) -> None:
    """Wait until something is so, for five seconds at most."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_ends_at_once_though_the_peer_is_in_the_middle_of_a_message(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as (server, raised):
        with _connect(server.path) as connection:
            connection.sendall(RECORDING[0].request + b"half")
            _exactly(connection, HEADER_BYTES)
            time.sleep(0.1)
            server.stop()
            assert _hangs_up(connection)
    assert raised == []


def test_once_is_for_a_peer_that_speaks_the_protocol(tmp_path: Path) -> None:
    """Who looks whether somebody listens there, or speaks another version, is not the first guest."""
    with serving(tmp_path / "s", once=True) as (server, raised):
        _connect(server.path).close()
        with pytest.raises(SocketInUse):
            Server(server.path, Playback())
        with _connect(server.path) as connection:
            connection.sendall(protocol.message(1, Command.VERSION, bytes([1, 0, 0, 0])))
            answer = Header.unpack(_exactly(connection, HEADER_BYTES))
            assert (answer.flags, answer.error) == (0x21, errno.EPROTONOSUPPORT)
            assert _hangs_up(connection)
        _replay(server.path)
        _wait(lambda: not server.path.exists())
    assert raised == []


def test_a_socket_that_was_removed_ends_the_server_when_its_peer_has_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as (server, raised):
        with _connect(server.path) as connection:
            connection.sendall(RECORDING[0].request)
            _exactly(connection, len(RECORDING[0].answer))
            server.path.unlink()
            time.sleep(1.2)
            connection.sendall(RECORDING[0].request)
            assert Header.unpack(_exactly(connection, HEADER_BYTES)).error, "the peer is still served"
            assert raised == []
        _wait(lambda: raised)
    assert [type(error) for error in raised] == [SocketRemoved]


def test_a_peer_for_whom_there_is_no_descriptor_left_is_served_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(tmp_path / "s") as (server, raised):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.close(lowest := os.dup(connection.fileno()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            connection.connect(str(server.path))
            _wait(lambda: caplog.messages)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert "a peer cannot connect: Too many open files" in caplog.text
        connection.settimeout(5)
        connection.sendall(RECORDING[0].request)
        assert Header.unpack(_exactly(connection, HEADER_BYTES)).command == Command.VERSION
        connection.close()
    assert raised == []


def test_a_call_while_the_peer_waits_is_refused() -> None:
    ours, _theirs = socket.socketpair()
    peer = Peer(ours)
    peer.answering = True
    with pytest.raises(RuntimeError, match="both would wait"):
        peer.call(Command.DMA_READ, b"")
    ours.close()
    _theirs.close()


def test_messages_that_cross_a_call_are_handled_before_its_answer() -> None:
    ours, theirs = socket.socketpair()
    peer = Peer(ours)
    handled: list[int] = []
    peer.handler = lambda header, _body, _fds: handled.append(header.command)
    body = bodies.DmaAccess(0x1000, 4).pack()

    def other_side() -> None:
        asked = Header.unpack(_exactly(theirs, HEADER_BYTES))
        _exactly(theirs, len(body))
        theirs.sendall(protocol.message(3, Command.DEVICE_RESET, b""))
        theirs.sendall(protocol.reply(asked, body + b"data"))

    thread = threading.Thread(target=other_side)
    thread.start()
    assert peer.call(Command.DMA_READ, body) == body + b"data"
    thread.join()
    assert handled == [Command.DEVICE_RESET]
    ours.close()
    theirs.close()
