"""Flow filters of the network device: their capabilities and objects. Ref: virtio 1.4, 5.1.9.6."""

from ringwalker.spec.admin import AdminGroup, AdminOpcode, AdminStatus
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net_flow import (
    FlowAction,
    FlowCapability,
    FlowFlag,
    FlowHeader,
    FlowList,
    FlowResource,
)

from ...struct_bytes import struct_bytes
from ..admin.commands import Administration
from ..check import Nonconformance, NotApplicable, check
from ..conditions import is_type, offers
from ..net.flow_rules import FLOW_COMMANDS, FlowRules, mask_of, selector
from ..subject import Subject

__all__: list[str] = []

_NEEDS = [is_type(DeviceType.NET), offers(Feature.ADMIN_VQ)]
_NO_ACTION = 0xFF
_TOP_PRIORITY = 0xFF
_TRANSMIT_QUEUE, _NO_QUEUE = 1, 0xFFFF


@check("net-15.01", needs=_NEEDS)
async def flow_capabilities_come_together(subject: Subject) -> None:
    """Looks which of the capabilities of flow filters are listed.

    Wrong: only some of the three.
    """
    admin = await Administration.open(subject)
    offered = await admin.capabilities()
    found = [number.name for number in FlowCapability if number in offered]
    if not found:
        raise NotApplicable("there is no capability of flow filters")
    if len(found) != len(FlowCapability):
        raise Nonconformance("net-15.01", f"of the capabilities of flow filters there is only {found}")


@check("net-15.02", needs=_NEEDS)
async def flow_objects_have_all_commands(subject: Subject) -> None:
    """Creates a group, a classifier and a rule; queries, changes and destroys each of them.

    Wrong: a command that is missing, or fails.
    """
    rules = await FlowRules.open(subject)
    admin = rules.admin
    missing = [opcode.name for opcode in FLOW_COMMANDS if opcode not in admin.supported[AdminGroup.SELF]]
    if missing:
        raise Nonconformance("net-15.02", f"there are flow filters, and no {', '.join(missing)}")
    contents = {
        FlowResource.GROUP: (rules.group(1), rules.group(2)),
        FlowResource.CLASSIFIER: (rules.classifier(), rules.classifier()),
        FlowResource.RULE: (rules.rule(), rules.rule(value=1)),
    }
    for kind, (first, second) in contents.items():
        answer = await admin.create(kind, 0, first)
        answer.expect("net-15.02", f"creating a {kind.name}")
        answer = await admin.query(kind, 0)
        answer.expect("net-15.02", f"querying a {kind.name}")
        if answer.result[: len(first)] != first:
            text = f"a {kind.name} is {answer.result.hex()}, and was created as {first.hex()}"
            raise Nonconformance("core-17.11", text)
        answer = await admin.modify(kind, 0, second)
        answer.expect("net-15.02", f"changing a {kind.name}")
    for kind in reversed(contents):
        answer = await admin.destroy(kind, 0)
        answer.expect("net-15.02", f"destroying a {kind.name}")


@check("net-15.03", needs=_NEEDS)
async def flow_objects_need_all_capabilities(subject: Subject) -> None:
    """Sets two of the three capabilities, each time two others, and sends all commands about objects.

    Wrong: a command that is not refused as invalid.
    """
    for left_out in FlowCapability:
        rules = await FlowRules.closed(subject)
        for number, content in rules.contents.items():
            if number != left_out:
                answer = await rules.admin.set_capability(number, content)
                answer.expect("core-16.02", f"DRIVER_CAP_SET of {FlowCapability(number).name}")
        contents = {
            FlowResource.GROUP: rules.group(1),
            FlowResource.CLASSIFIER: rules.classifier(),
            FlowResource.RULE: rules.rule(),
        }
        for kind, content in contents.items():
            for opcode in FLOW_COMMANDS:
                answer = await rules.admin.resource(opcode, kind, 0, content)
                if not answer.refuses_opcode:
                    text = f"{opcode.name} of a {kind.name} without {left_out.name} ends with {answer}"
                    raise Nonconformance("net-15.03", text)


@check("net-15.04", needs=_NEEDS)
async def groups_have_different_priorities(subject: Subject) -> None:
    """Creates two groups of the same priority.

    Wrong: an answer other than EINVAL to the second.
    """
    rules = await FlowRules.open(subject)
    if min(rules.limits["groups_limit"], rules.limits["rules_per_group_limit"]) < 2:
        raise NotApplicable("there is no second group")
    await rules.add_group(0, priority=7)
    answer = await rules.admin.create(FlowResource.GROUP, 1, rules.group(7))
    answer.expect("net-15.04", "creating a group with the priority of another", AdminStatus.EINVAL)


@check("net-15.05", needs=_NEEDS)
async def as_many_groups_as_the_limit(subject: Subject) -> None:
    """Sets the limit of groups, and then that of rules in a group, to 1, and creates two groups.

    Wrong: an answer other than ENOSPC to the second.
    """
    for limits in ({"groups_limit": 1}, {"rules_per_group_limit": 1}):
        rules = await FlowRules.open(subject)
        (await rules.limit(**limits)).expect("core-16.02", f"DRIVER_CAP_SET with {limits}")
        await rules.add_group(0, priority=1)
        answer = await rules.admin.create(FlowResource.GROUP, 1, rules.group(2))
        answer.expect("net-15.05", f"creating a second group with {limits}", AdminStatus.ENOSPC)


@check("net-15.06", needs=_NEEDS)
async def as_many_classifiers_as_the_limit(subject: Subject) -> None:
    """Sets the limit of classifiers to 1, and creates two.

    Wrong: an answer other than ENOSPC to the second.
    """
    rules = await FlowRules.open(subject)
    (await rules.limit(classifiers_limit=1)).expect("core-16.02", "DRIVER_CAP_SET with one classifier")
    await rules.add_classifier(0)
    answer = await rules.admin.create(FlowResource.CLASSIFIER, 1, rules.classifier())
    answer.expect("net-15.06", "creating a second classifier with a limit of 1", AdminStatus.ENOSPC)


async def _destroy_in_use(subject: Subject, kind: FlowResource, clause: str) -> None:
    rules = await FlowRules.open(subject)
    await rules.add_group(0, priority=1)
    await rules.add_classifier(0)
    await rules.add_rule(0)
    answer = await rules.admin.destroy(kind, 0)
    answer.expect(clause, f"destroying a {kind.name} with a rule", AdminStatus.EBUSY)
    for item in (FlowResource.RULE, kind):
        answer = await rules.admin.destroy(item, 0)
        answer.expect("net-15.02", f"destroying a {item.name}")


@check("net-15.07", needs=_NEEDS)
async def group_with_rules_stays(subject: Subject) -> None:
    """Destroys a group that has a rule, and again once the rule is destroyed.

    Wrong: an answer other than EBUSY, or a group that cannot be destroyed afterwards.
    """
    await _destroy_in_use(subject, FlowResource.GROUP, "net-15.07")


@check("net-15.08", needs=_NEEDS)
async def classifier_with_rules_stays(subject: Subject) -> None:
    """Destroys a classifier that has a rule, and again once the rule is destroyed.

    Wrong: an answer other than EBUSY, or a classifier that cannot be destroyed afterwards.
    """
    await _destroy_in_use(subject, FlowResource.CLASSIFIER, "net-15.08")


@check("net-15.09", needs=_NEEDS)
async def rules_that_cannot_be(subject: Subject) -> None:
    """Creates rules for a queue that is no receive queue, with a priority, a number, a key or an action that
    cannot be.

    Wrong: a rule that is created.
    """
    rules = await FlowRules.open(subject)
    await rules.add_group(0, priority=1)
    await rules.add_classifier(0)
    limit = int(min(rules.limits["rules_limit"], rules.limits["rules_per_group_limit"]))
    usual = mask_of(rules.field)
    wrong = {
        "with a key that is too short": (0, rules.rule(key=usual[:-1])),
        "with a key that is too long": (0, rules.rule(key=usual + b"\0")),
        "with an action that does not exist": (0, rules.rule(action=_NO_ACTION)),
        f"number {limit}": (limit, rules.rule()),
    }
    if FlowAction.DIRECT_RX_VQ in rules.actions:
        for queue in (_TRANSMIT_QUEUE, _NO_QUEUE):
            content = rules.rule(action=FlowAction.DIRECT_RX_VQ, queue=queue)
            wrong[f"for queue {queue}"] = (0, content)
    if rules.limits["last_rule_priority"] < _TOP_PRIORITY:
        wrong["of a priority beyond the last"] = (0, rules.rule(priority=_TOP_PRIORITY))
    for what, (number, content) in wrong.items():
        answer = await rules.admin.create(FlowResource.RULE, number, content)
        answer.expect_failure("net-15.09", f"creating a rule {what}")
    await rules.add_rule(0)


@check("net-15.22", needs=_NEEDS)
async def classifiers_with_partial_masks(subject: Subject) -> None:
    """Creates classifiers that are flagged as partial, with a mask of a whole field and with one of a bit.

    Wrong: one that is refused although the device offers partial masks.
    """
    rules = await FlowRules.open(subject)
    rules.admin.require(AdminOpcode.RESOURCE_OBJ_DESTROY)
    if not rules.partial:
        raise NotApplicable("partial masks of Ethernet headers are not offered")
    whole = mask_of(rules.field)
    bit = bytearray(len(whole))
    bit[whole.index(0xFF)] = 1
    for mask in (whole, bytes(bit)):
        content = struct_bytes(FlowList, count=1) + selector(FlowHeader.ETH, mask, FlowFlag.PARTIAL_MASK)
        answer = await rules.admin.create(FlowResource.CLASSIFIER, 0, content)
        answer.expect("net-15.22", f"creating a partial classifier with mask {mask.hex()}")
        answer = await rules.admin.destroy(FlowResource.CLASSIFIER, 0)
        answer.expect("net-15.02", "destroying a classifier")
