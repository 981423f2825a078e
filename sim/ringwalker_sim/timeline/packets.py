"""Protocol buffers of the same length, many at a time: a template with slots, and a column for each slot.

All numbers of a slot have one width: a varint may be longer than it need be.
Ref: protobuf.dev, Encoding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Part", "Slot", "field", "fill", "fixed", "message", "number", "varint", "width"]

_BITS = 7
_VARINT, _FIXED64, _BYTES = 0, 1, 2


@dataclass(frozen=True)
class Slot:
    """Room for a column of numbers in ``width`` bytes: a varint, or, if ``fixed``, 64 bits."""

    name: str
    width: int
    fixed: bool = False


Part = bytes | Slot


def varint(value: int) -> bytes:
    """A whole number that is not negative."""
    out = bytearray()
    while value >= 1 << _BITS:
        out.append(value & 0x7F | 0x80)
        value >>= _BITS
    return bytes([*out, value])


def _size(part: Part) -> int:
    return part.width if isinstance(part, Slot) else len(part)


def number(key: int, slot: str, width: int) -> list[Part]:
    """Field ``key`` with a number of ``7 * width`` bits."""
    return [varint(key << 3 | _VARINT), Slot(slot, width)]


def fixed(key: int, slot: str) -> list[Part]:
    """Field ``key`` with a number of 64 bits."""
    return [varint(key << 3 | _FIXED64), Slot(slot, 8, True)]


def field(key: int, value: int | bytes | str) -> list[Part]:
    """Field ``key`` with a value that is the same in all."""
    if isinstance(value, int):
        return [varint(key << 3 | _VARINT) + varint(value)]
    data = value.encode() if isinstance(value, str) else value
    return [varint(key << 3 | _BYTES) + varint(len(data)) + data]


def message(key: int, *groups: Sequence[Part]) -> list[Part]:
    """Field ``key`` with a message of these fields."""
    parts = [part for group in groups for part in group]
    return [varint(key << 3 | _BYTES) + varint(sum(map(_size, parts))), *parts]


def width(values: Any) -> int:
    """Bytes of a varint for each of ``values``, a number or an array of them."""
    most = int(np.max(values, initial=0))
    return max(1, -(-most.bit_length() // _BITS))


def fill(parts: Sequence[Part], count: int, columns: Mapping[str, Any]) -> np.ndarray:
    """``count`` rows of bytes; ``columns`` has what stands in each slot, a number or an array of them."""
    row, slots = bytearray(), []
    for part in parts:
        if isinstance(part, bytes):
            row += part
            continue
        values = np.asarray(columns[part.name])
        if values.ndim:
            slots.append((len(row), part, values))
            row += bytes(part.width)
        else:
            row += _encoded(part, values.reshape(1)).tobytes()
    out = np.tile(np.frombuffer(row, np.uint8), (count, 1))
    for at, part, values in slots:
        out[:, at : at + part.width] = _encoded(part, values)
    return out


def _encoded(slot: Slot, values: np.ndarray) -> np.ndarray:
    if slot.fixed:
        return np.ascontiguousarray(values.astype("<u8")).view(np.uint8).reshape(len(values), slot.width)
    left = values.astype(np.uint64)
    out = np.empty((slot.width, len(values)), np.uint8)
    for place in range(slot.width):
        out[place] = left & np.uint64(0x7F)
        left >>= np.uint64(_BITS)
    out[:-1] |= 0x80
    return out.T
