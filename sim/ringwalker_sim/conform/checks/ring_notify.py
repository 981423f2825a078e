"""Available buffer notifications: how they are suppressed, what they carry. Ref: virtio 1.4, 2.7.10, 2.9."""

from ringwalker.spec.features import Feature
from ringwalker.spec.packed import EventFlags

from ..check import RINGS, WAYS, Nonconformance, Way, check
from ..conditions import offers
from ..rings.exchange import Exchange, started
from ..rings.packed_queue import PackedQueue
from ..rings.split_queue import SplitQueue
from ..subject import Subject

__all__: list[str] = []

_WITH_EVENT_IDX = (offers(Feature.EVENT_IDX),)


def _check_flags(exchange: Exchange, event_idx: bool) -> None:
    """What the device says of notifications has a form that there is."""
    queue = exchange.queue
    clause = "core-11.03" if event_idx else "core-11.01"
    if isinstance(queue, SplitQueue):
        flags, allowed = int(queue.used[0]["flags"]), (0,) if event_idx else (0, 1)
    else:
        assert isinstance(queue, PackedQueue)
        flags = int(queue.device_event[0]["flags"])
        allowed = tuple(EventFlags) if event_idx else (EventFlags.ENABLE, EventFlags.DISABLE)
    if flags not in allowed:
        raise Nonconformance(clause, f"the device's flags for notifications are {flags:#x}")


async def _only_when_wanted(exchange: Exchange, event_idx: bool) -> None:
    """Three laps of a small ring, where the device is notified only when it wants that."""
    _check_flags(exchange, event_idx)
    count = max(1, min(4, exchange.queue.size // 4))
    for number in range(12):
        for _ in range(1 + number % count):
            exchange.offer()
        exchange.publish()
        if exchange.queue.wants_kick:
            await exchange.kick()
        _check_flags(exchange, event_idx)
        await exchange.wait()
        _check_flags(exchange, event_idx)


@check("core-11.01", "core-11.02", ways=WAYS)
async def notified_when_wanted(subject: Subject) -> None:
    """Notifies the device only when its flags want that, and looks at them all the time.

    Wrong: flags that there are not, or a buffer that is not used though the device wanted no notification.
    """
    await _only_when_wanted(await started(subject, size=16), False)


@check("core-11.03", "core-11.04", ways=WAYS, needs=_WITH_EVENT_IDX)
async def notified_at_event_index(subject: Subject) -> None:
    """With EVENT_IDX, notifies the device only when it has asked for that, and looks at its flags.

    Wrong: flags that there are not, or a buffer that is not used though the device wanted no notification.
    """
    await _only_when_wanted(await started(subject, Feature.EVENT_IDX, size=16), True)


@check("core-11.05", ways=WAYS)
async def spurious_notifications(subject: Subject) -> None:
    """Notifies the device of a queue without buffers, several times of the same ones, and while it works.

    Wrong: a device that hangs, fails, or uses something that is not there.
    """
    exchange = await started(subject)
    for _ in range(3):
        await exchange.kick()
    for _ in range(3):
        exchange.offer()
        exchange.publish()
        for _ in range(3):
            await exchange.kick()
        await exchange.wait(1, "core-11.05")
        for _ in range(2):
            await exchange.kick()
    await subject.settle()
    if exchange.queue.waiting:
        raise Nonconformance("core-11.05", "something is used after a notification without a buffer")
    await exchange.run(1, "core-11.05")


@check("core-11.05", ways=WAYS)
async def notified_before_all_is_available(subject: Subject) -> None:
    """Describes several buffers, makes them available one by one, and notifies after each.

    Wrong: a buffer that is used before it was available, or not at all.
    """
    exchange = await started(subject)
    for _ in range(max(1, min(4, exchange.queue.size // 4))):
        exchange.offer()
    for _ in range(len(exchange.works)):
        await exchange.kick()
        await subject.settle()
        if exchange.queue.waiting:
            raise Nonconformance("core-11.05", "a buffer is used before it was available")
        exchange.publish(1)
        await exchange.kick()
        await exchange.wait(1)


@check("core-11.05", "core-14.01", ways=RINGS, needs=[offers(Feature.NOTIFICATION_DATA)])
async def notifications_with_data(subject: Subject) -> None:
    """With NOTIFICATION_DATA, says in each notification how far the ring is filled, over several laps.

    Wrong: a buffer that is not used.
    """
    exchange = await started(subject, Feature.NOTIFICATION_DATA, size=8)
    for number in range(12):
        await exchange.run(1 + number % 2)


@check("core-11.05", ways=RINGS, needs=[offers(Feature.NOTIFICATION_DATA)])
async def notifications_with_old_data(subject: Subject) -> None:
    """With NOTIFICATION_DATA, makes more buffers available after a notification was made up, as on two
    processors.

    Wrong: a buffer that is not used, or one that is used before it was available.
    """
    exchange = await started(subject, Feature.NOTIFICATION_DATA, size=16)
    for _ in range(6):
        exchange.offer()
        exchange.publish()
        shown = exchange.queue.shown
        exchange.offer()
        exchange.publish()
        await exchange.kick()
        await subject.registers(exchange.index).ring(exchange.index, shown)
        await exchange.wait()


@check("core-11.05", "core-14.01", ways=RINGS, needs=[offers(Feature.NOTIF_CONFIG_DATA)])
async def queue_named_by_device(subject: Subject) -> None:
    """With NOTIF_CONFIG_DATA, names the queue in notifications as the device says; with NOTIFICATION_DATA too
    where that is offered.

    Wrong: a buffer that is not used.
    """
    features = [Feature.NOTIF_CONFIG_DATA]
    for more in ([], [Feature.NOTIFICATION_DATA] if subject.offers(Feature.NOTIFICATION_DATA) else []):
        exchange = await started(subject, *features, *more)
        for _ in range(3):
            await exchange.run(2)


@check("core-11.05", ways=(Way.SPLIT,))
async def queues_without_buffers(subject: Subject) -> None:
    """Notifies the device of all its other queues while one works.

    Wrong: a buffer that is not used, or something that is said to be used in an empty queue.
    """
    exchange = await started(subject)
    others = [queue for queue in subject.queues.values() if queue is not exchange.queue]
    for _ in range(2):
        exchange.offer()
        exchange.publish()
        for queue in others:
            await subject.kick(queue)
        await exchange.kick()
        await exchange.wait(1, "core-11.05")
    for queue in others:
        if queue.waiting:
            raise Nonconformance("core-11.05", f"something is used in queue {queue.index}, which is empty")
