"""The typed field list of 2007 as a driver sees it: places and values of fields, on every transport.

Ref: :mod:`ringwalker.spec.fields`; 2007: ``struct virtio_config_space``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from ringwalker.spec.fields import QUEUE_FIELD, CommonField, FieldFlag, FieldHeader

from ...memory import dtype_of
from ..errors import BindError, DeviceError
from .queue_registers import QueueRegisters

__all__ = ["BytesSpace", "Field", "FieldQueue", "FieldSpace"]

_HEADER = dtype_of(FieldHeader)
_MOST = 1024
"""Number of fields after which a list counts as endless."""


@dataclass(frozen=True)
class Field:
    """A field: its ``type``, and its value of ``length`` bytes at ``offset`` of the space."""

    type: int
    offset: int
    length: int
    flags: FieldFlag


class FieldSpace(ABC):
    """``size`` bytes that hold a field list. ``on_write(field, data)`` runs after each write."""

    size: int

    def __init__(self) -> None:
        self.on_write: Callable[[Field, bytes], None] = lambda _field, _data: None
        self._fields: tuple[Field, ...] | None = None

    @abstractmethod
    async def read_bytes(self, offset: int, length: int) -> bytes:
        """Read bytes of the space."""

    @abstractmethod
    async def write_bytes(self, offset: int, data: bytes) -> None:
        """Write bytes of the space; read-only bytes keep their value."""

    async def fields(self) -> tuple[Field, ...]:
        """All fields, in order. Errors: :class:`DeviceError` for a list that does not end."""
        if self._fields is None:
            found: list[Field] = []
            at = 0
            while True:
                if at + _HEADER.itemsize > self.size or len(found) > _MOST:
                    raise DeviceError(f"the field list has no end in its {self.size} bytes")
                raw = await self.read_bytes(at, _HEADER.itemsize)
                kind, flags = raw[0], FieldFlag(raw[1] & 3)
                length = int.from_bytes(raw[2:4], "little")
                if kind == CommonField.END:
                    break
                at += _HEADER.itemsize
                if at + length > self.size:
                    raise DeviceError(
                        f"field {kind:#x} at {at:#x} has {length} bytes of a list of {self.size}"
                    )
                found.append(Field(kind, at, length, flags))
                at += -(-length // 4) * 4
            self._fields = tuple(found)
        return self._fields

    async def find(self, kind: int, nth: int = 0) -> Field | None:
        """The ``nth`` field of a type, or None."""
        same = [field for field in await self.fields() if field.type == kind]
        return same[nth] if nth < len(same) else None

    async def at(self, offset: int, length: int) -> Field:
        """The field whose value is exactly these bytes. Errors: :class:`BindError` when there is none."""
        for field in await self.fields():
            if (field.offset, field.length) == (offset, length):
                return field
        raise BindError(f"no field has its value in the {length} bytes at {offset:#x}")

    async def read(self, field: Field, offset: int = 0, length: int | None = None) -> bytes:
        """Read the value of a field, or ``length`` bytes of it from ``offset`` on."""
        return await self.read_bytes(field.offset + offset, field.length if length is None else length)

    async def write(self, field: Field, data: bytes, offset: int = 0) -> None:
        """Write a field, or a part of it."""
        await self.write_bytes(field.offset + offset, data)
        self.on_write(field, data)


class BytesSpace(FieldSpace):
    """A field list in a string of bytes, behind ``read(offset, length)`` and ``write(offset, data)``."""

    def __init__(
        self, size: int, read: Callable[[int, int], bytes], write: Callable[[int, bytes], None]
    ) -> None:
        super().__init__()
        self.size = size
        self._read = read
        self._write = write

    async def read_bytes(self, offset: int, length: int) -> bytes:
        """Read bytes of the string."""
        return self._read(offset, length)

    async def write_bytes(self, offset: int, data: bytes) -> None:
        """Write bytes of the string through its owner."""
        self._write(offset, data)


class FieldQueue(QueueRegisters):
    """The registers of a queue in a queue field."""

    def __init__(self, space: FieldSpace, field: Field):
        self._space = space
        self._field = field

    async def read(self, name: str) -> int:
        """Read a register."""
        row = QUEUE_FIELD[name]
        return int.from_bytes(await self._space.read(self._field, row.offset, row.size), "little")

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        row = QUEUE_FIELD[name]
        await self._space.write(self._field, value.to_bytes(row.size, "little"), row.offset)

    async def ring(self, index: int, shown: int | None = None) -> None:
        """Write the doorbell."""
        await self.write("doorbell", index)
