"""The ring formats, by name."""

from collections.abc import Mapping

from .both import BOTH
from .packed.ring import PACKED
from .ring.ring_format import RingFormat
from .split.ring import SPLIT

__all__ = ["FORMATS"]

FORMATS: Mapping[str, RingFormat] = {"split": SPLIT, "packed": PACKED, "both": BOTH}
