"""Resource objects of a reference device. Ref: virtio 1.4, 2.12.1.3."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ringwalker.spec.admin import AdminOpcode, AdminQualifier, AdminStatus, ResourceFlags, ResourceHeader

from ...memory import dtype_of
from ...struct_bytes import struct_of
from .admin_server import AdminError, Capabilities, Command, Handler, invalid

__all__ = ["ResourceKind", "Resources"]

_HEADER = dtype_of(ResourceHeader).itemsize
_FLAGS = dtype_of(ResourceFlags).itemsize


class ResourceKind(ABC):
    """A type of resource objects, which depends on the capabilities whose ids are ``needed``."""

    type: int
    needed: Sequence[int] = ()

    def __init__(self, capabilities: Capabilities):
        self.capabilities = capabilities
        self.objects: dict[int, bytes] = {}
        """What each object was last created with or changed to."""

    @property
    def enabled(self) -> bool:
        """Whether the driver has set all capabilities."""
        return all(self.capabilities.enabled(number) for number in self.needed)

    @abstractmethod
    def limit(self) -> int:
        """Objects that the driver wants at most."""

    @abstractmethod
    def check(self, number: int, data: bytes) -> bytes:
        """What is kept of ``data`` for object ``number``. Errors: :class:`AdminError`."""

    def dependencies(self, _data: bytes) -> list[tuple[int, int]]:
        """Type and number of each object on which one with ``data`` depends."""
        return []


class Resources:
    """The resource objects of ``kinds``."""

    def __init__(self, kinds: Sequence[ResourceKind]):
        self.kinds = {kind.type: kind for kind in kinds}

    def reset(self) -> None:
        """There are none."""
        for kind in self.kinds.values():
            kind.objects.clear()

    def in_use(self, capability: int) -> bool:
        """Whether there are objects that depend on a capability."""
        return any(kind.objects for kind in self.kinds.values() if capability in kind.needed)

    def handlers(self) -> dict[int, Handler]:
        """The commands about resource objects."""
        return {
            AdminOpcode.RESOURCE_OBJ_CREATE: self.create,
            AdminOpcode.RESOURCE_OBJ_MODIFY: self.modify,
            AdminOpcode.RESOURCE_OBJ_QUERY: self.query,
            AdminOpcode.RESOURCE_OBJ_DESTROY: self.destroy,
        }

    def split(self, command: Command) -> tuple[ResourceKind, int, bytes]:
        """Kind, number and own data of the object that a command is about."""
        header = struct_of(ResourceHeader, command.data)
        kind = self.kinds.get(int(header["type"]))
        if kind is None:
            raise AdminError(AdminStatus.ENXIO)
        if not kind.enabled:
            raise invalid(AdminQualifier.INVALID_OPCODE)
        return kind, int(header["id"]), command.data[_HEADER + _FLAGS :]

    def existing(self, command: Command) -> tuple[ResourceKind, int, bytes]:
        """The same, of an object that exists."""
        kind, number, data = self.split(command)
        if number not in kind.objects:
            raise AdminError(AdminStatus.ENXIO)
        return kind, number, data

    def check_free(self, kind: ResourceKind, number: int) -> None:
        """Errors: EBUSY for an object on which others depend."""
        for other in self.kinds.values():
            if any((kind.type, number) in other.dependencies(data) for data in other.objects.values()):
                raise AdminError(AdminStatus.EBUSY)

    def _checked(self, kind: ResourceKind, number: int, data: bytes) -> bytes:
        kept = kind.check(number, data)
        for type_, other in kind.dependencies(kept):
            if other not in self.kinds[type_].objects:
                raise invalid()
        return kept

    def create(self, command: Command) -> bytes:
        """RESOURCE_OBJ_CREATE."""
        kind, number, data = self.split(command)
        if number in kind.objects:
            raise AdminError(AdminStatus.EEXIST)
        if number >= kind.limit() or len(kind.objects) >= kind.limit():
            raise AdminError(AdminStatus.ENOSPC)
        kind.objects[number] = self._checked(kind, number, data)
        return b""

    def modify(self, command: Command) -> bytes:
        """RESOURCE_OBJ_MODIFY."""
        kind, number, data = self.existing(command)
        self.check_free(kind, number)
        before = kind.objects.pop(number)
        try:
            after = self._checked(kind, number, data)
        except AdminError:
            kind.objects[number] = before
            raise
        kind.objects[number] = after
        return b""

    def query(self, command: Command) -> bytes:
        """RESOURCE_OBJ_QUERY."""
        kind, number, _data = self.existing(command)
        return kind.objects[number]

    def destroy(self, command: Command) -> bytes:
        """RESOURCE_OBJ_DESTROY."""
        kind, number, _data = self.existing(command)
        self.check_free(kind, number)
        del kind.objects[number]
        return b""
