"""A descriptor as the walking of chains needs it, whatever ring format it comes from."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, Signature

from ...spec.ring import DESC_BYTES

__all__ = ["TABLE_BITS", "Descriptor", "DescriptorDecoder", "DescriptorTable"]

TABLE_BITS = 17
"""Width of the number of descriptors in a table, of which 16 bits of ``next`` reach 2^16."""


class DescriptorTable(data.Struct):
    """A table of ``size`` descriptors at ``address``: the descriptor area of a queue, or an indirect one."""

    address: unsigned(64)
    size: unsigned(TABLE_BITS)


class Descriptor(data.Struct):
    """``length`` bytes at ``address``: a buffer, or, if ``indirect``, a table of descriptors.

    ``follows``: the chain goes on with descriptor ``next`` of the same table.
    """

    address: unsigned(64)
    length: unsigned(32)
    writable: unsigned(1)
    indirect: unsigned(1)
    follows: unsigned(1)
    next: unsigned(16)


class DescriptorDecoder(Signature):
    """Says what a descriptor of ``DESC_BYTES`` means, combinationally, from the side that asks.

    - ``raw`` Out: the descriptor as it stands in memory.
    - ``index`` Out 16, ``size`` Out: its place in its table, and the size of that.
    - ``nested`` Out 1: that is an indirect table.
    - ``features`` Out 64: what was negotiated. Who makes the decoder drives it.
    - ``descriptor`` In Descriptor. Its ``next`` may be beyond the table, where the chain is malformed.
    """

    def __init__(self):
        super().__init__(
            {
                "raw": Out(8 * DESC_BYTES),
                "index": Out(16),
                "size": Out(TABLE_BITS),
                "nested": Out(1),
                "features": Out(64),
                "descriptor": In(Descriptor),
            }
        )
