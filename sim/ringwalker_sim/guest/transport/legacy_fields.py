"""The field list of 2007 over a legacy header: each field is a view of registers that are there.

The field list came first; the header of fixed offsets took its place in 2008.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.console import CONSOLE_CONFIG
from ringwalker.spec.fields import FIELD_QUEUE_BYTES, QUEUE_FIELD, CommonField, FieldFlag
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NET_CONFIG
from ringwalker.spec.registers import Access, Register

from .device_fields import DeviceField, device_fields
from .field_space import Field, FieldSpace
from .queue_registers import QueueRegisters

if TYPE_CHECKING:
    from .legacy_pci import LegacyPciTransport

__all__ = ["LegacyFields", "legacy_fields"]

_TABLES = {
    DeviceType.BLK: BLK_CONFIG,
    DeviceType.NET: NET_CONFIG,
    DeviceType.CONSOLE: CONSOLE_CONFIG,
}
_HEADER_BYTES = 4
_FEATURE_BYTES = 8


async def _ignore(_offset: int, _data: bytes) -> None:
    return


@dataclass(frozen=True)
class _Value:
    """A value of the list; ``read`` and ``write`` are given the offset in it, and a length or bytes."""

    field: Field
    read: Callable[[int, int], Awaitable[bytes]]
    write: Callable[[int, bytes], Awaitable[None]] = _ignore


class LegacyFields(FieldSpace):
    """The list of a device; fields are added in their order, :meth:`close` ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._values: list[_Value] = []
        self._headers = bytearray()

    def add(
        self,
        kind: int,
        length: int,
        read: Callable[[int, int], Awaitable[bytes]],
        write: Callable[[int, bytes], Awaitable[None]] | None = None,
        flags: int = 0,
    ) -> None:
        """Add a field of ``length`` bytes; one with ``write`` is writable."""
        flags |= FieldFlag.WRITABLE if write else 0
        self._headers += bytes([kind, flags]) + length.to_bytes(2, "little")
        field = Field(kind, len(self._headers), length, FieldFlag(flags))
        self._values.append(_Value(field, read, write or _ignore))
        self._headers += bytes(-(-length // 4) * 4)

    def add_number(
        self,
        kind: int,
        length: int,
        read: Callable[[], Awaitable[int]],
        write: Callable[[int], Awaitable[None]] | None = None,
        flags: int = 0,
    ) -> None:
        """Add a field with a numeric value, which is written whole."""

        async def content(offset: int, length: int) -> bytes:
            whole = (await read()).to_bytes(_FEATURE_BYTES, "little")
            return whole[offset : offset + length]

        async def change(_offset: int, data: bytes) -> None:
            assert write is not None
            await write(int.from_bytes(data, "little"))

        self.add(kind, length, content, change if write else None, flags)

    def close(self) -> None:
        """Add the end of the list."""
        self._headers += bytes(_HEADER_BYTES)
        self.size = len(self._headers)

    async def read_bytes(self, offset: int, length: int) -> bytes:
        """Read bytes of the list."""
        content = bytearray(self._headers[offset : offset + length])
        for value in self._values:
            start, low, high = _overlap(value.field, offset, length)
            if low < high:
                content[low - offset : high - offset] = await value.read(low - start, high - low)
        return bytes(content)

    async def write_bytes(self, offset: int, data: bytes) -> None:
        """Write bytes of the list; headers and read-only values keep their value."""
        for value in self._values:
            start, low, high = _overlap(value.field, offset, len(data))
            if low < high:
                await value.write(low - start, data[low - offset : high - offset])


def _overlap(field: Field, offset: int, length: int) -> tuple[int, int, int]:
    """Where a value starts, and the range of it that ``length`` bytes from ``offset`` on cover."""
    low, high = max(offset, field.offset), min(offset + length, field.offset + field.length)
    return field.offset, low, high


def _add_device_field(space: LegacyFields, transport: "LegacyPciTransport", item: DeviceField) -> None:
    def row(offset: int, length: int) -> Register:
        return Register("field", item.start + offset, 8 * length, Access.RW, "")

    async def read(offset: int, length: int) -> bytes:
        return (await transport.get(row(offset, length))).to_bytes(length, "little")

    async def write(offset: int, data: bytes) -> None:
        await transport.set(row(offset, len(data)), int.from_bytes(data, "little"))

    writable = FieldFlag.WRITABLE in item.flags
    space.add(item.kind, item.size, read, write if writable else None, item.flags)


def _add_queue(space: LegacyFields, registers: QueueRegisters) -> None:
    """Rows of the value are read and written one by one, each as a whole."""

    async def read(offset: int, length: int) -> bytes:
        content = bytearray(FIELD_QUEUE_BYTES)
        for row in QUEUE_FIELD:
            if row.offset < offset + length and offset < row.offset + row.size:
                value = await registers.read(row.name)
                content[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")
        return bytes(content[offset : offset + length])

    async def write(offset: int, data: bytes) -> None:
        for row in QUEUE_FIELD:
            part = data[row.offset - offset :][: row.size] if row.offset >= offset else b""
            if len(part) == row.size and row.access is not Access.RO:
                await registers.write(row.name, int.from_bytes(part, "little"))

    space.add(CommonField.QUEUE, FIELD_QUEUE_BYTES, read, write, FieldFlag.VOLATILE)


async def legacy_fields(transport: "LegacyPciTransport") -> LegacyFields:
    """The field list of the device behind ``transport``. Its features have 32 bits; its generation is the
    number of configuration changes that the transport was notified of.
    """

    async def generation() -> int:
        return transport.config_changes & 0xFF

    space = LegacyFields()
    space.add_number(CommonField.STATUS, 1, transport.status, transport.write_status, FieldFlag.VOLATILE)
    space.add_number(CommonField.DEVICE_FEATURES, _FEATURE_BYTES, transport.device_features)

    async def accepted() -> int:
        return await transport.header.read("driver_features")

    space.add_number(CommonField.DRIVER_FEATURES, _FEATURE_BYTES, accepted, transport.accept_features)
    space.add_number(CommonField.GENERATION, 1, generation, flags=FieldFlag.VOLATILE)
    identity = transport.pci.id.type
    table = _TABLES.get(DeviceType(identity)) if identity in tuple(DeviceType) else None
    for item in () if table is None else device_fields(table):
        if transport.has_device_field(item.rows[-1]):
            _add_device_field(space, transport, item)
    for index in range(await transport.num_queues()):
        _add_queue(space, transport.queue_registers(index))
    space.close()
    return space
