"""Protocol buffers of the same length, many at a time: a template with slots, and a column for each slot.

A slot for a number has a fixed width: a varint may be longer than it need be.
Ref: protobuf.dev, Encoding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Part", "Slot", "field", "fill", "fixed", "message", "number", "varint"]

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


def fill(parts: Sequence[Part], count: int, columns: Mapping[str, Any]) -> np.ndarray:
    """``count`` rows of bytes; ``columns`` has what stands in each slot, a number or an array of them."""
    out = np.empty((count, sum(map(_size, parts))), np.uint8)
    at = 0
    for part in parts:
        end = at + _size(part)
        if isinstance(part, bytes):
            out[:, at:end] = np.frombuffer(part, np.uint8)
        elif part.fixed:
            values = np.broadcast_to(np.asarray(columns[part.name]).astype("<u8"), count)
            out[:, at:end] = np.ascontiguousarray(values).view(np.uint8).reshape(count, 8)
        else:
            values = np.asarray(columns[part.name]).astype(np.uint64)
            for place in range(part.width):
                more = 0x80 if place < part.width - 1 else 0
                out[:, at + place] = (values >> np.uint64(_BITS * place)) & np.uint64(0x7F) | np.uint64(more)
        at = end
    return out
