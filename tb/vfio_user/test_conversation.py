"""Every message gets the right answer: one row a message that is malformed, out of turn, or asks too much."""

import array
import errno
import gc
import logging
import os
import resource
import socket
import struct
from collections.abc import Iterator

import pytest

from ringwalker_sim.vfio_user import bodies, protocol
from ringwalker_sim.vfio_user.conversation import Conversation, Step
from ringwalker_sim.vfio_user.peer import Peer, PeerGone
from ringwalker_sim.vfio_user.protocol import HEADER_BYTES, Command, Flag, Header, ProtocolError


class Recorder:
    """A device that notes what it is asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.fds: list[int] = []

    def attached(self, peer: Peer) -> None:
        self.asked.append("attached")

    def detached(self) -> None:
        self.asked.append("detached")

    def region_size(self, region: int) -> int:
        return 0x1000

    def irq_info(self, index: int) -> tuple[int, int]:
        return 9, 3

    def region_read(self, access: bodies.RegionAccess) -> bytes:
        if access.offset + access.count > 0x1000:
            raise OSError(errno.EINVAL, "not inside")
        return bytes(access.count)

    def region_write(self, access: bodies.RegionAccess) -> None:
        self.asked.append("write")

    def dma_map(self, mapping: bodies.DmaMap, fd: int | None) -> None:
        self.asked.append("map" if fd is None else "map with a descriptor")
        if fd is not None:
            os.close(fd)

    def dma_unmap(self, mapping: bodies.DmaUnmap) -> None:
        self.asked.append("unmap all" if mapping.all else "unmap")

    def set_irqs(self, request: bodies.IrqSet, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        self.asked.append(f"{len(fds)} interrupts")

    def reset(self) -> None:
        self.asked.append("reset")

    def advance(self) -> Step:
        return Step.MESSAGE


class Bench:
    """A conversation, and the other end of its socket."""

    def __init__(self):
        ours, self.theirs = socket.socketpair()
        self.device = Recorder()
        self.peer = Peer(ours, timeout_s=0.2)
        self.conversation = Conversation(self.peer, self.device, "s")
        self.theirs.settimeout(5)

    def send(self, raw: bytes, fds: int = 0) -> None:
        given = [os.open(os.devnull, os.O_RDWR) for _ in range(fds)]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else []
        self.theirs.sendmsg([raw], rights)
        for fd in given:
            os.close(fd)

    def ask(self, command: int, body: bytes = b"", flags: int = 0, fds: int = 0) -> tuple[int, bytes]:
        """Send a message and let it be answered; the errno (0: none) and body of the answer."""
        self.send(protocol.message(0x55, command, body, flags), fds)
        self.conversation.receive()
        return self.answer(command)

    def answer(self, command: int) -> tuple[int, bytes]:
        header = Header(*struct.unpack("<HHIII", self.theirs.recv(HEADER_BYTES)))
        assert (header.id, header.command, header.flags & Flag.TYPE) == (0x55, command, Flag.REPLY)
        assert bool(header.flags & Flag.ERROR) == bool(header.error)
        body = self.theirs.recv(header.size - HEADER_BYTES) if header.size > HEADER_BYTES else b""
        assert not (header.error and body), "an error has no body"
        return header.error, body

    def greet(self) -> "Bench":
        assert self.ask(Command.VERSION, bodies.version_body({}))[0] == 0
        return self


@pytest.fixture
def bench() -> Iterator[Bench]:
    gc.collect()  # mappings of other tests hold descriptors
    before = len(os.listdir("/proc/self/fd"))
    bench = Bench()
    yield bench
    bench.peer.close()
    bench.theirs.close()
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor is left open"


def words(*values: int) -> bytes:
    """32-bit values."""
    return b"".join(value.to_bytes(4, "little") for value in values)


def quads(*values: int) -> bytes:
    """64-bit values."""
    return b"".join(value.to_bytes(8, "little") for value in values)


# --- the first message --------------------------------------------------------------------------------------


def test_versions_are_exchanged_first_and_once(bench: Bench) -> None:
    assert bench.ask(Command.DEVICE_RESET)[0] == errno.EPROTO
    assert bench.ask(Command.REGION_READ, bodies.RegionAccess(0, 7, 4).pack())[0] == errno.EPROTO
    assert bench.device.asked == []
    number, body = bench.ask(Command.VERSION, bodies.version_body({"max_data_xfer_size": 4096}))
    assert number == 0
    assert bodies.version(body) == (0, 0, {"max_msg_fds": 8, "max_data_xfer_size": 1 << 20})
    assert bench.peer.max_transfer == 4096
    assert bench.ask(Command.VERSION, bodies.version_body({}))[0] == errno.EPROTO
    assert bench.ask(Command.DEVICE_RESET)[0] == 0
    assert bench.device.asked == ["attached", "reset"]


def test_a_version_without_data_is_one(bench: Bench) -> None:
    assert bench.ask(Command.VERSION, bytes(4))[0] == 0
    assert bench.peer.max_transfer == 1 << 20


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"\1\0\0\0" + b'{"capabilities":{}}\0', errno.EPROTONOSUPPORT),
        (b"\xff\xff\0\0", errno.EPROTONOSUPPORT),
        (b"", errno.EINVAL),
        (b"\0\0\0\0{not json}\0", errno.EINVAL),
        (b"\0\0\0\0" + b"[" * 200_000 + b"\0", errno.EINVAL),
        (bodies.version_body({"max_data_xfer_size": "much"}), errno.EINVAL),
        (bodies.version_body({"max_data_xfer_size": 0}), errno.EINVAL),
        (bodies.version_body({"max_data_xfer_size": True}), errno.EINVAL),
    ],
    ids=["major 1", "major 65535", "empty", "no json", "deep json", "words", "zero", "true"],
)
def test_a_version_that_cannot_be_is_answered_before_the_connection_ends(
    bench: Bench, body: bytes, number: int
) -> None:
    with pytest.raises(ProtocolError, match="no version"):
        bench.ask(Command.VERSION, body)
    assert bench.answer(Command.VERSION)[0] == number
    assert bench.device.asked == []


# --- messages that are refused, after which the conversation goes on ----------------------------------------


@pytest.mark.parametrize(
    ("command", "body", "number"),
    [
        (0, b"", errno.EOPNOTSUPP),
        (99, b"\1" * 50, errno.EOPNOTSUPP),
        (Command.DMA_READ, quads(0, 8), errno.EOPNOTSUPP),
        (Command.DEVICE_GET_REGION_IO_FDS, words(16, 0, 0, 0), errno.EOPNOTSUPP),
        (Command.DMA_MAP, words(32, 3) + quads(0, 0x1000), errno.EINVAL),
        (Command.DMA_MAP, words(31, 3) + quads(0, 0x1000, 0x1000), errno.EINVAL),
        (Command.DMA_MAP, words(32, 2) + quads(0, 0x1000, 0x1000), errno.EINVAL),
        (Command.DMA_MAP, words(32, 7) + quads(0, 0x1000, 0x1000), errno.EINVAL),
        (Command.DMA_MAP, words(32, 3) + quads(0, 0x1000, 0), errno.EINVAL),
        (Command.DMA_MAP, words(32, 3) + quads(0, (1 << 64) - 0x1000, 0x2000), errno.EINVAL),
        (Command.DMA_UNMAP, words(24, 1) + quads(0x1000, 0x1000), errno.EINVAL),
        (Command.DMA_UNMAP, words(24, 2) + quads(0, 0x1000), errno.EINVAL),
        (Command.DMA_UNMAP, words(24, 0), errno.EINVAL),
        (Command.DEVICE_GET_INFO, words(15, 0, 0, 0), errno.EINVAL),
        (Command.DEVICE_GET_INFO, b"", errno.EINVAL),
        (Command.DEVICE_GET_REGION_INFO, words(32, 0, 9, 0) + quads(0, 0), errno.EINVAL),
        (Command.DEVICE_GET_IRQ_INFO, words(16, 0, 5, 0), errno.EINVAL),
        (Command.DEVICE_SET_IRQS, words(20, 36, 7, 0, 1), errno.EINVAL),
        (Command.DEVICE_SET_IRQS, words(20, 34, 2, 0, 0xFFFFFFFF), errno.EINVAL),
        (Command.REGION_READ, quads(0) + words(9, 4), errno.EINVAL),
        (Command.REGION_READ, quads(0) + words(7, (1 << 20) + 1), errno.EINVAL),
        (Command.REGION_READ, quads(0xFFFF_FFFF_FFFF_FFFF) + words(7, 4), errno.EINVAL),
        (Command.REGION_READ, quads(0), errno.EINVAL),
        (Command.REGION_WRITE, quads(0) + words(7, 4) + b"123", errno.EINVAL),
        (Command.REGION_WRITE, quads(0) + words(7, 4) + b"12345", errno.EINVAL),
    ],
)
def test_a_bad_command_is_refused_and_the_next_one_answered(
    bench: Bench, command: int, body: bytes, number: int
) -> None:
    bench.greet()
    assert bench.ask(command, body)[0] == number
    assert bench.device.asked == ["attached"]
    assert bench.ask(Command.REGION_READ, bodies.RegionAccess(0, 7, 4).pack())[0] == 0


def test_a_command_that_wants_no_answer_gets_none_though_it_fails(bench: Bench) -> None:
    bench.greet()
    bench.send(protocol.message(1, Command.REGION_WRITE, b"short", Flag.NO_REPLY))
    bench.conversation.receive()
    assert bench.ask(Command.DEVICE_RESET)[0] == 0, "the next answer is that of the next command"


def test_flags_of_no_message_are_refused(bench: Bench) -> None:
    assert bench.greet().ask(Command.DEVICE_RESET, flags=2)[0] == errno.EINVAL


def test_an_answer_to_nothing_ends_the_conversation(bench: Bench) -> None:
    bench.greet().send(Header(1, Command.DMA_READ, HEADER_BYTES, Flag.REPLY).pack())
    with pytest.raises(ProtocolError, match="belongs to no command"):
        bench.conversation.receive()


@pytest.mark.parametrize("size", [0, 15, HEADER_BYTES + protocol.MAX_BODY + 1, 0xFFFF_FFFF])
def test_a_size_that_cannot_be_is_answered_before_the_connection_ends(bench: Bench, size: int) -> None:
    bench.greet().send(Header(0x55, Command.REGION_WRITE, size).pack())
    with pytest.raises(ProtocolError, match=f"has a size of {size} bytes"):
        bench.conversation.receive()
    assert bench.answer(Command.REGION_WRITE)[0] == errno.EMSGSIZE


def test_all_mappings_can_be_removed_at_once_and_the_answer_says_so(bench: Bench) -> None:
    body = words(24, 2) + quads(0, 0)
    assert bench.greet().ask(Command.DMA_UNMAP, body) == (0, body)
    assert bench.device.asked[-1] == "unmap all"


def test_what_a_peer_does_wrong_is_logged_twenty_times(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.greet()
    for _ in range(30):
        bench.ask(99)
    assert len(caplog.messages) == 20
    assert caplog.messages[-1].endswith("further ones are not shown")


# --- descriptors --------------------------------------------------------------------------------------------

MAP = words(32, 3) + quads(0, 0x1000, 0x1000)


@pytest.mark.parametrize(
    ("command", "body", "fds", "number"),
    [
        (Command.DMA_MAP, MAP, 0, 0),
        (Command.DMA_MAP, MAP, 1, 0),
        (Command.DMA_MAP, MAP, 2, errno.EINVAL),
        (Command.DMA_MAP, MAP, 9, errno.EMFILE),
        (Command.DMA_UNMAP, words(24, 0) + quads(0x1000, 0x1000), 1, errno.EINVAL),
        (Command.DEVICE_RESET, b"", 1, errno.EINVAL),
        (Command.REGION_READ, bodies.RegionAccess(0, 7, 4).pack(), 3, errno.EINVAL),
        (Command.DEVICE_SET_IRQS, words(20, 36, 2, 0, 3), 3, 0),
        (Command.DEVICE_SET_IRQS, words(20, 36, 2, 0, 3), 12, errno.EMFILE),
        (99, b"", 8, errno.EINVAL),
    ],
)
def test_descriptors_that_do_not_belong_to_a_command_are_refused_and_closed(
    bench: Bench, command: int, body: bytes, fds: int, number: int
) -> None:
    bench.greet()
    before = len(os.listdir("/proc/self/fd"))
    assert bench.ask(command, body, fds=fds)[0] == number
    assert len(os.listdir("/proc/self/fd")) == before
    assert (bench.device.asked[-1] == "attached") == bool(number)


def test_memory_whose_descriptor_cannot_be_taken_is_not_taken_for_memory_by_message(bench: Bench) -> None:
    """This process may open no more: the descriptor is lost on the way, and the mapping is refused."""
    bench.greet().send(protocol.message(0x55, Command.DMA_MAP, MAP), fds=1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (bench.theirs.fileno() + 1, limits[1]))
    try:
        bench.conversation.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert bench.answer(Command.DMA_MAP)[0] == errno.EMFILE
    assert bench.device.asked == ["attached"]
    assert bench.ask(Command.DMA_MAP, MAP, fds=1)[0] == 0


# --- peers that go or stop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 3])
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stops"])
def test_a_peer_that_goes_or_stops_in_the_middle_of_a_message_is_gone(
    bench: Bench, sent: int, closes: bool
) -> None:
    raw = protocol.message(1, Command.REGION_READ, bodies.RegionAccess(0, 7, 4).pack())
    bench.greet().send(raw[:sent], fds=1 if sent else 0)
    if closes:
        bench.theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(PeerGone, match="closed the socket after" if closes else "stopped after"):
        bench.conversation.receive()


def test_a_peer_that_reads_no_answers_is_gone_after_its_time(bench: Bench) -> None:
    """The socket's buffer takes some answers; then nobody waits for ever."""
    bench.greet()
    question = protocol.message(1, Command.REGION_READ, bodies.RegionAccess(0, 7, 0x1000).pack())

    def ask_for_ever() -> None:
        for _ in range(1000):
            bench.send(question)
            bench.conversation.receive()

    with pytest.raises(PeerGone, match=r"has read nothing for 0\.2 s"):
        ask_for_ever()


def test_nothing_waits_for_a_peer_once_the_server_ends() -> None:
    ours, theirs = socket.socketpair()
    ends = os.eventfd(1)
    peer = Peer(ours, timeout_s=60, interrupt=ends)
    theirs.send(b"half a")
    with pytest.raises(PeerGone, match="server ends"):
        peer.receive()

    def fill() -> None:
        while True:
            peer.send(bytes(4096))

    with pytest.raises(PeerGone, match="server ends"):
        fill()
    peer.close()
    theirs.close()
    os.close(ends)
