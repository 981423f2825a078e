"""The flow filters of a reference device: capabilities, objects, and what they do with a frame.

Ref: virtio 1.4, 5.1.9.6.
"""

from collections.abc import Callable, Iterator

from ringwalker.spec.net_flow import (
    FLOW_HEADER_BYTES,
    FlowAction,
    FlowCapability,
    FlowFlag,
    FlowGroup,
    FlowHeader,
    FlowList,
    FlowResource,
    FlowResourceCapability,
    FlowRule,
    FlowSelector,
)

from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of
from .admin_server import AdminError, Capabilities, invalid
from .resources import ResourceKind

__all__ = ["FLOW_CAPABILITIES", "FLOW_VALID", "ClassifierKind", "FlowFilter", "GroupKind", "RuleKind"]

_LIST = dtype_of(FlowList).itemsize
_SELECTOR = dtype_of(FlowSelector).itemsize
_RULE = dtype_of(FlowRule).itemsize
_TYPES: dict[int, int] = {FlowHeader.IPV4: 0x0800, FlowHeader.IPV6: 0x86DD}
_PROTOCOLS: dict[int, int] = {FlowHeader.TCP: 6, FlowHeader.UDP: 17, FlowHeader.ESP: 50}
_SELECTED = (FlowHeader.ETH, FlowHeader.IPV4, FlowHeader.IPV6, FlowHeader.TCP, FlowHeader.UDP)


def selectors(raw: bytes) -> list[tuple[int, int, bytes]]:
    """Type, flags and mask of each selector of a capability or a classifier. Errors: EINVAL."""
    found, at = [], _LIST
    for _ in range(int(struct_of(FlowList, raw)["count"])):
        row = struct_of(FlowSelector, raw[at:])
        length = int(row["length"])
        mask = raw[at + _SELECTOR : at + _SELECTOR + length]
        if len(mask) < length or FLOW_HEADER_BYTES.get(int(row["type"])) != length:
            raise invalid()
        found.append((int(row["type"]), int(row["flags"]), mask))
        at += _SELECTOR + length
    return found


def _selector_list() -> bytes:
    parts = [struct_bytes(FlowList, count=len(_SELECTED))]
    for kind in _SELECTED:
        length = FLOW_HEADER_BYTES[kind]
        head = struct_bytes(FlowSelector, type=kind, flags=FlowFlag.PARTIAL_MASK, length=length)
        parts.append(head + b"\xff" * length)
    return b"".join(parts)


def _within(mine: bytes, wanted: bytes) -> bool:
    return all(not theirs & ~own for own, theirs in zip(mine, wanted, strict=False))


def _valid_limits(mine: bytes, wanted: bytes) -> bool:
    own, theirs = (struct_of(FlowResourceCapability, raw) for raw in (mine, wanted))
    names = [name for name in own.dtype.names if name != "reserved"]
    return all(theirs[name] <= own[name] for name in names)


def _valid_selectors(mine: bytes, wanted: bytes) -> bool:
    able = {kind: (flags, mask) for kind, flags, mask in selectors(mine)}
    try:
        chosen = selectors(wanted)
    except AdminError:
        return False
    return all(
        kind in able and not flags & ~able[kind][0] and _within(able[kind][1], mask)
        for kind, flags, mask in chosen
    )


def actions(raw: bytes) -> set[int]:
    """The actions that a capability lists."""
    return set(raw[_LIST : _LIST + int(struct_of(FlowList, raw)["count"])])


FLOW_CAPABILITIES: dict[int, bytes] = {
    FlowCapability.RESOURCE: struct_bytes(
        FlowResourceCapability,
        groups_limit=8,
        classifiers_limit=6,
        rules_limit=24,
        rules_per_group_limit=16,
        last_rule_priority=15,
        selectors_per_classifier_limit=3,
    ),
    FlowCapability.SELECTOR: _selector_list(),
    FlowCapability.ACTION: struct_bytes(FlowList, count=2)
    + bytes([FlowAction.DROP, FlowAction.DIRECT_RX_VQ]),
}
"""What the device can do."""

FLOW_VALID: dict[int, Callable[[bytes, bytes], bool]] = {
    FlowCapability.RESOURCE: _valid_limits,
    FlowCapability.SELECTOR: _valid_selectors,
    FlowCapability.ACTION: lambda mine, wanted: actions(wanted) <= actions(mine),
}
"""What the driver may set."""


class _FlowKind(ResourceKind):
    needed = tuple(FlowCapability)

    def chosen(self, name: str) -> int:
        """A limit that the driver has set."""
        content = self.capabilities.driver.get(FlowCapability.RESOURCE, b"")
        return int(struct_of(FlowResourceCapability, content)[name])


class GroupKind(_FlowKind):
    """Groups of rules."""

    type = FlowResource.GROUP

    def limit(self) -> int:
        """The lower of two limits."""
        return min(self.chosen("groups_limit"), self.chosen("rules_per_group_limit"))

    def priority(self, data: bytes) -> int:
        """The priority of a group."""
        return int(struct_of(FlowGroup, data)["priority"])

    def check(self, number: int, data: bytes) -> bytes:
        """No two have the same priority."""
        kept = data[: dtype_of(FlowGroup).itemsize]
        if any(self.priority(kept) == self.priority(other) for other in self.objects.values()):
            raise invalid()
        return kept


class ClassifierKind(_FlowKind):
    """Classifiers."""

    type = FlowResource.CLASSIFIER

    def limit(self) -> int:
        """What the driver has set."""
        return self.chosen("classifiers_limit")

    def check(self, number: int, data: bytes) -> bytes:
        """Ethernet first, then an IP version, then a transport; only masks that the driver has set."""
        chosen = selectors(data)
        allowed = {
            kind: (flags, mask)
            for kind, flags, mask in selectors(self.capabilities.driver[FlowCapability.SELECTOR])
        }
        layers = [{FlowHeader.ETH}, set(_TYPES), set(_PROTOCOLS)]
        if not 0 < len(chosen) <= min(len(layers), self.chosen("selectors_per_classifier_limit")):
            raise invalid()
        for (kind, flags, mask), layer in zip(chosen, layers, strict=False):
            if kind not in layer or kind not in allowed or flags & ~allowed[kind][0]:
                raise invalid()
            if not _within(allowed[kind][1], mask):
                raise invalid()
        return data[: _LIST + sum(_SELECTOR + len(mask) for _kind, _flags, mask in chosen)]


class RuleKind(_FlowKind):
    """Rules. ``is_receive_queue(index)`` says whether there is such a queue."""

    type = FlowResource.RULE

    def __init__(
        self,
        capabilities: Capabilities,
        classifiers: ClassifierKind,
        is_receive_queue: Callable[[int], bool],
    ):
        super().__init__(capabilities)
        self.classifiers = classifiers
        self.is_receive_queue = is_receive_queue

    def limit(self) -> int:
        """The lower of two limits."""
        return min(self.chosen("rules_limit"), self.chosen("rules_per_group_limit"))

    def check(self, number: int, data: bytes) -> bytes:
        """Priority, action, queue and length of the keys are valid."""
        row = struct_of(FlowRule, data)
        kept = data[: _RULE + int(row["key_length"])]
        masks = self.classifiers.objects.get(int(row["classifier_id"]))
        if masks is None or int(row["key_length"]) != sum(len(mask) for _k, _f, mask in selectors(masks)):
            raise invalid()
        if int(row["priority"]) >= self.chosen("last_rule_priority"):
            raise invalid()
        if int(row["action"]) not in actions(self.capabilities.driver[FlowCapability.ACTION]):
            raise invalid()
        if row["action"] == FlowAction.DIRECT_RX_VQ and not self.is_receive_queue(int(row["vq_index"])):
            raise invalid()
        if len(kept) < _RULE + int(row["key_length"]):
            raise invalid()
        return kept

    def dependencies(self, data: bytes) -> list[tuple[int, int]]:
        """Its group and its classifier."""
        row = struct_of(FlowRule, data)
        return [
            (FlowResource.GROUP, int(row["group_id"])),
            (FlowResource.CLASSIFIER, int(row["classifier_id"])),
        ]


def header(frame: bytes, kind: int) -> bytes | None:
    """The bytes of a header of ``frame``; None if it has no such header."""
    if kind == FlowHeader.ETH:
        return frame[:14]
    version = next((kind for kind, number in _TYPES.items() if frame[12:14] == number.to_bytes(2)), None)
    if version is None or kind in _TYPES:
        return frame[14 : 14 + FLOW_HEADER_BYTES[kind]] if kind == version else None
    ipv4 = version == FlowHeader.IPV4
    protocol, start = (frame[23], 14 + 4 * (frame[14] & 15)) if ipv4 else (frame[20], 54)
    return frame[start : start + FLOW_HEADER_BYTES[kind]] if protocol == _PROTOCOLS[kind] else None


class FlowFilter:
    """What the rules do with frames."""

    def __init__(self, groups: GroupKind, classifiers: ClassifierKind, rules: RuleKind):
        self.groups = groups
        self.classifiers = classifiers
        self.rules = rules

    def order(self) -> Iterator[bytes]:
        """The rules in the order in which they are applied."""
        groups = self.groups.objects
        for group in sorted(groups, key=lambda number: -self.groups.priority(groups[number])):
            mine = [
                data for data in self.rules.objects.values() if struct_of(FlowRule, data)["group_id"] == group
            ]
            yield from sorted(mine, key=lambda data: -int(struct_of(FlowRule, data)["priority"]))

    def matches(self, rule: bytes, frame: bytes) -> bool:
        """Whether a rule matches."""
        at = _RULE
        for kind, _flags, mask in selectors(
            self.classifiers.objects[int(struct_of(FlowRule, rule)["classifier_id"])]
        ):
            found, key = header(frame, kind), rule[at : at + len(mask)]
            at += len(mask)
            if found is None or len(found) < len(mask):
                return False
            if any((a ^ b) & bits for a, b, bits in zip(found, key, mask, strict=True)):
                return False
        return True

    def decide(self, frame: bytes) -> tuple[int, int] | None:
        """Action and queue for a frame; None if no rule matches."""
        for rule in self.order():
            if self.matches(rule, frame):
                row = struct_of(FlowRule, rule)
                return int(row["action"]), int(row["vq_index"])
        return None
