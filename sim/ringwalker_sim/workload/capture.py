"""What both formats of captures have: frames of Ethernet, and the check sequence that may be behind each."""

import struct
from dataclasses import dataclass
from pathlib import Path

from ..errors import RingwalkerError

__all__ = ["ETHERNET", "NANOSECONDS", "CaptureError", "Frame", "Reader", "frame_of"]

ETHERNET = 1
"""LINKTYPE_ETHERNET."""

NANOSECONDS = 1_000_000_000

_FCS_BYTES = 4
"""The check sequence of Ethernet."""


class CaptureError(RingwalkerError, ValueError):
    """A capture that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Frame:
    """A frame from destination address to the last byte of payload, and when it was seen, in ns."""

    data: bytes
    time_ns: int = 0


class Reader:
    """Numbers out of ``content``, in the byte order ``order`` of :mod:`struct`, from ``at`` up to ``end``.

    ``name`` is the file, and ``done`` counts the frames that were taken from it, for messages.
    """

    def __init__(self, name: str | Path, content: bytes, order: str = "<"):
        self.name = name
        self.content = content
        self.order = order
        self.at = 0
        self.done = 0

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return len(self.content) - self.at

    def numbers(self, layout: str, at: int) -> tuple[int, ...]:
        """The numbers at byte ``at``, which are in the file, as :mod:`struct` describes them."""
        return struct.unpack_from(self.order + layout, self.content, at)

    def error(self, what: str) -> CaptureError:
        """About the whole file."""
        return CaptureError(f"{self.name}: {what}")

    def cut(self, what: str) -> CaptureError:
        """The file ends inside of ``what``, which begins at ``at``."""
        return self.error(f"cut off inside of the {what} at byte {self.at}, after {self.done} whole frame(s)")


def frame_of(
    reader: Reader, link_type: int, fcs_bytes: int, captured: bytes, original: int, time_ns: int
) -> Frame:
    """The next frame: ``captured`` of its ``original`` bytes, the last ``fcs_bytes`` a check sequence.

    Errors: :class:`CaptureError` for another link type, a frame that was cut, and another check sequence.
    """
    number = reader.done + 1
    if link_type != ETHERNET:
        raise reader.error(f"frame {number} has link type {link_type}; it must be {ETHERNET} (Ethernet)")
    if fcs_bytes not in (0, _FCS_BYTES):
        raise reader.error(
            f"frame {number} has a check sequence of {fcs_bytes} bytes; that of Ethernet has {_FCS_BYTES}"
        )
    if original > len(captured):
        raise reader.error(
            f"frame {number} was cut to {len(captured)} of {original} bytes; "
            "capture with a larger snapshot length (tcpdump -s 0)"
        )
    if len(captured) < fcs_bytes:
        raise reader.error(f"frame {number} has {len(captured)} bytes, less than its check sequence")
    reader.done = number
    return Frame(captured[: len(captured) - fcs_bytes], time_ns)
