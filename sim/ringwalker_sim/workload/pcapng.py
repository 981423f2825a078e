"""Reads pcapng: sections of blocks, interfaces, and packets in their three kinds of blocks.

Every length is checked against the one around it before anything is taken from it. Blocks and options of
other types are skipped, as the format wants it.

Ref: draft-ietf-opsawg-pcapng, 3 (blocks, options), 4 (their types), appendix A (the obsolete packet block).
"""

from dataclasses import dataclass
from pathlib import Path

from .capture import NANOSECONDS, CaptureError, Frame, Reader, frame_of

__all__ = ["SECTION_HEADER", "read_pcapng"]

SECTION_HEADER = 0x0A0D0D0A
"""Type of the block that a file begins with, the same in both byte orders."""

_INTERFACE, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_VERSIONS = ((1, 0), (1, 2))
"""Of the second some writers say that they use it; it means the same."""

_LEAST_BLOCK = 12
_LEAST_BODY = {SECTION_HEADER: 16, _INTERFACE: 8, _PACKET: 20, _SIMPLE_PACKET: 4, _ENHANCED_PACKET: 20}

_END_OF_OPTIONS = 0
_FLAGS = 2
"""epb_flags, and pack_flags of the obsolete block."""
_RESOLUTION, _FCS_LENGTH, _OFFSET = 9, 13, 14
"""if_tsresol, if_fcslen, if_tsoffset."""


@dataclass(frozen=True)
class _Interface:
    link_type: int
    snap_length: int
    """0: no limit."""
    fcs_bytes: int
    per_second: int
    """Units of time stamps."""
    offset_s: int

    def time_ns(self, high: int, low: int) -> int:
        units = high << 32 | low
        return units * NANOSECONDS // self.per_second + self.offset_s * NANOSECONDS


class _Blocks(Reader):
    """Walks from block to block; ``at`` is the present one."""

    def __init__(self, name: str | Path, content: bytes):
        super().__init__(name, content)
        self.interfaces: list[_Interface] = []
        self._section_end: int | None = None

    def frames(self) -> list[Frame]:
        """All of them. Errors: :class:`CaptureError`."""
        packets = {
            _PACKET: self._packet,
            _SIMPLE_PACKET: self._simple_packet,
            _ENHANCED_PACKET: self._enhanced_packet,
        }
        frames = []
        while self.left:
            kind, body = self._block()
            if len(body) < _LEAST_BODY.get(kind, 0):
                raise self._wrong(f"has a body of {len(body)} bytes; its type needs {_LEAST_BODY[kind]}")
            self._check_section(kind)
            if kind == SECTION_HEADER:
                self._section(body)
            elif kind == _INTERFACE:
                self._interface(body)
            elif kind in packets:
                frames.append(packets[kind](body))
            self.at += len(body) + _LEAST_BLOCK
        self._check_section(SECTION_HEADER)
        return frames

    def _wrong(self, what: str) -> CaptureError:
        return self.error(f"the block at byte {self.at} {what}")

    def _block(self) -> tuple[int, bytes]:
        """Type and body of the present block, whose lengths agree. The byte order is that of its section."""
        if self.left < _LEAST_BLOCK:
            raise self.cut("block")
        (kind,) = self.numbers("I", self.at)
        if kind == SECTION_HEADER:
            magic = self.content[self.at + 8 : self.at + 12]
            if magic not in _BYTE_ORDERS:
                raise self._wrong(f"is a section header with byte order {magic.hex()}, which does not exist")
            self.order = _BYTE_ORDERS[magic]
        (length,) = self.numbers("I", self.at + 4)
        if length < _LEAST_BLOCK or length % 4:
            raise self._wrong(f"has a length of {length}; it must be a multiple of 4, {_LEAST_BLOCK} or more")
        if length > self.left:
            raise self.cut("block")
        (again,) = self.numbers("I", self.at + length - 4)
        if again != length:
            raise self._wrong(f"has two lengths, {length} in front and {again} at its end")
        return kind, self.content[self.at + 8 : self.at + length - 4]

    # --- sections and interfaces --------------------------------------------------------------------------

    def _check_section(self, kind: int) -> None:
        """A section that says how long it is ends there, where the next one or the file's end has to be."""
        if self._section_end is None:
            return
        missing = self._section_end - self.at
        if missing > 0 and kind == SECTION_HEADER:
            raise self.error(
                f"at byte {self.at}, {self.done} whole frame(s), {missing} bytes of its section are missing"
            )
        if missing < 0:
            raise self.error(f"a section ends inside of a block, at byte {self._section_end}")
        if missing == 0 and kind != SECTION_HEADER:
            raise self._wrong("is behind the end of its section")

    def _section(self, body: bytes) -> None:
        major, minor, length = self.numbers("HHq", self.at + 12)
        if (major, minor) not in _VERSIONS:
            raise self._wrong(f"is a section of version {major}.{minor}; it must be 1.0")
        self.interfaces.clear()
        self._section_end = None if length < 0 else self.at + len(body) + _LEAST_BLOCK + length

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        """The options that begin ``at`` bytes into a body; the first of each code."""
        found: dict[int, bytes] = {}
        while at + 4 <= len(body):
            code, length = self.numbers("HH", self.at + 8 + at)
            if code == _END_OF_OPTIONS:
                break
            value = body[at + 4 : at + 4 + length]
            if len(value) < length:
                raise self._wrong(f"has an option (code {code}) that is longer than what is left of it")
            found.setdefault(code, value)
            at += 4 + _padded(length)
        return found

    def _option(self, options: dict[int, bytes], code: int, name: str, layout: str, default: int) -> int:
        """The number in an option, or ``default``."""
        value = options.get(code)
        if value is None:
            return default
        number = Reader(self.name, value, self.order)
        wanted = {"B": 1, "I": 4, "q": 8}[layout]
        if len(value) != wanted:
            raise self._wrong(f"has the option {name} with {len(value)} bytes; it must be {wanted}")
        return number.numbers(layout, 0)[0]

    def _interface(self, body: bytes) -> None:
        link_type, _reserved, snap_length = self.numbers("HHI", self.at + 8)
        options = self._options(body, 8)
        resolution = self._option(options, _RESOLUTION, "if_tsresol", "B", 6)
        fcs = self._option(options, _FCS_LENGTH, "if_fcslen", "B", 0)
        self.interfaces.append(
            _Interface(
                link_type,
                snap_length,
                # By the text it is in bits, by the example in the same text in bytes, and written both ways.
                fcs if fcs < 8 else fcs // 8,
                (2 if resolution & 0x80 else 10) ** (resolution & 0x7F),
                self._option(options, _OFFSET, "if_tsoffset", "q", 0),
            )
        )

    # --- packets ------------------------------------------------------------------------------------------

    def _of(self, number: int) -> _Interface:
        if number >= len(self.interfaces):
            raise self._wrong(f"is of interface {number}; the section has described {len(self.interfaces)}")
        return self.interfaces[number]

    def _data(self, body: bytes, at: int, length: int) -> bytes:
        if at + _padded(length) > len(body):
            raise self._wrong(f"has a frame of {length} bytes, and room for {len(body) - at}")
        return body[at : at + length]

    def _enhanced_packet(self, body: bytes) -> Frame:
        return self._with_header(body, *self.numbers("IIIII", self.at + 8))

    def _packet(self, body: bytes) -> Frame:
        interface, _drops, *others = self.numbers("HHIIII", self.at + 8)
        return self._with_header(body, interface, *others)

    def _with_header(
        self, body: bytes, number: int, high: int, low: int, captured: int, original: int
    ) -> Frame:
        interface = self._of(number)
        data = self._data(body, 20, captured)
        flags = self._option(self._options(body, 20 + _padded(captured)), _FLAGS, "flags", "I", 0)
        fcs = flags >> 5 & 0xF or interface.fcs_bytes
        return frame_of(self, interface.link_type, fcs, data, original, interface.time_ns(high, low))

    def _simple_packet(self, body: bytes) -> Frame:
        interface = self._of(0)
        (original,) = self.numbers("I", self.at + 8)
        data = self._data(body, 4, min(original, interface.snap_length or original))
        return frame_of(self, interface.link_type, interface.fcs_bytes, data, original, 0)


def _padded(length: int) -> int:
    return -(-length // 4) * 4


def read_pcapng(name: str | Path, content: bytes) -> list[Frame]:
    """The frames of a pcapng file; ``name`` is for messages. Errors: :class:`CaptureError`."""
    return _Blocks(name, content).frames()
