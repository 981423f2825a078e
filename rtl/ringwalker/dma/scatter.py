"""Spreads a function's replies over the device-writable segments of chains, as memory writes."""

import functools
import operator
from typing import Any

from amaranth.hdl import Const, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import StreamFifo
from ..component import Component
from ..interfaces import SegmentRead
from ..spec.tlp import RequestKind
from ..streams import (
    SEGMENT_BITS,
    Chain,
    Completed,
    SegmentList,
    byte_beat,
    reply_beat,
    request_beat,
    stream_of,
)
from .byte_enables import dword_span
from .cutter import Cutter
from .planner import OpenChain, ReplyHeader, WritePlanner
from .realign import Placement, Realign
from .segment_lists import SegmentWalker

__all__ = ["Scatter"]

_AHEAD = 8
"""Chains whose last write is planned and has not left yet. One is finished every two cycles, so this must be
at least half the cycles between the two."""


class _Waiting(data.Struct):
    """A chain that waits for its turn: its writable segments, and whose it is."""

    list: SegmentList
    owner: OpenChain


class _Write(data.Struct):
    """The header of a write to come.

    ``done``: it is the last of its chain. ``empty``: there is no write, only ``done`` counts.
    """

    address: unsigned(64)
    dwords: unsigned(11)
    first_be: unsigned(4)
    last_be: unsigned(4)
    empty: unsigned(1)
    done: unsigned(1)


class Scatter(Component):
    """Writes replies to the device-writable segments of the oldest chain, and says when a chain is complete.

    A reply's bytes go to its ``offset`` in the chain's writable bytes. They are cut at segments, and within a
    segment as :class:`~.cutter.Cutter` does it with ``max_payload``. What goes beyond the chain's writable
    bytes is dropped. A reply with ``done`` frees the segments that are left and finishes the chain.

    Parameters: ``data_width`` (W); ``chains_ahead``, how many chains wait inside, at least 2.

    Members:

    - ``chains`` In stream of Chain: ``writable_segments``, ``first_writable``, ``writable``, ``queue``,
      ``id`` and ``span`` are used.
    - ``segments`` Out(SegmentRead()): the segment store.
    - ``frees`` Out stream of 16 bits: indices of segments that were read and are no longer needed.
    - ``replies`` In stream of reply_beat(W).
    - ``writes`` Out stream of request_beat(W): memory writes, ``requester_id`` 0.
    - ``completed`` Out stream of Completed: valid after the chain's last payload beat was taken from
      ``writes``.
    - ``max_payload`` In 13: bytes, a power of two.
    - ``overrun`` Out 1, pulse: a reply goes beyond the chain's writable bytes.
    - ``idle`` Out 1: nothing is held.

    Latency: 10 cycles from a reply's first beat to its first write. Throughput: a beat a cycle within a
    segment, without a gap between two TLPs; a reply takes at least 2 cycles.
    Ref: PCI Express Base Specification 3.1, 2.2.5, 2.2.7; virtio 1.4, 2.7.4, 2.7.8.
    """

    def __init__(self, data_width: int, chains_ahead: int = 16):
        self.data_width = data_width
        self.chains_ahead = chains_ahead
        super().__init__(
            {
                "chains": In(stream_of(Chain)),
                "segments": Out(SegmentRead()),
                "frees": Out(stream_of(unsigned(SEGMENT_BITS))),
                "replies": In(stream_of(reply_beat(data_width))),
                "writes": Out(stream_of(request_beat(data_width))),
                "completed": Out(stream_of(Completed)),
                "max_payload": In(13),
                "overrun": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.walker = walker = SegmentWalker()
        m.submodules.planner = planner = WritePlanner()
        m.submodules.cutter = cutter = Cutter()
        m.submodules.realign = realign = Realign(self.data_width)
        m.submodules.waiting = waiting = StreamFifo(_Waiting, self.chains_ahead)
        m.submodules.owners = owners = StreamFifo(OpenChain, 4)
        m.submodules.headers = headers = StreamFifo(ReplyHeader, 4)
        m.submodules.bytes = beats = StreamFifo(byte_beat(self.data_width), 16)
        m.submodules.placements = placements = StreamFifo(Placement, 4)
        m.submodules.pending = pending = StreamFifo(_Write, 8)
        m.submodules.finished = finished = StreamFifo(Completed, _AHEAD)
        wiring.connect(m, walker.segments, wiring.flipped(self.segments))
        wiring.connect(m, walker.frees, wiring.flipped(self.frees))
        for source, sink in (
            (walker.o, planner.segments),
            (owners.o, planner.owners),
            (headers.o, planner.replies),
            (planner.runs, cutter.i),
            (planner.completed, finished.i),
            (beats.o, realign.i),
            (placements.o, realign.placements),
        ):
            wiring.connect(m, source, sink)
        m.d.comb += [cutter.limit.eq(self.max_payload), self.overrun.eq(planner.overrun)]
        self._accept(m, waiting, walker, owners, headers, beats)
        self._announce(m, cutter, placements, pending)
        released, sent = self._send(m, realign, pending)
        credits = Signal(range(2 * _AHEAD))
        taken = Signal()
        m.d.comb += [
            self.completed.p.eq(finished.o.p),
            self.completed.valid.eq(finished.o.valid & (credits != 0)),
            taken.eq(self.completed.valid & self.completed.ready),
            finished.o.ready.eq(taken),
        ]
        m.d.sync += credits.eq(credits + released - taken)
        parts = (
            walker,
            planner,
            cutter,
            placements,
            realign,
            waiting,
            owners,
            headers,
            beats,
            pending,
            finished,
        )
        m.d.comb += self.idle.eq(functools.reduce(operator.and_, (part.idle for part in parts), sent))
        return m

    def _accept(self, m: Any, waiting: Any, walker: Any, owners: Any, headers: Any, beats: Any) -> None:
        """Take chains, and split replies into headers and bytes."""
        chain, reply = self.chains.p, self.replies.p
        m.d.comb += [
            waiting.i.p.list.first.eq(chain.first_writable),
            waiting.i.p.list.count.eq(chain.writable_segments),
            *(waiting.i.p.owner[name].eq(chain[name]) for name in ("queue", "id", "span", "writable")),
            waiting.i.valid.eq(self.chains.valid),
            self.chains.ready.eq(waiting.i.ready),
            walker.lists.p.eq(waiting.o.p.list),
            walker.lists.valid.eq(waiting.o.valid & owners.i.ready),
            owners.i.p.eq(waiting.o.p.owner),
            owners.i.valid.eq(waiting.o.valid & walker.lists.ready),
            waiting.o.ready.eq(walker.lists.ready & owners.i.ready),
            *(getattr(headers.i.p, name).eq(reply[name]) for name in ("offset", "length", "written", "done")),
            headers.i.valid.eq(self.replies.valid & reply.first & beats.i.ready),
            *(beats.i.p[name].eq(reply[name]) for name in ("data", "count", "first", "last")),
            beats.i.valid.eq(self.replies.valid & (headers.i.ready | ~reply.first)),
            self.replies.ready.eq(beats.i.ready & (headers.i.ready | ~reply.first)),
        ]

    def _announce(self, m: Any, cutter: Cutter, placements: StreamFifo, pending: StreamFifo) -> None:
        """Say of each piece where its bytes go, and pass its header on to where its payload comes out."""
        piece, header, part = cutter.o.p, pending.i.p, placements.i.p
        span = dword_span(m, piece.address[:2], piece.length)
        nothing = Signal()
        m.d.comb += [
            header.empty.eq(piece.length == 0),
            nothing.eq(header.empty & ~piece.done),
            header.done.eq(piece.done),
            header.address.eq(piece.address & ~Const(3, 64)),
            header.dwords.eq(span.dwords),
            header.first_be.eq(span.first_be),
            header.last_be.eq(span.last_be),
            part.offset.eq(piece.address[:2]),
            part.length.eq(piece.length),
            part.final.eq(piece.last),
            placements.i.valid.eq(cutter.o.valid & pending.i.ready),
            pending.i.valid.eq(cutter.o.valid & placements.i.ready & ~nothing),
            cutter.o.ready.eq(placements.i.ready & pending.i.ready),
        ]

    def _send(self, m: Any, realign: Realign, pending: StreamFifo) -> tuple[Signal, Signal]:
        """Join headers and payload. Returns a pulse for each chain whose last write was taken, and whether
        nothing is held here."""
        header, payload, write = pending.o.p, realign.o.p, self.writes.p
        step, joined, ends, done, released = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(~self.writes.valid | self.writes.ready),
            joined.eq(realign.o.valid & pending.o.valid & ~header.empty),
            realign.o.ready.eq(step & pending.o.valid & ~header.empty),
            ends.eq(header.empty | (joined & payload.last)),
            pending.o.ready.eq(step & ends),
            released.eq(step & done),
            write.header.kind.eq(RequestKind.MEMORY_WRITE),
        ]
        with m.If(step):
            m.d.sync += [
                self.writes.valid.eq(joined),
                done.eq(pending.o.valid & ends & header.done),
                write.header.address.eq(header.address),
                write.header.length.eq(header.dwords),
                write.header.first_be.eq(header.first_be),
                write.header.last_be.eq(header.last_be),
                write.data.eq(payload.data),
                write.dwords.eq(payload.dwords),
                write.first.eq(payload.first),
                write.last.eq(payload.last),
            ]
        return released, ~self.writes.valid & ~done
