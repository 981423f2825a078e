"""The device parts of the virtual function of a reference device. Ref: virtio 1.4, 2.12.1.4 and 2.14."""

from dataclasses import dataclass

from ringwalker.spec.admin import AdminCapability, AdminOpcode, AdminResource, AdminStatus, ResourceHeader
from ringwalker.spec.device_parts import (
    DevPart,
    DevPartFlag,
    DevPartHeader,
    DevPartsCapability,
    DevPartsGet,
    DevPartsMetadata,
    DevPartsObject,
    DevPartsObjectType,
    DevPartsSelector,
    VqConfigPart,
    VqNotifyPart,
)
from ringwalker.spec.modern import COMMON

from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of
from .admin_server import AdminError, Capabilities, Command, Handler, NotYet, invalid
from .member import MemberPort
from .resources import ResourceKind, Resources

__all__ = ["Part", "Parts", "PartsKind"]

_RESOURCE = dtype_of(ResourceHeader).itemsize
_SELECTOR = dtype_of(DevPartsSelector).itemsize
_HEADER = dtype_of(DevPartHeader).itemsize
_COMMON_PARTS = ("config_msix_vector", "num_queues")
"""Registers of the common configuration that are parts: one that is written, and one that is not."""


@dataclass(frozen=True)
class Part:
    """A device part. ``selector`` is an offset in the common configuration, or the index of a queue."""

    type: int
    value: bytes
    selector: int = 0
    flags: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all others."""
        return self.type, self.selector

    @property
    def header(self) -> bytes:
        """Its header."""
        names = {"part_type": self.type, "flags": self.flags, "selector": self.selector}
        return struct_bytes(DevPartHeader, length=len(self.value), **names)


def parse(raw: bytes) -> list[Part]:
    """The parts in the data of a command. Errors: EINVAL."""
    found = []
    while len(raw) >= _HEADER:
        row = struct_of(DevPartHeader, raw)
        value = raw[_HEADER : _HEADER + int(row["length"])]
        if not row["part_type"]:
            break
        if len(value) < row["length"]:
            raise invalid()
        found.append(Part(int(row["part_type"]), value, int(row["selector"]), int(row["flags"])))
        raw = raw[_HEADER + len(value) :]
    return found


class PartsKind(ResourceKind):
    """Objects to get or to set parts."""

    type = AdminResource.DEV_PARTS
    needed = (AdminCapability.DEV_PARTS,)

    def limits(self) -> dict[int, int]:
        """Most objects of each purpose."""
        row = struct_of(DevPartsCapability, self.capabilities.driver.get(AdminCapability.DEV_PARTS, b""))
        return {
            DevPartsObjectType.GET: int(row["get_limit"]),
            DevPartsObjectType.SET: int(row["set_limit"]),
        }

    def limit(self) -> int:
        """Objects of both purposes."""
        return sum(self.limits().values())

    def purpose(self, data: bytes) -> int:
        """Get or set."""
        return int(struct_of(DevPartsObject, data)["type"])

    def check(self, number: int, data: bytes) -> bytes:
        """There is a limit of each purpose."""
        purpose = self.purpose(data)
        if purpose not in self.limits():
            raise invalid()
        if sum(self.purpose(other) == purpose for other in self.objects.values()) >= self.limits()[purpose]:
            raise AdminError(AdminStatus.ENOSPC)
        return data[: dtype_of(DevPartsObject).itemsize]


class Parts:
    """The commands about the parts and the mode of ``member``; ``resources`` are its objects."""

    def __init__(self, member: MemberPort, capabilities: Capabilities):
        self.member = member
        self.kind = PartsKind(capabilities)
        self.resources = Resources([self.kind])

    def handlers(self) -> dict[int, Handler]:
        """The commands."""
        return self.resources.handlers() | {
            AdminOpcode.DEV_PARTS_METADATA_GET: self.metadata,
            AdminOpcode.DEV_PARTS_GET: self.get,
            AdminOpcode.DEV_PARTS_SET: self.set,
            AdminOpcode.DEV_MODE_SET: self.set_mode,
        }

    def busy(self) -> bool:
        """Whether a reset or a change of the power state is in progress."""
        return self.member.away or self.member.model.resetting

    def object(self, command: Command, purpose: DevPartsObjectType) -> bytes:
        """The data behind the header of an object, which is for ``purpose``. Errors: ENXIO, EINVAL."""
        _kind, number, _data = self.resources.existing(command)
        if self.kind.purpose(self.kind.objects[number]) != purpose:
            raise invalid()
        return command.data[_RESOURCE:]

    # --- what there is -------------------------------------------------------------------------------------

    def all(self) -> list[Part]:
        """All parts, in their order."""
        member = self.member
        model, rings = member.model, member.rings
        found = [
            self.features(DevPart.DEV_FEATURES, model.features, DevPartFlag.OPTIONAL),
            self.features(DevPart.DRV_FEATURES, model.driver_features),
        ]
        for name in _COMMON_PARTS:
            row, value = COMMON[name], member.modern.common(name)
            found.append(Part(DevPart.PCI_COMMON_CFG, value.to_bytes(row.size, "little"), row.offset))
        found.append(Part(DevPart.DEVICE_STATUS, bytes([model.read_status()])))
        for index, queue in enumerate(rings.queues):
            names = {"size": queue.size, "vector": queue.vector, "enabled": queue.enable}
            places = {"desc": queue.desc, "driver": queue.driver, "device": queue.device}
            found.append(Part(DevPart.VQ_CFG, struct_bytes(VqConfigPart, **names, **places), index))
        for index in range(len(rings.queues)):
            names = {"notify_off": rings.register_read(index, "notify_off")}
            found.append(Part(DevPart.VQ_NOTIFY_CFG, struct_bytes(VqNotifyPart, **names), index))
        return found

    def features(self, kind: DevPart, bits: int, flags: int = 0) -> Part:
        """A mask of features as a part."""
        return Part(kind, bits.to_bytes(16, "little"), flags=flags)

    def metadata(self, command: Command) -> bytes:
        """DEV_PARTS_METADATA_GET."""
        kind = int(struct_of(DevPartsSelector, self.object(command, DevPartsObjectType.GET))["type"])
        parts = self.all()
        if kind == DevPartsMetadata.SIZE:
            answer = sum(_HEADER + len(part.value) for part in parts).to_bytes(8, "little")
        elif kind in (DevPartsMetadata.COUNT, DevPartsMetadata.LIST):
            answer = len(parts).to_bytes(8, "little")
            answer += b"".join(part.header for part in parts) if kind == DevPartsMetadata.LIST else b""
        else:
            raise invalid()
        return self.fitting(command, answer)

    def fitting(self, command: Command, answer: bytes) -> bytes:
        """``answer``. Errors: ENOMEM where it has no room."""
        if len(answer) > command.room:
            raise AdminError(AdminStatus.ENOMEM)
        return answer

    def get(self, command: Command) -> bytes:
        """DEV_PARTS_GET."""
        data = self.object(command, DevPartsObjectType.GET)
        kind, parts = int(struct_of(DevPartsSelector, data)["type"]), self.all()
        if kind == DevPartsGet.SELECTED:
            headers = data[_SELECTOR:]
            rows = [struct_of(DevPartHeader, headers[at:]) for at in range(0, len(headers), _HEADER)]
            wanted = {(int(row["part_type"]), int(row["selector"])) for row in rows}
            parts = [part for part in parts if part.key in wanted]
        elif kind != DevPartsGet.ALL:
            raise invalid()
        return self.fitting(command, b"".join(part.header + part.value for part in parts))

    # --- changing it ---------------------------------------------------------------------------------------

    def set(self, command: Command) -> bytes:
        """DEV_PARTS_SET: all parts are checked before one is set."""
        if self.busy():
            raise NotYet
        parts = parse(self.object(command, DevPartsObjectType.SET))
        if not self.member.model.halted:
            raise invalid()
        known = {part.key: part for part in self.all()}
        for part in parts:
            if part.key not in known:
                raise invalid()
            self.verify(part, known[part.key])
        for part in parts:
            self.apply(part)
        return b""

    def verify(self, part: Part, mine: Part) -> None:
        """Errors: EINVAL for a part that the device cannot have."""
        fixed = part.type == DevPart.DEV_FEATURES or part.key == (
            DevPart.PCI_COMMON_CFG,
            COMMON.num_queues.offset,
        )
        if len(part.value) != len(mine.value) or (fixed and part.value != mine.value):
            raise invalid()

    def apply(self, part: Part) -> None:
        """Set one part, unless it is one that is only checked."""
        member, number = self.member, int.from_bytes(part.value, "little")
        if part.type == DevPart.DRV_FEATURES:
            member.model.driver_features = number
        elif part.type == DevPart.DEVICE_STATUS:
            member.model.status = number
        elif part.type == DevPart.VQ_CFG:
            row, queue = struct_of(VqConfigPart, part.value), member.rings.queues[part.selector]
            for name in ("size", "vector", "desc", "driver", "device"):
                setattr(queue, name, int(row[name]))
            queue.enable = int(row["enabled"])

    def set_mode(self, command: Command) -> bytes:
        """DEV_MODE_SET: it is done once nothing is in flight any more."""
        if self.busy():
            raise NotYet
        model = self.member.model
        if command.data[0] & 1:
            model.stop()
            if not model.halted:
                raise NotYet
        elif model.halting:
            model.resume()
        return b""
