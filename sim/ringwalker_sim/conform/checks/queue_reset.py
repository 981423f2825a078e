"""The reset of one queue. Ref: virtio 1.4, 2.6.1, 4.1.4.3."""

from random import Random
from typing import Any

from ringwalker.spec.features import Feature

from ..check import RINGS, Nonconformance, check
from ..conditions import offers
from ..quiet import grace, image
from ..rings.queues import Queue
from ..stimulus import Stimulus, stimulus
from ..subject import Subject

__all__: list[str] = []

_NEEDS = (offers(Feature.RING_RESET),)


async def _reset_queue(subject: Subject, index: int) -> None:
    """Reset a queue and wait for the end."""
    registers = subject.registers(index)
    await registers.write("reset", 1)

    async def ended() -> bool:
        value = await registers.read("reset")
        if value not in (0, 1):
            raise Nonconformance("pci-05.12", f"queue_reset is {value:#x} while the queue is reset")
        return value == 0

    await subject.until(ended, "pci-05.13", f"the reset of queue {index} does not end")
    if enabled := await registers.read("enable"):
        raise Nonconformance("pci-05.13", f"queue_enable is {enabled} after the reset of queue {index}")


async def _again(subject: Subject, index: int, size: int | None = None) -> Queue:
    """Set a queue that was reset up with new rings, and enable it."""
    subject.queues.pop(index).free()
    return await subject.set_queue(index, size)


async def _start(subject: Subject) -> Stimulus:
    await subject.start(Feature.RING_RESET)
    return await stimulus(subject)


@check("pci-05.09", "pci-05.10", "pci-05.11", "pci-05.12", "pci-05.13", ways=RINGS, needs=_NEEDS)
async def queue_reset_reads_what_happens(subject: Subject) -> None:
    """Reads queue_reset after a reset of the device, with the queue enabled, while it is reset, and when it
    is enabled again.

    Wrong: 1 before and after, another value than 1 while the reset is ongoing, or a queue that is still
    enabled.
    """
    await subject.negotiate(Feature.RING_RESET)
    count = await subject.transport.num_queues()
    for index in range(min(count, 4)):
        if value := await subject.registers(index).read("reset"):
            raise Nonconformance("pci-05.09", f"queue_reset is {value} after a reset of the device")
    source = await _start(subject)
    for _ in range(2):
        if value := await subject.registers(source.queue).read("reset"):
            raise Nonconformance("pci-05.10", f"queue_reset is {value} though the queue is enabled")
        await _reset_queue(subject, source.queue)
        await _again(subject, source.queue)
    if value := await subject.registers(source.queue).read("reset"):
        raise Nonconformance("pci-05.10", f"queue_reset is {value} after the queue was enabled again")
    await source.do(1, "core-05.02")


@check("core-05.01", "pci-05.11", ways=RINGS, needs=_NEEDS)
async def a_queue_that_was_reset_is_quiet(subject: Subject) -> None:
    """Makes work available and notifies the device, resets the queue at once, makes more available and
    notifies again.

    Wrong: rings or buffers that are written, or a notification, after the reset of the queue.
    """
    source = await _start(subject)
    queue = subject.queues[source.queue]
    source.flood(queue, 4)
    await subject.kick(queue)
    await _reset_queue(subject, queue.index)
    await grace(subject)
    before, notified = image(subject, queue), subject.interrupts(queue.index)
    for _ in range(2):
        await subject.settle()
        if image(subject, queue) != before:
            raise Nonconformance("core-05.01", "memory is written after the reset of its queue")
        if subject.interrupts(queue.index) != notified:
            raise Nonconformance("core-05.01", "there is a notification of a queue that was reset")
        queue.take()
        source.flood(queue, 2)
        before = image(subject, queue)
        await subject.kick(queue)
    await _again(subject, queue.index)
    await source.do(2, "core-05.02")


@check("core-05.02", "more-02.01", ways=RINGS, needs=_NEEDS)
async def a_queue_begins_anew_after_its_reset(subject: Subject) -> None:
    """Does work, resets the queue, and enables it with new rings of another size and with another vector.

    Wrong: a queue that goes on where it was, in its old rings, or by its old vector.
    """
    source = await _start(subject)
    largest = await subject.registers(source.queue).read("size")
    for size in (None, max(2, min(largest, 64) // 2), None):
        await source.do(3, "core-05.02")
        await _reset_queue(subject, source.queue)
        await _again(subject, source.queue, size)
    before = subject.interrupts(source.queue)
    await source.do(2, "core-05.02")
    await subject.notified(source.queue, before, "more-02.01", "there is no notification by the vector")


@check("core-05.01", ways=RINGS, needs=_NEEDS)
async def other_queues_go_on(subject: Subject) -> None:
    """Resets all queues but the one that does work, in the midst of it.

    Wrong: work that is not done.
    """
    source = await _start(subject)
    others = [index for index in subject.queues if index != source.queue][:8]
    for index in others:
        queue = subject.queues[source.queue]
        count = source.flood(queue, 2)
        await subject.kick(queue)
        await _reset_queue(subject, index)
        await subject.used(queue, count, "core-05.01")
    await source.do(1, "core-05.01")


def _life(random: Random) -> list[list[Any]]:
    kinds = ("work", "work", "flood", "reset")
    return [[random.choice(kinds), random.randrange(1, 5), random.randrange(400)] for _ in range(16)]


@check("core-05.01", "core-05.02", ways=RINGS, needs=_NEEDS, steps=_life)
async def resets_of_a_queue_at_any_time(subject: Subject, steps: list[list[Any]]) -> None:
    """Does work, makes work available, and resets the queue after a random time, in a random order.

    Wrong: a queue that does not work after its reset, or writes where it was before.
    """
    source = await _start(subject)
    index = source.queue
    for kind, count, delay in steps:
        queue = subject.queues[index]
        if kind == "work":
            await source.do(count, "core-05.02")
            continue
        if kind == "flood":
            source.flood(queue, count)
            await subject.kick(queue)
            await subject.port.sleep(delay)
        await _reset_queue(subject, index)
        subject.check_guards("core-05.01")
        await _again(subject, index, 2 << count)
    await source.do(1, "core-05.02")
