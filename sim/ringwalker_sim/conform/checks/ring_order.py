"""When and in what order buffers are taken and used. Ref: virtio 1.4, 2.7.8, 2.7.9, 2.8.1 to 2.8.8."""

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED

from ..check import RINGS, WAYS, Nonconformance, Way, check
from ..conditions import offers
from ..rings.exchange import Exchange, started
from ..rings.packed_queue import PackedQueue
from ..rings.queues import Used
from ..subject import Subject

__all__: list[str] = []

_PACKED = (Way.PACKED,)
_FILLS = (0x00, 0xFF, 0x55, 0xAA)
"""What writable buffers hold before; a byte that each time is what it was before has not been written."""


def _packed(exchange: Exchange) -> PackedQueue:
    assert isinstance(exchange.queue, PackedQueue)
    return exchange.queue


@check("core-10.01", "core-10.02", "core-14.01", ways=WAYS)
async def used_buffer_is_complete(subject: Subject) -> None:
    """Looks at the ring in every cycle, and checks a buffer as soon as it is said to be used.

    Wrong: a used index or flag that is written before the element, its length, or the data of the buffer.
    """
    exchange = await started(subject)
    for _ in range(4):
        exchange.offer()
        exchange.publish()
        await exchange.kick()
        await exchange.watch(1)
    count = max(1, min(4, exchange.queue.size // 4))
    for _ in range(count):
        exchange.offer()
    exchange.publish()
    await exchange.kick()
    await exchange.watch(count)


@check("core-10.02", "core-10.03", ways=WAYS)
async def used_length_is_written(subject: Subject) -> None:
    """Fills writable buffers with several patterns before. As many bytes as the used length says are new.

    Wrong: a used length that counts bytes which the device has not written, or more than there is room for.
    """
    exchange = await started(subject)
    kept: np.ndarray | None = None
    said = 0
    for fill in _FILLS:
        work = exchange.stimulus.work(0)
        views = [subject.memory.view(piece.address, piece.length) for piece in work.pieces if piece.writable]
        for view in views:
            view[:] = fill
        exchange.describe(work)
        exchange.publish()
        await exchange.kick()
        (used,) = await exchange.wait(1)
        same = np.concatenate([*views, np.empty(0, np.uint8)]) == fill
        kept = same if kept is None else kept & same
        said = max(said, used.length)
    assert kept is not None
    if kept[:said].any():
        at = int(np.flatnonzero(kept)[0])
        text = f"the used length is {said}, and byte {at} of the writable ones is never written"
        raise Nonconformance("core-10.02", text)


@check("core-12.01", "core-13.03", ways=_PACKED)
async def first_descriptor_comes_first(subject: Subject) -> None:
    """Makes a later descriptor of the ring available before the one that the device waits for.

    Wrong: a buffer that is used before the one in front of it was available.
    """
    exchange = await started(subject)
    queue = _packed(exchange)
    await exchange.run()
    exchange.offer()
    exchange.offer()
    (_first, _at, _word), (_second, place, word) = queue.described
    row = queue.rows[place]
    row["flags"] = word
    await exchange.kick()
    await subject.settle()
    if queue.waiting or int(row["flags"]) != word:
        text = "a buffer is used though the descriptor in front of it was not available"
        raise Nonconformance("core-12.01", text)
    exchange.publish()
    await exchange.kick()
    await exchange.wait()


@check("core-13.03", ways=_PACKED)
async def unavailable_descriptors_are_left_alone(subject: Subject) -> None:
    """Writes descriptors whose flags do not make them available, in each lap of the ring, and notifies.

    Wrong: a descriptor that is used though the flag AVAIL has not changed.
    """
    exchange = await started(subject, size=4)
    queue = _packed(exchange)
    for _ in range(6):
        exchange.offer()
        ((_made, place, word),) = queue.described
        flags = DESC_F_AVAIL | DESC_F_USED
        for wrong in (word & ~flags, word | flags, word ^ flags):
            queue.rows[place]["flags"] = wrong
            await exchange.kick()
            await subject.settle()
            if int(queue.rows[place]["flags"]) != wrong:
                text = f"a descriptor with flags {wrong:#06x} is used; they would have to be {word:#06x}"
                raise Nonconformance("core-13.03", text)
        exchange.publish()
        await exchange.kick()
        await exchange.wait(1)


@check("core-13.04", ways=_PACKED)
async def used_descriptors_stay(subject: Subject) -> None:
    """Copies descriptors as soon as they are used, and compares them later with what they are.

    Wrong: a used descriptor that the device changes again.
    """
    exchange = await started(subject, size=16)
    queue = _packed(exchange)
    seen: list[tuple[int, bytes]] = []
    for _ in range(4):
        exchange.offer()
        exchange.publish()
        place = queue.next_used
        await exchange.kick()
        await exchange.watch(1)
        seen.append((place, queue.rows[place].tobytes()))
    await subject.settle()
    for place, row in seen:
        now = queue.rows[place].tobytes()
        if now != row:
            raise Nonconformance("core-13.04", f"used descriptor {place} was {row.hex()} and is {now.hex()}")


@check("core-12.02", "core-12.03", "core-14.01", ways=_PACKED)
async def used_descriptors_follow_each_other(subject: Subject) -> None:
    """Keeps a ring full over several laps, with buffers of different numbers of descriptors.

    Wrong: a used descriptor that is not written behind the one before it, so that the driver never sees it.
    """
    exchange = await started(subject, size=13)
    queue = _packed(exchange)
    for lap in range(6):
        number = 0
        while True:
            work = exchange.new_work(exchange.finest_cut(2 + (lap + number) % 3))
            if len(work.pieces) > queue.room:
                break
            exchange.describe(work)
            number += 1
        exchange.publish()
        await exchange.kick()
        await exchange.wait(clause="core-12.02")


@check("core-15.05", ways=RINGS, needs=[offers(Feature.IN_ORDER)])
async def buffers_are_used_in_order(subject: Subject) -> None:
    """With IN_ORDER, makes many buffers available at once, over several laps of the ring.

    Wrong: a buffer that is used before one that was available earlier.
    """
    exchange = await started(subject, Feature.IN_ORDER, size=16)
    for _ in range(8):
        made = [exchange.offer() for _ in range(max(1, exchange.queue.size // 4))]
        exchange.publish()
        await exchange.kick()
        found: list[Used] = await exchange.wait(clause="core-15.05")
        if [used.offer for used in found] != made:
            raise Nonconformance("core-15.05", "buffers are not used in the order in which they came")


@check("core-10.01", "core-14.01", ways=WAYS)
async def nothing_is_used_twice(subject: Subject) -> None:
    """Lets buffers be used, and waits whether anything more is said to be used.

    Wrong: a buffer that is used a second time.
    """
    exchange = await started(subject)
    await exchange.run(max(1, min(4, exchange.queue.size // 4)))
    await exchange.kick()
    await subject.settle()
    found = exchange.queue.take()
    if found:
        clause = subject.by_ring("core-10.01", "core-14.01")
        raise Nonconformance(clause, f"a used element names buffer {found[0].key}, which was used before")
