"""Structs of the specification from and to bytes that are not in guest memory."""

from typing import Any

import numpy as np

from .memory import dtype_of

__all__ = ["struct_bytes", "struct_of"]


def struct_bytes(struct: Any, **fields: Any) -> bytes:
    """The bytes of a ``data.Struct``: ``fields`` by name, everything else 0. A field that is an array may be
    given as bytes, from its start on, and a struct as a dict."""
    row = np.zeros((), dtype_of(struct))
    _fill(row, fields)
    return row.tobytes()


def _fill(row: np.ndarray, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _fill(row[name], value)
        elif isinstance(value, bytes):
            row[name][: len(value)] = np.frombuffer(value, np.uint8)
        else:
            row[name] = value


def struct_of(struct: Any, raw: bytes) -> Any:
    """A ``data.Struct`` at the start of ``raw``, by the names of its fields; what is missing is 0."""
    layout = dtype_of(struct)
    return np.frombuffer(raw[: layout.itemsize].ljust(layout.itemsize, b"\0"), layout)[0]
