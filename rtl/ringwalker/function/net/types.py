"""What runs between the parts of the network function."""

from typing import Any

from amaranth.hdl import Mux, unsigned
from amaranth.lib import data

from ...spec.net import LEGACY_NET_HEADER_BYTES, NetHeader
from ...streams import byte_beat

__all__ = [
    "HEADER_BYTES",
    "LENGTH_BITS",
    "SHORTEST_FRAME",
    "NetJob",
    "NetReplyHeader",
    "header_bytes",
    "transmit_beat",
]

_HEADER: Any = data.Layout.cast(NetHeader)
HEADER_BYTES = _HEADER.size // 8


def header_bytes(legacy: Any) -> Any:
    """Bytes of the header; ``legacy`` says whether the driver is a legacy one, None if none can be."""
    return HEADER_BYTES if legacy is None else Mux(legacy, LEGACY_NET_HEADER_BYTES, HEADER_BYTES)


SHORTEST_FRAME = 14
"""Bytes of a frame that has nothing but its two addresses and its type."""

LENGTH_BITS = 14
"""Enough for the bytes of the longest frame and its header."""


class NetJob(data.Struct):
    """What to do next in receiving: pass a frame on, drop one, or give a chain back."""

    length: unsigned(LENGTH_BITS)
    """Bytes of the frame."""
    frame: unsigned(1)
    """The oldest frame is taken out of the buffer."""
    deliver: unsigned(1)
    """It goes to the chain."""
    answer: unsigned(1)
    """A chain was taken, and is finished."""


class NetReplyHeader(data.Struct):
    """An answer in flight: a packet of ``length`` bytes, or with 0 none, and the end of the chain."""

    length: unsigned(LENGTH_BITS)


def transmit_beat(data_width: int) -> data.StructLayout:
    """A beat of a packet of a transmit chain; ``discard``, the same in all of them: it must not be sent."""
    return data.StructLayout({"beat": byte_beat(data_width), "discard": 1})
