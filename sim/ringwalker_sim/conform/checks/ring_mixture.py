"""Random mixtures of all that a driver may do with a ring; a failure is shrunk."""

from random import Random
from typing import Any

from ringwalker.spec.features import Feature

from ..check import RINGS, WAYS, Way, check
from ..conditions import offers
from ..rings.exchange import started
from ..subject import Subject

__all__: list[str] = []

_STEPS = 150
_KINDS = ("offer", "offer", "offer", "publish", "publish", "wait", "kick", "suppress", "event")
_LENGTHS = (1, 3, 8, 16, 64, 512)


def _steps(random: Random) -> list[Any]:
    """Steps of a driver; any part of them is a valid test."""
    steps: list[Any] = []
    for _ in range(_STEPS):
        kind = random.choice(_KINDS)
        if kind == "offer":
            cut = [random.choice(_LENGTHS) for _ in range(random.randint(0, 3))]
            steps.append([kind, cut, random.random() < 0.3])
        else:
            steps.append([kind, random.randint(0 if kind == "event" else 1, 4)])
    return steps


async def _mixture(subject: Subject, steps: list[Any], *features: Feature, clause: str | None = None) -> None:
    indirect = (Feature.INDIRECT_DESC,) if subject.offers(Feature.INDIRECT_DESC) else ()
    exchange = await started(subject, *features, *indirect, size=16)
    queue = exchange.queue

    async def finish() -> None:
        exchange.publish()
        await exchange.kick()
        await exchange.wait(clause=clause)

    for kind, amount, *table in steps:
        if kind == "offer":
            work = exchange.new_work(amount if subject.any_layout else ())
            whole = table[0] and bool(indirect)
            indirectly = 0 if whole else None
            if exchange.needs(work, indirectly) > queue.vacant:
                await finish()
            exchange.describe(work, indirectly)
        elif kind == "publish":
            exchange.publish(amount)
            await exchange.kick()
        elif kind == "wait":
            await exchange.wait(min(amount, len(queue.in_flight)), clause)
        elif kind == "kick":
            await exchange.kick()
        elif kind == "suppress":
            exchange.suppress(amount > 2)
        elif Feature.EVENT_IDX in features:
            exchange.ask_after(amount)
    await finish()
    exchange.suppress(False)
    if Feature.EVENT_IDX in features:
        exchange.ask_after(1)
    await subject.settle()
    before = exchange.interrupts
    await exchange.run(clause=clause)
    text = "no notification comes after a buffer, though one is wanted"
    await subject.notified(exchange.index, before, "core-09.03", text)


@check("core-10.01", "core-14.01", "core-09.03", ways=WAYS, steps=_steps)
async def mixture(subject: Subject, steps: list[Any]) -> None:
    """Does all that a driver may do with a ring, in a random order: buffers cut at random places, direct and
    indirect, in batches, with and without notifications.

    Wrong: a buffer that is not used or used with a wrong result, or a notification that is lost.
    """
    await _mixture(subject, steps)


@check("core-10.01", "core-14.01", "core-09.05", ways=WAYS, needs=[offers(Feature.EVENT_IDX)], steps=_steps)
async def mixture_with_event_index(subject: Subject, steps: list[Any]) -> None:
    """As mixture, with EVENT_IDX and an event index that changes at random.

    Wrong: a buffer that is not used or used with a wrong result, or a notification that is lost.
    """
    await _mixture(subject, steps, Feature.EVENT_IDX)


@check("core-15.05", ways=RINGS, needs=[offers(Feature.IN_ORDER)], steps=_steps)
async def mixture_in_order(subject: Subject, steps: list[Any]) -> None:
    """As mixture, with IN_ORDER.

    Wrong: a buffer that is not used in its turn, or used with a wrong result.
    """
    await _mixture(subject, steps, Feature.IN_ORDER, clause="core-15.05")


@check("core-15.05", ways=RINGS, needs=[offers(Feature.IN_ORDER, Feature.EVENT_IDX)], steps=_steps)
async def mixture_in_order_with_event_index(subject: Subject, steps: list[Any]) -> None:
    """As mixture, with IN_ORDER and EVENT_IDX.

    Wrong: a buffer that is not used in its turn, or used with a wrong result, or a notification that is lost.
    """
    await _mixture(subject, steps, Feature.IN_ORDER, Feature.EVENT_IDX, clause="core-15.05")


@check(
    "core-11.05",
    "core-14.01",
    ways=(Way.SPLIT, Way.PACKED),
    needs=[offers(Feature.NOTIFICATION_DATA)],
    steps=_steps,
)
async def mixture_with_notification_data(subject: Subject, steps: list[Any]) -> None:
    """As mixture, with NOTIFICATION_DATA.

    Wrong: a buffer that is not used or used with a wrong result, or a notification that is lost.
    """
    await _mixture(subject, steps, Feature.NOTIFICATION_DATA)
