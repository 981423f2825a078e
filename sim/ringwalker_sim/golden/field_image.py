"""The field list of a device in Python: a string of bytes whose reads and writes reach the device.

The order of its fields is that of the hardware (:mod:`ringwalker.transport.field_list`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.fields import (
    FIELD_QUEUE_BYTES,
    FIELD_QUEUE_STRIDE,
    QUEUE_FIELD,
    CommonField,
    FieldFlag,
)
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.registers import Access

from ..guest.transport.device_fields import DeviceField, device_fields
from .function import FunctionModel

__all__ = ["FieldImage"]


@dataclass
class _Value:
    offset: int
    length: int
    read: Callable[[], bytes]
    write: Callable[[int, bytes], None]
    """Called with the offset in the value, and the bytes."""


def _ignore(_offset: int, _data: bytes) -> None:
    pass


class FieldImage:
    """The field list of ``model``; ``size`` is in bytes.

    ``status_write(value)`` is for a device with more to reset than the model.
    ``queue_read(index, name)`` and ``queue_write(index, name, value)`` access the registers of its queues,
    ``vector_read`` and ``vector_write`` the MSI-X vector of configuration changes, None without MSI-X.
    """

    def __init__(
        self,
        model: FunctionModel,
        queue_read: Callable[[int, str], int],
        queue_write: Callable[[int, str, int], None],
        vector_read: Callable[[], int] = lambda: NO_VECTOR,
        vector_write: Callable[[int], None] = lambda _vector: None,
        status_write: Callable[[int], None] | None = None,
    ):
        self.model = model
        self._vector = vector_read, vector_write
        self._status_write = status_write or (lambda value: model.write_status(value))
        self._queue_read = queue_read
        self._queue_write = queue_write
        self._headers = bytearray()
        self._values: list[_Value] = []
        self._build()
        self.size = len(self._headers)

    def _add(self, kind: int, length: int, read: Callable[[], bytes], write=_ignore, flags: int = 0) -> None:
        self._headers += bytes([kind, flags]) + length.to_bytes(2, "little")
        self._values.append(_Value(len(self._headers), length, read, write))
        self._headers += bytes(-(-length // 4) * 4)

    def _number(
        self,
        kind: int,
        length: int,
        read: Callable[[], int],
        write: Callable[[int], None] | None = None,
        flags: int = 0,
    ) -> None:
        """Add a field with a numeric value, which may be written in part."""

        def change(offset: int, data: bytes) -> None:
            content = bytearray(read().to_bytes(length, "little"))
            content[offset : offset + len(data)] = data
            assert write is not None
            write(int.from_bytes(content, "little"))

        flags |= FieldFlag.WRITABLE if write else 0
        action = change if write else _ignore
        self._add(kind, length, lambda: read().to_bytes(length, "little"), action, flags)

    def _build(self) -> None:
        model, volatile = self.model, FieldFlag.VOLATILE
        self._number(CommonField.STATUS, 1, lambda: model.read_status(), self._status_write, volatile)
        self._number(CommonField.DEVICE_FEATURES, 8, lambda: model.offered_features())
        self._number(CommonField.DRIVER_FEATURES, 8, lambda: model.driver_features, self._accept)
        self._number(CommonField.GENERATION, 1, lambda: model.generation, flags=volatile)
        self._number(CommonField.CONFIG_VECTOR, 2, *self._vector)
        for field in device_fields(model.table):
            self._device_field(field)
        # The values of the queue fields stand at multiples of their stride.
        filler = -(len(self._headers) + 8) % FIELD_QUEUE_STRIDE
        self._add(CommonField.FILLER, filler, lambda: bytes(filler))
        for index in range(model.queue_count):
            self._queue_field(index)
        self._headers += bytes(4)

    def _accept(self, features: int) -> None:
        for word in range(2):
            self.model.accept_word(word, features >> 32 * word & 0xFFFF_FFFF)

    def _device_field(self, field: DeviceField) -> None:
        if field.rows == (BLK_CONFIG.num_queues,):
            # It was there before the feature that the field of the device configuration goes with.
            self._number(field.kind, field.size, lambda: self.model.queue_count)
            return
        start, end = field.start, field.start + field.size
        self._add(
            field.kind,
            field.size,
            lambda: self.model.read_config()[start:end],
            lambda offset, data: self.model.write_config(start + offset, data),
            field.flags,
        )

    def _queue_field(self, index: int) -> None:
        def read() -> bytes:
            content = bytearray(FIELD_QUEUE_BYTES)
            for row in QUEUE_FIELD:
                value = self._queue_read(index, row.name)
                content[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")
            return bytes(content)

        def write(offset: int, data: bytes) -> None:
            for row in QUEUE_FIELD:
                low, high = max(offset, row.offset), min(offset + len(data), row.offset + row.size)
                if low < high and row.access in (Access.RW, Access.WO):
                    content = bytearray(self._queue_read(index, row.name).to_bytes(row.size, "little"))
                    content[low - row.offset : high - row.offset] = data[low - offset : high - offset]
                    self._queue_write(index, row.name, int.from_bytes(content, "little"))

        self._add(CommonField.QUEUE, FIELD_QUEUE_BYTES, read, write, FieldFlag.WRITABLE | FieldFlag.VOLATILE)

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes of the list; 0 beyond its end."""
        content = bytearray(self._headers[offset : offset + length].ljust(length, b"\0"))
        for value in self._values:
            low, high = max(offset, value.offset), min(offset + length, value.offset + value.length)
            if low < high:
                content[low - offset : high - offset] = value.read()[low - value.offset : high - value.offset]
        return bytes(content)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes of the list; headers and read-only values keep their value."""
        for value in self._values:
            low, high = max(offset, value.offset), min(offset + len(data), value.offset + value.length)
            if low < high:
                value.write(low - value.offset, data[low - offset : high - offset])
