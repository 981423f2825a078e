"""The device status and the reset. Ref: virtio 1.4, 2.1, 2.4, 3.1.1."""

from ringwalker.spec.modern import DeviceStatus

from ..check import RINGS, WAYS, Nonconformance, check
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
