"""Device parts: the state of a virtual function, which its owner gets and sets. Ref: virtio 1.4, 2.12.1.4."""

from collections.abc import Sequence

from ringwalker.spec.admin import AdminGroup
from ringwalker.spec.device_parts import (
    PARTS_IN_ORDER,
    DevPart,
    DevPartFlag,
    DevPartHeader,
    DevPartsMetadata,
    VqConfigPart,
)
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR, DeviceStatus

from ...memory import dtype_of
from ..admin.members import PARTS_COMMANDS, Member, Part, member_of
from ..admin.object_kinds import changed
from ..check import Nonconformance, NotApplicable, check
from ..conditions import offers
from ..subject import Subject

__all__: list[str] = []

_UNKNOWN = 0x5FF
"""A part of a type that no device has yet."""


def _of(parts: Sequence[Part], kind: DevPart) -> list[Part]:
    return [part for part in parts if part.type == kind]


def _one(parts: Sequence[Part], kind: DevPart) -> Part:
    """The first part of a type. Errors: :class:`NotApplicable`."""
    found = _of(parts, kind)
    if not found:
        raise NotApplicable(f"the device has no part {kind.name}")
    return found[0]


async def _start(member: Member) -> None:
    """Start the member with all of its queues, so that its parts have something to say."""
    await member.subject.start(interrupt="msix" if member.pci.has_msix else "none")


@check("core-18.01", needs=[offers(Feature.ADMIN_VQ)])
async def parts_commands_come_together(subject: Subject) -> None:
    """Looks which commands the group of virtual functions has.

    Wrong: only some of those about parts, their objects and the mode.
    """
    async with member_of(subject, objects=False) as member:
        supported = member.admin.supported[AdminGroup.SR_IOV]
        found = [opcode for opcode in PARTS_COMMANDS if opcode in supported]
        if not found:
            raise NotApplicable("there are no commands about device parts")
        missing = [opcode.name for opcode in PARTS_COMMANDS if opcode not in found]
        if missing:
            raise Nonconformance("core-18.01", f"there is {found[0].name}, and no {', '.join(missing)}")


@check("core-18.02", needs=[offers(Feature.ADMIN_VQ)])
async def parts_are_got_again(subject: Subject) -> None:
    """Gets all parts three times from a stopped member, and their number, headers and size.

    Wrong: a second answer that differs, or metadata that do not fit the parts.
    """
    async with member_of(subject) as member:
        await _start(member)
        await member.stop()
        first = await member.parts("core-18.02")
        for _ in range(2):
            again = await member.parts("core-18.02")
            if again != first:
                differing = [a.name for a, b in zip(first, again, strict=False) if a != b]
                raise Nonconformance("core-18.02", f"parts differ when they are got again: {differing}")
        headers = await member.headers("core-18.02")
        if [part.header for part in headers] != [part.header for part in first]:
            raise Nonconformance("core-18.02", "the list of metadata differs from the parts")
        count = await member.metadata(DevPartsMetadata.COUNT, "core-18.02")
        size = await member.metadata(DevPartsMetadata.SIZE, "core-18.02")
        counted, most = (int.from_bytes(answer.result[:4], "little") for answer in (count, size))
        needed = sum(dtype_of(DevPartHeader).itemsize + len(part.value) for part in first)
        if counted != len(first) or most < needed:
            text = f"{counted} parts of {most} bytes are announced; there are {len(first)} of {needed}"
            raise Nonconformance("core-18.02", text)


def _check_order(parts: Sequence[Part]) -> None:
    """Errors: :class:`Nonconformance` for parts in another order than the table's."""
    places = [PARTS_IN_ORDER.index(DevPart(part.type)) for part in parts if part.type in PARTS_IN_ORDER]
    for before, after, part in zip(places, places[1:], parts[1:], strict=False):
        if after < before:
            name = PARTS_IN_ORDER[before].name
            raise Nonconformance("core-18.03", f"{part.name} comes behind {name}")


def _check_preceding(parts: Sequence[Part]) -> None:
    """Errors: :class:`Nonconformance` for a part without those that have to come before it."""
    seen: set[int] = set()
    for part in parts:
        if part.type == DevPart.DRV_FEATURES and DevPart.DEV_FEATURES not in seen:
            raise Nonconformance("core-18.25", "DRV_FEATURES comes without DEV_FEATURES in front of it")
        if part.type == DevPart.PCI_COMMON_CFG:
            for kind, clause in (
                (DevPart.DEV_FEATURES, "core-18.26"),
                (DevPart.DRV_FEATURES, "core-18.27"),
            ):
                if kind not in seen:
                    text = f"PCI_COMMON_CFG comes without {kind.name} in front of it"
                    raise Nonconformance(clause, text)
        seen.add(part.type)


@check("core-18.03", "core-18.25", "core-18.26", "core-18.27", needs=[offers(Feature.ADMIN_VQ)])
async def parts_are_in_order(subject: Subject) -> None:
    """Gets all parts of a member that works, and the list of their metadata.

    Wrong: a part in front of one that has to come before it.
    """
    async with member_of(subject) as member:
        await _start(member)
        for parts in (await member.parts("core-18.02"), await member.headers("core-18.02")):
            _check_preceding(parts)
            _check_order(parts)


@check("core-18.04", needs=[offers(Feature.ADMIN_VQ)])
async def parts_of_a_device_that_works(subject: Subject) -> None:
    """Sets parts to what they are while the member is not stopped.

    Wrong: a success.
    """
    async with member_of(subject) as member:
        await _start(member)
        parts = await member.parts("core-18.02")
        answer = await member.set_parts(parts)
        answer.expect_failure("core-18.04", "DEV_PARTS_SET of a device that is not stopped")


@check("core-18.05", needs=[offers(Feature.ADMIN_VQ)])
async def parts_are_set_again(subject: Subject) -> None:
    """Sets all parts to what they are, then the vector of one queue to none, back, and all parts again.

    Wrong: a command that fails, or a part that is not what it was set to.
    """
    async with member_of(subject) as member:
        await _start(member)
        await member.stop()
        first = await member.parts("core-18.02")
        queue = _one(first, DevPart.VQ_CFG)
        other = queue.holding(changed(VqConfigPart, queue.value, vector=NO_VECTOR))
        for parts in (first, [other], [queue], first, [other], [queue]):
            answer = await member.set_parts(parts)
            answer.expect("core-18.05", f"DEV_PARTS_SET of {', '.join(part.name for part in parts)}")
            wanted = {part.name: part.value for part in parts}
            for part in await member.parts("core-18.02"):
                if part.value != wanted.get(part.name, part.value):
                    text = f"{part.name} is {part.value.hex()} and was set to {wanted[part.name].hex()}"
                    raise Nonconformance("core-18.05", text)


@check("core-18.06", needs=[offers(Feature.ADMIN_VQ)])
async def parts_of_a_wrong_length(subject: Subject) -> None:
    """Sets the configuration of a queue with four bytes more and less than the device's.

    Wrong: a success.
    """
    async with member_of(subject) as member:
        await _start(member)
        await member.stop()
        part = _one(await member.parts("core-18.02"), DevPart.VQ_CFG)
        for value in (part.value + bytes(4), part.value[:-4]):
            answer = await member.set_parts([part.holding(value)])
            answer.expect_failure(
                "core-18.06", f"DEV_PARTS_SET of {part.name} with {len(value)} bytes, not {part.length},"
            )


@check("core-18.07", "core-18.29", "core-18.30", needs=[offers(Feature.ADMIN_VQ)])
async def invariant_parts_are_verified(subject: Subject) -> None:
    """Sets the features of the device and its number of queues, as they are, and with other values.

    Wrong: the right values refused, wrong ones accepted, or the device with other features or queues then.
    """
    async with member_of(subject) as member:
        await _start(member)
        await member.stop()
        parts = await member.parts("core-18.02")
        features = _of(parts, DevPart.DEV_FEATURES)
        counts = [
            part for part in _of(parts, DevPart.PCI_COMMON_CFG) if part.selector == COMMON.num_queues.offset
        ]
        if not features + counts:
            raise NotApplicable("the device has neither of the parts that are only verified")
        offered = await member.subject.transport.device_features()
        for part in features + counts:
            answer = await member.set_parts([part])
            answer.expect("core-18.29", f"DEV_PARTS_SET of {part.name} as it is")
            wrong = part.holding(bytes([part.value[0] ^ 1]) + part.value[1:])
            answer = await member.set_parts([wrong])
            optional = bool(part.flags & DevPartFlag.OPTIONAL)
            if answer.ok and not optional:
                clause = "core-18.07" if part in features else "core-18.29"
                raise Nonconformance(clause, f"{part.name} is accepted with a wrong value")
            (now,) = [item for item in await member.parts("core-18.02") if item.name == part.name]
            kept = await member.subject.transport.device_features() == offered
            if now.value != part.value or not kept:
                clause = "core-18.07" if part in features else "core-18.30"
                text = f"{part.name} is {now.value.hex()} after it was set to {wrong.value.hex()}"
                raise Nonconformance(clause, f"{text}, and was {part.value.hex()}")


@check("core-18.23", needs=[offers(Feature.ADMIN_VQ)])
async def parts_after_a_reset(subject: Subject) -> None:
    """Gets the parts of a member before it is used, after a device reset and after a function-level one.

    Wrong: a status, features or queues that are still as the driver has set them.
    """
    async with member_of(subject) as member:
        device = member.subject
        kinds = (DevPart.DRV_FEATURES, DevPart.DEVICE_STATUS, DevPart.VQ_CFG)

        async def state() -> dict[str, bytes]:
            return {part.name: part.value for part in await member.parts("core-18.02") if part.type in kinds}

        await device.reset()
        fresh = await state()
        for reset in ("a device reset", "a function-level reset"):
            await _start(member)
            if await state() == fresh:
                raise NotApplicable("the device has no part that shows what the driver sets")
            if reset == "a device reset":
                await device.reset()
            elif await member.reset_function():
                await device.settle()
            else:
                return
            now = await state()
            differing = [name for name in fresh | now if now.get(name) != fresh.get(name)]
            if differing:
                raise Nonconformance("core-18.23", f"after {reset} these parts are kept: {differing}")


@check("core-18.24", needs=[offers(Feature.ADMIN_VQ)])
async def selected_parts(subject: Subject) -> None:
    """Gets the status and a part of a type that does not exist, both selected.

    Wrong: an error, a part that was not asked for, or the status with another value than it has.
    """
    async with member_of(subject) as member:
        await _start(member)
        status = _one(await member.headers("core-18.02"), DevPart.DEVICE_STATUS)
        unknown = Part(_UNKNOWN, 0, 0, b"", 0)
        found = await member.parts("core-18.24", [status, unknown])
        beside = [part.name for part in found if part.type not in (status.type, unknown.type)]
        if beside:
            raise Nonconformance("core-18.24", f"{beside} are got, which were not selected")
        for part in _of(found, DevPart.DEVICE_STATUS):
            if not part.value or not part.value[0] & DeviceStatus.DRIVER_OK:
                raise Nonconformance("core-18.24", f"the status is {part.value.hex()} of a device at work")
