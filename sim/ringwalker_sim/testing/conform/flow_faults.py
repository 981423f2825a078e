"""Faults of a network device with flow filters and security associations."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.admin import AdminOpcode, AdminStatus
from ringwalker.spec.ipsec import IpsecAssociation, IpsecCapability, IpsecResource
from ringwalker.spec.net_flow import (
    FLOW_HEADER_BYTES,
    FlowAction,
    FlowCapability,
    FlowFlag,
    FlowHeader,
    FlowResource,
    FlowRule,
)

from ...struct_bytes import struct_of
from .admin_faults import opcode, renamed, used_up, without
from .admin_port import AdminPort
from .admin_server import AdminError, Command, invalid
from .fault import Fault, around, nothing
from .flow_filter import selectors
from .reference_net import ReferenceNet

__all__ = ["FLOW_FAULTS", "IPSEC_FAULTS", "STEERING_FAULTS"]

Patch = Callable[[AdminPort], Any]
_FLOW_TYPES, _IPSEC_TYPES = tuple(FlowResource), tuple(IpsecResource)


def _without_capability(number: int) -> Patch:
    return lambda port: port.model.capabilities.device.pop(number)


def _always_enabled(types: tuple[int, ...]) -> Patch:
    def patch(port: AdminPort) -> None:
        for type_ in types:
            port.model.resources.kinds[type_].needed = ()

    return patch


def _limit(type_: int, wrapper: Callable[..., int]) -> Patch:
    return lambda port: around(port.model.resources.kinds[type_], "limit", wrapper)


def _unchecked(type_: int) -> Patch:
    """Whatever an object has in it is taken."""

    def patch(port: AdminPort) -> None:
        port.model.resources.kinds[type_].check = lambda _number, data: data

    return patch


def _groups_by_one_limit(port: AdminPort) -> None:
    kind = port.model.filter.groups
    kind.limit = lambda: kind.chosen("groups_limit")


def _free(type_: int) -> Patch:
    """Objects of a type are never busy."""

    def check_free(check: Callable[..., None], kind: Any, number: int) -> None:
        if kind.type != type_:
            check(kind, number)

    return lambda port: around(port.model.resources, "check_free", check_free)


def _no_partial_masks(port: AdminPort) -> None:
    def check(check: Callable[[int, bytes], bytes], number: int, data: bytes) -> bytes:
        if any(flags & FlowFlag.PARTIAL_MASK for _kind, flags, _mask in selectors(data)):
            raise invalid()
        return check(number, data)

    around(port.model.filter.classifiers, "check", check)


FLOW_FAULTS = [
    Fault(
        "no capability of actions",
        "flow_capabilities_come_together",
        "net-15.01",
        _without_capability(FlowCapability.ACTION),
    ),
    Fault(
        "flow objects cannot be changed",
        "flow_objects_have_all_commands",
        "net-15.02",
        without(AdminOpcode.RESOURCE_OBJ_MODIFY),
    ),
    Fault(
        "flow objects without capabilities",
        "flow_objects_need_all_capabilities",
        "net-15.03",
        _always_enabled(_FLOW_TYPES),
    ),
    Fault(
        "two groups of one priority",
        "groups_have_different_priorities",
        "net-15.04",
        _unchecked(FlowResource.GROUP),
    ),
    Fault("groups have one limit only", "as_many_groups_as_the_limit", "net-15.05", _groups_by_one_limit),
    Fault(
        "one classifier too many",
        "as_many_classifiers_as_the_limit",
        "net-15.06",
        _limit(FlowResource.CLASSIFIER, lambda limit: limit() + 1),
    ),
    Fault("group with rules is free", "group_with_rules_stays", "net-15.07", _free(FlowResource.GROUP)),
    Fault(
        "classifier with rules is free",
        "classifier_with_rules_stays",
        "net-15.08",
        _free(FlowResource.CLASSIFIER),
    ),
    Fault(
        "rule for a transmit queue",
        "rules_that_cannot_be",
        "net-15.09",
        lambda port: setattr(port.model.filter.rules, "is_receive_queue", lambda _index: True),
    ),
    Fault("rules are not verified", "rules_that_cannot_be", "net-15.09", _unchecked(FlowResource.RULE)),
    Fault(
        "one rule too many",
        "rules_that_cannot_be",
        "net-15.09",
        _limit(FlowResource.RULE, lambda limit: limit() + 1),
    ),
    Fault("no partial masks", "classifiers_with_partial_masks", "net-15.22", _no_partial_masks),
]


# --- what the rules do -------------------------------------------------------------------------------------


def _order(wrapper: Callable[[list[bytes]], list[bytes]]) -> Patch:
    """The rules in another order."""
    return lambda port: around(port.model.filter, "order", lambda order: iter(wrapper(list(order()))))


def _highest_group(rules: list[bytes]) -> list[bytes]:
    groups = [int(struct_of(FlowRule, rule)["group_id"]) for rule in rules]
    return [rule for rule, group in zip(rules, groups, strict=True) if group == groups[0]]


def _drops_last(rules: list[bytes]) -> list[bytes]:
    return sorted(rules, key=lambda rule: int(struct_of(FlowRule, rule)["action"]) == FlowAction.DROP)


def _whole_fields_only(port: AdminPort) -> None:
    def matches(matches: Callable[[bytes, bytes], bool], rule: bytes, frame: bytes) -> bool:
        classifier = port.model.filter.classifiers.objects[int(struct_of(FlowRule, rule)["classifier_id"])]
        partial = any(flags & FlowFlag.PARTIAL_MASK for _kind, flags, _mask in selectors(classifier))
        return not partial and matches(rule, frame)

    around(port.model.filter, "matches", matches)


def _first_header(others: bool) -> Patch:
    """All headers but that of Ethernet match always, or never."""

    def matches(matches: Callable[[bytes, bytes], bool], rule: bytes, frame: bytes) -> bool:
        row = struct_of(FlowRule, rule)
        inner = row["key_length"] > FLOW_HEADER_BYTES[FlowHeader.ETH]
        return others and frame[12:14] == rule[28:30] if inner else matches(rule, frame)

    return lambda port: around(port.model.filter, "matches", matches)


def _ambiguous(port: AdminPort) -> None:
    """Of two rules that match with the same priority none counts."""
    flows = port.model.filter

    def decide(decide: Callable[[bytes], Any], frame: bytes) -> Any:
        matching = [rule for rule in flows.order() if flows.matches(rule, frame)]
        priorities = [int(struct_of(FlowRule, rule)["priority"]) for rule in matching]
        return None if len(set(priorities)) < len(priorities) else decide(frame)

    around(flows, "decide", decide)


def _usual(port: AdminPort, frame: bytes) -> int | None:
    """The pair of a frame without any rules."""
    return ReferenceNet.steer(port.model, frame)


def _deliver(port: AdminPort, pairs: Callable[[bytes], list[int | None]]) -> None:
    """Frames go to other pairs besides."""

    def receive(receive: Callable[[bytes], None], frame: bytes) -> None:
        receive(frame)
        chosen = port.model.steer(frame)
        for pair in pairs(frame) if chosen is not None else ():
            if pair != chosen:
                port.model.steer = lambda _frame, pair=pair: pair
                receive(frame)
                del port.model.steer

    around(port.model, "receive", receive)


def _usual_too(port: AdminPort) -> None:
    _deliver(port, lambda frame: [_usual(port, frame)])


def _every_rule(port: AdminPort) -> None:
    flows = port.model.filter

    def pairs(frame: bytes) -> list[int | None]:
        rows = [struct_of(FlowRule, rule) for rule in flows.order() if flows.matches(rule, frame)]
        return [int(row["vq_index"]) // 2 for row in rows if row["action"] == FlowAction.DIRECT_RX_VQ]

    _deliver(port, pairs)


def _other_when_there_are_rules(port: AdminPort) -> None:
    flows = port.model.filter

    def steer(steer: Callable[[bytes], int | None], frame: bytes) -> int | None:
        return 1 if flows.rules.objects and flows.decide(frame) is None else steer(frame)

    around(port.model, "steer", steer)


def _directs(port: AdminPort, frame: bytes) -> bool:
    """Whether a rule directs a frame to a queue."""
    decision = port.model.filter.decide(frame)
    return decision is not None and decision[0] == FlowAction.DIRECT_RX_VQ


def _rules_first(port: AdminPort) -> None:
    around(port.model, "accepts", lambda accepts, frame: _directs(port, frame) or accepts(frame))


def _falls_back(port: AdminPort) -> None:
    def steer(steer: Callable[[bytes], int | None], frame: bytes) -> int | None:
        chosen = steer(frame)
        return _usual(port, frame) if chosen is None and _directs(port, frame) else chosen

    around(port.model, "steer", steer)


STEERING_FAULTS = [
    Fault(
        "packets wait for a queue that is reset",
        "queue_of_a_rule_is_reset",
        "net-15.10",
        lambda port: setattr(port.model, "is_enabled", lambda _queue: True),
    ),
    Fault(
        "packets of a queue that is reset go elsewhere",
        "queue_of_a_rule_is_reset",
        "net-15.10",
        _falls_back,
    ),
    Fault("usual queue gets packets too", "rules_by_priority", "net-15.11", _usual_too),
    Fault("lowest group first", "groups_by_priority", "net-15.12", _order(lambda rules: rules[::-1])),
    Fault("another group undoes a drop", "groups_by_priority", "net-15.13", _order(_drops_last)),
    Fault("only one group is tried", "groups_by_priority", "net-15.14", _order(_highest_group)),
    Fault("lowest rule first", "rules_by_priority", "net-15.15", _order(lambda rules: rules[::-1])),
    Fault(
        "rules have no effect",
        "actions_are_taken",
        "net-15.16",
        lambda port: setattr(port.model.filter, "decide", nothing),
    ),
    Fault("every rule is applied", "rules_by_priority", "net-15.17", _every_rule),
    Fault("partial masks never match", "rules_match_bits_of_a_field", "net-15.16", _whole_fields_only),
    Fault("inner headers never match", "rules_match_datagrams", "net-15.16", _first_header(False)),
    Fault("inner headers always match", "rules_match_datagrams", "net-15.19", _first_header(True)),
    Fault("equal rules cancel", "rules_of_the_same_priority", "net-15.18", _ambiguous),
    Fault(
        "rules change the usual queue",
        "packets_without_a_rule",
        "net-15.19",
        _other_when_there_are_rules,
    ),
    Fault("another rule undoes a drop", "rules_by_priority", "net-15.20", _order(_drops_last)),
    Fault("rules come before filters", "receive_filters_come_first", "net-15.21", _rules_first),
]


# --- security associations ---------------------------------------------------------------------------------


def _busy_index(port: AdminPort) -> None:
    """An index that another association has is an error of another kind."""

    def create(create: Callable[[Command], bytes], command: Command) -> bytes:
        kind, _number, data = port.model.resources.split(command)
        index = struct_of(IpsecAssociation, data)["spi"]
        if any(struct_of(IpsecAssociation, other)["spi"] == index for other in kind.objects.values()):
            raise AdminError(AdminStatus.EBUSY)
        return create(command)

    opcode(AdminOpcode.RESOURCE_OBJ_CREATE, create)(port)


IPSEC_FAULTS = [
    Fault(
        "no capability of associations",
        "ipsec_capabilities_come_together",
        "net-16.01",
        _without_capability(IpsecCapability.ASSOCIATION),
    ),
    Fault(
        "associations cannot be queried",
        "associations_have_all_commands",
        "net-16.02",
        without(AdminOpcode.RESOURCE_OBJ_QUERY),
    ),
    Fault(
        "associations without capabilities",
        "associations_need_both_capabilities",
        "net-16.03",
        _always_enabled(_IPSEC_TYPES),
    ),
    Fault(
        "existing association is invalid",
        "association_exists_once",
        "net-16.04",
        opcode(AdminOpcode.RESOURCE_OBJ_CREATE, renamed(AdminStatus.EEXIST, AdminStatus.EINVAL)),
    ),
    Fault(
        "outbound associations are not verified",
        "associations_that_cannot_be",
        "net-16.05",
        _unchecked(IpsecResource.OUTBOUND),
    ),
    Fault(
        "one inbound association too many",
        "associations_that_cannot_be",
        "net-16.06",
        _limit(IpsecResource.INBOUND, lambda limit: limit() + 1),
    ),
    Fault("number of an association is used up", "association_is_created_again", "net-16.08", used_up),
    Fault("index in use is busy", "associations_of_the_same_index", "net-16.09", _busy_index),
    Fault(
        "associations outlive a reset",
        "associations_end_with_a_reset",
        "net-16.10",
        lambda port: setattr(port.model.resources, "reset", nothing),
    ),
]
