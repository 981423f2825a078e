"""Captures of Ethernet frames, in files that tcpdump and Wireshark read and write.

Both formats are read here and not by a library: a library reads what it can, and stops without a word where a
file was cut or says something that it does not know.

Ref: draft-ietf-opsawg-pcap, 4 (file header) and 5 (packet records); :mod:`.pcapng` has the other format.
"""

import gzip
import shlex
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ringwalker.outputs import OutputFile

from .capture import ETHERNET, NANOSECONDS, CaptureError, Frame, Reader, frame_of
from .pcapng import SECTION_HEADER, read_pcapng

__all__ = ["CaptureError", "Frame", "read_frames", "write_frames"]

_UNITS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Magic numbers, and how many ns the fraction of a time stamp counts."""

_OTHERS = {
    0xA1B2CD34: "the modified libpcap of A. Kuznetzov",
    0xA1B234CD: "the modified libpcap of F. Mesquita",
    0xA12B3C4D: "the modified libpcap of Navtel",
    0xA1B2C3CB: "libpcap with the records of cbpf",
    0x1C0001AC: "an IXIA (hardware)",
    0x1C0001AB: "an IXIA (software)",
    int.from_bytes(b"snoo"): "snoop",
    int.from_bytes(b"GMBU"): "Network Monitor 2",
    int.from_bytes(b"RTSS"): "Network Monitor 1",
}
"""Magic numbers of captures that are not read."""

_GZIP = b"\x1f\x8b"
_FILE_HEADER, _RECORD_HEADER = 24, 16
_VERSION = (2, 4)
_HAS_FCS = 1 << 26
_RESERVED = 0x0BFF0000
"""Of the word with the link type: neither the type nor the length of the check sequence."""


def read_frames(path: str | Path) -> list[Frame]:
    """All frames of a pcap or pcapng file, which may be compressed by gzip. Errors: :class:`CaptureError`."""
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptureError(f"{path}: cannot be decompressed: {error}") from None
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from None
    for order in ("little", "big"):
        magic = int.from_bytes(content[:4], order)
        if magic == SECTION_HEADER:
            return read_pcapng(path, content)
        if magic in _UNITS:
            return _read_pcap(Reader(path, content, "<" if order == "little" else ">"), _UNITS[magic])
        if magic in _OTHERS:
            name = shlex.quote(str(path))
            raise CaptureError(
                f"{path}: a capture of {_OTHERS[magic]}, not pcap or pcapng; "
                f"convert it: editcap -F pcap {name} converted.pcap"
            )
    raise CaptureError(f"{path}: not a capture file: it begins with {content[:4].hex() or 'nothing'}")


def _read_pcap(reader: Reader, unit_ns: int) -> list[Frame]:
    if reader.left < _FILE_HEADER:
        raise reader.cut("file header")
    major, minor, _zone, _accuracy, _snap_length, link = reader.numbers("HHIIII", 4)
    if (major, minor) != _VERSION:
        raise reader.error(f"its version of pcap is {major}.{minor}; it must be {_VERSION[0]}.{_VERSION[1]}")
    if link & _RESERVED:
        raise reader.error(f"its word with the link type is {link:#x}, in which reserved bits are set")
    link_type, fcs_bytes = link & 0xFFFF, 2 * (link >> 28) if link & _HAS_FCS else 0
    if link_type != ETHERNET:
        raise reader.error(f"link type is {link_type}; it must be {ETHERNET} (Ethernet)")
    reader.at = _FILE_HEADER
    frames = []
    while reader.left:
        if reader.left < _RECORD_HEADER:
            raise reader.cut("frame")
        seconds, fraction, captured, original = reader.numbers("IIII", reader.at)
        if reader.left < _RECORD_HEADER + captured:
            raise reader.cut("frame")
        begin = reader.at + _RECORD_HEADER
        time_ns = seconds * NANOSECONDS + fraction * unit_ns
        data = reader.content[begin : begin + captured]
        frames.append(frame_of(reader, link_type, fcs_bytes, data, original, time_ns))
        reader.at = begin + captured
    return frames


def write_frames(path: str | Path, frames: Iterable[Frame] | Sequence[Frame]) -> None:
    """Write ``frames`` as a pcap file with times in nanoseconds. Errors: ``OutputError``."""
    # Takes a while to load, and only captures need it.
    from scapy.utils import RawPcapWriter

    with OutputFile(path) as file:
        writer = RawPcapWriter(file, linktype=ETHERNET, nano=True, sync=False)
        writer.write_header(None)
        for frame in frames:
            seconds, nanoseconds = divmod(frame.time_ns, NANOSECONDS)
            writer.write_packet(frame.data, sec=seconds, usec=nanoseconds)
        writer.flush()
