"""Queues of all sizes, full ones, several at once, and indices that wrap. Ref: virtio 1.4, 2.7, 2.8."""

import time

import numpy as np

from ringwalker.spec.blk import BlkFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType

from ..check import RINGS, WAYS, Nonconformance, NotApplicable, Way, check
from ..conditions import is_type, offers
from ..rings.exchange import Exchange, started
from ..rings.queues import Offer
from ..rings.split_queue import SplitQueue
from ..subject import Subject

__all__: list[str] = []

_INDICES = 1 << 16
_BEFORE_WRAP = 8
"""So many buffers before the index wraps, notifications are asked for one at a time."""

_ODD_SIZES = (3, 5, 7, 13, 50)
_SMALL = 8
_TRIAL = 4
"""Batches after which it is known how long all will take."""


def _sizes(most: int, packed: bool) -> list[int]:
    """Sizes of a queue of at most ``most`` entries: all powers of two, the largest, and odd ones."""
    sizes = {1 << bit for bit in range(most.bit_length())} | {most}
    if packed:
        sizes |= {*_ODD_SIZES, most - 1}
    return sorted(size for size in sizes if 0 < size <= most)


@check("core-10.01", "core-14.01", ways=RINGS)
async def queue_sizes(subject: Subject) -> None:
    """Makes queues of all sizes that there can be, from one entry on, and goes round each ring.

    Wrong: a buffer that is not used, or used in a wrong place.
    """
    indirect = [Feature.INDIRECT_DESC] if subject.offers(Feature.INDIRECT_DESC) else []
    first = await started(subject, *indirect)
    length, kind = len(first.new_work().pieces), first.stimulus
    await subject.reset()
    most = await subject.registers(kind.queue).read("size")
    for size in _sizes(most, subject.way is Way.PACKED):
        if length > size:  # No chain is longer than the queue, in a table or not.
            continue
        await subject.start(*indirect, size=size, queues=[kind.queue])
        exchange = Exchange(subject, kind)
        for _ in range(3 if size > _SMALL else 8):
            for number in range(max(1, size // 4)):
                exchange.offer(indirect=0 if indirect and number % 2 else None)
            exchange.publish()
            await exchange.kick()
            await exchange.wait()


@check("core-10.01", "core-14.01", ways=WAYS)
async def full_ring(subject: Subject) -> None:
    """Fills the largest ring with buffers, makes all of them available at once, and waits for them; twice.

    Wrong: a buffer that is not used.
    """
    exchange = await started(subject, size=_INDICES >> 1)
    length = len(exchange.new_work().pieces)
    for _ in range(2):
        await exchange.run(exchange.queue.size // length)


@check("core-10.01", "core-14.01", ways=RINGS, needs=[is_type(DeviceType.BLK), offers(BlkFeature.MQ)])
async def many_queues(subject: Subject) -> None:
    """Makes buffers available in all queues, then notifies the device of each, three times.

    Wrong: a buffer that is not used, or that is used in another queue.
    """
    first = await started(subject, BlkFeature.MQ, size=16)
    exchanges = [Exchange(subject, first.stimulus, queue) for queue in subject.queues.values()]
    if len(exchanges) < 2:
        raise NotApplicable("there is one queue")
    for _ in range(3):
        for exchange in exchanges:
            for _ in range(4):
                exchange.offer()
            exchange.publish()
        for exchange in reversed(exchanges):
            await exchange.kick()
        for exchange in exchanges:
            await exchange.wait(4)


# --- indices that wrap -------------------------------------------------------------------------------------


async def _batch(exchange: Exchange, made: list[Offer], count: int) -> None:
    """Make ``count`` of the buffers ``made`` available, and wait for them. Their descriptors stay."""
    subject, queue = exchange.subject, exchange.queue
    assert isinstance(queue, SplitQueue)
    heads = np.array([offer.key for offer in made[:count]])
    start, places = queue.last_used, np.arange(count)
    queue.avail_ring[(start + places) % queue.size] = heads
    end = (start + count) % _INDICES
    queue.used_event[0] = (end - 1) % _INDICES
    before = exchange.interrupts
    queue.avail[0]["idx"] = queue.avail_idx = end
    await exchange.kick()

    async def done() -> bool:
        return int(queue.used[0]["idx"]) == end

    await subject.until(done, "core-10.01", f"the used index does not reach {end}")
    found = queue.elements["id"][(start + places) % queue.size]
    if sorted(found) != sorted(heads):
        raise Nonconformance("core-10.01", f"other buffers are used than were offered, before index {end}")
    queue.last_used = end
    text = f"no notification comes at used index {end}"
    await subject.notified(exchange.index, before, "core-09.05", text)


@check("core-09.05", "core-09.06", "core-10.01", ways=(Way.SPLIT,))
async def indices_wrap(subject: Subject) -> None:
    """Lets more than 65,536 buffers be used, where that does not take too long; where the indices wrap,
    notifications are asked for one at a time, with EVENT_IDX if there is.

    Wrong: a buffer or a notification that is lost when an index wraps, or a notification too many.
    """
    events = (Feature.EVENT_IDX,) if subject.offers(Feature.EVENT_IDX) else ()
    exchange = await started(subject, *events, size=_INDICES >> 1)
    queue = exchange.queue
    assert isinstance(queue, SplitQueue)
    length = len(exchange.stimulus.light_work(0).pieces)
    works = [exchange.stimulus.light_work(number) for number in range(queue.size // length)]
    made = [queue.offer(work.pieces) for work in works]
    queue.described.clear()
    last = _INDICES - _BEFORE_WRAP - queue.last_used
    begin = time.perf_counter()
    for number in range(last // len(made)):
        await _batch(exchange, made, len(made))
        if number == _TRIAL:
            whole = (time.perf_counter() - begin) / (number + 1) * (last // len(made))
            if whole > subject.timing.long:
                raise NotApplicable(f"65,536 buffers would take {whole:.0f} seconds")
    if last % len(made):
        await _batch(exchange, made, last % len(made))
    queue.free_places = list(range(queue.size))
    await subject.settle()
    for number in range(2 * _BEFORE_WRAP):
        ask = number % 3 != 2
        if events:
            exchange.ask_after(1 if ask else 3)
        before = exchange.interrupts
        await exchange.run()
        text = f"no notification comes at used index {queue.last_used}"
        if ask or not events:
            await subject.notified(exchange.index, before, "core-09.05" if events else "core-09.03", text)
        else:
            await subject.settle()
            if exchange.interrupts != before:
                raise Nonconformance("core-09.06", f"a notification too many at index {queue.last_used}")
