"""Suspension. Ref: virtio 1.4, 3.4."""

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus

from ..changes import Changes
from ..check import RINGS, Nonconformance, check
from ..conditions import offers
from ..quiet import grace, image
from ..stimulus import Stimulus, stimulus
from ..subject import STARTED, Subject

__all__: list[str] = []

_NEEDS = (offers(Feature.SUSPEND),)
_BOTH = DeviceStatus.SUSPEND | DeviceStatus.DRIVER_OK


async def _start(subject: Subject, *features: int) -> Stimulus:
    await subject.start(Feature.SUSPEND, *features)
    return await stimulus(subject)


async def _change(subject: Subject, bit: DeviceStatus, clause: str) -> None:
    """Set SUSPEND or DRIVER_OK, and wait until the other one is taken back."""
    await subject.set_status(await subject.status() | bit)

    async def done() -> bool:
        status = await subject.status()
        if status & DeviceStatus.DEVICE_NEEDS_RESET:
            raise Nonconformance(clause, f"the device fails when {bit.name} is set: it needs a reset")
        return status & _BOTH == bit

    await subject.until(done, clause, f"the status does not become {bit.name}")


@check("more-01.01", ways=RINGS, needs=_NEEDS)
async def suspend_counts_once_the_device_works(subject: Subject) -> None:
    """Sets SUSPEND before features are negotiated, and before DRIVER_OK.

    Wrong: a device that is suspended, or does not work when it is started then.
    """
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    await subject.set_status(DeviceStatus.ACKNOWLEDGE | DeviceStatus.SUSPEND)
    early = await subject.status()
    await subject.reset()
    await subject.negotiate(Feature.SUSPEND)
    await subject.set_status(STARTED & ~DeviceStatus.DRIVER_OK | DeviceStatus.SUSPEND)
    for status in (early, await subject.status()):
        if status & DeviceStatus.SUSPEND:
            raise Nonconformance("more-01.01", f"the status is {status:#x} before the device is started")
    await (await _start(subject)).do(1, "more-01.01")


@check("more-01.03", "more-01.06", "more-01.07", "more-01.08", ways=RINGS, needs=_NEEDS)
async def a_suspended_device_is_quiet(subject: Subject) -> None:
    """Suspends the device with work in flight, and resumes it, several times.

    Wrong: a buffer that was taken and not used by then, rings that are accessed or notifications while it is
    suspended, or a device that does not go on.
    """
    source = await _start(subject)
    queue = subject.queues[source.queue]
    for most in (0, 1, 4):
        count = source.flood(queue, most)
        await subject.kick(queue)
        await _change(subject, DeviceStatus.SUSPEND, "more-01.06")
        await grace(subject)
        before, notified = image(subject, queue), sum(subject.arrived.values())
        await subject.settle()
        if image(subject, queue) != before:
            raise Nonconformance("more-01.03", "memory is written while the device is suspended")
        if sum(subject.arrived.values()) != notified:
            raise Nonconformance("more-01.03", "there is a notification while the device is suspended")
        await _change(subject, DeviceStatus.DRIVER_OK, "more-01.07")
        await subject.kick(queue)
        if count:
            await subject.used(queue, count, "more-01.07")
        await source.do(1, "more-01.07")


@check("more-01.04", "more-01.05", ways=RINGS, needs=_NEEDS)
async def changes_wait_for_the_end_of_suspension(subject: Subject) -> None:
    """Changes the configuration while the device is suspended, and resumes it.

    Wrong: a notification before it resumes, or none then.
    """
    changes = Changes(subject)
    source = await _start(subject, *changes.features)
    await changes.begin()
    try:
        await _change(subject, DeviceStatus.SUSPEND, "more-01.06")
        await grace(subject)
        before = subject.arrived[0]
        await changes.make(1)
        await subject.settle()
        if subject.arrived[0] != before:
            raise Nonconformance("more-01.04", "a change is notified of while the device is suspended")
        await _change(subject, DeviceStatus.DRIVER_OK, "more-01.07")

        async def notified() -> bool:
            return subject.arrived[0] > before

        await subject.until(notified, "more-01.05", "a change is not notified of when the device resumes")
        await source.do(1, "more-01.07")
    finally:
        await changes.undo()
        await subject.settle()
