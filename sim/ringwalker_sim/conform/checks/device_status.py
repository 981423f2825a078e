"""The device status and the reset. Ref: virtio 1.4, 2.1, 2.4, 3.1.1."""

from random import Random
from typing import Any

from ringwalker.spec.modern import DeviceStatus

from ..check import RINGS, WAYS, Nonconformance, check
from ..quiet import grace, image
from ..stimulus import stimulus
from ..subject import Subject

__all__: list[str] = []


@check("core-03.01", "pci-05.07", ways=WAYS)
async def reset_clears_status(subject: Subject) -> None:
    """Resets the device after each step of its initialization, and at work; the status is 0 after each.

    Wrong: a reset that does not end, or leaves bits of the status.
    """
    steps = [DeviceStatus.ACKNOWLEDGE, DeviceStatus.DRIVER]
    reached = 0
    for step in steps:
        reached |= step
        await subject.set_status(reached)
        if await subject.status() != reached:
            raise Nonconformance("core-03.01", f"status {reached:#x} does not read as it was written")
        await subject.reset()
    await subject.negotiate()
    await subject.reset()
    await subject.start()
    await subject.reset()


def _walk(random: Random) -> list[str]:
    return random.choices(("next", "again", "fail", "reset"), (10, 4, 1, 2), k=40)


@check("core-03.01", "core-02.05", ways=WAYS, steps=_walk)
async def status_shows_the_steps(subject: Subject, steps: list[str]) -> None:
    """Goes from step to step of the initialization, writes the same status again, gives up, and resets, in a
    random order.

    Wrong: a status that is something else than what was set.
    """
    stages = [DeviceStatus.ACKNOWLEDGE, DeviceStatus.DRIVER, DeviceStatus.FEATURES_OK, DeviceStatus.DRIVER_OK]
    if subject.legacy:
        stages.remove(DeviceStatus.FEATURES_OK)
    reached, status = 0, 0
    for step in steps:
        if step == "reset":
            await subject.reset()
            reached = status = 0
            continue
        if step == "fail":
            status |= DeviceStatus.FAILED
        elif step == "next" and reached < len(stages) and not status & DeviceStatus.FAILED:
            stage = stages[reached]
            if stage is stages[2]:
                await subject.transport.accept_features(subject.wanted())
            status |= stage
            reached += 1
        if not status:
            continue
        await subject.set_status(status)
        if (found := await subject.status()) != status:
            clause = "core-02.05" if found == status & ~DeviceStatus.FEATURES_OK else "core-03.01"
            raise Nonconformance(clause, f"the status is {found:#x} after {status:#x} was written")


@check("core-01.01", ways=RINGS)
async def nothing_is_used_before_driver_ok(subject: Subject) -> None:
    """Makes a buffer available and notifies the device before DRIVER_OK; then sets it and notifies again.

    Wrong: a buffer that is used, or an interrupt, before DRIVER_OK.
    """
    await subject.start()
    work = (await stimulus(subject)).work(0)
    index = (await stimulus(subject)).queue
    await subject.reset()
    await subject.negotiate()
    await subject.enable_interrupts("msix")
    queue = await subject.set_queue(index)
    queue.offer(work.pieces)
    queue.publish()
    before = subject.interrupts(index)
    await subject.kick(queue)
    await subject.settle()
    if queue.waiting or subject.interrupts(index) != before:
        raise Nonconformance("core-01.01", "the device uses a buffer before DRIVER_OK")
    await subject.driver_ok()
    await subject.kick(queue)
    (used,) = await subject.used(queue, 1)
    work.check(used, "core-10.02")


@check("core-02.05", ways=RINGS)
async def features_are_accepted_again_after_work(subject: Subject) -> None:
    """Starts the device and lets it work, again and again with the same features.

    Wrong: features that are refused the second time.
    """
    for number in range(3):
        try:
            await subject.start()
        except Nonconformance as error:
            clause = "core-02.05" if number and error.clause == "core-02.02" else error.clause
            raise Nonconformance(clause, str(error)) from None
        await (await stimulus(subject)).do(1, "core-02.05")


def _moments(random: Random) -> list[list[int]]:
    return [[random.randrange(1, 9), random.choice((0, 0, random.randrange(600)))] for _ in range(10)]


@check("core-03.02", ways=WAYS, steps=_moments)
async def a_device_that_was_reset_is_quiet(subject: Subject, steps: list[list[Any]]) -> None:
    """Makes some work available, notifies the device, and resets it after a random time with the work in
    flight.

    Wrong: rings or buffers that are written, or a notification, after the status has become 0.
    """
    for count, delay in steps:
        await subject.start()
        source = await stimulus(subject)
        queue = subject.queues.pop(source.queue)
        source.flood(queue, count)
        await subject.kick(queue)
        await subject.port.sleep(delay)
        try:
            await subject.reset()
            await grace(subject)
            before, notified = image(subject, queue), sum(subject.arrived.values())
            await subject.settle()
            if image(subject, queue) != before:
                raise Nonconformance("core-03.02", "memory is written after the status has become 0")
            if sum(subject.arrived.values()) != notified:
                raise Nonconformance("core-03.02", "there is a notification after the status has become 0")
        finally:
            queue.free()
    await subject.start()
    await (await stimulus(subject)).do(1, "core-03.01")
