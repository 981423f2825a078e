"""DMA by message: sizes that the peer takes, refusals, invalid answers, and memory that is mapped no more."""

import errno
from typing import Any, cast

import pytest

from ringwalker_sim.vfio_user.bodies import DmaAccess
from ringwalker_sim.vfio_user.dma_messages import DmaMessages
from ringwalker_sim.vfio_user.peer import PeerGone
from ringwalker_sim.vfio_user.protocol import Command, ProtocolError

RAM = bytes(range(256)) * 16


class Mapped:
    """``RAM`` is mapped at 0x1000, until it is not."""

    there = True

    def is_external(self, address: int, size: int) -> bool:
        return self.there and address >= 0x1000 and address + size <= 0x1000 + len(RAM)


class Answering:
    """A peer with ``RAM``; ``answer`` replaces its answers."""

    def __init__(self, max_transfer: int):
        self.max_transfer = max_transfer
        self.ram = bytearray(RAM)
        self.asked: list[tuple[str, int, int]] = []
        self.answer: Any = None

    def call(self, command: Command, body: bytes) -> bytes:
        access = DmaAccess.unpack(body)
        self.asked.append((command.name, access.address, access.count))
        if self.answer is not None:
            return self.answer()
        at = access.address - 0x1000
        if command is Command.DMA_WRITE:
            self.ram[at : at + access.count] = access.data
            return body[:12]  # some say the count in 32 bits
        return DmaAccess(access.address, access.count, bytes(self.ram[at : at + access.count])).pack()


class Bench:
    def __init__(self, max_transfer: int = 1 << 20):
        self.faults: list[str] = []
        self.mapped = Mapped()
        self.messages = DmaMessages(cast(Any, self.mapped), self.faults.append)
        self.peer = Answering(max_transfer)
        self.messages.peer = cast(Any, self.peer)


@pytest.mark.parametrize(("limit", "messages"), [(1 << 20, 1), (1000, 1), (999, 2), (256, 4), (300, 4)])
def test_a_message_moves_no_more_than_the_peer_takes(limit: int, messages: int) -> None:
    bench = Bench(limit)
    assert bench.messages.read(0x1010, 1000) == RAM[16:1016]
    bench.messages.write(0x1010, bytes(1000))
    assert bench.peer.ram[16:1016] == bytes(1000)
    assert bench.peer.ram[:16] + bench.peer.ram[1016:] == RAM[:16] + RAM[1016:]
    assert [name for name, _at, _count in bench.peer.asked] == ["DMA_READ"] * messages + [
        "DMA_WRITE"
    ] * messages
    assert max(count for _name, _at, count in bench.peer.asked) <= limit
    assert bench.messages.count == 2 * messages
    assert bench.faults == []


def test_what_the_peer_refuses_is_a_fault_and_is_not_gone_on_with() -> None:
    bench = Bench(100)

    def refuse() -> bytes:
        raise OSError(errno.EFAULT, "no such memory")

    bench.peer.answer = refuse
    assert bench.messages.read(0x1000, 1000) is None
    bench.messages.write(0x1000, bytes(1000))
    assert [name for name, _at, _count in bench.peer.asked] == ["DMA_READ", "DMA_WRITE"]
    assert len(bench.faults) == 2


def test_nothing_is_asked_of_memory_that_is_mapped_no_more() -> None:
    bench = Bench()
    bench.mapped.there = False
    assert bench.messages.read(0x1000, 64) is None
    bench.messages.write(0x1000, bytes(64))
    assert bench.peer.asked == []
    assert all("no longer mapped" in fault for fault in bench.faults)


def test_an_answer_of_the_wrong_length_ends_the_conversation() -> None:
    bench = Bench()
    bench.peer.answer = DmaAccess(0x1000, 64, bytes(63)).pack
    with pytest.raises(ProtocolError, match="has 63 bytes"):
        bench.messages.read(0x1000, 64)
    bench.peer.answer = lambda: b""
    with pytest.raises(ProtocolError):
        bench.messages.read(0x1000, 64)


def test_a_peer_that_goes_is_no_refusal() -> None:
    bench = Bench()

    def go() -> bytes:
        raise PeerGone("gone")

    bench.peer.answer = go
    with pytest.raises(PeerGone):
        bench.messages.read(0x1000, 64)
    with pytest.raises(PeerGone):
        bench.messages.write(0x1000, bytes(64))
    assert bench.faults == []
