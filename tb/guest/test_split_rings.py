"""Indirect descriptors, the event index, and many buffers at once, as a device finds them in the rings."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.ring import (
    AVAIL_RING_OFFSET,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
    avail_event_offset,
    used_event_offset,
)
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.errors import DeviceError
from ringwalker_sim.guest.ring_queue import BufferSet, QueueControl
from ringwalker_sim.guest.split_queue import SplitVirtqueue
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job

INDIRECT, EVENTS = 1 << Feature.INDIRECT_DESC, 1 << Feature.EVENT_IDX


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


class Bell(QueueControl):
    """Counts notifications."""

    def __init__(self) -> None:
        self.rings = 0

    async def notify(self, vq: Any) -> None:
        self.rings += 1


class Device:
    """The device's hands in the rings of ``vq``."""

    def __init__(self, memory: GuestMemory, size: int, features: int, **arguments: Any):
        self.memory = memory
        self.bell = Bell()
        self.vq = SplitVirtqueue(memory, size, control=self.bell, features=features, **arguments)
        self.seen = self.used = 0

    def _word(self, address: int) -> Any:
        return self.memory.view(address, 2).view("<u2")

    @property
    def used_event(self) -> int:
        return int(self._word(self.vq.driver_address + used_event_offset(self.vq.size))[0])

    def want(self, index: int) -> None:
        self._word(self.vq.device_address + avail_event_offset(self.vq.size))[0] = index & 0xFFFF

    def heads(self) -> list[int]:
        """What was made available since the last call."""
        index = int(self.memory.struct_view(self.vq.driver_address, RingHeader)[0]["idx"])
        heads = []
        while self.seen != index:
            slot = self.seen % self.vq.size
            heads.append(int(self._word(self.vq.driver_address + AVAIL_RING_OFFSET + 2 * slot)[0]))
            self.seen = (self.seen + 1) & 0xFFFF
        return heads

    def descriptor(self, at: int, table: int | None = None) -> tuple[int, int, int, int]:
        address = (self.vq.desc_address if table is None else table) + DESC_BYTES * at
        entry = self.memory.struct_view(address, Descriptor)[0]
        return int(entry["addr"]), int(entry["len"]), int(entry["flags"]), int(entry["next"])

    def use(self, head: int, length: int = 0) -> None:
        where = self.vq.device_address + USED_RING_OFFSET
        element = self.memory.struct_view(where, UsedElement, self.vq.size)[self.used % self.vq.size]
        element["id"], element["len"] = head, length
        self.used = (self.used + 1) & 0xFFFF
        self.memory.struct_view(self.vq.device_address, RingHeader)[0]["idx"] = self.used


@pytest.fixture
def memory() -> GuestMemory:
    return GuestMemory(1 << 20)


# --- indirect descriptors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [2, 3, 16, 17, 32])
def test_a_buffer_in_pieces_takes_one_descriptor_of_the_ring(memory, pieces):
    device = Device(memory, 32, INDIRECT)
    sg = [(0x1000 * number, number) for number in range(1, pieces + 1)]
    before = memory.allocated
    for _ in range(2):
        assert device.vq.add_buf(sg, 1, pieces - 1, "token") == 0
        run(device.vq.kick())
        assert device.vq.num_free == 31
        (head,) = device.heads()
        address, length, flags, _next = device.descriptor(head)
        assert (length, flags) == (pieces * DESC_BYTES, DESC_F_INDIRECT)
        for at, piece in enumerate(sg):
            wanted = (DESC_F_WRITE if at else 0) | (DESC_F_NEXT if at < pieces - 1 else 0)
            *got, flags, following = device.descriptor(at, address)
            assert (tuple(got), flags) == (piece, wanted)
            assert following == (at + 1 if flags & DESC_F_NEXT else 0)
        device.use(head, 1)
        assert device.vq.get_buf() == ("token", 1)
        assert device.vq.num_free == 32
    device.vq.free()
    assert memory.allocated < before


def test_a_buffer_in_one_piece_has_no_table(memory):
    device = Device(memory, 8, INDIRECT)
    device.vq.add_buf([(0x1000, 5)], 0, 1, "token")
    run(device.vq.kick())
    (head,) = device.heads()
    assert device.descriptor(head) == (0x1000, 5, DESC_F_WRITE, 0)


def test_the_ring_is_full_of_buffers_not_of_pieces(memory):
    vq = Device(memory, 8, INDIRECT).vq
    sg = [(0x1000, 4)] * 3
    assert [vq.add_buf(sg, 1, 2, number) for number in range(9)] == [0] * 8 + [-28]
    assert vq.descriptors(3) == 1


# --- the event index ----------------------------------------------------------------------------------------


def test_the_device_is_told_when_the_buffer_it_waits_for_is_there(memory):
    device = Device(memory, 16, EVENTS)
    vq = device.vq

    def add(count: int) -> int:
        before = device.bell.rings
        for _ in range(count):
            assert vq.add_buf([(0x1000, 4)], 1, 0, "token") == 0
        run(vq.kick())
        for head in device.heads():
            device.use(head)
        while vq.get_buf():
            pass
        return device.bell.rings - before

    assert add(1) == 1  # Entry 0 is waited for from the start.
    assert add(3) == 0  # Still entry 0, which has long been there.
    device.want(6)
    assert add(2) == 0  # Entries 4 and 5.
    assert add(2) == 1  # Entries 6 and 7.
    assert add(0) == 0
    while vq._added < 0xFFFE:
        add(2)
    device.want(0)
    assert add(2) == 0
    assert add(1) == 1


def test_interrupts_are_asked_for_by_the_next_used_buffer(memory):
    device = Device(memory, 16, EVENTS, callback=lambda _vq: False)
    vq = device.vq
    for _ in range(4):
        vq.add_buf([(0x1000, 4)], 1, 0, "token")
    run(vq.kick())
    heads = device.heads()
    assert device.used_event == 0
    device.use(heads[0])
    vq.interrupt()  # The callback wants no more of them.
    assert (device.used_event - device.used) & 0xFFFF > 0x8000
    assert vq.get_buf() == ("token", 0)
    assert (device.used_event - device.used) & 0xFFFF > 0x8000
    assert vq.restart()
    assert device.used_event == 1
    device.use(heads[1])
    device.use(heads[2])
    assert vq.get_buf() == ("token", 0)
    assert device.used_event == 2
    assert vq.get_buf() == ("token", 0)
    assert device.used_event == 3
    device.use(heads[3])
    vq.interrupt()
    assert not vq.restart()


def test_an_interrupt_for_many_used_buffers(memory):
    device = Device(memory, 16, EVENTS)
    vq = device.vq
    vq.interrupt_after = 4
    for _ in range(6):
        vq.add_buf([(0x1000, 4)], 1, 0, "token")
    run(vq.kick())
    heads = device.heads()
    assert vq.restart()
    assert device.used_event == 3
    for head in heads[:4]:
        device.use(head)
    tokens, _lengths = vq.get_bufs()
    assert len(tokens) == 4
    assert device.used_event == 5  # There are only two left.


# --- many at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [0, EVENTS | INDIRECT])
def test_many_buffers_come_and_go_like_single_ones(memory, features):
    rng = random.Random(3)
    device = Device(memory, 16, features)
    vq = device.vq
    addresses, lengths = 0x1000 * np.arange(1, 41), np.arange(1, 41)
    buffers = BufferSet(addresses, lengths, True, [f"buffer {n}" for n in range(40)])
    assert len(buffers) == 40
    idle, held, done = list(range(40)), {}, 0
    while done < 2000:
        rng.shuffle(idle)
        wanted = rng.randint(0, 8)
        taken = vq.add_bufs(buffers, idle[:wanted])
        assert taken == min(wanted, len(idle), 16 - len(held))
        run(vq.kick())
        heads = device.heads()
        assert len(heads) == taken
        for head, number in zip(heads, idle[:taken], strict=True):
            assert device.descriptor(head) == (addresses[number], lengths[number], DESC_F_WRITE, 0)
            assert head not in held
            held[head] = number
        del idle[:taken]
        some = rng.sample(sorted(held), rng.randint(0, len(held)))
        written = [rng.randint(0, int(lengths[held[head]])) for head in some]
        for head, length in zip(some, written, strict=True):
            device.use(head, length)
        tokens, got = vq.get_bufs()
        assert tokens == [f"buffer {held[head]}" for head in some]
        assert got.tolist() == written
        assert vq.num_free == 16 - len(held) + len(some)
        for head in some:
            idle.append(held.pop(head))
        done += len(some)


def test_buffers_of_both_kinds_share_a_queue_and_its_shutdown(memory):
    device = Device(memory, 8, 0)
    vq = device.vq
    buffers = BufferSet(np.array([0x1000, 0x2000]), np.array([8, 8]), False)
    vq.add_buf([(0x3000, 4), (0x4000, 4)], 1, 1, "single")
    assert vq.add_bufs(buffers, [1, 0]) == 2
    run(vq.kick())
    heads = device.heads()
    device.use(heads[1])
    device.use(heads[0], 2)
    tokens, lengths = vq.get_bufs()
    assert (tokens, lengths.tolist()) == ([1, "single"], [0, 2])
    assert run(vq.shutdown()) == [0]
    vq.reset()
    assert vq.add_bufs(buffers, [0, 1]) == 2


def test_a_buffer_cannot_be_in_a_queue_twice(memory):
    vq = Device(memory, 8, 0).vq
    buffers = BufferSet(np.array([0x1000, 0x2000]), np.array([8, 8]), False)
    with pytest.raises(ValueError, match="is in a queue already"):
        vq.add_bufs(buffers, [0, 0])
    assert vq.add_bufs(buffers, [0]) == 1
    with pytest.raises(ValueError, match="is in a queue already"):
        vq.add_bufs(buffers, [1, 0])
    assert (vq.num_free, vq.outstanding) == (7, 1)


@pytest.mark.parametrize(
    ("head", "length", "message"),
    [(7, 0, "not the head"), (9, 0, "beyond 8"), (0, 0, "not the head"), (1, 9, "9 bytes were written")],
)
def test_what_is_good_before_a_lie_is_not_lost(memory, head, length, message):
    device = Device(memory, 8, 0)
    buffers = BufferSet(np.array([0x1000, 0x2000]), np.array([8, 8]), True)
    device.vq.add_bufs(buffers, [0, 1])
    run(device.vq.kick())
    assert device.heads() == [0, 1]
    device.use(0, 8)
    device.use(head, length)
    tokens, lengths = device.vq.get_bufs()
    assert (tokens, lengths.tolist()) == ([0], [8])
    with pytest.raises(DeviceError, match=message):
        device.vq.get_bufs()


# --- with the model of a device -----------------------------------------------------------------------------


@pytest.mark.parametrize("features", [[], ["INDIRECT_DESC"], ["EVENT_IDX"], ["INDIRECT_DESC", "EVENT_IDX"]])
def test_a_workload_on_the_model(features):
    depth = 32 if "INDIRECT_DESC" in features else 10
    load = Workload("randrw", requests=200, queue_depth=depth, block_size=512)
    config, job = DeviceConfig(queue_size=32), Job(BlockTask(load, ring_features=tuple(features)))
    with open_engine("model", config, GuestMemory(4 << 20)) as port:
        result = port.run(job.run(port, config))
    assert (result["requests"], result["errors"]) == (200, 0), result["messages"]
