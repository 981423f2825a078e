"""A virtual function that its owner stops and lets work again. Ref: virtio 1.4, 2.12.1.4."""

from collections.abc import Awaitable, Callable

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    PM_CAPABILITY,
    CapabilityId,
    Command,
    MsixControl,
    PmControlStatus,
    PowerState,
)

from ..admin.commands import Answer
from ..admin.members import Member, member_of
from ..check import Nonconformance, NotApplicable, check
from ..conditions import offers
from ..rings.queues import Queue
from ..stimulus import Stimulus, Work, stimulus
from ..subject import Subject

__all__: list[str] = []

_BUFFERS = 8
_PME_STATUS = 1 << 15
"""PME_Status of the power management control and status register."""

_STEADY = ("num_queues", "device_status", "config_generation", "config_msix_vector")
_STEADY_OF_QUEUES = ("size", "enable", "notify_off", "desc", "driver", "device")


async def _start(member: Member) -> tuple[Stimulus, Queue]:
    """Start the member, and let it do one piece of work."""
    device = member.subject
    await device.start(interrupt="msix" if member.pci.has_msix else "none")
    source = await stimulus(device)
    queue = device.queues[source.queue]
    (work,) = await _offer(device, source, queue, 1)
    (used,) = await device.used(queue, 1)
    work.check(used, "core-10.02")
    return source, queue


async def _offer(device: Subject, source: Stimulus, queue: Queue, count: int) -> list[Work]:
    """Make work available, and notify the device."""
    works = [source.work(number) for number in range(count)]
    for work in works:
        queue.offer(work.pieces)
    queue.publish()
    await device.kick(queue)
    return works


def _rings(queue: Queue) -> list[np.ndarray]:
    """A copy of all that is in the rings."""
    return [area.array.copy() for area in queue.areas]


def _differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return any((one != other).any() for one, other in zip(before, after, strict=True))


@check("core-18.21", "core-18.22", needs=[offers(Feature.ADMIN_VQ)])
async def mode_is_set_again(subject: Subject) -> None:
    """Resumes a member that works, stops it twice, and resumes it twice.

    Wrong: a command that fails as the member is already in that mode.
    """
    async with member_of(subject) as member:
        await _start(member)
        for stopped in (False, True, True, False, False):
            answer = await member.set_mode(stopped)
            clause = "core-18.21" if stopped else "core-18.22"
            answer.expect(clause, f"DEV_MODE_SET that {'stops' if stopped else 'resumes'} the device")


@check("core-18.08", "core-18.11", "core-18.12", "core-18.16", "core-18.17", needs=[offers(Feature.ADMIN_VQ)])
async def stopped_device_is_silent(subject: Subject) -> None:
    """Stops a member, gives it work and notifies it; then resumes it.

    Wrong: rings that are read or written, or an interrupt, while it is stopped; a notification that is lost.
    """
    async with member_of(subject) as member:
        source, queue = await _start(member)
        device = member.subject
        await device.settle()
        await member.stop()
        arrived = device.arrived.copy()
        works = [source.work(number) for number in range(_BUFFERS)]
        for work in works:
            queue.offer(work.pieces)
        queue.publish()
        offered = _rings(queue)
        watches = [device.memory.watch(area.address, area.length) for area in queue.areas]
        watches += [
            device.memory.watch(piece.address, piece.length) for work in works for piece in work.pieces
        ]
        try:
            await device.kick(queue)
            await device.settle()
        finally:
            for watch in watches:
                device.memory.unwatch(watch)
        if queue.waiting:
            raise Nonconformance("core-18.16", "a stopped device uses buffers")
        if any(watch.hits for watch in watches):
            raise Nonconformance("core-18.16", "a stopped device accesses rings or buffers")
        if _differ(offered, _rings(queue)):
            raise Nonconformance("core-18.08", "a stopped device writes to a ring")
        if device.arrived != arrived:
            raise Nonconformance("core-18.17", "a stopped device sends a notification")
        await member.resume()
        for work, used in zip(works, await device.used(queue, _BUFFERS, "core-18.11"), strict=True):
            work.check(used, "core-18.11")


@check("core-18.09", "core-18.10", needs=[offers(Feature.ADMIN_VQ)])
async def stopping_finishes_what_is_in_flight(subject: Subject) -> None:
    """Gives a member work just before it is stopped, or while that command is on its way; then resumes it.

    Wrong: rings that are written after the command is done, or a buffer that is never used.
    """
    async with member_of(subject) as member:
        source, queue = await _start(member)
        device = member.subject
        for delay in (None, 0, 30, 60, 90):

            async def work(delay: int = delay or 0) -> None:
                await device.port.sleep(delay)
                await _offer(device, source, queue, _BUFFERS)

            if delay is None:
                await work()
                await member.stop()
            else:
                await member.stop_meanwhile(work)
            before = _rings(queue)
            await device.settle()
            if _differ(before, _rings(queue)):
                raise Nonconformance("core-18.09", "a device writes to its rings once it has stopped")
            await member.resume()
            await device.used(queue, _BUFFERS, "core-18.10")


async def _registers(member: Member) -> dict[str, int]:
    """What registers say that nothing changes by itself."""
    device = member.subject
    found = {name: await device.common(name) for name in _STEADY}
    for index in device.queues:
        registers = device.registers(index)
        found |= {f"{name} of queue {index}": await registers.read(name) for name in _STEADY_OF_QUEUES}
    for name in ("command", "revision_id", "subclass", "class", "subsystem_id", "capabilities_pointer"):
        found[name] = await member.pci.read(HEADER[name])
    return found


@check("core-18.13", needs=[offers(Feature.ADMIN_VQ)])
async def stopped_device_is_read(subject: Subject) -> None:
    """Reads registers and configuration space of a member that works, and once it is stopped.

    Wrong: a value that is another one then.
    """
    async with member_of(subject) as member:
        await _start(member)
        working = await _registers(member)
        await member.stop()
        stopped = await _registers(member)
        for name, value in working.items():
            if stopped[name] != value:
                text = f"{name} reads {stopped[name]:#x} of a stopped device, and {value:#x} before"
                raise Nonconformance("core-18.13", text)


async def _write_pci(member: Member) -> list[tuple[str, int]]:
    """Change registers of PCI and change them back; what they read."""
    pci, found = member.pci, []
    for bit in (Command.INTX_DISABLE, Command.BUS_MASTER_ENABLE):
        before = await pci.read(HEADER.command)
        for value in (before ^ bit, before):
            await pci.write(HEADER.command, value)
            found.append((f"command with {bit.name}", await pci.read(HEADER.command)))
    for capability in pci.find_capabilities(CapabilityId.MSIX):
        before = await pci.read(MSIX_CAPABILITY.control, capability.offset)
        for value in (before ^ MsixControl.FUNCTION_MASK, before):
            await pci.write(MSIX_CAPABILITY.control, value, capability.offset)
            found.append(("MSI-X control", await pci.read(MSIX_CAPABILITY.control, capability.offset)))
    return found


@check("core-18.14", needs=[offers(Feature.ADMIN_VQ)])
async def stopped_device_is_configured(subject: Subject) -> None:
    """Changes bits of the command register and of MSI-X of a member that works, and once it is stopped.

    Wrong: registers that read otherwise after the same writes.
    """
    async with member_of(subject) as member:
        await _start(member)
        working = await _write_pci(member)
        await member.stop()
        for (name, value), (_name, stopped) in zip(working, await _write_pci(member), strict=True):
            if value != stopped:
                text = f"{name} reads {stopped:#x} of a stopped device, and {value:#x} before"
                raise Nonconformance("core-18.14", text)


@check("core-18.15", needs=[offers(Feature.ADMIN_VQ)])
async def stopped_device_asks_for_no_power(subject: Subject) -> None:
    """Stops a member, gives it work, and looks at the status of its power management event.

    Wrong: an event.
    """
    async with member_of(subject) as member:
        source, queue = await _start(member)
        at = _power_management(member)
        await member.pci.write(PM_CAPABILITY.control_status, _PME_STATUS, at)
        await member.stop()
        await _offer(member.subject, source, queue, 1)
        await member.subject.settle()
        if await member.pci.read(PM_CAPABILITY.control_status, at) & _PME_STATUS:
            raise Nonconformance("core-18.15", "a stopped device has a power management event")


def _power_management(member: Member) -> int:
    """The place of the capability. Errors: :class:`NotApplicable`."""
    found = member.pci.find_capabilities(CapabilityId.POWER_MANAGEMENT)
    if not found:
        raise NotApplicable("the virtual function has no power management")
    return found[0].offset


async def _check_answers(
    member: Member,
    begin: Callable[[], Awaitable[None]],
    clause: str,
    what: str,
    statuses: Callable[[int], bool],
) -> None:
    """Send both commands while what ``begin`` has begun is in progress; the status is right once they are
    answered. Errors: :class:`Nonconformance` of ``clause``."""

    async def set_mode() -> Answer:
        return await member.set_mode(True)

    async def set_parts() -> Answer:
        return await member.set_parts([])

    for name, command in (("DEV_MODE_SET", set_mode), ("DEV_PARTS_SET", set_parts)):
        await begin()
        await command()
        status = await member.subject.status()
        if not statuses(status):
            text = f"{name} is answered during {what}: the status reads {status:#x}"
            raise Nonconformance(clause, text)
        await member.subject.settle()
        await member.pci.set_command(Command.BUS_MASTER_ENABLE)
        await member.resume()
        await _start(member)


@check("core-18.18", needs=[offers(Feature.ADMIN_VQ)])
async def commands_wait_for_a_function_level_reset(subject: Subject) -> None:
    """Begins a function-level reset of a member at work, and sets its mode and its parts at once.

    Wrong: no answer, or one before the reset is done.
    """
    async with member_of(subject) as member:
        await _start(member)

        async def begin() -> None:
            if not await member.reset_function():
                raise NotApplicable("the virtual function has no function-level reset")

        what = "a function-level reset"
        await _check_answers(member, begin, "core-18.18", what, lambda status: status == 0)


@check("core-18.19", needs=[offers(Feature.ADMIN_VQ)])
async def commands_wait_for_a_device_reset(subject: Subject) -> None:
    """Writes 0 to the status of a member at work, and sets its mode and its parts at once.

    Wrong: no answer, or one before the reset is done.
    """
    async with member_of(subject) as member:
        await _start(member)

        async def begin() -> None:
            await member.subject.set_status(0)

        what = "a device reset"
        await _check_answers(member, begin, "core-18.19", what, lambda status: status == 0)


@check("core-18.20", needs=[offers(Feature.ADMIN_VQ)])
async def commands_wait_for_a_power_state(subject: Subject) -> None:
    """Puts a member from D3hot to D0, and sets its mode and its parts at once.

    Wrong: no answer, or one before the member can be accessed again.
    """
    async with member_of(subject) as member:
        await _start(member)
        at = _power_management(member)
        row = COMMON.device_status
        ones = (1 << row.width) - 1

        async def begin() -> None:
            register = PM_CAPABILITY.control_status
            control = await member.pci.read(register, at) & ~int(PmControlStatus.POWER_STATE)
            await member.pci.write(register, control | PowerState.D3HOT, at)
            await member.subject.settle()
            await member.pci.write(register, control | PowerState.D0, at)

        what = "a change of the power state"
        await _check_answers(member, begin, "core-18.20", what, lambda status: status != ones)
