"""Used buffer notifications, and how the driver suppresses them. Ref: virtio 1.4, 2.7.7, 2.7.10, 2.8.10."""

from ringwalker.spec.features import Feature

from ..check import WAYS, Nonconformance, Way, check
from ..conditions import offers
from ..rings.exchange import Exchange, started
from ..subject import Subject

__all__: list[str] = []

_SPLIT = (Way.SPLIT, Way.LEGACY)
_WITH_EVENT_IDX = (offers(Feature.EVENT_IDX),)
_EVENTS_BEFORE = (1, 2, 5)
"""After how many buffers a notification is asked for."""


async def _one_by_one(exchange: Exchange, count: int, clause: str, text: str) -> None:
    """``count`` works, one at a time; after each there is a notification."""
    for number in range(count):
        before = exchange.interrupts
        await exchange.run()
        await exchange.subject.notified(exchange.index, before, clause, text.format(number=number))


async def _silent(exchange: Exchange, count: int, clause: str, text: str) -> None:
    """``count`` works, one at a time; there is no notification of them."""
    before = exchange.interrupts
    for _ in range(count):
        await exchange.run()
    await exchange.subject.settle()
    if exchange.interrupts != before:
        raise Nonconformance(clause, text.format(count=exchange.interrupts - before))


@check("core-09.03", ways=WAYS)
async def interrupt_after_use(subject: Subject) -> None:
    """Lets buffers be used one at a time, and several at once, with notifications wanted by the flags.

    Wrong: a used buffer after which no notification comes.
    """
    exchange = await started(subject)
    await _one_by_one(exchange, 4, "core-09.03", "no notification comes after use of buffer {number}")
    before = exchange.interrupts
    await exchange.run(min(4, exchange.queue.size // 4 or 1))
    await subject.notified(
        exchange.index, before, "core-09.03", "no notification comes after several buffers"
    )


@check("core-09.02", "core-09.03", ways=WAYS)
async def interrupts_suppressed_by_flags(subject: Subject) -> None:
    """Suppresses notifications by the flags, lets buffers be used, and then wants notifications again.

    Wrong: a notification though the flags say that none is wanted, or none once they are wanted again.
    """
    exchange = await started(subject)
    exchange.suppress(True)
    text = "{count} notifications come though the flags suppress them"
    await _silent(exchange, 4, "core-09.02", text)
    exchange.suppress(False)
    await _one_by_one(exchange, 2, "core-09.03", "no notification comes though the flags want it again")


@check("core-09.01", ways=WAYS)
async def event_index_without_feature(subject: Subject) -> None:
    """Without EVENT_IDX, writes various values where the event index would be, and wants notifications by the
    flags.

    Wrong: no notification after a buffer, since the device looks at the event index.
    """
    exchange = await started(subject)
    for event in (0, 1, exchange.queue.size - 1, 0x7FFF, 0x8000, 0xFFFF):
        exchange.set_event(event)
        text = f"no notification comes with event index {event:#x}, though the feature was not negotiated"
        await _one_by_one(exchange, 1, "core-09.01", text)


@check("core-09.04", ways=_SPLIT, needs=_WITH_EVENT_IDX)
async def flags_with_event_index(subject: Subject) -> None:
    """With EVENT_IDX, sets the lower bit of the flags and asks for notifications by the event index.

    Wrong: no notification, since the device looks at the flags.
    """
    exchange = await started(subject, Feature.EVENT_IDX)
    exchange.suppress(True)
    for _ in range(3):
        exchange.ask_after(1)
        text = "no notification comes at the event index when the lower bit of the flags is set"
        await _one_by_one(exchange, 1, "core-09.04", text)


def _span(exchange: Exchange) -> int:
    """Descriptors of the ring of a work in one piece of each kind."""
    return len(exchange.new_work().pieces)


@check("core-09.05", "core-09.06", ways=WAYS, needs=_WITH_EVENT_IDX)
async def interrupt_at_event_index(subject: Subject) -> None:
    """With EVENT_IDX, asks for a notification after the next buffer, or a later one; one buffer at a time.

    Wrong: a notification before the buffer that was asked for or after later ones, or none at it.
    """
    exchange = await started(subject, Feature.EVENT_IDX, size=16)
    span = _span(exchange)
    for count in _EVENTS_BEFORE:
        exchange.ask_after(count, span)
        text = f"{{count}} notifications come before buffer {count}, for which one was asked"
        if count > 1:
            await _silent(exchange, count - 1, "core-09.06", text)
        text = f"no notification comes at buffer {count}, for which one was asked"
        await _one_by_one(exchange, 1, "core-09.05", text)
        await _silent(exchange, 1, "core-09.06", "{count} notifications come behind the event index")


@check("core-09.05", "core-09.06", ways=WAYS, needs=_WITH_EVENT_IDX)
async def interrupt_at_event_index_of_batches(subject: Subject) -> None:
    """With EVENT_IDX, makes several buffers available at once, and asks for a notification after each place.

    Wrong: no notification though the event index was passed, or one though it was not reached.
    """
    exchange = await started(subject, Feature.EVENT_IDX, size=16)
    span = _span(exchange)
    most = max(1, min(4, exchange.queue.size // span))
    for count in range(1, most + 1):
        before = exchange.interrupts
        exchange.ask_after(count, span)
        await exchange.run(most)
        text = f"no notification comes after {most} buffers at once, though one was asked for at {count}"
        await subject.notified(exchange.index, before, "core-09.05", text)
    await subject.settle()
    exchange.ask_after(0 if subject.way is Way.PACKED else most + 1)
    before = exchange.interrupts
    await exchange.run(most)
    await subject.settle()
    if exchange.interrupts != before:
        raise Nonconformance("core-09.06", "a notification comes though the event index was not reached")


@check("core-09.05", ways=WAYS, needs=_WITH_EVENT_IDX)
async def event_index_goes_round_the_ring(subject: Subject) -> None:
    """With EVENT_IDX and a small ring, asks for a notification after each of so many buffers that the ring is
    gone round several times.

    Wrong: a notification that is lost where the ring begins again.
    """
    exchange = await started(subject, Feature.EVENT_IDX, size=8)
    for _ in range(3 * 8 // _span(exchange) + 1):
        exchange.ask_after(1)
        text = "no notification comes at buffer {number} since the ring began again"
        await _one_by_one(exchange, 1, "core-09.05", text)
