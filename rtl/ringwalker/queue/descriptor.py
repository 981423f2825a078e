"""Descriptor chains, walked several at a time.

Ref: virtio 1.4, 2.7.5 (The Virtqueue Descriptor Table), 2.7.5.3.1 (requirements on chains), 2.7.4.2
(readable before writable).
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import StreamFifo
from ..interfaces import DmaReadPort, QueueRead
from ..spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ..streams import SEGMENT_BITS, Chain, Head
from .segments import SegmentLink, SegmentList, SegmentWrite
from .source import SLOT_BITS, DescriptorResponse, DescriptorSource

__all__ = ["ChainProgress", "DescriptorFetch", "DescriptorStep"]


_TOTALS = (
    "readable",
    "writable",
    "readable_segments",
    "writable_segments",
    "first_readable",
    "first_writable",
)


class ChainProgress(data.Struct):
    """What is known of a chain so far, named as in :class:`Chain`. ``tail`` is its last segment."""

    readable: unsigned(32)
    writable: unsigned(32)
    readable_segments: unsigned(SEGMENT_BITS)
    writable_segments: unsigned(SEGMENT_BITS)
    first_readable: unsigned(SEGMENT_BITS)
    first_writable: unsigned(SEGMENT_BITS)
    tail: unsigned(SEGMENT_BITS)


class DescriptorStep(wiring.Component):
    """What one descriptor does to its chain: checks and sums. Combinational.

    Members: ``response``, the descriptor; ``before`` and ``after``, the chain; ``segment``, where the
    descriptor is to be stored; ``writable``: it is device-writable; ``joins``: it is not the first of its
    kind, so ``before.tail`` must be linked to it; ``follow``: the chain goes on; ``bad``: the chain is
    malformed or the read failed, and ``after`` is ``before``.

    Bad are: a read that failed, an indirect descriptor (the feature is not offered), ``next`` beyond the
    table, more descriptors than the table has (which a loop always comes to), a readable descriptor
    after a writable one, and totals of 2^32 bytes and more. A descriptor of length 0 is as good as any other.
    """

    response: Any
    before: Any
    segment: Any
    after: Any
    writable: Any
    joins: Any
    follow: Any
    bad: Any

    def __init__(self):
        super().__init__(
            {
                "response": In(DescriptorResponse),
                "before": In(ChainProgress),
                "segment": In(SEGMENT_BITS),
                "after": Out(ChainProgress),
                "writable": Out(1),
                "joins": Out(1),
                "follow": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        descriptor, before, after = self.response.descriptor, self.before, self.after
        flags = descriptor.flags
        total = Signal(33)
        walked = Signal(SEGMENT_BITS + 1)
        following = (flags & DESC_F_NEXT) != 0
        m.d.comb += [
            self.writable.eq((flags & DESC_F_WRITE) != 0),
            total.eq(Mux(self.writable, before.writable, before.readable) + descriptor.len),
            walked.eq(before.readable_segments + before.writable_segments + 1),
            self.bad.eq(
                self.response.error
                | ((flags & DESC_F_INDIRECT) != 0)
                | (following & (descriptor.next >= self.response.size))
                | (following & (walked >= self.response.size))
                | (~self.writable & (before.writable_segments != 0))
                | total[32]
            ),
            self.follow.eq(following & ~self.bad),
            self.joins.eq(
                Mux(self.writable, before.writable_segments != 0, before.readable_segments != 0) & ~self.bad
            ),
            after.eq(before),
        ]
        with m.If(~self.bad):
            m.d.comb += after.tail.eq(self.segment)
            with m.If(self.writable):
                m.d.comb += [
                    after.writable.eq(total),
                    after.writable_segments.eq(before.writable_segments + 1),
                    after.first_writable.eq(Mux(self.joins, before.first_writable, self.segment)),
                ]
            with m.Else():
                m.d.comb += [
                    after.readable.eq(total),
                    after.readable_segments.eq(before.readable_segments + 1),
                    after.first_readable.eq(Mux(self.joins, before.first_readable, self.segment)),
                ]
        return m


class DescriptorFetch(wiring.Component):
    """Walks the chains of heads, several at a time, and passes them on in the order of the heads.

    Parameters: ``data_width`` in bits; ``queue_size``, the most descriptors that a chain can have;
    ``chains`` (a power of two), how many are walked at once; ``segments``, the depth of the segment store, at
    least ``queue_size``. Below about twice that, chains wait for each other's segments.

    Members:

    - ``heads``, the chains to walk; each head must be below the size of its queue. ``chains``, the result.
    - ``table``: the queue table; ``read``: reads of descriptors.
    - ``allocate``, ``write``, ``link``, ``drops``, ``available``: to the segment store.
    - ``fail``: a pulse for each chain that is bad (see :class:`DescriptorStep`). It is dropped, and
      its segments go back to the store. All else goes on.
    - ``idle``: no chain is under way.

    A head is a read request three cycles after it was taken. A chain comes out three cycles after the last
    beat of its last descriptor. One head and one descriptor are taken a cycle (at 64 bits, one descriptor
    every two cycles).

    A read is requested only when a segment is set aside for its descriptor, so what comes back never
    waits for room. All chains but the oldest may set aside a segment only while more than ``queue_size``
    are free; the oldest may as long as there is one. So there is no deadlock: suppose that the oldest
    finds none, and that all chains that were passed on have given back theirs. When another chain last
    took one, ``queue_size`` were left; since then only oldest chains took any, and those of them that are
    finished have given theirs back. So the oldest has taken ``queue_size``, and needs no more.
    """

    heads: Any
    table: Any
    read: Any
    allocate: Any
    write: Any
    link: Any
    drops: Any
    available: Any
    chains: Any
    fail: Any
    idle: Any

    def __init__(self, data_width: int, queue_size: int, chains: int, segments: int):
        if chains not in (1 << n for n in range(SLOT_BITS + 1)):
            raise ValueError(f"chains is {chains!r}; it must be a power of two from 1 to {1 << SLOT_BITS}")
        if segments < max(queue_size, 2):
            raise ValueError(f"segments is {segments!r}; it must be at least queue_size, {queue_size!r}")
        self._width = data_width
        self._queue_size = queue_size
        self._slots = chains
        super().__init__(
            {
                "heads": In(stream.Signature(Head)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "allocate": In(stream.Signature(unsigned(SEGMENT_BITS))),  # pyright: ignore[reportArgumentType]
                "write": Out(SegmentWrite()),
                "link": Out(SegmentLink()),
                "drops": Out(stream.Signature(SegmentList)),  # pyright: ignore[reportArgumentType]
                "available": In(range(segments + 1)),
                "chains": Out(stream.Signature(Chain)),  # pyright: ignore[reportArgumentType]
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )
        # A chain has a slot from head to result; slots are given and taken back in a circle.
        bits = max(1, (chains - 1).bit_length())
        self._newest = Signal(bits)
        self._oldest = Signal(bits)
        self._taken = Signal(range(chains + 1))
        self._fresh: Any = Signal(1 << bits)
        self._done: Any = Signal(1 << bits)
        self._failed: Any = Signal(1 << bits)

    def _next_slot(self, slot):
        return Mux(slot == self._slots - 1, 0, slot + 1)

    def elaborate(self, platform):
        m: Any = Module()
        depth = len(self._done)
        heads: Any = Memory(shape=Head, depth=depth, init=[])
        progress: Any = Memory(shape=ChainProgress, depth=depth, init=[])
        m.submodules.heads, m.submodules.progress = heads, progress
        m.submodules.source = source = DescriptorSource(self._width, self._slots)
        connect(m, source.table, flipped(self.table))
        connect(m, source.read, flipped(self.read))
        # The next descriptor that each chain needs; a chain is in here at most once. One place more lets
        # the front go to the back when all are in here.
        wanted = data.StructLayout({"slot": SLOT_BITS, "index": 16})
        m.submodules.wanted = want = StreamFifo(wanted, self._slots + 1)
        follow, accept, release = Signal(), Signal(), Signal()
        follow_slot, follow_index = Signal(SLOT_BITS), Signal(16)
        claim, claimed = Signal(), Signal()

        self._check(m, source, progress, follow, follow_slot, follow_index, claimed)
        self._emit(m, heads, progress, release)

        # Requests: the front of the queue gets a segment set aside, or goes to the back of it.
        reserved = Signal(range(self._slots + 1))
        front = want.o.payload
        of_front = heads.read_port(domain="comb")
        is_oldest = front.slot == self._oldest
        has_room = self.available > reserved + Mux(is_oldest, 0, self._queue_size)
        rotate = want.o.valid & ~has_room & ~follow
        m.d.comb += [
            of_front.addr.eq(front.slot),
            source.requests.valid.eq(want.o.valid & has_room),
            source.requests.payload.slot.eq(front.slot),
            source.requests.payload.queue.eq(of_front.data.queue),
            source.requests.payload.index.eq(front.index),
            claim.eq(source.requests.valid & source.requests.ready),
            want.o.ready.eq(claim | rotate),
        ]
        m.d.sync += reserved.eq(reserved + claim - claimed)

        new = heads.write_port()
        m.d.comb += [
            new.addr.eq(self._newest),
            new.data.eq(self.heads.payload),
            new.en.eq(accept),
            self.heads.ready.eq((self._taken != self._slots) & ~follow & ~rotate),
            accept.eq(self.heads.valid & self.heads.ready),
            want.i.valid.eq(follow | rotate | accept),
            want.i.payload.slot.eq(Mux(follow, follow_slot, Mux(rotate, front.slot, self._newest))),
            want.i.payload.index.eq(
                Mux(follow, follow_index, Mux(rotate, front.index, self.heads.payload.head))
            ),
            self.idle.eq((self._taken == 0) & ~self.chains.valid),
        ]
        m.d.sync += self._taken.eq(self._taken + accept - release)
        with m.If(accept):
            m.d.sync += [
                self._newest.eq(self._next_slot(self._newest)),
                self._fresh.bit_select(self._newest, 1).eq(1),
                self._done.bit_select(self._newest, 1).eq(0),
                self._failed.bit_select(self._newest, 1).eq(0),
            ]
        return m

    def _check(self, m: Any, source, progress, follow, follow_slot, follow_index, claimed) -> None:
        """A descriptor that came back: one cycle to find its chain, one to check and to store it."""
        m.submodules.step = step = DescriptorStep()
        busy, finish = Signal(), Signal()
        found, store = progress.read_port(domain="comb"), progress.write_port()
        response = source.responses.payload
        fresh = self._fresh.bit_select(response.slot[: len(self._newest)], 1)
        m.d.comb += [
            found.addr.eq(response.slot),
            source.responses.ready.eq(~busy | finish),
        ]
        with m.If(source.responses.ready):
            m.d.sync += [
                busy.eq(source.responses.valid),
                step.response.eq(response),
                step.before.eq(Mux(fresh, 0, found.data.as_value())),
            ]
        slot = step.response.slot[: len(self._newest)]
        descriptor = step.response.descriptor
        m.d.comb += [
            step.segment.eq(self.allocate.payload),
            finish.eq(busy & (step.bad | self.allocate.valid)),
            claimed.eq(finish),
            self.allocate.ready.eq(busy & ~step.bad),
            self.write.en.eq(finish & ~step.bad),
            self.write.index.eq(step.segment),
            self.write.address.eq(descriptor.addr),
            self.write.length.eq(descriptor.len),
            self.link.en.eq(finish & step.joins),
            self.link.index.eq(step.before.tail),
            self.link.next.eq(step.segment),
            store.addr.eq(slot),
            store.data.eq(step.after),
            store.en.eq(finish),
            follow.eq(finish & step.follow),
            follow_slot.eq(slot),
            follow_index.eq(descriptor.next),
        ]
        m.d.sync += self.fail.eq(finish & step.bad)
        with m.If(finish):
            m.d.sync += [
                self._fresh.bit_select(slot, 1).eq(0),
                self._done.bit_select(slot, 1).eq(~step.follow),
                self._failed.bit_select(slot, 1).eq(step.bad),
            ]

    def _emit(self, m: Any, heads, progress, release) -> None:
        """The oldest chain, once it is done: passed on, or its two lists dropped."""
        oldest = self._oldest
        head, totals = heads.read_port(domain="comb"), progress.read_port(domain="comb")
        drop_writable = Signal()
        done = (self._taken != 0) & self._done.bit_select(oldest, 1)
        failed = self._failed.bit_select(oldest, 1)
        dropped = self.drops.payload
        m.d.comb += [head.addr.eq(oldest), totals.addr.eq(oldest)]
        with m.If(~self.chains.valid | self.chains.ready):
            chain = self.chains.payload
            m.d.sync += [
                self.chains.valid.eq(done & ~failed),
                chain.queue.eq(head.data.queue),
                chain.head.eq(head.data.head),
                *(chain[key].eq(totals.data[key]) for key in _TOTALS),
            ]
            m.d.comb += release.eq(done & ~failed)
        with m.If(done & failed):
            m.d.comb += [
                dropped.first.eq(Mux(drop_writable, totals.data.first_writable, totals.data.first_readable)),
                dropped.count.eq(
                    Mux(drop_writable, totals.data.writable_segments, totals.data.readable_segments)
                ),
                self.drops.valid.eq(dropped.count != 0),
            ]
            with m.If(self.drops.ready | (dropped.count == 0)):
                m.d.sync += drop_writable.eq(~drop_writable)
                m.d.comb += release.eq(drop_writable)
        with m.If(release):
            m.d.sync += oldest.eq(self._next_slot(oldest))
