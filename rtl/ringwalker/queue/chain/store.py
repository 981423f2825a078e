"""The segment store: where the pieces of guest memory of all chains in flight are kept."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, Signature, connect, flipped

from ...component import Component
from ...interfaces import SegmentRead
from ...memories import READ_APART
from ...merge import StreamMerge
from ...streams import SEGMENT_BITS, SegmentList, stream_of

__all__ = ["SegmentLink", "SegmentStore", "SegmentWrite"]


class SegmentWrite(Signature):
    """Writes address and length (bytes) of segment ``index``."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(SEGMENT_BITS), "address": Out(64), "length": Out(32)})


class SegmentLink(Signature):
    """Makes segment ``next`` the one that follows segment ``index``."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(SEGMENT_BITS), "next": Out(SEGMENT_BITS)})


class _ListWalker(Component):
    """Takes linked lists of segments apart. Two cycles a segment."""

    drops: In(stream_of(SegmentList))
    frees: Out(stream_of(unsigned(SEGMENT_BITS)))
    """Every index of every list of ``drops``."""
    look: Out(1)
    """Reads the link of ``index``; ``next`` follows one cycle later."""
    index: Out(SEGMENT_BITS)
    next: In(SEGMENT_BITS)
    idle: Out(1, init=1)
    """No list is being taken apart."""

    def elaborate(self, platform):
        m: Any = Module()
        left = Signal(SEGMENT_BITS)
        m.d.comb += [self.index.eq(self.frees.payload), self.idle.eq(left == 0)]
        with m.FSM():
            with m.State("LIST"):
                m.d.comb += self.drops.ready.eq(1)
                m.d.sync += self.frees.payload.eq(self.drops.payload.first)
                with m.If(self.drops.valid):
                    m.d.sync += left.eq(self.drops.payload.count)
                    m.next = "FREE"
            with m.State("FREE"):
                m.d.comb += [self.frees.valid.eq(1), self.look.eq(1)]
                with m.If(self.frees.ready):
                    m.d.sync += left.eq(left - 1)
                    m.next = "LINK"
                    with m.If(left == 1):
                        m.next = "LIST"
            with m.State("LINK"):
                m.d.sync += self.frees.payload.eq(self.next)
                m.next = "FREE"
        return m


class SegmentStore(Component):
    """Addresses, lengths and links of ``depth`` segments, and the list of those that are free.

    Members:

    - ``allocate`` Out stream of segment numbers: a free segment, which belongs to the one who takes it.
    - ``write`` In(SegmentWrite()), ``link`` In(SegmentLink()): what is known of a segment; address and
      length apart from the link, since the next segment is known later.
    - ``read0``, ``read1`` In(SegmentRead()).
    - ``free0``, ``free1`` In streams of segment numbers: segments given back, one at a time.
    - ``drops`` In stream of SegmentList: whole lists given back.
    - ``available`` Out: how many segments are free and not yet on their way out of ``allocate``. It is
      at most two cycles until they can be taken.
    - ``idle`` Out 1: all segments are free.
    - ``moves`` Out 1: a segment is taken or given back.

    After a reset the store fills its list of free segments, one in each cycle in which none is given back.
    One segment a cycle is given back; ``free0`` and ``free1`` take turns.
    """

    def __init__(self, depth: int):
        if not 2 <= depth <= 1 << SEGMENT_BITS:
            raise ValueError(f"depth is {depth!r}; it must be from 2 to {1 << SEGMENT_BITS}")
        self._depth = depth
        super().__init__(
            {
                "allocate": Out(stream_of(unsigned(SEGMENT_BITS))),
                "write": In(SegmentWrite()),
                "link": In(SegmentLink()),
                "read0": In(SegmentRead()),
                "read1": In(SegmentRead()),
                "free0": In(stream_of(unsigned(SEGMENT_BITS))),
                "free1": In(stream_of(unsigned(SEGMENT_BITS))),
                "drops": In(stream_of(SegmentList)),
                "available": Out(range(depth + 1)),
                "idle": Out(1),
                "moves": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        place = data.StructLayout({"address": 64, "length": 32})
        # Segments are read when their chain is complete, and written before.
        places: Any = Memory(shape=place, depth=self._depth, init=[], attrs=READ_APART)
        links: Any = Memory(shape=SEGMENT_BITS, depth=self._depth, init=[], attrs=READ_APART)
        m.submodules.places, m.submodules.links = places, links
        m.submodules.walker = walker = _ListWalker()
        m.submodules.free = free = SyncFIFOBuffered(width=(self._depth - 1).bit_length(), depth=self._depth)

        write, link = places.write_port(), links.write_port()
        m.d.comb += [
            write.addr.eq(self.write.index),
            write.data.address.eq(self.write.address),
            write.data.length.eq(self.write.length),
            write.en.eq(self.write.en),
            link.addr.eq(self.link.index),
            link.data.eq(self.link.next),
            link.en.eq(self.link.en),
        ]
        for reader in (self.read0, self.read1):
            where, after = places.read_port(), links.read_port()
            m.d.comb += [
                where.addr.eq(reader.index),
                where.en.eq(reader.en),
                after.addr.eq(reader.index),
                after.en.eq(reader.en),
                reader.address.eq(where.data.address),
                reader.length.eq(where.data.length),
                reader.next.eq(after.data),
            ]
        look = links.read_port()
        m.d.comb += [
            look.addr.eq(walker.index),
            look.en.eq(walker.look),
            walker.next.eq(look.data),
            walker.drops.valid.eq(self.drops.valid),
            walker.drops.payload.eq(self.drops.payload),
            self.drops.ready.eq(walker.drops.ready),
            self.allocate.payload.eq(free.r_data),
            self.allocate.valid.eq(free.r_rdy),
            free.r_en.eq(self.allocate.ready),
            self.available.eq(free.level),
            self.idle.eq((free.level == self._depth) & walker.idle),
            self.moves.eq(free.w_en | (free.r_en & free.r_rdy) | ~walker.idle),
        ]

        filled = Signal(range(self._depth + 1))
        m.submodules.frees = frees = StreamMerge(unsigned(SEGMENT_BITS), 2, turns=True)
        connect(m, flipped(self.free0), frees.i0)
        connect(m, flipped(self.free1), frees.i1)
        # Segments that come back go first: after a flush chains begin while the list is still being filled.
        with m.If(walker.frees.valid):
            m.d.comb += [free.w_data.eq(walker.frees.payload), free.w_en.eq(1), walker.frees.ready.eq(1)]
        with m.Else():
            m.d.comb += [
                frees.o.ready.eq(1),
                free.w_data.eq(Mux(frees.o.valid, frees.o.payload, filled)),
                free.w_en.eq(frees.o.valid | (filled != self._depth)),
            ]
            with m.If(~frees.o.valid & (filled != self._depth)):
                m.d.sync += filled.eq(filled + 1)
        return m
