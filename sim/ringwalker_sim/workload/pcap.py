"""Captures of Ethernet frames, in files that tcpdump and Wireshark read and write."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RingwalkerError, named_in_errors

__all__ = ["CaptureError", "Frame", "read_frames", "write_frames"]

_ETHERNET = 1
"""LINKTYPE_ETHERNET."""

_NANOSECONDS = 1_000_000_000


class CaptureError(RingwalkerError, ValueError):
    """A capture that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Frame:
    """A frame from destination address to the last byte of payload, and when it was seen, in ns."""

    data: bytes
    time_ns: int = 0


def _time_ns(metadata: object) -> int:
    """The time of a packet; pcap and pcapng say it in different ways."""
    seconds, fraction = getattr(metadata, "sec", None), getattr(metadata, "usec", None)
    if seconds is not None and fraction is not None:
        return int(seconds) * _NANOSECONDS + int(fraction) * 1000
    high, low = getattr(metadata, "tshigh", None), getattr(metadata, "tslow", None)
    resolution = getattr(metadata, "tsresol", None)
    if high is None or low is None or not resolution:
        return 0
    return ((int(high) << 32) + int(low)) * _NANOSECONDS // int(resolution)


def read_frames(path: str | Path) -> list[Frame]:
    """All frames of a pcap or pcapng file. Errors: :class:`CaptureError`."""
    # Takes a while to load, and only captures need it.
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapNgReader, RawPcapReader

    frames = []
    try:
        with Path(path).open("rb") as file, RawPcapReader(file) as reader:
            classic = not isinstance(reader, RawPcapNgReader)
            if classic and reader.linktype != _ETHERNET:
                raise CaptureError(
                    f"{path}: link type is {reader.linktype}; it must be {_ETHERNET} (Ethernet)"
                )
            for number, (data, metadata) in enumerate(reader, 1):
                linktype = getattr(metadata, "linktype", _ETHERNET)
                if linktype not in (None, _ETHERNET):
                    raise CaptureError(
                        f"{path}: frame {number} has link type {linktype}; it must be {_ETHERNET} (Ethernet)"
                    )
                if metadata.wirelen is not None and metadata.wirelen > len(data):
                    raise CaptureError(
                        f"{path}: frame {number} was cut to {len(data)} of {metadata.wirelen} bytes; "
                        "capture with a larger snapshot length (tcpdump -s 0)"
                    )
                frames.append(Frame(bytes(data), _time_ns(metadata)))
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from None
    except (Scapy_Exception, EOFError, struct.error) as error:
        raise CaptureError(f"{path}: not a capture file: {error}") from None
    return frames


def write_frames(path: str | Path, frames: Iterable[Frame] | Sequence[Frame]) -> None:
    """Write ``frames`` as a pcap file with times in nanoseconds. Errors: ``OSError``."""
    from scapy.utils import RawPcapWriter

    with named_in_errors(path), Path(path).open("wb") as file:
        writer = RawPcapWriter(file, linktype=_ETHERNET, nano=True, sync=False)
        writer.write_header(None)
        for frame in frames:
            seconds, nanoseconds = divmod(frame.time_ns, _NANOSECONDS)
            writer.write_packet(frame.data, sec=seconds, usec=nanoseconds)
        writer.flush()
