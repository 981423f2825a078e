"""The driver's side of a packed ring, against a device played by the test. Ref: virtio 1.4, 2.8."""

import errno
import random
from typing import Any

import numpy as np
import pytest

from ringwalker.spec.features import Feature
from ringwalker.spec.packed import (
    DESC_F_AVAIL,
    DESC_F_USED,
    PLACE_WRAP,
    EventFlags,
    EventSuppression,
    PackedDescriptor,
    is_available,
)
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.guest.errors import DeviceError
from ringwalker_sim.guest.packed_queue import PackedVirtqueue
from ringwalker_sim.guest.ring_queue import BufferSet, QueueControl
from ringwalker_sim.memory import GuestMemory

INDIRECT, EVENTS, IN_ORDER = (1 << Feature[name] for name in ("INDIRECT_DESC", "EVENT_IDX", "IN_ORDER"))


def run(coroutine: Any) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class Device(QueueControl):
    """The device's hands in the ring of ``vq``, which it knows by memory only; it counts notifications."""

    def __init__(self, memory: GuestMemory, size: int = 8, features: int = 0, **arguments: Any):
        self.vq = vq = PackedVirtqueue(memory, size, control=self, features=features, **arguments)
        self.memory, self.size = memory, size
        self.rows = memory.struct_view(vq.desc_address, PackedDescriptor, size)
        self.driver_event = memory.struct_view(vq.driver_address, EventSuppression)[0]
        self.device_event = memory.struct_view(vq.device_address, EventSuppression)[0]
        self.rings = 0
        self.forget()

    def forget(self) -> None:
        self.next, self.next_wrap, self.at, self.used_wrap = 0, 1, 0, 1

    async def notify(self, vq: Any) -> None:
        self.rings += 1

    async def quiesce(self, vq: Any) -> bool:
        return True

    def row(self, at: int) -> tuple[int, int, int, int]:
        row = self.rows[at]
        return int(row["addr"]), int(row["len"]), int(row["id"]), int(row["flags"])

    def available(self) -> list[tuple[int, int, list[tuple[int, int, bool]]]]:
        """Chains that are new: id, how many descriptors they take, and pieces as (address, length,
        writable)."""
        chains = []
        while is_available(self.row(self.next)[3], self.next_wrap):
            pieces, span, more = [], 0, True
            while more:
                address, length, key, flags = self.row(self.next)
                assert is_available(flags, self.next_wrap), "the rest of a chain is not available"
                self.next, span = self.next + 1, span + 1
                if self.next == self.size:
                    self.next, self.next_wrap = 0, self.next_wrap ^ 1
                more = bool(flags & DESC_F_NEXT)
                if flags & DESC_F_INDIRECT:
                    assert (span, more, length % DESC_BYTES) == (1, False, 0)
                    for entry in self.memory.struct_view(address, PackedDescriptor, length // DESC_BYTES):
                        assert int(entry["flags"]) in (0, DESC_F_WRITE)
                        writable = bool(int(entry["flags"]))
                        pieces.append((int(entry["addr"]), int(entry["len"]), writable))
                else:
                    pieces.append((address, length, bool(flags & DESC_F_WRITE)))
            chains.append((key, span, pieces))
        return chains

    def use(self, key: int, span: int, length: int = 0, flags: int | None = None) -> None:
        """Write a used descriptor, and skip ``span``."""
        both = (DESC_F_AVAIL | DESC_F_USED) * self.used_wrap
        written = DESC_F_WRITE * bool(length) if flags is None else flags
        row = self.rows[self.at]
        row["id"], row["len"], row["flags"] = key, length, both | written
        self.at += span
        if self.at >= self.size:
            self.at, self.used_wrap = self.at - self.size, self.used_wrap ^ 1

    def want(self, offset: int, wrap: int) -> None:
        self.device_event["place"] = offset | PLACE_WRAP * wrap
        self.device_event["flags"] = EventFlags.DESC

    @property
    def interrupts(self) -> tuple[EventFlags, int, int]:
        """What the driver wants: flags, and offset and wrap counter of the descriptor."""
        place = int(self.driver_event["place"])
        return EventFlags(int(self.driver_event["flags"])), place % PLACE_WRAP, place // PLACE_WRAP


@pytest.fixture
def memory() -> GuestMemory:
    return GuestMemory(1 << 20)


# --- one fact each ------------------------------------------------------------------------------------------


def test_areas_are_aligned_and_inside_memory(memory):
    vq = Device(memory, 100).vq
    assert (vq.desc_address % 16, vq.driver_address % 4, vq.device_address % 4) == (0, 0, 0)
    before = memory.allocated
    vq.free()
    assert memory.allocated == before - 100 * 16 - 4 - 4


@pytest.mark.parametrize("size", [0, 32769])
def test_a_size_that_no_ring_has_is_refused(memory, size):
    with pytest.raises(ValueError, match=f"size is {size}; it must be from 1 to 32768"):
        PackedVirtqueue(memory, size)


def test_buffers_become_available_with_kick(memory):
    device = Device(memory)
    sg = [(0x1000, 16), (0x2000, 512), (0x3000, 1)]
    assert device.vq.add_buf(sg, 1, 2, "token") == 0
    assert device.available() == []
    run(device.vq.kick())
    assert device.rings == 1
    ((_key, span, pieces),) = device.available()
    assert (span, pieces) == (3, [(0x1000, 16, False), (0x2000, 512, True), (0x3000, 1, True)])
    assert device.vq.num_free == 5
    assert device.vq.get_buf() is None


def test_flags_turn_over_at_the_end_of_the_ring(memory):
    device = Device(memory, 3)
    vq = device.vq
    seen = []
    for token in "abcdefg":
        at = device.next
        assert vq.add_buf([(0x1000, 4)], 0, 1, token) == 0
        run(vq.kick())
        seen.append(device.row(at)[3])
        ((key, span, _pieces),) = device.available()
        device.use(key, span, 4)
        assert vq.get_buf() == (token, 4)
    first, second = DESC_F_AVAIL | DESC_F_WRITE, DESC_F_USED | DESC_F_WRITE
    assert seen == [first] * 3 + [second] * 3 + [first]


def test_a_chain_goes_on_at_the_start_of_the_ring(memory):
    device = Device(memory, 5)
    vq = device.vq
    for token in "ab":
        assert vq.add_buf([(0x1000 * n, n) for n in (1, 2, 3)], 3, 0, token) == 0
        run(vq.kick())
        ((key, span, pieces),) = device.available()
        assert [piece[1] for piece in pieces] == [1, 2, 3]
        device.use(key, span)
        assert vq.get_buf() == (token, 0)
    assert (device.next, device.next_wrap) == (1, 0)


def test_the_length_counts_only_if_the_device_says_that_it_has_written(memory):
    device = Device(memory)
    device.vq.add_buf([(0x1000, 4)], 1, 0, "token")
    run(device.vq.kick())
    ((key, span, _pieces),) = device.available()
    device.use(key, span, 77, flags=0)
    assert device.vq.get_buf() == ("token", 0)


def test_buffers_are_used_in_any_order(memory):
    device = Device(memory)
    for token in "abc":
        assert device.vq.add_buf([(0x1000, 4)] * 2, 0, 2, token) == 0
    run(device.vq.kick())
    keys = [key for key, _span, _pieces in device.available()]
    device.use(keys[2], 2, 1)
    device.use(keys[0], 2, 2)
    assert [device.vq.get_buf() for _ in range(3)] == [("c", 1), ("a", 2), None]
    assert device.vq.num_free == 6


@pytest.mark.parametrize("pieces", [2, 16, 17])
def test_a_buffer_in_pieces_takes_one_descriptor_with_an_indirect_table(memory, pieces):
    device = Device(memory, 17, INDIRECT)
    before = memory.allocated
    sg = [(0x1000 * number, number) for number in range(1, pieces + 1)]
    for _ in range(2):
        assert device.vq.add_buf(sg, 1, pieces - 1, "token") == 0
        run(device.vq.kick())
        ((key, span, got),) = device.available()
        assert (span, got) == (1, [(*piece, at > 0) for at, piece in enumerate(sg)])
        device.use(key, span, 1)
        assert device.vq.get_buf() == ("token", 1)
    device.vq.free()
    assert memory.allocated < before


# --- notification suppression -------------------------------------------------------------------------------


def test_the_device_is_notified_unless_it_says_no(memory):
    device = Device(memory)
    for flags, rings in ((EventFlags.ENABLE, 1), (EventFlags.DISABLE, 1), (3, 2), (EventFlags.DESC, 3)):
        device.device_event["flags"] = flags
        device.vq.add_buf([(0, 1)], 1, 0, "a")
        run(device.vq.kick())
        assert device.rings == rings, flags


def test_the_device_is_notified_of_the_descriptor_that_it_waits_for(memory):
    device = Device(memory, 5, EVENTS)
    vq = device.vq

    def add(count: int) -> int:
        before = device.rings
        for _ in range(count):
            assert vq.add_buf([(0x1000, 4)], 1, 0, "token") == 0
        run(vq.kick())
        for key, span, _pieces in device.available():
            device.use(key, span)
        while vq.get_buf():
            pass
        return device.rings - before

    assert add(1) == 1  # It has not said anything yet.
    device.want(2, 1)
    assert add(1) == 0  # Descriptor 1.
    assert add(1) == 1
    assert add(1) == 0
    device.want(1, 0)
    assert add(2) == 0  # 4, and 0 of the next lap.
    assert add(3) == 1  # 1 to 3.
    assert add(0) == 0
    device.want(4, 1)  # That is a whole lap ago.
    assert add(1) == 0


def test_interrupts_are_asked_for_by_flags(memory):
    device = Device(memory, callback=lambda _vq: False)
    for token in "ab":
        device.vq.add_buf([(0, 1)], 1, 0, token)
    run(device.vq.kick())
    chains = device.available()
    assert device.interrupts[0] == EventFlags.ENABLE
    device.use(*chains[0][:2])
    device.vq.interrupt()
    assert device.interrupts[0] == EventFlags.DISABLE
    assert device.vq.restart() is False
    assert device.interrupts[0] == EventFlags.DISABLE
    device.vq.get_buf()
    assert device.vq.restart() is True
    assert device.interrupts[0] == EventFlags.ENABLE


def test_interrupts_are_asked_for_by_descriptor(memory):
    device = Device(memory, 4, EVENTS)
    vq = device.vq
    vq.interrupt_after = 2
    for _lap in range(3):
        for token in "ab":
            vq.add_buf([(0, 1), (0, 1)], 2, 0, token)
        run(vq.kick())
        at, wrap = device.at, device.used_wrap
        assert vq.restart()
        # The second buffer's descriptor, if the first is used first.
        assert device.interrupts == (EventFlags.DESC, (at + 2) % 4, wrap ^ (at + 2 >= 4))
        for key, span, _pieces in device.available():
            device.use(key, span)
        assert [vq.get_buf() for _ in range(3)] == [("a", 0), ("b", 0), None]
        assert vq.restart()
        assert device.interrupts == (EventFlags.DESC, device.at, device.used_wrap)


# --- in order -----------------------------------------------------------------------------------------------


def test_one_used_descriptor_stands_for_all_before_it(memory):
    device = Device(memory, 8, IN_ORDER)
    vq = device.vq
    for number in range(4):
        vq.add_buf([(0x1000, 10), (0x2000, number + 1)], 1, 1, number)
    run(vq.kick())
    chains = device.available()
    device.use(chains[2][0], 6, 1)
    # Those that were skipped are used completely.
    assert vq.used_pending
    assert [vq.get_buf() for _ in range(4)] == [(0, 1), (1, 2), (2, 1), None]
    assert vq.num_free == 6
    device.use(chains[3][0], 2, 4)
    assert vq.get_buf() == (3, 4)


# --- a device that lies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [0, IN_ORDER])
@pytest.mark.parametrize(
    ("key", "length", "message"),
    [
        (8, 0, "used descriptor 0 has id 8, which is beyond 8"),
        (3, 0, "id 3, which is not that of an outstanding buffer"),
        (0, 9, "9 bytes were written into buffer 0, which has 8"),
    ],
)
def test_a_lying_used_descriptor_is_caught(memory, features, key, length, message):
    device = Device(memory, 8, features)
    device.vq.add_buf([(0x100, 4), (0x200, 8)], 1, 1, "a")
    run(device.vq.kick())
    device.use(key, 2, length)
    with pytest.raises(DeviceError, match=message):
        device.vq.get_buf()
    with pytest.raises(DeviceError, match=message):
        device.vq.get_bufs()


def test_add_buf_refuses_what_cannot_be(memory):
    vq = Device(memory, 4).vq
    piece = (0x1000, 8)
    assert vq.add_buf([piece] * 5, 5, 0, 1) == -errno.EINVAL
    assert vq.add_buf([piece] * 3, 3, 0, 1) == 0
    assert vq.add_buf([piece] * 2, 2, 0, 1) == -errno.ENOSPC


# --- stopping -----------------------------------------------------------------------------------------------


def test_after_a_queue_reset_the_ring_begins_anew(memory):
    device = Device(memory, 3)
    vq = device.vq
    for token in "abcd":
        vq.add_buf([(0x1000, 4)], 0, 1, token)
        run(vq.kick())
        ((key, span, _pieces),) = device.available()
        if token != "d":
            device.use(key, span, 4)
            vq.get_buf()
    assert run(vq.shutdown()) == ["d"]
    device.forget()
    vq.add_buf([(0x1000, 4)], 0, 1, "e")
    run(vq.kick())
    assert device.available() == [(0, 1, [(0x1000, 4, True)])]
    assert vq.shown == 1 | PLACE_WRAP


# --- many at once, and at random ----------------------------------------------------------------------------


def test_a_notification_carries_where_the_driver_goes_on(memory):
    vq = Device(memory, 3).vq
    assert vq.shown == PLACE_WRAP
    vq.add_buf([(0, 1)] * 3, 3, 0, "a")
    assert vq.shown == PLACE_WRAP
    run(vq.kick())
    assert vq.shown == 0


@pytest.mark.parametrize("in_order", [0, IN_ORDER])
@pytest.mark.parametrize("features", [0, INDIRECT | EVENTS])
@pytest.mark.parametrize("size", [1, 7, 16])
def test_random_traffic_matches_a_model(memory, size, features, in_order):
    """Chains of all lengths, used in any order if it may be, over many laps of the ring."""
    rng = random.Random(size)
    device = Device(memory, size, features | in_order)
    vq = device.vq
    expected: dict[int, tuple[int, int, int]] = {}
    token = completed = 0
    while completed < 1500:
        for _ in range(rng.randint(0, 4)):
            count = rng.randint(1, min(5, size))
            out = rng.randint(0, count)
            sg = [(rng.randrange(1 << 48), rng.randint(1, 1 << 20)) for _ in range(count)]
            if vq.descriptors(count) > vq.num_free:
                assert vq.add_buf(sg, out, count - out, token) == -errno.ENOSPC
                continue
            assert vq.add_buf(sg, out, count - out, token) == 0
            run(vq.kick())
            ((key, span, pieces),) = device.available()
            assert pieces == [(*piece, at >= out) for at, piece in enumerate(sg)]
            assert key not in expected
            expected[key] = token, span, sum(length for _, length in sg[out:])
            token += 1
        keys = list(expected)
        if not in_order:
            rng.shuffle(keys)
        del keys[rng.randint(0, len(keys)) :]
        lengths = [rng.randint(0, expected[key][2]) for key in keys]
        skipped = 0
        for position, key in enumerate(keys):
            span, room = expected[key][1:]
            skipped += span
            if in_order and position < len(keys) - 1 and rng.random() < 0.6:
                lengths[position] = room
            else:
                device.use(key, skipped, lengths[position])
                skipped = 0
        for key, length in zip(keys, lengths, strict=True):
            assert vq.get_buf() == (expected.pop(key)[0], length)
        assert vq.get_buf() is None
        completed += len(keys)
    assert vq.outstanding == len(expected)


@pytest.mark.parametrize("in_order", [0, IN_ORDER])
def test_many_buffers_come_and_go_like_single_ones(memory, in_order):
    rng = random.Random(3)
    device = Device(memory, 13, EVENTS | in_order)
    vq = device.vq
    addresses, lengths = 0x1000 * np.arange(1, 41), np.arange(1, 41)
    buffers = BufferSet(addresses, lengths, True, [f"buffer {n}" for n in range(40)])
    idle, held, done = list(range(40)), {}, 0
    while done < 1000:
        rng.shuffle(idle)
        wanted = rng.randint(0, 8)
        taken = vq.add_bufs(buffers, idle[:wanted])
        assert taken == min(wanted, len(idle), 13 - len(held))
        run(vq.kick())
        for (key, span, pieces), number in zip(device.available(), idle[:taken], strict=True):
            assert (span, pieces) == (1, [(addresses[number], lengths[number], True)])
            held[key] = number
        del idle[:taken]
        some = list(held) if in_order else rng.sample(sorted(held), len(held))
        del some[rng.randint(0, len(some)) :]
        written = [rng.randint(0, int(lengths[held[key]])) for key in some]
        for key, length in zip(some, written, strict=True):
            device.use(key, 1, length)
        tokens, got = vq.get_bufs()
        assert tokens == [f"buffer {held[key]}" for key in some]
        assert got.tolist() == written
        for key in some:
            idle.append(held.pop(key))
        done += len(some)


def test_a_buffer_cannot_be_in_a_queue_twice(memory):
    vq = Device(memory, 8).vq
    buffers = BufferSet(np.array([0x1000, 0x2000]), np.array([8, 8]), False)
    with pytest.raises(ValueError, match="is in a queue already"):
        vq.add_bufs(buffers, [0, 0])
    assert vq.add_bufs(buffers, [0]) == 1
    with pytest.raises(ValueError, match="is in a queue already"):
        vq.add_bufs(buffers, [1, 0])
    assert (vq.num_free, vq.outstanding) == (7, 1)
