"""Flow filters as checks set them: groups, classifiers, and rules about Ethernet headers."""

from typing import Any

from ringwalker.spec.admin import AdminOpcode
from ringwalker.spec.ids import DeviceType
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
from ..admin.commands import Administration, Answer
from ..admin.object_kinds import changed
from ..check import NotApplicable
from ..subject import Subject

__all__ = ["FLOW_COMMANDS", "FlowRules", "key_of", "mask_of", "selector"]

FLOW_COMMANDS = (
    AdminOpcode.RESOURCE_OBJ_CREATE,
    AdminOpcode.RESOURCE_OBJ_MODIFY,
    AdminOpcode.RESOURCE_OBJ_QUERY,
    AdminOpcode.RESOURCE_OBJ_DESTROY,
)

_ETH = FLOW_HEADER_BYTES[FlowHeader.ETH]
_FIELDS = {"type": slice(12, 14), "source": slice(6, 12)}
"""Fields of an Ethernet header that checks may match, the first that the device can."""


def mask_of(field: str) -> bytes:
    """The mask of an Ethernet header for one field."""
    mask = bytearray(_ETH)
    place = _FIELDS[field]
    mask[place] = b"\xff" * (place.stop - place.start)
    return bytes(mask)


def key_of(field: str, value: int) -> bytes:
    """The key of an Ethernet header in which a field is a number of up to 8 bits of the checks' own."""
    key = bytearray(_ETH)
    place = _FIELDS[field]
    # Types for local experiments are 0x88B5 and 0x88B6; addresses of the checks are locally administered.
    key[place] = (0x8800 + value if field == "type" else (0x02 << 40) + value).to_bytes(
        place.stop - place.start, "big"
    )
    return bytes(key)


def selector(kind: FlowHeader, mask: bytes, flags: int = 0) -> bytes:
    """A selector of a classifier."""
    return struct_bytes(FlowSelector, type=kind, flags=flags, length=len(mask)) + mask


class FlowRules:
    """The flow filters of a device with all capabilities set as they are offered.

    ``field`` is the field of Ethernet headers that classifiers match, ``partial`` whether partial masks of
    them are offered; ``masks`` are the masks of all headers, ``limits`` the limits, ``actions`` the actions.
    """

    def __init__(self, admin: Administration, contents: dict[int, bytes]):
        self.admin = admin
        self.contents = contents
        self.limits = struct_of(FlowResourceCapability, contents[FlowCapability.RESOURCE])
        start = dtype_of(FlowList).itemsize
        content = contents[FlowCapability.ACTION]
        self.actions = set(content[start : start + int(struct_of(FlowList, content)["count"])])
        self.masks: dict[int, bytes] = {}
        self.partial = False
        content, at = contents[FlowCapability.SELECTOR], start
        for _ in range(int(struct_of(FlowList, content)["count"])):
            row = struct_of(FlowSelector, content[at:])
            at += dtype_of(FlowSelector).itemsize
            self.masks[int(row["type"])] = content[at : at + int(row["length"])]
            at += int(row["length"])
            if row["type"] == FlowHeader.ETH:
                self.partial = bool(row["flags"] & FlowFlag.PARTIAL_MASK)
        able = [name for name in _FIELDS if self.can_match(FlowHeader.ETH, mask_of(name))]
        if not able:
            raise NotApplicable("no flow filter can match type or source of an Ethernet header")
        self.field = able[0]

    @classmethod
    async def open(cls, subject: Subject, *features: int, queues: bool = False) -> "FlowRules":
        """On a new administration queue. Errors: :class:`NotApplicable` without flow filters."""
        rules = await cls.closed(subject, *features, queues=queues)
        for number in FlowCapability:
            answer = await rules.admin.set_capability(number, rules.contents[number])
            answer.expect("core-16.02", f"DRIVER_CAP_SET of {number.name} as it is offered")
        return rules

    @classmethod
    async def closed(cls, subject: Subject, *features: int, queues: bool = False) -> "FlowRules":
        """The same with no capability set yet."""
        if subject.type != DeviceType.NET:
            raise NotApplicable("only network devices have flow filters")
        admin = await Administration.open(subject, *features, queues=queues)
        offered = await admin.capabilities()
        if not offered & set(FlowCapability):
            raise NotApplicable("there is no capability of flow filters")
        contents = {}
        for number in FlowCapability:
            answer = await admin.get_capability(number)
            answer.expect("net-15.01", f"DEVICE_CAP_GET of {number.name}")
            contents[number] = answer.result
        return cls(admin, contents)

    def can_match(self, kind: FlowHeader, mask: bytes) -> bool:
        """Whether the device offers a selector with all bits of ``mask``."""
        offered = self.masks.get(kind, b"")
        return len(offered) == len(mask) and not any(
            bits & ~own for bits, own in zip(mask, offered, strict=True)
        )

    async def limit(self, **limits: int) -> Answer:
        """Set the limits of the driver."""
        content = changed(FlowResourceCapability, self.contents[FlowCapability.RESOURCE], **limits)
        return await self.admin.set_capability(FlowCapability.RESOURCE, content)

    # --- contents ------------------------------------------------------------------------------------------

    def group(self, priority: int) -> bytes:
        """The data of a group."""
        return struct_bytes(FlowGroup, priority=priority)

    def classifier(self, flags: int = 0) -> bytes:
        """The data of a classifier of ``field`` of Ethernet headers."""
        chosen = selector(FlowHeader.ETH, mask_of(self.field), flags)
        return struct_bytes(FlowList, count=1) + chosen

    def rule(
        self,
        group: int = 0,
        priority: int = 0,
        action: int = FlowAction.DROP,
        queue: int = 0,
        value: int = 0xB5,
        key: bytes | None = None,
        classifier: int = 0,
    ) -> bytes:
        """The data of a rule for frames with ``value`` in ``field``, or for those with ``key``."""
        key = key_of(self.field, value) if key is None else key
        names = {"group_id": group, "classifier_id": classifier, "priority": priority}
        names |= {"action": action, "vq_index": queue}
        return struct_bytes(FlowRule, key_length=len(key), **names) + key

    def frame(self, target: bytes, value: int = 0xB5) -> bytes:
        """A frame of 60 bytes with ``value`` in ``field``."""
        head = bytearray(target + bytes.fromhex("02000000fffe") + bytes.fromhex("88b5"))
        place = _FIELDS[self.field]
        head[place] = key_of(self.field, value)[place]
        return bytes(head) + bytes(range(46))

    # --- objects -------------------------------------------------------------------------------------------

    async def add_group(self, number: int, priority: int) -> None:
        """Create a group."""
        answer = await self.admin.create(FlowResource.GROUP, number, self.group(priority))
        answer.expect("net-15.02", f"creating group {number} with priority {priority}")

    async def add_classifier(self, number: int = 0) -> None:
        """Create a classifier."""
        answer = await self.admin.create(FlowResource.CLASSIFIER, number, self.classifier())
        answer.expect("net-15.02", f"creating classifier {number}")

    async def add_rule(self, number: int, **content: Any) -> None:
        """Create a rule, with the arguments of :meth:`rule`."""
        answer = await self.admin.create(FlowResource.RULE, number, self.rule(**content))
        answer.expect("net-15.02", f"creating rule {number} with {content}")
