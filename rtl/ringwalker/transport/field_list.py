"""The field list of 2007 of a given configuration: plain data, no logic.

The RTL, the register reference, and models in Python all take it from here.

Ref: "virtio with config abstraction and ring implementation", 20 September 2007.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..config import DeviceConfig
from ..spec.fields import (
    FIELD_QUEUE_BYTES,
    FIELD_QUEUE_STRIDE,
    QUEUE_FIELD,
    CommonField,
    FieldFlag,
    FieldHeader,
    FieldView,
)
from ..spec.modern import COMMON, COMMON_BASE, DEVICE_BASE, NOTIFY_BASE, NOTIFY_MULTIPLIER
from ..spec.registers import Access, Register, RegisterTable

__all__ = ["Field", "FieldDword", "FieldList", "FieldSelect", "field_list", "image", "queue_field"]

HEADER_BYTES = 4
"""In front of every value."""

_NONE, _WRITABLE, _VOLATILE = FieldFlag(0), FieldFlag.WRITABLE, FieldFlag.VOLATILE


@dataclass(frozen=True)
class FieldSelect:
    """What has to stand in a dword of the register BAR for a view to show its value."""

    register: int
    """Offset of the dword in bytes."""
    strobe: int
    """Mask of its bytes that count."""
    value: int
    """What they have to be, in their place in the dword."""


@dataclass(frozen=True)
class FieldDword:
    """Four bytes of the list: a constant, or a view of a dword of the register BAR."""

    offset: int
    """In bytes from the start of the list."""
    value: int = 0
    """The constant."""
    register: int | None = None
    """Offset in bytes of the dword that is viewed; None: it is a constant."""
    rotate: int = 0
    """Byte ``n`` of the view is byte ``(n + rotate) % 4`` of the register."""
    readable: int = 0
    """Mask of bytes of the view; others read 0."""
    writable: int = 0
    """Mask of bytes of the view; others ignore writes."""
    select: FieldSelect | None = None
    """What has to be selected first."""

    def shown(self, dword: int) -> int:
        """What the list shows when the register holds ``dword``."""
        turned = (dword | dword << 32) >> 8 * self.rotate
        return sum(turned & 0xFF << 8 * n for n in range(4) if self.readable >> n & 1)


@dataclass(frozen=True)
class Field:
    """One field."""

    type: int
    name: str
    doc: str
    offset: int
    """Of the value, in bytes from the start of the list."""
    length: int
    """Of the value, in bytes."""
    flags: FieldFlag = _NONE
    dwords: tuple[FieldDword, ...] = ()
    """The value."""
    queue: int | None = None
    """Number of the queue, of QUEUE fields."""

    @property
    def end(self) -> int:
        """Where the next header stands."""
        return self.offset + (self.length + 3 & ~3)

    @property
    def header(self) -> FieldDword:
        """The dword in front of the value."""
        content = {"type": self.type, "flags": int(self.flags), "length": self.length}
        return FieldDword(self.offset - HEADER_BYTES, FieldHeader.const(content).as_bits())


@dataclass(frozen=True)
class FieldList:
    """All fields in order, the first one's header at 0."""

    fields: tuple[Field, ...]
    first_queue: int
    """Where the value of queue 0 stands, in bytes: a multiple of FIELD_QUEUE_STRIDE."""

    @property
    def size(self) -> int:
        """Bytes of the list with the header of END."""
        return self.fields[-1].end

    @property
    def dwords(self) -> tuple[FieldDword, ...]:
        """Every dword of the list; the one at offset 4 * n is the n-th."""
        return tuple(dword for item in self.fields for dword in (item.header, *item.dwords))

    def find(self, kind: int, queue: int | None = None) -> Field:
        """The field of type ``kind``, of QUEUE that of ``queue``. Errors: ``KeyError`` naming both."""
        for item in self.fields:
            if item.type == kind and item.queue == queue:
                return item
        raise KeyError(f"the list has no field of type {kind:#x}, queue {queue}")


def _view(offset: int, base: int, row: Register, writable: bool, select: FieldSelect | None = None):
    """The dwords at ``offset`` that show the register ``row`` of the structure at ``base``."""
    for start in range(0, row.size, 4):
        place = base + row.offset + start
        mask = (1 << min(4, row.size - start)) - 1
        rotate = place % 4
        if rotate and row.size > 4 - rotate:
            raise ValueError(f"{row.name} crosses a dword at {place:#x}; a view cannot show that")
        yield FieldDword(offset + start, 0, place - rotate, rotate, mask, mask if writable else 0, select)


def _select(name: str, value: int) -> FieldSelect:
    """``value`` in the select register ``name`` of the common configuration."""
    row = COMMON[name]
    lane = row.offset % 4
    return FieldSelect(COMMON_BASE + row.offset - lane, (1 << row.size) - 1 << lane, value << 8 * lane)


def _halves(view: FieldView, offset: int) -> Iterator[FieldDword]:
    """64 bits behind a register that shows one half, as the register ``view.halves`` says."""
    (row,), writable = view.registers, bool(view.flags & _WRITABLE)
    for n in range(2):
        yield from _view(offset + 4 * n, view.base, row, writable, _select(view.halves, n))


def _field(view: FieldView, offset: int) -> Field:
    """The field of a view whose value stands at ``offset``."""
    length = view.length or sum(row.size for row in view.registers) << bool(view.halves)
    doc = " ".join(row.doc for row in view.registers)
    if view.halves:
        dwords = tuple(_halves(view, offset))
    else:
        row = Register(view.type.name, view.registers[0].offset, 8 * length, Access.RO, "")
        dwords = tuple(_view(offset, view.base, row, bool(view.flags & _WRITABLE)))
    return Field(int(view.type), view.type.name, doc, offset, length, FieldFlag(view.flags), dwords)


_COMMON_VIEWS = (
    FieldView(CommonField.STATUS, (COMMON.device_status,), _WRITABLE | _VOLATILE, base=COMMON_BASE),
    FieldView(
        CommonField.DEVICE_FEATURES,
        (COMMON.device_feature,),
        halves="device_feature_select",
        base=COMMON_BASE,
    ),
    FieldView(
        CommonField.DRIVER_FEATURES,
        (COMMON.driver_feature,),
        _WRITABLE,
        halves="driver_feature_select",
        base=COMMON_BASE,
    ),
    FieldView(CommonField.GENERATION, (COMMON.config_generation,), _VOLATILE, base=COMMON_BASE),
    FieldView(CommonField.CONFIG_VECTOR, (COMMON.config_msix_vector,), _WRITABLE, base=COMMON_BASE),
)


def _queue_dwords(offset: int, queue: int) -> Iterator[FieldDword]:
    """A queue's value, dword by dword: neighbouring registers of QUEUE_FIELD share one."""
    select = _select("queue_select", queue)
    for start in range(0, FIELD_QUEUE_BYTES, 4):
        rows = [row for row in QUEUE_FIELD if row.offset < start + 4 and start < row.offset + row.size]
        bytes_of = {row.name: _byte_mask(row, start) for row in rows}
        mask = sum(bytes_of.values())
        writable = sum(bytes_of[row.name] for row in rows if row.access is not Access.RO)
        names = [row.name for row in rows]
        if names == ["index"]:
            yield FieldDword(offset + start, queue)
        elif names == ["doorbell"]:
            place = NOTIFY_BASE + queue * NOTIFY_MULTIPLIER
            yield FieldDword(offset + start, 0, place, 0, mask, writable)
        elif rows:
            place = COMMON_BASE + COMMON.queue_size.offset + start
            yield FieldDword(offset + start, 0, place, 0, mask, writable, select)
        else:
            yield FieldDword(offset + start)


def _byte_mask(row: Register, start: int) -> int:
    """The bytes of ``row`` in the dword at ``start``."""
    return sum(1 << n for n in range(4) if row.offset <= start + n < row.offset + row.size)


def queue_field(first_queue: int, queue: int) -> Field:
    """The QUEUE field of ``queue``, if that of queue 0 has its value at ``first_queue``."""
    offset = first_queue + queue * FIELD_QUEUE_STRIDE
    return Field(
        int(CommonField.QUEUE),
        CommonField.QUEUE.name,
        "Registers of one queue.",
        offset,
        FIELD_QUEUE_BYTES,
        _WRITABLE | _VOLATILE,
        tuple(_queue_dwords(offset, queue)),
        queue,
    )


@cache
def field_list(config: DeviceConfig) -> FieldList:
    """The list of ``config``, whether or not its device shows it."""
    fields: list[Field] = []
    offset = HEADER_BYTES
    for view in (*_COMMON_VIEWS, *config.kind.fields):
        fields.append(_field(view, offset))
        offset = fields[-1].end + HEADER_BYTES
    # Queue 0's value, not its header, is to stand at a multiple of the stride.
    if offset % FIELD_QUEUE_STRIDE:
        aligned = -(-(offset + HEADER_BYTES) // FIELD_QUEUE_STRIDE) * FIELD_QUEUE_STRIDE
        length = aligned - HEADER_BYTES - offset
        empty = tuple(FieldDword(offset + n) for n in range(0, length, 4))
        filler = CommonField.FILLER
        fields.append(Field(int(filler), filler.name, "Nothing.", offset, length, dwords=empty))
        offset = aligned
    fields += [queue_field(offset, queue) for queue in range(config.queues)]
    end = fields[-1].end + HEADER_BYTES
    fields.append(Field(int(CommonField.END), CommonField.END.name, "The end of the list.", end, 0))
    return FieldList(tuple(fields), offset)


def image(config: DeviceConfig, features: int = 0, device_config: bytes = b"") -> bytes:
    """The list as it reads after reset.

    ``features`` is the mask that the device offers and ``device_config`` the content of its device
    configuration structure (what is missing reads 0): only the function knows these.
    """
    content = bytearray()
    for dword in field_list(config).dwords:
        value = (
            dword.value
            if dword.register is None
            else dword.shown(_reset(config, dword, features, device_config))
        )
        content += value.to_bytes(4, "little")
    return bytes(content)


def _reset(config: DeviceConfig, dword: FieldDword, features: int, device_config: bytes) -> int:
    """What the register behind a view reads as after reset."""
    place = dword.register or 0
    if place >= NOTIFY_BASE:
        return 0
    if place >= DEVICE_BASE:
        piece = device_config[place - DEVICE_BASE :][:4]
        return int.from_bytes(piece, "little")
    selected = dword.select.value if dword.select else 0
    known = {
        "device_feature": features >> 32 * selected,
        "num_queues": config.queues,
        "queue_size": config.queue_size,
        "queue_notify_off": selected >> 8 * (COMMON.queue_select.offset % 4),
    }
    return _piece(COMMON, known, place - COMMON_BASE)


def _piece(table: RegisterTable, values: Mapping[str, int], start: int) -> int:
    """The dword at ``start`` of ``table``; registers without a value have that of reset."""
    result = 0
    for row in table:
        if row.offset < start + 4 and start < row.offset + row.size:
            value = values.get(row.name, row.reset) << 8 * row.offset >> 8 * start
            result |= value & 0xFFFF_FFFF
    return result
