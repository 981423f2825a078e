"""Where in a packed ring somebody is: a descriptor, and how often the ring was gone round.

Ref: virtio 1.4, 2.8.1 (Driver and Device Ring Wrap Counters).
"""

from typing import Any

from amaranth.hdl import Cat, Mux, unsigned
from amaranth.lib import data

__all__ = ["Place", "advanced", "event_bits"]


class Place(data.Struct):
    """Descriptor ``offset``; ``lap`` is the wrap counter turned over, so that a place of all zeros is the
    first."""

    offset: unsigned(15)
    lap: unsigned(1)


def advanced(place: Any, count: Any, size: Any) -> Any:
    """The bits of the place ``count`` descriptors further on in a ring of ``size``, which has at least
    ``count``."""
    total = place.offset + count
    over = total >= size
    return Cat(Mux(over, total - size, total)[:15], place.lap ^ over)


def event_bits(place: Any) -> Any:
    """A place as an event suppression structure has it."""
    return Cat(place.offset, ~place.lap)
