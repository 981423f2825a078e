"""Flow filters of the network device: rules that drop received frames or choose their queue.

Ref: virtio 1.4, 5.1.6 (capabilities), 5.1.7 (resource objects) and 5.1.9.6 (flow filter).
"""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "FLOW_HEADER_BYTES",
    "FlowAction",
    "FlowCapability",
    "FlowFlag",
    "FlowGroup",
    "FlowHeader",
    "FlowList",
    "FlowResource",
    "FlowResourceCapability",
    "FlowRule",
    "FlowSelector",
]


class FlowCapability(enum.IntEnum):
    """Ids of the capabilities."""

    RESOURCE = 0x800
    SELECTOR = 0x801
    ACTION = 0x802


class FlowResource(enum.IntEnum):
    """Types of the resource objects."""

    GROUP = 0x200
    CLASSIFIER = 0x201
    RULE = 0x202


class FlowHeader(enum.IntEnum):
    """``type`` of a selector: the header that it is about."""

    ETH = 1
    IPV4 = 2
    IPV6 = 3
    TCP = 4
    UDP = 5
    ESP = 6


FLOW_HEADER_BYTES: dict[int, int] = {
    FlowHeader.ETH: 14,
    FlowHeader.IPV4: 20,
    FlowHeader.IPV6: 40,
    FlowHeader.TCP: 20,
    FlowHeader.UDP: 8,
    FlowHeader.ESP: 8,
}
"""Bytes of the mask of a selector."""


class FlowFlag(enum.IntFlag):
    """``flags`` of a selector."""

    PARTIAL_MASK = 1


class FlowAction(enum.IntEnum):
    """``action`` of a rule."""

    DROP = 1
    DIRECT_RX_VQ = 2
    IPSEC = 3
    IPSEC_RECIRCULATE = 4


class FlowResourceCapability(data.Struct):
    """The capability RESOURCE."""

    groups_limit: unsigned(32)
    classifiers_limit: unsigned(32)
    rules_limit: unsigned(32)
    rules_per_group_limit: unsigned(32)
    last_rule_priority: unsigned(8)
    selectors_per_classifier_limit: unsigned(8)
    reserved: data.ArrayLayout(8, 2)


class FlowList(data.Struct):
    """The start of the capabilities SELECTOR and ACTION and of a classifier: ``count`` entries follow."""

    count: unsigned(8)
    reserved: data.ArrayLayout(8, 7)


class FlowSelector(data.Struct):
    """A selector; ``length`` bytes of mask follow."""

    type: unsigned(8)
    flags: unsigned(8)
    reserved: data.ArrayLayout(8, 2)
    length: unsigned(8)
    reserved1: data.ArrayLayout(8, 3)


class FlowGroup(data.Struct):
    """A group of rules."""

    priority: unsigned(16)


class FlowRule(data.Struct):
    """A rule; ``key_length`` bytes of keys follow, those of each selector of its classifier in turn."""

    group_id: unsigned(32)
    classifier_id: unsigned(32)
    priority: unsigned(8)
    key_length: unsigned(8)
    action: unsigned(8)
    reserved: unsigned(8)
    vq_index: unsigned(16)
    reserved1: data.ArrayLayout(8, 2)
