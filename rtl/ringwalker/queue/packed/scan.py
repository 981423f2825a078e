"""Chains in the descriptors that were read: where each begins, how long it is, and what its id is.

A chain is available if its first descriptor is, and what follows was written before that. PCI Express does
not keep reads in order, and a host reads no more than a cache line at once. So if a chain goes on in another
line, what was read of that may be older than the first. It is not if it was asked for when the first
descriptor had been seen, if a later chain is available in the same line, or if the driver had said by a
notification that it is available. What is not proved so is read anew.

Ref: virtio 1.4, 2.8.1, 2.8.6 (Next Flag), 2.8.19 (Supplying Buffers).
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import QueueClear
from ...spec.packed import is_available
from ...spec.ring import DESC_F_NEXT
from ...streams import MOST_BROUGHT, QUEUE_BITS, Head, dma_read_beat, stream_of
from ..ring.brought import BroughtPort
from .brought import BroughtDescriptors
from .place import Place, advanced
from .poll import Outcome, ReadResult
from .reads import RingRead
from .unpack import DescriptorUnpack

__all__ = ["ChainScan"]

_HEADS = 4
_LINE_LAST = 3


class _Chain(data.Struct):
    """A chain of which ``span`` descriptors were seen, from ``start`` on. ``inside``: it goes on. ``known``:
    all of it was asked for when its first descriptor had been seen; ``crossed``: it goes on in a second line,
    ``twice``: in a third."""

    inside: unsigned(1)
    known: unsigned(1)
    crossed: unsigned(1)
    twice: unsigned(1)
    start: Place
    span: unsigned(16)


class ChainScan(Component):
    """Finds the chains in descriptors of a packed ring.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members (W is ``data_width``):

    - ``reads`` In stream of RingRead: reads in flight, ``dead`` In 1: the oldest does not count.
    - ``data`` In stream of dma_read_beat(W): their answers.
    - ``results`` Out stream of ReadResult: what became of the oldest read; it is taken in the same cycle.
    - ``heads`` Out stream of Head: the chains. One that was found within reads that follow each other, and
      has 16 descriptors at most, brings them along.
    - ``brought`` In(BroughtPort()).
    - ``clear`` In(QueueClear()): forget what was begun of a queue.
    - ``fail`` Out 1, a pulse: a read failed, a chain is longer than its queue, or a part of it is not
      available. Its queue is not read on then.
    - ``idle`` Out 1: nothing is held but reads in flight.

    Latency: 4 cycles from a descriptor's data to its head if nothing else is in flight. Throughput: a
    descriptor a cycle, and 3 cycles a read.
    """

    def __init__(self, data_width: int, queues: int):
        self._width = data_width
        self._queues = queues
        super().__init__(
            {
                "reads": In(stream_of(RingRead)),
                "dead": In(1),
                "data": In(stream_of(dma_read_beat(data_width))),
                "results": Out(stream_of(ReadResult)),
                "heads": Out(stream_of(Head)),
                "brought": In(BroughtPort()),
                "clear": In(QueueClear()),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )
        self._chain: Any = Signal(_Chain, name="chain")
        # The next descriptor, and its number in its line.
        self._place: Any = Signal(Place, name="place")
        self._in_line = Signal(2)
        # The chain's descriptors are not all held.
        self._bare = Signal()
        self._outcome: Any = Signal(Outcome)
        # Of a chain that is to be proved.
        self._id = Signal(16)

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.unpack = unpack = DescriptorUnpack(self._width)
        m.submodules.held = held = BroughtDescriptors()
        m.submodules.found = found = StreamFifo(Head, _HEADS)
        connect(m, flipped(self.data), unpack.data)
        connect(m, flipped(self.brought), held.brought)
        connect(m, found.o, flipped(self.heads))
        read, result, descriptor = self.reads.payload, self.results.payload, unpack.o.payload
        begun, begins = self._begun(m)
        unpacked, carries, resumes = Signal(), Signal(), Signal()
        carried_of: Any = Signal(QUEUE_BITS)
        head: Any = Signal(Head)
        m.d.comb += [
            unpack.counts.payload.eq(read.count),
            unpack.counts.valid.eq(self.reads.valid & ~unpacked),
            result.queue.eq(read.queue),
            result.outcome.eq(self._outcome),
            result.place.eq(self._place),
            held.raw.eq(descriptor.raw),
            # What was held of a chain at the end of the read before is of this queue.
            resumes.eq(carries & (carried_of == read.queue) & begun.inside),
        ]
        with m.If(self.reads.valid & self.reads.ready):
            m.d.sync += unpacked.eq(0)
        with m.Elif(unpack.counts.valid & unpack.counts.ready):
            m.d.sync += unpacked.eq(1)
        m.d.sync += self.fail.eq(0)
        with m.FSM(init="CONTEXT") as fsm:
            with m.State("CONTEXT"):
                m.d.comb += begins.eq(self.reads.valid)
                with m.If(self.reads.valid):
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += [
                    self._chain.eq(begun),
                    self._place.eq(read.place),
                    self._in_line.eq(read.in_line),
                    self._bare.eq(begun.inside & ~resumes),
                    carries.eq(0),
                ]
                m.d.comb += held.drop.eq(~resumes | self.dead)
                m.next = "SCAN"
                with m.If(self.dead):
                    m.next = "DROP"
            with m.State("SCAN"):
                with m.If(unpack.o.valid):
                    self._scan(m, unpack.o, held, found, head)
            with m.State("PROVE"):
                with m.If(unpack.o.valid):
                    with m.If(is_available(descriptor.raw.flags, ~self._place.lap)):
                        m.d.comb += self._head(head, self._chain.start, self._chain.span, self._bare)
                        self._emit(m, held, found, head, self._id)
                        with m.If(found.i.ready):
                            m.next = "SCAN"
                    with m.Else():
                        self._read_anew(m)
            with m.State("DROP"):
                m.d.comb += unpack.o.ready.eq(1)
                with m.If(unpack.o.valid & descriptor.last):
                    m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += [
                    self.results.valid.eq(~self.dead),
                    self.reads.ready.eq(self.results.ready | self.dead),
                ]
                m.d.sync += [carries.eq(self._chain.inside & ~self._bare & ~self.dead)]
                m.d.sync += carried_of.eq(read.queue)
                with m.If(self.reads.ready):
                    m.next = "CONTEXT"
            m.d.comb += self.idle.eq(fsm.ongoing("CONTEXT") & found.idle & held.idle & unpack.idle)
        return m

    def _begun(self, m: Any) -> tuple[Any, Signal]:
        """What was begun of the queue of the oldest read, a cycle after ``begins``; a result keeps it."""
        m.submodules.contexts = contexts = Memory(shape=_Chain, depth=self._queues, init=[])
        write: Any = contexts.write_port()
        look: Any = contexts.read_port()
        begins, queue = Signal(), self.reads.payload.queue
        m.d.comb += [
            look.en.eq(begins),
            look.addr.eq(queue),
            write.addr.eq(Mux(self.clear.en, self.clear.index, queue)),
            write.data.eq(Mux(self.clear.en, 0, self._chain)),
            write.en.eq(self.clear.en | (self.results.valid & self.results.ready)),
        ]
        return look.data, begins

    def _scan(self, m: Any, unpacked: Any, held: BroughtDescriptors, found: StreamFifo, head: Any) -> None:
        """Look at the next descriptor."""
        chain, read, descriptor = self._chain, self.reads.payload, unpacked.payload
        flags = descriptor.raw.flags
        first, follows, available, line_ends, halves = (Signal() for _ in range(5))
        span, bare, crossed, overflows, room = Signal(16), Signal(), Signal(), Signal(), Signal()
        proved, takes, unusable = Signal(), Signal(), Signal()
        m.d.comb += [
            first.eq(~chain.inside),
            follows.eq((flags & DESC_F_NEXT) != 0),
            available.eq(is_available(flags, ~self._place.lap)),
            line_ends.eq(((self._in_line == _LINE_LAST) & ~read.known) | descriptor.last),
            span.eq(Mux(first, 1, chain.span + 1)),
            crossed.eq(~first & chain.crossed),
            bare.eq(~first & self._bare),
            overflows.eq(~bare & (span > MOST_BROUGHT)),
            room.eq(bare | overflows | held.room),
            proved.eq(chain.known | ~crossed),
            # Nothing else of the queue is in flight, so what is read next is newer than the first descriptor.
            halves.eq(descriptor.last & follows & ~crossed & ~chain.known & (read.expected != 0)),
            unusable.eq(~first & (~available | (follows & (span >= read.size)))),
        ]
        with m.If(descriptor.error | (first & ~available)):
            self._end(m, descriptor.error)
        with m.Elif(unusable & chain.known):
            self._end(m, 1)
        with m.Elif(unusable | (~follows & ~proved & (chain.twice | line_ends))):
            self._read_anew(m)
        with m.Elif(room & (found.i.ready | follows | ~proved)):
            m.d.comb += [
                takes.eq(1),
                held.push.eq(~bare & ~overflows),
                held.drop.eq(overflows),
            ]
            m.d.sync += [
                chain.inside.eq(1),
                chain.span.eq(span),
                chain.crossed.eq(crossed | line_ends),
                chain.twice.eq(~first & (chain.twice | (chain.crossed & line_ends))),
                self._bare.eq(bare | overflows),
                self._place.eq(advanced(self._place, 1, read.size)),
                self._in_line.eq(self._in_line + 1),
                self._id.eq(descriptor.raw.id),
            ]
            with m.If(first):
                m.d.sync += chain.start.eq(self._place)
            with m.If(descriptor.last):
                ended = read.closes & ~follows & proved
                m.d.sync += self._outcome.eq(Mux(ended, Outcome.END, Outcome.FULL))
                m.next = "RESULT"
            with m.If(halves & ~read.cut):
                m.d.sync += chain.known.eq(1)
            with m.Elif(halves):
                self._await_anew(m, Mux(first, self._place.as_value(), chain.start.as_value()))
            with m.If(~follows):
                with m.If(proved):
                    start: Any = Mux(first, self._place.as_value(), chain.start.as_value())
                    place: Any = data.View(Place, start)
                    m.d.comb += self._head(head, place, span, bare | overflows)
                    self._emit(m, held, found, head, descriptor.raw.id)
                with m.Else():
                    m.next = "PROVE"
        m.d.comb += unpacked.ready.eq(takes)

    def _head(self, head: Any, start: Any, span: Any, bare: Any) -> list[Any]:
        """What a head has besides its queue and id."""
        return [head.at.eq(start.offset), head.span.eq(span), head.brought.eq(Mux(bare, 0, span))]

    def _emit(self, m: Any, held: BroughtDescriptors, found: StreamFifo, head: Any, key: Any) -> None:
        """The chain is available: its head leaves as soon as there is room."""
        m.d.comb += [
            found.i.valid.eq(1),
            held.keep.eq(found.i.ready & (head.brought != 0)),
            found.i.payload.queue.eq(self.reads.payload.queue),
            found.i.payload.at.eq(head.at),
            found.i.payload.id.eq(key),
            found.i.payload.span.eq(head.span),
            found.i.payload.brought.eq(head.brought),
            found.i.payload.first.eq(1),
        ]
        with m.If(found.i.ready):
            m.d.sync += self._chain.eq(0)

    def _end(self, m: Any, failed: Any) -> None:
        """Nothing more is available."""
        m.d.sync += [
            self._chain.eq(0),
            self._outcome.eq(Outcome.END),
            self._place.eq(Mux(self._chain.inside, self._chain.start.as_value(), self._place.as_value())),
            self.fail.eq(failed),
        ]
        m.next = "DROP"

    def _read_anew(self, m: Any) -> None:
        """The chain is available, and has to be read again."""
        self._await_anew(m, self._chain.start)
        m.next = "DROP"

    def _await_anew(self, m: Any, start: Any) -> None:
        """What begins at ``start`` is read again; all of that is newer than its first descriptor then."""
        m.d.sync += [
            self._chain.eq(0),
            self._chain.known.eq(1),
            self._outcome.eq(Outcome.AGAIN),
            self._place.eq(start),
        ]
