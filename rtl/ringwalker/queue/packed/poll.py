"""Which descriptors of a packed ring are read next.

Ref: virtio 1.4, 2.8.2 (Polling of available and used descriptors).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.packed import RingPlace
from ...spec.ring import DESC_BYTES
from ...streams import QUEUE_BITS, DmaReadRequest, Doorbell, Visit, stream_of
from ..ring.limits import LINE_BYTES
from .place import Place, advanced
from .reads import MOST_EXPECTED, READ_DESCRIPTORS, ReadsInFlight, RingRead

__all__ = ["AHEAD", "DescriptorPoll", "Outcome", "ReadResult", "RingEnd"]

AHEAD = 4
"""Reads of one queue that are in flight at most."""

_LINE = LINE_BYTES // DESC_BYTES

_SHIFT = DESC_BYTES.bit_length() - 1


class Outcome(enum.Enum, shape=2):
    """What the oldest read has shown: ``FULL``, it was available to its end; ``END``, ``place`` is not
    available; ``AGAIN``, what begins at ``place`` is, but has to be read anew."""

    FULL = 0
    END = 1
    AGAIN = 2


class ReadResult(data.Struct):
    """What became of the oldest read, which is of ``queue``."""

    queue: unsigned(QUEUE_BITS)
    outcome: Outcome
    place: Place


class RingEnd(data.Struct):
    """Nothing of ``queue`` is available at ``place``."""

    queue: unsigned(QUEUE_BITS)
    place: Place


class _Next(data.Struct):
    """Where a queue is read next, and how many descriptors a visit probably finds, as in RingRead."""

    place: Place
    expected: range(MOST_EXPECTED + 1)


class DescriptorPoll(Component):
    """Reads the descriptors of queues that are visited, and goes on as long as they are available.

    A visit reads from the queue's place on, up to 16 descriptors: to the end of the ring, or of 256 bytes. A
    read that is available to its end is followed by the next, and lets one more be in flight, up to ``AHEAD``
    and up to as many as the ring holds. Where one ends before, the others in flight are dead. If that was the
    first of its visit, and found 8 or less, the next visit begins with a line or two. What has to be read
    again is, with the line behind it. A visit while reads of its queue are in flight is absorbed; if the last
    of them was asked for before it, the queue is visited again. If the notification says where the
    driver goes on, up to there is read, and no more.

    Parameters: ``queues``, how many there are; ``depth``, how many reads are in flight at most.

    Latency: 2 cycles from a visit to its read. Throughput: a read every two cycles.
    """

    visits: In(stream_of(Visit))
    carried: In(1)
    """As the scheduler gives it for the latest visit: its notification says where the driver goes on."""
    next: In(RingPlace)
    """There."""
    table: Out(QueueRead())
    clear: In(QueueClear())
    """Set the place of a queue. Only while nothing is in flight."""
    requests: Out(stream_of(DmaReadRequest))
    """The reads."""
    reads: Out(stream_of(RingRead))
    """The same, as they are in flight. One is taken with its result."""
    dead: Out(1)
    """What was read by the oldest does not count. It has no result, but is to be taken."""
    results: In(stream_of(ReadResult))
    """Of the oldest read, which must be taken in the cycle in which its result is."""
    ends: Out(stream_of(RingEnd))
    """Queues of which nothing more is available."""
    revisits: Out(stream_of(Doorbell))
    """Queues that the driver has notified of since they were read."""
    max_read_request: In(13)
    """In bytes; reads are no longer."""
    halt: In(1)
    """Nothing is read any more. What would have been is visited again."""
    idle: Out(1, init=1)
    """Nothing is in flight."""

    def __init__(self, queues: int, depth: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._queues = queues
        self._depth = depth
        super().__init__()
        # What is looked up, and whether because the driver has notified of it, or because it has to be read
        # again; one more read may follow.
        self._queue: Any = Signal(QUEUE_BITS)
        self._visited, self._again, self._more = Signal(), Signal(), Signal()
        # What is read is the first of a visit.
        self._first = Signal()
        # A read that was not the first was available to its end.
        self._grows = Signal()
        # The request register can take a read; a queue is looked up.
        self._free, self._looks = Signal(), Signal()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.flight = flight = ReadsInFlight(self._queues, self._depth)
        m.submodules.places = places = Memory(shape=_Next, depth=self._queues, init=[])
        write: Any = places.write_port()
        look: Any = places.read_port(transparent_for=(write,))
        connect(m, flight.o, flipped(self.reads))
        request, visit = self.requests, self.visits.payload
        m.d.comb += [
            self._free.eq(self._room(request)),
            self.dead.eq(flight.dead),
            self.table.en.eq(self._looks),
            look.en.eq(self._looks),
            look.addr.eq(self.table.index),
        ]
        for output in (request, self.ends, self.revisits):
            with m.If(output.ready):
                m.d.sync += output.valid.eq(0)
        with m.If(self._looks):
            m.d.sync += self._queue.eq(self.table.index)
        with m.FSM(init="EVENT") as fsm:
            with m.State("EVENT"):
                with m.If(self.results.valid):
                    self._judge(m, flight, write)
                with m.Else():
                    m.d.comb += [
                        self.table.index.eq(visit.queue),
                        self.visits.ready.eq(self._free & flight.i.ready & ~self.halt),
                        self._looks.eq(self.visits.valid & self.visits.ready),
                    ]
                    m.d.sync += [self._visited.eq(1), self._again.eq(0), self._more.eq(0)]
                    m.d.sync += [self._first.eq(1), self._grows.eq(0)]
                with m.If(self._looks):
                    m.next = "READ"
            with m.State("READ"):
                self._read(m, flight, look.data, write)
            with m.State("AHEAD"):
                m.d.comb += [self.table.index.eq(self._queue), self._looks.eq(self._free & flight.i.ready)]
                m.d.sync += [self._visited.eq(0), self._again.eq(0), self._more.eq(0)]
                with m.If(self._looks):
                    m.next = "READ"
                with m.Elif(~flight.i.ready):
                    m.next = "EVENT"  # There is room only after a result.
            held = request.valid | self.ends.valid | self.revisits.valid
            m.d.comb += self.idle.eq(fsm.ongoing("EVENT") & flight.idle & ~held)
        with m.If(self.clear.en):
            m.d.comb += [write.addr.eq(self.clear.index), write.en.eq(1)]
            m.d.comb += [write.data.place.eq(self.clear.position), write.data.expected.eq(0)]
        return m

    def _said(self, m: Any, place: Any, row: Any) -> tuple[Any, Any]:
        """Whether the driver has said how many descriptors are available from ``place`` on, and how many."""
        known, count = Signal(), Signal(18)
        laps = Mux(self.next.wrap == place.lap, row.size, 0)
        m.d.comb += [
            count.eq(self.next.offset + laps - place.offset),
            known.eq(self._visited & self.carried & (count != 0) & (count <= row.size)),
        ]
        return known, count

    def _room(self, output: Any) -> Any:
        """The register of ``output`` can take an item."""
        return ~output.valid | output.ready

    def _judge(self, m: Any, flight: ReadsInFlight, write: Any) -> None:
        """What the result of the oldest read leads to: another read, or the end of those of its queue."""
        result, taken, again, over = self.results.payload, Signal(), Signal(), Signal()
        m.d.comb += [
            over.eq(result.outcome == Outcome.END),
            # Who would go on and must not is visited again.
            again.eq(Mux(over, flight.rung, self.halt)),
            taken.eq(
                Mux(over | self.halt, self._room(self.ends) & self._room(self.revisits), self._free),
            ),
            self.results.ready.eq(taken),
            self.table.index.eq(result.queue),
            self._looks.eq(taken & ~over & ~self.halt),
            write.addr.eq(result.queue),
            write.data.place.eq(result.place),
            write.data.expected.eq(self._learned(m, flight.o.payload)),
            write.en.eq(taken & (result.outcome != Outcome.FULL)),
            flight.queue.eq(result.queue),
            flight.ends.eq(taken & (result.outcome != Outcome.FULL)),
        ]
        with m.If(taken & over):
            m.d.sync += [
                self.ends.valid.eq(1),
                self.ends.payload.queue.eq(result.queue),
                self.ends.payload.place.eq(result.place),
            ]
        with m.If(taken & again):
            m.d.sync += [self.revisits.valid.eq(1), self.revisits.payload.queue.eq(result.queue)]
        m.d.sync += [
            self._visited.eq(0),
            self._again.eq(result.outcome == Outcome.AGAIN),
            self._more.eq(result.outcome == Outcome.FULL),
            self._first.eq(flight.o.payload.first & (result.outcome == Outcome.AGAIN)),
            self._grows.eq(~flight.o.payload.first & (result.outcome == Outcome.FULL)),
        ]

    def _learned(self, m: Any, read: Any) -> Any:
        """How many descriptors the next visit probably finds of the queue of ``read``, the oldest."""
        place, found, expected = self.results.payload.place, Signal(5), Signal.like(read.expected)
        m.d.comb += [
            found.eq(Mux(place.lap == read.place.lap, place.offset - read.place.offset, read.count)),
            expected.eq(read.expected),
        ]
        with m.If(read.first & (self.results.payload.outcome == Outcome.END) & (found != 0)):
            m.d.comb += expected.eq(Mux(found <= MOST_EXPECTED, found, 0))
        return expected

    def _read(self, m: Any, flight: ReadsInFlight, following: Any, write: Any) -> None:
        """Read what is next of the queue that was looked up, unless enough of it is in flight."""
        place, wide = following.place, following.expected == 0
        row, request, read = self.table.row, self.requests.payload, flight.i.payload
        block: Any = Signal(4)
        room, left, lines, few = Signal(5), Signal(16), Signal(4), Signal(5)
        expected, wanted = Signal.like(following.expected), Signal(4)
        limited, few_expected, little, beyond = Signal(), Signal(), Signal(), Signal()
        known, said = self._said(m, place, row)
        reads, ahead, further, most_left = Signal(), Signal(), Signal(), Signal(16)
        first: Any = (row.desc[_SHIFT : _SHIFT + 4] + place.offset)[:4]
        short = self.max_read_request < READ_DESCRIPTORS * DESC_BYTES
        most = Signal(range(AHEAD + 2))
        # How many reads the ring has room for, up to AHEAD.
        m.d.comb += most.eq(Mux(row.size >= AHEAD * READ_DESCRIPTORS, AHEAD, row.size[4:6]))
        m.d.comb += [
            block.eq(first),
            room.eq(Mux(short, READ_DESCRIPTORS // 2 - block[:3], READ_DESCRIPTORS - block)),
            left.eq(row.size - place.offset),
            # If more is found than was expected the third read goes further, the fourth as far as it can.
            few_expected.eq((following.expected <= _LINE) & ~wide),
            expected.eq(Mux(self._grows, Mux(few_expected, MOST_EXPECTED, 0), following.expected)),
            little.eq(few_expected & ~self._grows),
            # A few and one more, which is not available, unless they are in two lines: then what is in the
            # first shows whether the other is worth reading.
            beyond.eq(~self._again & (block[:2] + expected > _LINE)),
            # A chain that has to be read again goes on in a second line.
            lines.eq(2 * _LINE - block[:2]),
            wanted.eq(Mux(little, Mux(beyond, _LINE - block[:2], expected + 1), lines)),
            limited.eq((self._again | (expected != 0)) & ~known & (wanted < room)),
            few.eq(Mux(limited, wanted, room)),
            most_left.eq(Mux(known & (said < left), said, left)),
            flight.queue.eq(self._queue),
            ahead.eq(flight.alive < most),
            further.eq(flight.alive + 1 < most),
            reads.eq(row.enable[0] & ((flight.alive == 0) | (~self._visited & ahead))),
            flight.rings.eq(self._visited & (flight.alive != 0)),
            read.queue.eq(self._queue),
            read.size.eq(row.size),
            read.place.eq(place),
            read.count.eq(Mux(most_left < few, most_left, few)),
            read.in_line.eq(block[:2]),
            read.expected.eq(Mux(known, 0, expected)),
            read.first.eq(self._first),
            read.cut.eq((read.count < room) & (read.count < most_left)),
            read.known.eq(known),
            read.closes.eq(known & (read.count == said)),
            flight.i.valid.eq(reads),
            write.addr.eq(self._queue),
            write.data.place.eq(advanced(place, read.count, row.size)),
            write.data.expected.eq(expected),
            write.en.eq(reads),
        ]
        m.next = "EVENT"
        with m.If(reads):
            m.d.sync += [
                self.requests.valid.eq(1),
                request.address.eq(Cat(Const(0, _SHIFT), row.desc[_SHIFT:] + place.offset)),
                request.length.eq(read.count << _SHIFT),
            ]
            with m.If(self._more & further & wide):
                m.next = "AHEAD"
