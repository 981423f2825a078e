"""Descriptors that a ring format has read already, and that come with the heads of their chains."""

from amaranth.lib.wiring import In, Out, Signature

from ...spec.ring import DESC_BYTES
from ...streams import MOST_BROUGHT

__all__ = ["BroughtPort"]


class BroughtPort(Signature):
    """Descriptors that came with heads, in the order of the heads, from the side that looks at them.

    - ``position`` Out, ``raw`` In: the descriptor with this number of the oldest head that brought some,
      combinationally.
    - ``release`` Out: so many of the oldest are needed no more, in this cycle and from then on.
    """

    def __init__(self):
        super().__init__(
            {
                "position": Out(range(MOST_BROUGHT)),
                "raw": In(8 * DESC_BYTES),
                "release": Out(range(MOST_BROUGHT + 1)),
            }
        )
