"""Reads the device-readable part of chains and delivers it as packets of bytes."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import StreamFifo
from ..interfaces import DmaReadPort, SegmentRead
from ..streams import SEGMENT_BITS, Chain, byte_beat
from .pack import BytePacker
from .segments import Cutter, SegmentWalker

__all__ = ["Gather"]

_SMALLEST_LIMIT = 128


class Gather(wiring.Component):
    """For each chain reads all device-readable segments, and packs their bytes into one packet.

    Reads are cut at multiples of the smaller of ``max_read_request`` and ``slot_bytes``, and run ahead of
    the data over segments and chains, up to ``reads`` of them. Segments of length 0 are skipped; a chain
    without readable bytes gives no packet. From an error in a read on all beats of the packet have ``error``.

    Parameters: ``slot_bytes``, the slot of the reader behind ``read``, a power of two; ``reads``, at least 2.

    Members (W is ``data_width``): ``chains`` In stream of Chain (``readable_segments`` and ``first_readable``
    matter); ``segments`` Out(SegmentRead()); ``frees`` Out stream of 16 bits: segments that were read from
    the store and are no longer needed; ``read`` Out(DmaReadPort(W)); ``readable`` Out stream of
    byte_beat(W); ``max_read_request`` In 13, bytes, a power of two; ``idle`` Out 1.

    Latency: 6 cycles from a chain to its first read, 3 from read data to a full beat of a packet.
    Throughput: a segment in two cycles, a read request a cycle, a beat a cycle.
    Ref: PCI Express Base Specification 3.1, 2.2.7 (no request crosses 4 KiB); virtio 1.4, 2.7.4.
    """

    chains: Any
    segments: Any
    frees: Any
    read: Any
    readable: Any
    max_read_request: Any
    idle: Any

    def __init__(self, data_width: int, slot_bytes: int = 512, reads: int = 64):
        if slot_bytes & (slot_bytes - 1) or not 4 <= slot_bytes <= 4096:
            raise ValueError(f"slot_bytes must be a power of two from 4 to 4096, not {slot_bytes!r}")
        self.data_width = data_width
        self.slot_bytes = slot_bytes
        self.reads = reads
        super().__init__(
            {
                "chains": In(stream.Signature(Chain)),  # pyright: ignore[reportArgumentType]
                "segments": Out(SegmentRead()),
                "frees": Out(stream.Signature(unsigned(SEGMENT_BITS))),  # pyright: ignore[reportArgumentType]
                "read": Out(DmaReadPort(data_width)),
                "readable": Out(stream.Signature(byte_beat(data_width))),  # pyright: ignore[reportArgumentType]
                "max_read_request": In(13),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        size = self.data_width // 8
        m.submodules.walker = walker = SegmentWalker()
        m.submodules.cutter = cutter = Cutter()
        m.submodules.packer = packer = BytePacker(self.data_width)
        # What to take out of each response: from byte ``start`` of its first beat to before byte
        # ``stop`` of its last.
        place = data.StructLayout({"start": 2, "stop": range(size + 1), "last": 1})
        m.submodules.places = places = StreamFifo(place, self.reads)
        wiring.connect(m, walker.segments, wiring.flipped(self.segments))
        wiring.connect(m, walker.frees, wiring.flipped(self.frees))
        wiring.connect(m, walker.o, cutter.i)
        wiring.connect(m, packer.o, wiring.flipped(self.readable))
        limit = Signal(13, init=min(_SMALLEST_LIMIT, self.slot_bytes))
        m.d.sync += limit.eq(
            Mux(self.max_read_request < self.slot_bytes, self.max_read_request, self.slot_bytes)
        )
        piece, request, beat = cutter.o.p, self.read.requests, self.read.data
        empty = piece.length == 0
        m.d.comb += [
            walker.lists.p.first.eq(self.chains.p.first_readable),
            walker.lists.p.count.eq(self.chains.p.readable_segments),
            walker.lists.valid.eq(self.chains.valid),
            self.chains.ready.eq(walker.lists.ready),
            cutter.limit.eq(limit),
            request.p.address.eq(piece.address),
            request.p.length.eq(piece.length),
            request.valid.eq(cutter.o.valid & ~empty & places.i.ready),
            places.i.p.start.eq(piece.address[:2]),
            places.i.p.stop.eq((piece.address[:2] + piece.length - 1)[: (size - 1).bit_length()] + 1),
            places.i.p.last.eq(piece.last),
            places.i.valid.eq(cutter.o.valid & ~empty & request.ready),
            cutter.o.ready.eq(empty | (request.ready & places.i.ready)),
            packer.i.p.data.eq(beat.p.data),
            packer.i.p.start.eq(Mux(beat.p.first, places.o.p.start, 0)),
            packer.i.p.count.eq(Mux(beat.p.last, places.o.p.stop, size) - packer.i.p.start),
            packer.i.p.last.eq(beat.p.last & places.o.p.last),
            packer.i.p.error.eq(beat.p.error),
            packer.i.valid.eq(beat.valid & places.o.valid),
            beat.ready.eq(packer.i.ready & places.o.valid),
            places.o.ready.eq(beat.valid & beat.p.last & packer.i.ready),
            self.idle.eq(walker.idle & cutter.idle & places.idle & packer.idle),
        ]
        return m
