"""Capabilities of device and driver, and the registers of administration queues.

Ref: virtio 1.4, 2.12.1.2 and 4.1.4.3.
"""

from typing import Any

from ringwalker.spec.admin import AdminCapability, AdminGroup, AdminOpcode, AdminStatus
from ringwalker.spec.device_parts import DevPartsCapability
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.ipsec import IpsecCapability, IpsecList, IpsecModeCapability, IpsecResourceCapability
from ringwalker.spec.net_flow import (
    FlowCapability,
    FlowFlag,
    FlowList,
    FlowResourceCapability,
    FlowSelector,
)

from ...memory import dtype_of
from ...struct_bytes import struct_of
from ..admin.commands import Administration
from ..admin.members import member_of
from ..admin.object_kinds import changed, object_kinds
from ..check import RINGS, Nonconformance, NotApplicable, check
from ..conditions import offers
from ..subject import Subject

__all__: list[str] = []

_COMMANDS = (AdminOpcode.CAP_ID_LIST_QUERY, AdminOpcode.DEVICE_CAP_GET, AdminOpcode.DRIVER_CAP_SET)
_IDS = 0x1000
"""From this id on they are reserved."""

_NET_LIMITS: dict[int, tuple[Any, tuple[str, ...]]] = {
    FlowCapability.RESOURCE: (
        FlowResourceCapability,
        ("groups_limit", "classifiers_limit", "rules_limit", "rules_per_group_limit"),
    ),
    IpsecCapability.RESOURCE: (IpsecResourceCapability, ("inbound_limit", "outbound_limit")),
}


def _limits(subject: Subject) -> dict[int, tuple[Any, tuple[str, ...]]]:
    """The capabilities with limits of objects: layout, and names of the limits."""
    known = _NET_LIMITS if subject.type == DeviceType.NET else {}
    return {AdminCapability.DEV_PARTS: (DevPartsCapability, ("get_limit", "set_limit"))} | known


async def _capabilities(subject: Subject) -> tuple[Administration, dict[int, bytes]]:
    """An administration queue, and the capabilities of the device by id."""
    admin = await Administration.open(subject)
    admin.require(*_COMMANDS)
    contents = {}
    for number in sorted(await admin.capabilities()):
        answer = await admin.get_capability(number)
        answer.expect("core-16.01", f"DEVICE_CAP_GET of capability {number:#x}")
        contents[number] = answer.result
    return admin, contents


@check("pci-05.16", "pci-05.17", ways=RINGS, needs=[offers(Feature.ADMIN_VQ)])
async def administration_queues_are_behind_the_others(subject: Subject) -> None:
    """Negotiates ADMIN_VQ, reads the first administration queue and their number, and sends a command.

    Wrong: one that is an ordinary queue too, or whose number has more than 16 bits.
    """
    await subject.negotiate(Feature.ADMIN_VQ)
    first, count = await subject.common("admin_queue_index"), await subject.common("admin_queue_num")
    queues = await subject.common("num_queues")
    if count and first < queues:
        raise Nonconformance(
            "pci-05.16", f"administration queues begin at {first}, and there are {queues} others"
        )
    if count > 0x10000 - first:
        raise Nonconformance("pci-05.17", f"{count} administration queues from {first} on")
    if count:
        await Administration.open(subject)


@check("core-16.01", needs=[offers(Feature.ADMIN_VQ)])
async def capability_commands_come_together(subject: Subject) -> None:
    """Looks which commands there are, and gets each capability that is listed.

    Wrong: only some of the three commands about capabilities, or a listed capability that cannot be got.
    """
    admin = await Administration.open(subject)
    found = [opcode for opcode in _COMMANDS if opcode in admin.supported[AdminGroup.SELF]]
    if not found:
        raise NotApplicable("there are no commands about capabilities")
    for opcode in _COMMANDS:
        if opcode not in found:
            raise Nonconformance("core-16.01", f"there is {found[0].name}, and no {opcode.name}")
    await _capabilities(subject)


@check("core-16.02", needs=[offers(Feature.ADMIN_VQ)])
async def limits_may_be_set_lower(subject: Subject) -> None:
    """Sets each capability to what the device offers, and its limits to a half of that, one, and zero.

    Wrong: a value up to the offered one that is refused.
    """
    admin, contents = await _capabilities(subject)
    known = _limits(subject)
    for number, content in contents.items():
        answer = await admin.set_capability(number, content)
        answer.expect("core-16.02", f"DRIVER_CAP_SET of capability {number:#x} as it is offered")
        if number not in known:
            continue
        struct, names = known[number]
        row = struct_of(struct, content)
        for least in (2, 1, 0):
            fields = {
                name: min(int(row[name]), int(row[name]) // 2 if least == 2 else least) for name in names
            }
            answer = await admin.set_capability(number, changed(struct, content, **fields))
            answer.expect("core-16.02", f"DRIVER_CAP_SET of capability {number:#x} with {fields}")


def _fewer_selector_flags(content: bytes) -> bytes:
    """Selectors without partial masks, each with only the first byte of its mask that has any bits."""
    made = bytearray(content)
    at = dtype_of(FlowList).itemsize
    size = dtype_of(FlowSelector).itemsize
    flags = dtype_of(FlowSelector).fields["flags"][1]  # type: ignore[index]  # it has fields
    for _ in range(int(struct_of(FlowList, content)["count"])):
        made[at + flags] &= ~FlowFlag.PARTIAL_MASK
        at += size + int(struct_of(FlowSelector, content[at:])["length"])
    return bytes(made)


def _fewer_mode_flags(content: bytes) -> bytes:
    """Modes without options, and with one algorithm of each sort at most."""
    at, size = dtype_of(IpsecList).itemsize, dtype_of(IpsecModeCapability).itemsize
    made = content[:at]
    for _ in range(int(struct_of(IpsecList, content)["count"])):
        row = struct_of(IpsecModeCapability, content[at:])
        masks = ("cipher_algorithms", "hmac_algorithms", "aead_algorithms")
        fields = {name: int(row[name]) & -int(row[name]) for name in masks}
        made += changed(IpsecModeCapability, content[at : at + size], options=0, **fields)
        at += size
    return made


@check("core-16.03", needs=[offers(Feature.ADMIN_VQ)])
async def flags_may_be_fewer(subject: Subject) -> None:
    """Sets capabilities with flags: without partial masks of flow filters, without options of IPsec.

    Wrong: fewer flags than are offered that are refused.
    """
    admin, contents = await _capabilities(subject)
    fewer = {
        FlowCapability.SELECTOR: _fewer_selector_flags,
        IpsecCapability.ASSOCIATION: _fewer_mode_flags,
    }
    found = [number for number in fewer if number in contents and subject.type == DeviceType.NET]
    if not found:
        raise NotApplicable("there is no capability with flags")
    for number in found:
        for content in (contents[number], fewer[number](contents[number])):
            answer = await admin.set_capability(number, content)
            answer.expect("core-16.03", f"DRIVER_CAP_SET of capability {number:#x} with fewer flags")


@check("core-16.04", needs=[offers(Feature.ADMIN_VQ)])
async def limits_that_are_too_high(subject: Subject) -> None:
    """Sets limits above the offered ones, and then the offered ones.

    Wrong: a refusal by another status than EINVAL, or one after which valid limits are refused too.
    """
    admin, contents = await _capabilities(subject)
    for number, (struct, names) in _limits(subject).items():
        if number not in contents:
            continue
        content = contents[number]
        row = struct_of(struct, content)
        most = {name: (1 << 8 * row[name].itemsize) - 1 for name in names}
        fields = {name: int(row[name]) + 1 for name in names if int(row[name]) < most[name]}
        answer = await admin.set_capability(number, changed(struct, content, **fields))
        what = f"DRIVER_CAP_SET of capability {number:#x} with {fields}"
        answer.expect("core-16.04", what, AdminStatus.OK, AdminStatus.EINVAL)
        answer = await admin.set_capability(number, content)
        answer.expect("core-16.02", f"DRIVER_CAP_SET of capability {number:#x} after that")


@check("core-16.05", "core-16.06", needs=[offers(Feature.ADMIN_VQ)])
async def capabilities_are_of_the_self_group(subject: Subject) -> None:
    """Sends the commands about capabilities to the group of virtual functions and to one that is reserved.

    Wrong: an answer other than EINVAL.
    """
    admin, contents = await _capabilities(subject)
    number, content = next(iter(contents.items()), (0, b""))
    data = number.to_bytes(8, "little")
    for group in (AdminGroup.SR_IOV, max(AdminGroup) + 1):
        for opcode in _COMMANDS:
            sent = {AdminOpcode.DEVICE_CAP_GET: data, AdminOpcode.DRIVER_CAP_SET: data + content}
            answer = await admin.command(opcode, sent.get(opcode, b""), group=group, member=1)
            answer.expect("core-16.05", f"{opcode.name} for group {group}", AdminStatus.EINVAL)


@check("core-16.05", "core-16.06", needs=[offers(Feature.ADMIN_VQ)])
async def capabilities_of_virtual_functions(subject: Subject) -> None:
    """Enables a virtual function, uses all commands of its group, and sends it those about capabilities.

    Wrong: an answer other than EINVAL.
    """
    async with member_of(subject, objects=False) as member:
        if not member.admin.supported[AdminGroup.SELF] & set(_COMMANDS):
            raise NotApplicable("there are no commands about capabilities")
        for opcode in _COMMANDS:
            answer = await member.command(opcode, bytes(16))
            answer.expect("core-16.05", f"{opcode.name} for a virtual function", AdminStatus.EINVAL)


@check("core-16.07", needs=[offers(Feature.ADMIN_VQ)])
async def capability_in_use_stays(subject: Subject) -> None:
    """Creates a resource object and disables its capability; destroys it and disables it again.

    Wrong: an answer other than EBUSY as long as there is the object, or a refusal afterwards.
    """
    for kind in await object_kinds(subject):
        await kind.enable()
        answer = await kind.create(0)
        answer.expect("core-17.09", f"creating one of the {kind.name}")
        answer = await kind.disable()
        answer.expect("core-16.07", f"disabling {kind.name} in use", AdminStatus.EBUSY)
        answer = await kind.destroy(0)
        answer.expect("core-17.05", f"destroying one of the {kind.name}")
        answer = await kind.disable()
        answer.expect("core-16.02", f"disabling {kind.name}")


@check("core-16.08", needs=[offers(Feature.ADMIN_VQ)])
async def unknown_capability(subject: Subject) -> None:
    """Gets and sets capabilities that are not listed.

    Wrong: an answer other than ENXIO.
    """
    admin, contents = await _capabilities(subject)
    missing = [number for number in range(_IDS) if number not in contents]
    for number in (missing[0], missing[-1]):
        answer = await admin.get_capability(number)
        answer.expect("core-16.08", f"DEVICE_CAP_GET of capability {number:#x}", AdminStatus.ENXIO)
        answer = await admin.set_capability(number, bytes(8))
        answer.expect("core-16.08", f"DRIVER_CAP_SET of capability {number:#x}", AdminStatus.ENXIO)


@check("core-16.09", "core-16.10", needs=[offers(Feature.ADMIN_VQ)])
async def driver_capabilities_end_with_a_reset(subject: Subject) -> None:
    """Creates a resource object before its capability is set, once it is set, and after the next reset.

    Wrong: an object that can be created although the driver has not set its limit, before or after a reset.
    """
    kinds = await object_kinds(subject)
    for kind in kinds:
        answer = await kind.create(0)
        answer.expect_failure("core-16.10", f"creating one of the {kind.name} before their limit is set")
    for kind in kinds:
        await kind.enable()
    for kind in kinds:
        answer = await kind.create(0)
        answer.expect("core-17.09", f"creating one of the {kind.name}")
    for kind in await object_kinds(subject):
        answer = await kind.create(0)
        answer.expect_failure("core-16.09", f"creating one of the {kind.name} after a reset")
