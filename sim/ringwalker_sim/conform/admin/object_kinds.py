"""Resource objects that checks can make: of each type, the capabilities that it needs, and its data."""

from abc import ABC, abstractmethod
from typing import Any

from ringwalker.spec.admin import AdminOpcode
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.ipsec import (
    IPSEC_KEY_BYTES,
    IpsecAssociation,
    IpsecCapability,
    IpsecDirection,
    IpsecList,
    IpsecMode,
    IpsecModeCapability,
    IpsecResource,
    IpsecResourceCapability,
)
from ringwalker.spec.net import NetFeature
from ringwalker.spec.net_flow import FlowCapability, FlowGroup, FlowResource, FlowResourceCapability

from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of
from ..check import NotApplicable
from ..subject import Subject
from .commands import Administration, Answer

__all__ = ["MOST_OBJECTS", "Associations", "FlowGroups", "ObjectKind", "changed", "object_kinds"]

MOST_OBJECTS = 8
"""As many objects as a check makes of one type."""

_KEY_BYTES = 16
_TRANSPORT = (IpsecMode.ESP_TRANSPORT, IpsecMode.AH_TRANSPORT)


def changed(struct: Any, content: bytes, **fields: int) -> bytes:
    """A capability with some fields of the ``struct`` at its start changed."""
    row = struct_of(struct, content).copy()
    for name, value in fields.items():
        row[name] = value
    return row.tobytes()[: len(content)] + content[row.nbytes :]


class ObjectKind(ABC):
    """Resource objects of one ``type``. ``capabilities`` are the ids that they need, ``limiting`` that of the
    limit; ``queried``: whether the format of what QUERY gives is laid down."""

    type: int
    name: str
    capabilities: tuple[int, ...]
    limiting: int
    queried = True

    def __init__(self, admin: Administration):
        self.admin = admin
        self.contents: dict[int, bytes] = {}
        """What the device offers, by id of the capability."""

    async def prepare(self) -> None:
        """Read the capabilities. Errors: :class:`NotApplicable` where the device has not all of them."""
        offered = await self.admin.capabilities()
        for number in self.capabilities:
            if number not in offered:
                raise NotApplicable(f"there is no capability {number:#x}")
            answer = await self.admin.get_capability(number)
            answer.expect("core-16.01", f"DEVICE_CAP_GET of capability {number:#x}")
            self.contents[number] = answer.result

    async def enable(self, most: int = MOST_OBJECTS, clause: str = "core-16.02") -> int:
        """Set all capabilities, for at most ``most`` objects; as many as there can be now.

        Errors: :class:`NotApplicable` when there can be none, :class:`Nonconformance` of ``clause``.
        """
        limit = min(most, self.offered_limit())
        if not limit:
            raise NotApplicable(f"the device offers 0 {self.name}")
        for number in self.capabilities:
            content = self.contents[number]
            if number == self.limiting:
                content = self.limited(limit)
            answer = await self.admin.set_capability(number, content)
            answer.expect(clause, f"DRIVER_CAP_SET of capability {number:#x}")
        return limit

    async def disable(self) -> Answer:
        """Set the capability of the limit to zeroes."""
        return await self.admin.set_capability(self.limiting, bytes(len(self.contents[self.limiting])))

    @abstractmethod
    def offered_limit(self) -> int:
        """As many objects as the device offers."""

    @abstractmethod
    def limited(self, limit: int) -> bytes:
        """The capability with another limit."""

    @abstractmethod
    def data(self, number: int, variant: int = 0) -> bytes:
        """The data of an object; those of different numbers or variants go together."""

    async def create(self, number: int, variant: int = 0) -> Answer:
        """Create an object."""
        return await self.admin.create(self.type, number, self.data(number, variant))

    async def modify(self, number: int, variant: int) -> Answer:
        """Change an object."""
        return await self.admin.modify(self.type, number, self.data(number, variant))

    async def query(self, number: int) -> Answer:
        """Query an object."""
        return await self.admin.query(self.type, number)

    async def destroy(self, number: int) -> Answer:
        """Destroy an object."""
        return await self.admin.destroy(self.type, number)


class FlowGroups(ObjectKind):
    """Groups of flow filters of a network device."""

    type = FlowResource.GROUP
    name = "groups of flow filters"
    capabilities = tuple(FlowCapability)
    limiting = FlowCapability.RESOURCE

    def offered_limit(self) -> int:
        """The lower one of two limits."""
        row = struct_of(FlowResourceCapability, self.contents[self.limiting])
        return min(int(row["groups_limit"]), int(row["rules_per_group_limit"]))

    def limited(self, limit: int) -> bytes:
        """See :meth:`ObjectKind.limited`."""
        return changed(FlowResourceCapability, self.contents[self.limiting], groups_limit=limit)

    def data(self, number: int, variant: int = 0) -> bytes:
        """A priority of its own."""
        return struct_bytes(FlowGroup, priority=1 + number + MOST_OBJECTS * variant)


class Associations(ObjectKind):
    """Security associations of one direction of a network device."""

    capabilities = tuple(IpsecCapability)
    limiting = IpsecCapability.RESOURCE
    queried = False

    def __init__(self, admin: Administration, direction: IpsecDirection):
        super().__init__(admin)
        outbound = direction == IpsecDirection.OUTBOUND
        self.direction = direction
        self.type = IpsecResource.OUTBOUND if outbound else IpsecResource.INBOUND
        self.field = "outbound_limit" if outbound else "inbound_limit"
        self.name = f"{direction.name.lower()} security associations"

    def offered_limit(self) -> int:
        """See :meth:`ObjectKind.offered_limit`."""
        return int(struct_of(IpsecResourceCapability, self.contents[self.limiting])[self.field])

    def limited(self, limit: int) -> bytes:
        """See :meth:`ObjectKind.limited`."""
        # Both directions are limited, so that both kinds set the same.
        row = struct_of(IpsecResourceCapability, self.contents[self.limiting])
        fields = {name: min(limit, int(row[name])) for name in ("inbound_limit", "outbound_limit")}
        return changed(IpsecResourceCapability, self.contents[self.limiting], **fields)

    @property
    def mode(self) -> Any:
        """A mode that the device offers: a transport mode if there is one, and one with algorithms."""
        content = self.contents[IpsecCapability.ASSOCIATION]
        start, size = dtype_of(IpsecList).itemsize, dtype_of(IpsecModeCapability).itemsize
        count = int(struct_of(IpsecList, content)["count"])
        modes = [struct_of(IpsecModeCapability, content[start + n * size :]) for n in range(count)]
        able = [mode for mode in modes if mode["cipher_algorithms"] or mode["hmac_algorithms"]]
        if not able:
            raise NotApplicable("no mode of IPsec has ciphers or authentication")
        return min(able, key=lambda mode: int(mode["mode"]) not in _TRANSPORT)

    def data(self, number: int, variant: int = 0) -> bytes:
        """A security parameters index of its own, the first algorithms and short keys."""
        return self.association(spi=0x1000 + number + MOST_OBJECTS * variant)

    def association(self, **fields: Any) -> bytes:
        """A security association of :attr:`mode`, without options, with ``fields`` changed."""
        mode = self.mode

        def lowest(name: str) -> int:
            return (int(mode[name]) & -int(mode[name])).bit_length() - 1 if mode[name] else 0

        def key(limit: str) -> dict[str, Any]:
            length = min(int(mode[limit]), _KEY_BYTES, IPSEC_KEY_BYTES)
            return {"length": length, "data": bytes(range(1, 1 + length))}

        usual: dict[str, Any] = {
            "mode": int(mode["mode"]),
            "direction": self.direction,
            "cipher_algorithm": lowest("cipher_algorithms"),
            "cipher_key": key("max_cipher_key"),
            "auth_algorithm": lowest("hmac_algorithms"),
            "auth_key": key("max_auth_key"),
            "tunnel": {"type": 4},
        }
        return struct_bytes(IpsecAssociation, **usual | fields)


async def object_kinds(subject: Subject) -> list[ObjectKind]:
    """The types of resource objects that the device has, on a new administration queue.

    Errors: :class:`NotApplicable` where there are none.
    """
    is_net = subject.type == DeviceType.NET
    features = [NetFeature.IPSEC] if is_net and subject.offers(NetFeature.IPSEC) else []
    admin = await Administration.open(subject, *features)
    admin.require(AdminOpcode.RESOURCE_OBJ_CREATE, AdminOpcode.RESOURCE_OBJ_DESTROY)
    found: list[ObjectKind] = []
    for kind in (
        (FlowGroups(admin), *(Associations(admin, item) for item in IpsecDirection)) if is_net else ()
    ):
        try:
            await kind.prepare()
        except NotApplicable:
            continue
        if kind.offered_limit():
            found.append(kind)
    if not found:
        raise NotApplicable("the device has no resource objects of a type that is known here")
    return found
