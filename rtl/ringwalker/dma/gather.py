"""Reads the device-readable part of chains and delivers it as packets of bytes."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import DmaReadPort, SegmentRead
from ..streams import SEGMENT_BITS, Chain, byte_beat, stream_of
from .run_reader import RunReader
from .segment_lists import SegmentWalker

__all__ = ["Gather"]

_SMALLEST_LIMIT = 128


class Gather(Component):
    """Reads all device-readable segments of each chain, and packs their bytes into one packet.

    Segments are read as :class:`~.run_reader.RunReader` does it, with the smaller of ``max_read_request`` and
    ``slot_bytes`` as the limit of a read. Reads run ahead of the data over segments and chains. Segments of
    length 0 are skipped. A chain without readable bytes gives no packet.

    Parameters: ``data_width`` (W); ``slot_bytes``, the slot of the reader behind ``read``, a power of two;
    ``reads``, how many reads may be ahead of the data, at least 2.

    Members:

    - ``chains`` In stream of Chain: ``readable_segments`` and ``first_readable`` are used.
    - ``segments`` Out(SegmentRead()): the segment store.
    - ``frees`` Out stream of 16 bits: indices of segments that were read and are no longer needed.
    - ``read`` Out(DmaReadPort(W)): a reader.
    - ``readable`` Out stream of byte_beat(W): from a read with an error on, all beats of the packet have
      ``error``.
    - ``max_read_request`` In 13: bytes, a power of two.
    - ``idle`` Out 1: nothing is held and no read is in flight.

    Latency: 5 cycles from a chain to its first read, 3 from read data to a full beat of a packet.
    Throughput: a segment a cycle, but a reader takes a request every two cycles; a beat a cycle.
    Errors: ``ValueError`` unless ``slot_bytes`` is a power of two from 4 to 4096.
    Ref: PCI Express Base Specification 3.1, 2.2.7 (no request crosses 4 KiB); virtio 1.4, 2.7.4.
    """

    def __init__(self, data_width: int, slot_bytes: int = 512, reads: int = 64):
        if slot_bytes & (slot_bytes - 1) or not 4 <= slot_bytes <= 4096:
            raise ValueError(f"slot_bytes must be a power of two from 4 to 4096, not {slot_bytes!r}")
        self.data_width = data_width
        self.slot_bytes = slot_bytes
        self.reads = reads
        super().__init__(
            {
                "chains": In(stream_of(Chain)),
                "segments": Out(SegmentRead()),
                "frees": Out(stream_of(unsigned(SEGMENT_BITS))),
                "read": Out(DmaReadPort(data_width)),
                "readable": Out(stream_of(byte_beat(data_width))),
                "max_read_request": In(13),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.walker = walker = SegmentWalker()
        m.submodules.runs = runs = RunReader(self.data_width, self.reads)
        wiring.connect(m, walker.segments, wiring.flipped(self.segments))
        wiring.connect(m, walker.frees, wiring.flipped(self.frees))
        wiring.connect(m, walker.o, runs.runs)
        wiring.connect(m, runs.read, wiring.flipped(self.read))
        wiring.connect(m, runs.o, wiring.flipped(self.readable))
        limit = Signal(13, init=min(_SMALLEST_LIMIT, self.slot_bytes))
        m.d.sync += limit.eq(
            Mux(self.max_read_request < self.slot_bytes, self.max_read_request, self.slot_bytes)
        )
        m.d.comb += [
            walker.lists.p.first.eq(self.chains.p.first_readable),
            walker.lists.p.count.eq(self.chains.p.readable_segments),
            walker.lists.valid.eq(self.chains.valid),
            self.chains.ready.eq(walker.lists.ready),
            runs.limit.eq(limit),
            self.idle.eq(walker.idle & runs.idle),
        ]
        return m
