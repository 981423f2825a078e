"""Reads the names in an FST waveform file: its scopes and signals, not the values.

Ref: the format as written by ``fstapi``, which Verilator and GTKWave share: blocks of a type byte and a
length, one of them the hierarchy, compressed with zlib or LZ4.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import RingwalkerError

__all__ = ["FstError", "FstSignal", "read_fst_end", "read_fst_signals"]

_BLOCK_HEADER = 0
_HEADER_END_TIME = slice(17, 25)
_BLOCK_HIERARCHY_GZ = 4
_BLOCK_HIERARCHY_LZ4 = 6
_BLOCK_HIERARCHY_LZ4_TWICE = 7
_BLOCK_COMPRESSED_FILE = 254

_TAG_ATTRIBUTE_BEGIN = 252
_TAG_ATTRIBUTE_END = 253
_TAG_SCOPE = 254
_TAG_SCOPE_END = 255


class FstError(RingwalkerError, ValueError):
    """Not an FST file, or one that was not closed; the message names the file."""


@dataclass(frozen=True)
class FstSignal:
    """A signal: the names of its scopes from the top, its own name, its width, and its bits as ``[7:0]``.

    ``bits`` is empty where the file gives no range.
    """

    scopes: tuple[str, ...]
    name: str
    width: int
    bits: str = ""

    @property
    def path(self) -> str:
        """Scopes and name joined by dots."""
        return ".".join((*self.scopes, self.name))


def read_fst_signals(path: str | Path) -> list[FstSignal]:
    """All signals of the file in its order. Errors: ``OSError``, :class:`FstError`."""
    raw = Path(path).read_bytes()
    try:
        if raw[:1] == bytes([_BLOCK_COMPRESSED_FILE]):
            raw = zlib.decompress(raw[17:], wbits=31)
        return _parse_hierarchy(_hierarchy(raw))
    except (IndexError, ValueError, UnicodeDecodeError, zlib.error) as error:
        raise FstError(f"{path}: not a complete FST file: {error}") from None


def read_fst_end(path: str | Path) -> int:
    """The last time in the file, in its units. Errors: ``OSError``, :class:`FstError`."""
    with Path(path).open("rb") as file:
        raw = file.read(_HEADER_END_TIME.stop)
    if len(raw) < _HEADER_END_TIME.stop or raw[0] != _BLOCK_HEADER:
        raise FstError(f"{path}: does not begin with the header of an FST file")
    return int.from_bytes(raw[_HEADER_END_TIME], "big")


def _hierarchy(raw: bytes) -> bytes:
    at = 0
    if raw[:1] != bytes([_BLOCK_HEADER]):
        raise ValueError("it does not start with an FST header")
    while at < len(raw):
        kind = raw[at]
        length = int.from_bytes(raw[at + 1 : at + 9], "big")
        if length < 8:
            raise ValueError(f"a block of type {kind} says it has {length} bytes")
        body = raw[at + 9 : at + 1 + length]
        if kind == _BLOCK_HIERARCHY_GZ:
            return zlib.decompress(body[8:], wbits=31)
        if kind == _BLOCK_HIERARCHY_LZ4:
            return _lz4(body[8:], int.from_bytes(body[:8], "big"))
        if kind == _BLOCK_HIERARCHY_LZ4_TWICE:
            once = _lz4(body[16:], int.from_bytes(body[8:16], "big"))
            return _lz4(once, int.from_bytes(body[:8], "big"))
        at += 1 + length
    raise ValueError("it has no hierarchy; was the simulation ended before the file was closed?")


def _lz4(source: bytes, size: int) -> bytes:
    """Decompress one LZ4 block of ``size`` bytes."""
    out = bytearray()
    at = 0

    def extended(length: int) -> int:
        nonlocal at
        if length == 15:
            while True:
                more = source[at]
                at += 1
                length += more
                if more != 255:
                    break
        return length

    while at < len(source):
        token = source[at]
        at += 1
        literals = extended(token >> 4)
        out += source[at : at + literals]
        at += literals
        if at >= len(source):
            break
        distance = int.from_bytes(source[at : at + 2], "little")
        at += 2
        start = len(out) - distance
        if distance == 0 or start < 0:
            raise ValueError("its hierarchy is damaged")
        for n in range(extended(token & 15) + 4):
            out.append(out[start + n])
    if len(out) != size:
        raise ValueError(f"its hierarchy has {len(out)} bytes instead of {size}")
    return bytes(out)


def _parse_hierarchy(raw: bytes) -> list[FstSignal]:
    at = 0

    def text() -> str:
        nonlocal at
        end = raw.index(0, at)
        value = raw[at:end].decode()
        at = end + 1
        return value

    def number() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    signals: list[FstSignal] = []
    scopes: list[str] = []
    while at < len(raw):
        tag = raw[at]
        at += 1
        if tag == _TAG_SCOPE:
            at += 1
            scopes.append(text())
            text()
        elif tag == _TAG_SCOPE_END:
            scopes.pop()
        elif tag == _TAG_ATTRIBUTE_BEGIN:
            at += 2
            text()
            number()
        elif tag != _TAG_ATTRIBUTE_END:
            at += 1
            name, _space, bits = text().partition(" ")
            width = number()
            number()
            signals.append(FstSignal(tuple(scopes), name, width, bits))
    return signals
