"""A timeline as a file: a Perfetto trace, compressed, in which the recorded events are as well.

The first packet of the trace has them, in a field that viewers skip, so :func:`load` reads no more.
"""

import json
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip, isal_zlib

from ringwalker.outputs import writing

from ..errors import DataError
from .events import EVENT, event_type
from .packets import field, message
from .timeline import Timeline
from .tracks import draw

__all__ = ["load", "save"]

_TRACE_PACKET, _OURS = 1, 2500
_LEVEL = 1
"""Of compression, by ISA-L, which takes an eighth of the time of zlib for files that are a little smaller."""

_FORMAT = "ringwalker timeline 1"


def _packed(timeline: Timeline) -> bytes:
    """Header and columns: what changes little from row to row becomes small."""
    header = json.dumps({"format": _FORMAT, "count": len(timeline.events), "about": timeline.about})
    columns = [isal_zlib.compress(_column(timeline.events, name), _LEVEL) for name, _bits in EVENT]
    sizes = np.array([len(header), *map(len, columns)], "<u8").tobytes()
    return b"".join([sizes, header.encode(), *columns])


def _column(events: np.ndarray, name: str) -> bytes:
    values = np.ascontiguousarray(events[name])
    if name in ("begin", "end"):
        values = np.diff(values, prepend=values.dtype.type(0))
    # The lowest bytes of all rows, then the next: most of them are 0.
    return values.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()


def _events(columns: list[bytes], count: int) -> np.ndarray:
    events = np.zeros(count, event_type)
    for (name, bits), text in zip(EVENT, columns, strict=True):
        data = np.frombuffer(isal_zlib.decompress(text), np.uint8).reshape(bits // 8, count)
        values = np.ascontiguousarray(data.T).view(f"<u{bits // 8}").reshape(count)
        events[name] = np.cumsum(values, dtype=np.uint64) if name in ("begin", "end") else values
    return events


def save(timeline: Timeline, path: str | Path) -> None:
    """Write a timeline. Errors: ``OutputError`` when the system refuses it."""
    first = b"".join(
        part for part in message(_TRACE_PACKET, field(_OURS, _packed(timeline))) if isinstance(part, bytes)
    )
    with writing(path), Path(path).open("wb") as file, igzip.IGzipFile("", "wb", _LEVEL, file, 0) as out:
        out.write(first)
        for piece in draw(timeline).pieces():
            out.write(piece)


def _number(file: BinaryIO) -> int:
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise EOFError


def load(path: str | Path) -> Timeline:
    """Read a timeline. Errors: :class:`~ringwalker_sim.errors.DataError` for a file that is none."""
    try:
        with igzip.IGzipFile(path) as file:
            plain: Any = file
            tag, _length, key, _size = (_number(plain) for _ in range(4))
            if (tag, key) != (_TRACE_PACKET << 3 | 2, _OURS << 3 | 2):
                raise ValueError
            sizes = np.frombuffer(file.read(8 * (1 + len(EVENT))), "<u8").tolist()
            header = json.loads(file.read(sizes[0]))
            columns = [file.read(size) for size in sizes[1:]]
            return Timeline(_events(columns, header["count"]), header["about"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, KeyError, zlib.error):
        raise DataError(f"{path}: is no timeline of ringwalker") from None
