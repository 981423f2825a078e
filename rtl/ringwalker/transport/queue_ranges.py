"""Where the three areas of a queue end."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec import packed
from ..spec.ring import descriptor_area_bytes, device_area_bytes, driver_area_bytes

__all__ = ["QueueRanges"]


class QueueRanges(Component):
    """Says whether an area of a queue goes beyond the end of the address space. Combinational.

    Parameters: ``queue_size``, the most entries that ``size`` can say.

    An area that ends with the last byte of the address space is as good as any other.

    Ref: virtio 1.4, 2.7 and 2.8.10 (sizes of the areas).
    """

    desc: In(64)
    """Address of the descriptor area, and so on."""
    driver: In(64)
    device: In(64)
    size: In(16)
    """Entries of the queue."""
    packed: In(1)
    """It is a packed queue, whose other two areas are event suppression structures."""
    beyond: Out(1)

    def __init__(self, queue_size: int):
        self._queue_size = queue_size
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        areas = (
            (self.desc, descriptor_area_bytes, None),
            (self.driver, driver_area_bytes, packed.EVENT_BYTES),
            (self.device, device_area_bytes, packed.EVENT_BYTES),
        )
        beyond: Any = 0
        for address, split_bytes, packed_bytes in areas:
            # An area can only leave the last block of the address space that is as large as the largest area.
            bits = (split_bytes(self._queue_size) - 1).bit_length()
            length = split_bytes(self.size)
            if packed_bytes is not None:
                length = Mux(self.packed, packed_bytes, length)
            beyond = beyond | (address[bits:].all() & (address[:bits] + length > 1 << bits))
        m.d.comb += self.beyond.eq(beyond)
        return m
