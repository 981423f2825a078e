"""Reads runs of guest memory, whatever their length and alignment, as packets of bytes."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import StreamFifo
from ..component import Component
from ..interfaces import DmaReadPort
from ..streams import byte_beat, stream_of
from .byte_packer import BytePacker
from .cutter import LONGEST_RUN, Cutter, Run

__all__ = ["RunReader"]


class RunReader(Component):
    """Reads runs, and packs their bytes, up to a run with ``last``, into one packet.

    Reads are cut as :class:`~.cutter.Cutter` does it, and run ahead of the data over runs and packets. Runs
    of length 0 add nothing. A packet without bytes is left out.

    Parameters: ``data_width`` (W); ``reads``, how many reads may be ahead of the data; ``longest``, the most
    bytes that a run has.

    Members:

    - ``runs`` In stream of Run: ``done`` is ignored. The last run of a packet with bytes must have some.
    - ``limit`` In 13: bytes, a power of two that fits a read.
    - ``read`` Out(DmaReadPort(W)): a reader.
    - ``o`` Out stream of byte_beat(W): from a read with an error on, all beats of the packet have ``error``.
    - ``idle`` Out 1: nothing is held and no read is in flight.

    Latency: 2 cycles from a run to its first read, 3 from read data to a full beat of a packet.
    Throughput: a read request a cycle, a beat a cycle.
    Ref: PCI Express Base Specification 3.1, 2.2.7 (no request crosses 4 KiB).
    """

    def __init__(self, data_width: int, reads: int, longest: int = LONGEST_RUN):
        self.data_width = data_width
        self.longest = longest
        self.reads = reads
        super().__init__(
            {
                "runs": In(stream_of(Run)),
                "limit": In(13),
                "read": Out(DmaReadPort(data_width)),
                "o": Out(stream_of(byte_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        size = self.data_width // 8
        m.submodules.cutter = cutter = Cutter(self.longest)
        m.submodules.packer = packer = BytePacker(self.data_width)
        # What to take of each response: from byte ``start`` of its first beat to before byte ``stop`` of its
        # last.
        place = data.StructLayout({"start": 2, "stop": range(size + 1), "last": 1})
        m.submodules.places = places = StreamFifo(place, self.reads)
        wiring.connect(m, wiring.flipped(self.runs), cutter.i)
        wiring.connect(m, packer.o, wiring.flipped(self.o))
        piece, request, beat = cutter.o.p, self.read.requests, self.read.data
        empty = piece.length == 0
        m.d.comb += [
            cutter.limit.eq(self.limit),
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
            self.idle.eq(cutter.idle & places.idle & packer.idle),
        ]
        return m
