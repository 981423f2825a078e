"""Decides where in guest memory each reply goes."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import HalfBuffer
from ..component import Component
from ..streams import QUEUE_BITS, Completed, stream_of
from .cutter import Run

__all__ = ["OpenChain", "ReplyHeader", "WritePlanner"]


class ReplyHeader(data.Struct):
    """What all beats of a reply packet have in common. The fields are those of reply_beat."""

    offset: unsigned(32)
    length: unsigned(32)
    written: unsigned(32)
    done: unsigned(1)


class OpenChain(data.Struct):
    """A chain that is to be answered: whose it is, and how many bytes can be written into it."""

    queue: unsigned(QUEUE_BITS)
    id: unsigned(16)
    span: unsigned(16)
    writable: unsigned(32)


class WritePlanner(Component):
    """Turns replies into runs of guest memory, over the segments of their chain.

    Each reply gives a run for each segment that it touches, the last of them with ``last``. A reply that
    writes nothing gives one run of length 0. A reply with ``done`` has ``done`` in its last run; then the
    chain's other segments are taken and dropped, and ``completed`` is given.

    Latency: 2 cycles from a reply to its first run. Throughput: a reply takes 2 cycles, and 2 for each
    further segment that it touches, skips or drops.
    """

    owners: In(stream_of(OpenChain))
    """Chains, in order. An owner is taken when its chain is completed."""
    segments: In(stream_of(Run))
    """Their segments, as SegmentWalker gives them."""
    replies: In(stream_of(ReplyHeader))
    """Replies to the chains, in order."""
    runs: Out(stream_of(Run))
    """Where the bytes of the replies go."""
    completed: Out(stream_of(Completed))
    """Chains that are done."""
    overrun: Out(1)
    """Pulse: a reply goes beyond the last segment. It is cut off there."""
    idle: Out(1, init=1)
    """No chain is known and nothing is held."""

    def elaborate(self, platform):
        m: Any = Module()
        segment: Any = Signal(Run)
        segment_valid, exhausted = Signal(), Signal()
        position, skip, left, written, done = Signal(32), Signal(32), Signal(32), Signal(32), Signal()
        # What is skipped or placed next, and by how much it and the current segment exceed each other.
        skips, amount = Signal(), Signal(32)
        beyond: Any = Signal(33)
        rest: Any = Signal(33)
        fits, final, free, retire = Signal(), Signal(), Signal(), Signal()
        over, closes, ends = Signal(), Signal(), Signal()
        m.submodules.out = out = HalfBuffer(Run)
        wiring.connect(m, out.o, wiring.flipped(self.runs))
        run, closing = out.i.p, Signal()
        m.d.comb += [
            closing.eq((left == 0) | exhausted),
            run.address.eq(segment.address),
            run.length.eq(Mux(closing, 0, Mux(fits, left, segment.length))),
            run.last.eq(closing | final),
            run.done.eq(done & (closing | final)),
            amount.eq(Mux(skips, skip, left)),
            beyond.eq(amount - segment.length),
            rest.eq(segment.length - amount),
            fits.eq(~rest[32]),
            final.eq(fits | segment.last),
            free.eq(out.i.ready),
            self.segments.ready.eq(~segment_valid & ~exhausted),
            # No segment of the chain is left when the current one is dropped.
            ends.eq(exhausted | (segment_valid & segment.last)),
            *(self.completed.p[name].eq(self.owners.p[name]) for name in ("queue", "id", "span")),
            self.completed.p.written.eq(written),
            self.completed.p.whole.eq(written == self.owners.p.writable),
            closes.eq(self.completed.valid & self.completed.ready),
            self.owners.ready.eq(closes),
        ]
        with m.If(self.segments.valid & self.segments.ready):
            empty = self.segments.p.length == 0
            m.d.sync += [segment.eq(self.segments.p), segment_valid.eq(~empty), exhausted.eq(empty)]
        with m.Elif(retire):
            m.d.sync += [segment_valid.eq(0), exhausted.eq(segment.last)]
        with m.If(closes):
            m.d.sync += [segment_valid.eq(0), exhausted.eq(0), position.eq(0)]
        # What was offered stays, though its last segment is dropped meanwhile.
        offered = Signal()
        m.d.sync += [offered.eq(self.completed.valid & ~closes), self.overrun.eq(0)]

        def next_reply(base: Any) -> None:
            """Take the next reply, if there is one. ``base`` is where in the chain the one before ended."""
            reply = self.replies.p
            m.d.comb += self.replies.ready.eq(1)
            m.d.sync += [skip.eq(reply.offset - base), skips.eq(reply.offset != base), left.eq(reply.length)]
            m.d.sync += [written.eq(reply.written), done.eq(reply.done)]
            m.next = "REPLY"
            with m.If(self.replies.valid):
                m.next = "PLACE"
                with m.If(reply.length != 0):
                    m.d.sync += position.eq(reply.offset + reply.length)

        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(
                fsm.ongoing("REPLY") & out.idle & ~self.owners.valid & ~segment_valid & ~exhausted
            )
            with m.State("REPLY"):
                next_reply(position)
            with m.State("PLACE"):
                with m.If(closing):
                    with m.If(free):
                        m.d.comb += out.i.valid.eq(1)
                        m.d.sync += self.overrun.eq(left != 0)
                        m.d.comb += over.eq(1)
                with m.Elif(segment_valid & skips):
                    m.d.sync += [skips.eq(~fits), skip.eq(beyond)]
                    m.d.sync += [segment.address.eq(segment.address + amount), segment.length.eq(rest)]
                    m.d.comb += retire.eq(~beyond[32])
                with m.Elif(segment_valid & free):
                    m.d.comb += out.i.valid.eq(1)
                    m.d.sync += self.overrun.eq(~fits & segment.last)
                    m.d.sync += [segment.address.eq(segment.address + amount), segment.length.eq(rest)]
                    m.d.sync += left.eq(beyond)
                    m.d.comb += [retire.eq(~beyond[32]), over.eq(final)]
                with m.If(over):
                    m.d.comb += self.completed.valid.eq(done & ends & self.owners.valid)
                    with m.If(~done | closes):
                        # A chain that is done is closed here.
                        next_reply(Mux(done, 0, position))
                    with m.Else():
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [
                    retire.eq(segment_valid),
                    self.completed.valid.eq((exhausted | offered) & self.owners.valid),
                ]
                with m.If(closes):
                    m.next = "REPLY"
        return m
