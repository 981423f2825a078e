"""The driver's side of a split ring, against a device played by the test."""

import errno
import random
from typing import Any

import pytest

from ringwalker.spec.ring import (
    AVAIL_F_NO_INTERRUPT,
    AVAIL_RING_OFFSET,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_F_NO_NOTIFY,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
)
from ringwalker_sim.guest.errors import DeviceError
from ringwalker_sim.guest.ring_queue import QueueControl
from ringwalker_sim.guest.split_queue import SplitVirtqueue
from ringwalker_sim.memory import GuestMemory


def run(coroutine: Any) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class Peer:
    """The device, which reads and writes the rings through memory only."""

    def __init__(self, memory: GuestMemory, vq: SplitVirtqueue):
        self.memory, self.vq = memory, vq
        self.seen = self.used = 0

    def available(self) -> list[list[tuple[int, int, bool]]]:
        """Chains that are new: pieces as (address, length, writable)."""
        return [self.chain(head) for head in self.heads()]

    def heads(self) -> list[int]:
        index = int(self.memory.struct_view(self.vq.driver_address, RingHeader)[0]["idx"])
        heads = []
        while self.seen != index:
            at = self.vq.driver_address + AVAIL_RING_OFFSET + 2 * (self.seen % self.vq.size)
            heads.append(int.from_bytes(self.memory.read(at, 2), "little"))
            self.seen = (self.seen + 1) & 0xFFFF
        return heads

    def chain(self, head: int) -> list[tuple[int, int, bool]]:
        table = self.memory.struct_view(self.vq.desc_address, Descriptor, self.vq.size)
        pieces = []
        while True:
            entry = table[head]
            flags = int(entry["flags"])
            pieces.append((int(entry["addr"]), int(entry["len"]), bool(flags & DESC_F_WRITE)))
            if not flags & DESC_F_NEXT:
                return pieces
            head = int(entry["next"])

    def use(self, head: int, length: int) -> None:
        elements = self.vq.device_address + USED_RING_OFFSET
        element = self.memory.struct_view(elements, UsedElement, self.vq.size)[self.used % self.vq.size]
        element["id"], element["len"] = head, length
        self.set_index(self.used + 1)

    def set_index(self, index: int) -> None:
        self.used = index & 0xFFFF
        self.memory.struct_view(self.vq.device_address, RingHeader)[0]["idx"] = self.used

    def flags(self) -> int:
        return int(self.memory.struct_view(self.vq.driver_address, RingHeader)[0]["flags"])


@pytest.fixture
def memory() -> GuestMemory:
    return GuestMemory(1 << 20)


def make(memory: GuestMemory, size: int = 8, **arguments: Any) -> tuple[SplitVirtqueue, Peer]:
    vq = SplitVirtqueue(memory, size, **arguments)
    return vq, Peer(memory, vq)


def test_areas_are_aligned_and_inside_memory(memory: GuestMemory) -> None:
    vq, _ = make(memory, 256)
    assert vq.desc_address % 16 == 0
    assert vq.driver_address % 2 == 0
    assert vq.device_address % 4 == 0
    before = memory.allocated
    vq.free()
    assert memory.allocated == before - 16 * 256 - (4 + 2 * 257) - (4 + 8 * 256 + 2)


def test_buffers_become_visible_with_kick(memory: GuestMemory) -> None:
    vq, peer = make(memory)
    sg = [(0x1000, 16), (0x2000, 512), (0x3000, 1)]
    assert vq.add_buf(sg, 1, 2, "token") == 0
    assert peer.available() == []
    run(vq.kick())
    assert peer.available() == [[(0x1000, 16, False), (0x2000, 512, True), (0x3000, 1, True)]]
    assert vq.num_free == 5
    assert vq.get_buf() is None


def test_random_traffic_matches_a_model(memory: GuestMemory) -> None:
    rng = random.Random(7)
    vq, peer = make(memory, 16)
    expected: dict[int, tuple[int, list[tuple[int, int, bool]]]] = {}
    held: list[int] = []
    token = completed = 0
    while completed < 3000:
        for _ in range(rng.randint(0, 4)):
            count = rng.randint(1, 5)
            out = rng.randint(0, count)
            sg = [(rng.randrange(1 << 48), rng.randint(1, 1 << 20)) for _ in range(count)]
            room = vq.num_free
            result = vq.add_buf(sg, out, count - out, token)
            if count > room:
                assert result == -errno.ENOSPC
                continue
            assert result == 0
            run(vq.kick())
            (head,) = peer.heads()
            chain = peer.chain(head)
            assert chain == [(*piece, at >= out) for at, piece in enumerate(sg)]
            assert head not in expected
            expected[head] = (token, chain)
            held.append(head)
            token += 1
        rng.shuffle(held)
        used = [held.pop() for _ in range(rng.randint(0, len(held)))]
        lengths = []
        for head in used:
            room = sum(length for _, length, writable in expected[head][1] if writable)
            lengths.append(rng.randint(0, room))
            peer.use(head, lengths[-1])
        for head, length in zip(used, lengths, strict=True):
            assert vq.get_buf() == (expected.pop(head)[0], length)
        assert vq.get_buf() is None
        completed += len(used)
    assert vq.outstanding == len(held)


def test_indices_wrap_at_16_bits(memory: GuestMemory) -> None:
    vq, peer = make(memory, 4)
    for token in range(66_000):
        assert vq.add_buf([(0x100, 4)], 0, 1, token) == 0
        run(vq.kick())
        peer.use(peer.heads()[0], 4)
        assert vq.get_buf() == (token, 4)


def test_add_buf_refuses_what_cannot_be(memory: GuestMemory) -> None:
    vq, _ = make(memory, 4)
    piece = (0x1000, 8)
    assert vq.add_buf([], 0, 0, 1) == -errno.EINVAL
    assert vq.add_buf([piece], 2, 0, 1) == -errno.EINVAL
    assert vq.add_buf([piece], 0, 1, None) == -errno.EINVAL
    assert vq.add_buf([(0x1000, 0)], 1, 0, 1) == -errno.EINVAL
    assert vq.add_buf([piece] * 5, 5, 0, 1) == -errno.EINVAL
    assert vq.add_buf([piece] * 3, 3, 0, 1) == 0
    assert vq.add_buf([piece] * 2, 2, 0, 1) == -errno.ENOSPC
    assert vq.num_free == 1
    with pytest.raises(ValueError, match="size is 6"):
        SplitVirtqueue(memory, 6)


def test_kick_is_not_sent_when_the_device_does_not_want_it(memory: GuestMemory) -> None:
    sent: list[int] = []

    class Control(QueueControl):
        async def notify(self, vq: SplitVirtqueue) -> None:
            sent.append(vq.index)

    vq, peer = make(memory, index=3, control=Control())
    vq.add_buf([(0, 1)], 1, 0, "a")
    run(vq.kick())
    memory.struct_view(vq.device_address, RingHeader)[0]["flags"] = USED_F_NO_NOTIFY
    vq.add_buf([(0, 1)], 1, 0, "b")
    run(vq.kick())
    assert sent == [3]
    assert len(peer.heads()) == 2


def test_callback_that_returns_false_is_suppressed_until_restart(memory: GuestMemory) -> None:
    answers = [True, False, True]
    calls: list[int] = []

    def callback(_vq: SplitVirtqueue) -> bool:
        calls.append(len(calls))
        return answers[len(calls) - 1]

    vq, peer = make(memory, callback=callback)
    for token in range(4):
        vq.add_buf([(0, 1)], 0, 1, token + 1)
    run(vq.kick())
    heads = peer.heads()
    peer.use(heads[0], 1)
    vq.interrupt()
    vq.interrupt()
    assert len(calls) == 2
    assert peer.flags() == AVAIL_F_NO_INTERRUPT
    vq.interrupt()
    assert (len(calls), vq.spurious) == (2, 1)
    # Something is waiting, so restart says no and nothing changes.
    assert vq.restart() is False
    assert peer.flags() == AVAIL_F_NO_INTERRUPT
    assert vq.get_buf() == (1, 1)
    assert vq.restart() is True
    assert peer.flags() == 0
    vq.interrupt()
    assert len(calls) == 2, "an interrupt without a used buffer"
    peer.use(heads[1], 0)
    vq.interrupt()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("head", "length", "message"),
    [
        (8, 0, "id 8, which is beyond 8"),
        (0xFFFF_FFFF, 0, "id 4294967295"),
        (3, 0, "id 3, which is not the head of an outstanding chain"),
        (1, 0, "id 1, which is not the head"),
        (0, 9, "9 bytes were written into chain 0, which has 8"),
    ],
)
def test_a_lying_used_entry_is_caught(memory: GuestMemory, head: int, length: int, message: str) -> None:
    vq, peer = make(memory)
    vq.add_buf([(0x100, 4), (0x200, 8)], 1, 1, "a")
    vq.add_buf([(0x100, 4)], 1, 0, "b")
    run(vq.kick())
    peer.use(head, length)
    with pytest.raises(DeviceError, match=message):
        vq.get_buf()


def test_a_used_entry_for_the_same_chain_twice_is_caught(memory: GuestMemory) -> None:
    vq, peer = make(memory)
    for token in "ab":
        vq.add_buf([(0x200, 8)], 0, 1, token)
    run(vq.kick())
    peer.use(0, 8)
    peer.use(0, 8)
    assert vq.get_buf() == ("a", 8)
    with pytest.raises(DeviceError, match="id 0"):
        vq.get_buf()


@pytest.mark.parametrize("index", [2, 0x8000, 0xFFFF])
def test_a_used_index_that_is_too_far_is_caught(memory: GuestMemory, index: int) -> None:
    vq, peer = make(memory)
    vq.add_buf([(0x200, 8)], 0, 1, "a")
    run(vq.kick())
    peer.set_index(index)
    with pytest.raises(DeviceError, match="only 1 buffers are outstanding"):
        vq.get_buf()
    with pytest.raises(DeviceError):
        vq.restart()


def test_shutdown_gives_the_tokens_back_in_order(memory: GuestMemory) -> None:
    class Control(QueueControl):
        async def quiesce(self, vq: SplitVirtqueue) -> bool:
            return True

    vq, peer = make(memory, control=Control())
    for token in "abcd":
        vq.add_buf([(0, 1)], 0, 1, token)
    run(vq.kick())
    peer.use(peer.heads()[1], 1)
    assert vq.get_buf() == ("b", 1)
    assert run(vq.shutdown()) == ["a", "c", "d"]
    assert (vq.num_free, vq.outstanding, vq.broken) == (8, 0, False)
    assert vq.add_buf([(0, 1)], 0, 1, "e") == 0


def test_a_queue_that_cannot_be_restarted_is_broken_after_shutdown(memory: GuestMemory) -> None:
    vq, _ = make(memory)
    vq.add_buf([(0, 1)], 0, 1, "a")
    assert run(vq.shutdown()) == ["a"]
    assert vq.add_buf([(0, 1)], 0, 1, "b") == -errno.EIO
    assert vq.get_buf() is None
    run(vq.kick())
    assert vq.kicks == 0


class _Stops(QueueControl):
    """A device that gives back what it holds when its queue is stopped: ``lengths`` by head."""

    def __init__(self) -> None:
        self.peer: Any = None
        self.lengths: dict[int, int] = {}

    def can_resume(self, vq: SplitVirtqueue) -> bool:
        return True

    def holds(self, vq: SplitVirtqueue) -> bool:
        return True

    async def quiesce(self, vq: SplitVirtqueue) -> bool:
        for head, length in self.lengths.items():
            self.peer.use(head, length)
        return True


def test_what_comes_back_empty_because_the_queue_was_stopped_is_not_used(memory: GuestMemory) -> None:
    control = _Stops()
    called: list[SplitVirtqueue] = []
    vq, peer = make(memory, control=control, callback=lambda vq: called.append(vq) is None)
    control.peer = peer
    for token in "abcd":
        vq.add_buf([(0x100, 8)], 0, 1, token)
    vq.add_buf([(0x100, 8)], 1, 0, "sent")
    run(vq.kick())
    peer.use(0, 0)
    control.lengths = {1: 0, 2: 5, 4: 0}
    assert run(vq.detach("d")) is True
    # "a" was used before, if emptily; "c" and what was only to be read were finished while it stopped.
    assert called == [vq]
    assert [vq.get_buf() for _ in range(4)] == [("a", 0), ("c", 5), ("sent", 0), None]
    peer.seen = peer.used = 0
    assert peer.available() == [[(0x100, 8, True)]], "only b is left"
    assert vq.outstanding == 1
    control.lengths = {}
    assert run(vq.shutdown()) == ["b"]
    assert vq.num_free == 8


def test_detach_of_a_queue_that_the_device_has_forgotten(memory: GuestMemory) -> None:
    vq, _ = make(memory)
    vq.add_buf([(0x100, 8)], 0, 1, "a")
    vq.broken = True
    assert run(vq.detach("a")) is True
    assert run(vq.detach("a")) is False
    assert vq.outstanding == 0
