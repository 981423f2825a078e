"""Puts tracks of text into an FST file that a simulation has written: variables whose values are strings.

Blocks of values have their own tables, and a variable that comes behind all others changes nothing in front
of it: frame and table of places get longer, and the values stand behind those that were there.

Ref: the format as ``fstapi`` writes it; blocks of values are of type 8 only, which Verilator makes.
"""

import gzip
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lz4.block
import numpy as np

from ringwalker.outputs import OutputFile

from ..timeline.packets import varint
from .fst import FstError
from .fst_join import Block, blocks_of

__all__ = ["Track", "add_tracks"]

_HEADER, _VALUES, _GEOMETRY, _HIERARCHY_GZIP, _HIERARCHY_LZ4 = 0, 8, 3, 4, 6
_OTHER_VALUES = (1, 5)
_SCOPES, _VARIABLES, _HANDLES = slice(41, 49), slice(49, 57), slice(57, 65)
_PREFIX = 9
_SCOPE, _UPSCOPE, _MODULE, _STRING, _IMPLICIT = 254, 255, 0, 21, 0
_NO_LENGTH = 0xFFFFFFFF
"""The length of a string in the geometry."""


@dataclass
class Track:
    """A variable ``name`` in ``scope``, which has ``texts`` from ``times`` on, in the units of the file.

    The times ascend. Before the first the text is empty.
    """

    scope: tuple[str, ...]
    name: str
    times: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, time: int, text: str) -> None:
        """From ``time`` on, which is no earlier than the last, the value is ``text``."""
        if self.times and self.times[-1] == time:
            self.texts[-1] = text
        elif not self.texts or self.texts[-1] != text:
            self.times.append(time)
            self.texts.append(text)


def _signed(value: int) -> bytes:
    """As :func:`.varint`, with a sign in the last byte."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value & 0x7F])


def _read(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _last_place(table: bytes) -> int:
    """Where the last values of a block begin, as its table of places has it: steps, and runs of nothing."""
    place = at = 0
    while at < len(table):
        begin = at
        value, at = _read(table, at)
        if not table[begin] & 1:
            continue
        if table[at - 1] & 0x40:
            value -= 1 << 7 * (at - begin)
        place += max(0, value >> 1)
    return place


def _times(data: bytes) -> np.ndarray:
    """A row of varints, added up."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    begins = np.append(0, ends[:-1] + 1)
    places = np.arange(len(raw)) - np.repeat(begins, ends - begins + 1)
    parts = (raw.astype(np.int64) & 0x7F) << (7 * places)
    return np.cumsum(np.add.reduceat(parts, begins)) if len(ends) else np.zeros(0, np.int64)


def _with_prefix(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + (8 + len(body)).to_bytes(8, "big") + body


def _named(tracks: Sequence[Track]) -> tuple[bytes, int]:
    """The tracks as lines of the hierarchy, and how many scopes those are."""
    out, scopes, inside = b"", 0, ()
    for track in tracks:
        same = next((n for n, (a, b) in enumerate(zip(inside, track.scope, strict=False)) if a != b), None)
        same = min(len(inside), len(track.scope)) if same is None else same
        out += bytes([_UPSCOPE]) * (len(inside) - same)
        for name in track.scope[same:]:
            out += bytes([_SCOPE, _MODULE]) + name.encode() + b"\0\0"
            scopes += 1
        inside = track.scope
        out += bytes([_STRING, _IMPLICIT]) + track.name.encode() + b"\0" + varint(0) + varint(0)
    return out + bytes([_UPSCOPE]) * len(inside), scopes


def _hierarchy(block: Block, more: bytes) -> bytes:
    raw = block.read()
    size, packed = int.from_bytes(raw[_PREFIX : _PREFIX + 8], "big"), raw[_PREFIX + 8 :]
    try:
        if block.kind == _HIERARCHY_LZ4:
            names = lz4.block.decompress(packed, uncompressed_size=size)
        else:
            names = gzip.decompress(packed)
    except (lz4.block.LZ4BlockError, OSError, EOFError, zlib.error) as error:
        raise FstError(f"the names of signals cannot be read: {error}") from None
    if len(names) != size:
        raise FstError(f"the names of signals come to {len(names)} bytes; they must be {size}")
    names += more
    return _with_prefix(
        _HIERARCHY_GZIP, len(names).to_bytes(8, "big") + gzip.compress(names, compresslevel=4, mtime=0)
    )


def _geometry(block: Block, count: int) -> bytes:
    raw = block.read()
    size, handles = (int.from_bytes(raw[at : at + 8], "big") for at in (_PREFIX, _PREFIX + 8))
    data = raw[_PREFIX + 16 :]
    if len(data) != size:
        data = zlib.decompress(data)
    data += varint(_NO_LENGTH) * count
    # A size that is equal says that it is not compressed.
    numbers = len(data).to_bytes(8, "big") + (handles + count).to_bytes(8, "big")
    return _with_prefix(_GEOMETRY, numbers + data)


class _Values:
    """The values of tracks, block for block."""

    def __init__(self, tracks: Sequence[Track]):
        self._tracks = tracks
        self._done = [0] * len(tracks)
        self._first = True

    def block(self, raw: bytes, last: bool) -> bytes:
        """A block with the values of its time; all that are left, if it is the ``last``."""
        end = len(raw)
        packed, count = (int.from_bytes(raw[end - at : end - at + 8], "big") for at in (16, 8))
        unpacked = int.from_bytes(raw[end - 24 : end - 16], "big")
        time_at = end - 24 - packed
        data = raw[time_at : end - 24]
        times = _times(data if packed == unpacked else zlib.decompress(data))
        if len(times) != count:
            raise FstError(f"a block has {len(times)} times; it must have {count}")
        table_size = int.from_bytes(raw[time_at - 8 : time_at], "big")
        table_at = time_at - 8 - table_size
        frame_at = _PREFIX + 24
        frame_size, at = _read(raw, frame_at)
        frame_packed, at = _read(raw, at)
        handles, frame_data = _read(raw, at)
        frame_end = frame_data + frame_packed
        more = len(self._tracks)
        values_handles, start = _read(raw, frame_end)
        table, place = raw[table_at : time_at - 8], _last_place(raw[table_at : time_at - 8])
        next_place, chains, steps = table_at - start, [], []
        for chain in self._chains(times, last):
            if not chain:
                steps.append(varint(1 << 1))
                continue
            steps.append(_signed((next_place - place) << 1 | 1))
            chains.append(varint(0) + chain)
            place, next_place = next_place, next_place + len(chains[-1])
        table += b"".join(steps)
        memory = int.from_bytes(raw[frame_at - 8 : frame_at], "big") + sum(map(len, chains))
        body = b"".join(
            (
                raw[_PREFIX : frame_at - 8],
                memory.to_bytes(8, "big"),
                varint(frame_size) + varint(frame_packed) + varint(handles + more),
                raw[frame_data:frame_end],
                varint(values_handles + more),
                raw[start:table_at],
                *chains,
                table,
                len(table).to_bytes(8, "big"),
                raw[time_at:],
            )
        )
        return _with_prefix(_VALUES, body)

    def _chains(self, times: np.ndarray, last: bool) -> list[bytes]:
        until = int(times[-1]) if len(times) else 0
        chains = []
        for number, track in enumerate(self._tracks):
            begin = self._done[number]
            end = len(track.times) if last else bisect_left(track.times, until, begin)
            self._done[number] = end
            changes: list[tuple[int, str]] = [(0, "")] if self._first else []
            places = np.searchsorted(times, track.times[begin:end])
            for place, text in zip(places.tolist(), track.texts[begin:end], strict=True):
                # What was before the file begins, or is behind its end, is seen at that time.
                where = min(place, len(times) - 1)
                if changes and changes[-1][0] == where:
                    changes[-1] = (where, text)
                else:
                    changes.append((where, text))
            out, before = [], 0
            for where, text in changes:
                content = text.encode()
                out.append(varint((where - before) << 1) + varint(len(content)) + content)
                before = where
            chains.append(b"".join(out))
        self._first = False
        return chains


def add_tracks(path: str | Path, tracks: Sequence[Track]) -> None:
    """Put ``tracks`` into the FST file ``path``, those of one scope one behind the other.

    A change at a time that is none of the file's comes at its next one. Errors: ``OSError``;
    :class:`~.fst.FstError`, ``OutputError``: then the file is as it was.
    """
    if not tracks:
        return
    with Path(path).open("rb") as file:
        blocks = blocks_of(file, path)
        if any(block.kind in _OTHER_VALUES for block in blocks):
            raise FstError(f"{path}: it has values in a form that tracks cannot be added to")
        names, scopes = _named(tracks)
        last = max((n for n, block in enumerate(blocks) if block.kind == _VALUES), default=None)
        values = _Values(tracks)
        with OutputFile(path) as out:
            for number, block in enumerate(blocks):
                if block.kind == _HEADER:
                    header = bytearray(block.read())
                    for where, more in (
                        (_SCOPES, scopes),
                        (_VARIABLES, len(tracks)),
                        (_HANDLES, len(tracks)),
                    ):
                        header[where] = (int.from_bytes(header[where], "big") + more).to_bytes(8, "big")
                    out.write(header)
                elif block.kind == _VALUES:
                    out.write(values.block(block.read(), number == last))
                elif block.kind == _GEOMETRY:
                    out.write(_geometry(block, len(tracks)))
                elif block.kind in (_HIERARCHY_GZIP, _HIERARCHY_LZ4):
                    out.write(_hierarchy(block, names))
                else:
                    block.copy(out)
