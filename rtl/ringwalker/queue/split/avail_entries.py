"""Ring entries that became available: finding out which they are, reading them, and taking them apart.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, Signature, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.ring import AVAIL_ENTRY_BYTES, AVAIL_RING_OFFSET
from ...streams import QUEUE_BITS, DmaReadRequest, Doorbell, Head, dma_read_beat, stream_of
from ..ring.limits import LINE_BYTES
from .avail_event import Poll
from .avail_index import IndexSnapshot

__all__ = ["Decision", "EntryRead", "EntryReader", "HeadUnpacker", "PositionRead"]

_LINE_ENTRIES = LINE_BYTES // AVAIL_ENTRY_BYTES
_ENTRY_BITS = 8 * AVAIL_ENTRY_BYTES


class PositionRead(Signature):
    """Looks up the next available entry of a queue. ``position`` follows ``en`` by one cycle, and holds."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "position": In(16)})


class EntryRead(data.Struct):
    """A read of ring entries in flight; ``odd``: the first of them is in the upper half of its dword;
    ``first``: it is the first of its snapshot."""

    queue: unsigned(QUEUE_BITS)
    size: unsigned(16)
    entries: unsigned(6)
    odd: unsigned(1)
    first: unsigned(1)


class Decision(data.Struct):
    """With ``valid``, for one cycle: a snapshot of ``queue``, of ``size`` entries, ``covers`` new ones."""

    valid: unsigned(1)
    queue: unsigned(QUEUE_BITS)
    covers: unsigned(1)
    size: unsigned(16)


class _Rest(data.Struct):
    """What is still to be read of a ring of ``size`` entries at ``driver``: from ``slot`` on."""

    driver: unsigned(64)
    slot: unsigned(16)
    size: unsigned(16)
    remaining: unsigned(16)


class EntryReader(Component):
    """Finds out which ring entries are new, and reads them.

    Parameters: ``queues``, how many there are; ``depth``, how many reads are in flight at most.

    A read is requested two cycles after its snapshot was taken, a further one every two cycles.
    """

    snapshots: In(stream_of(IndexSnapshot))
    table: Out(QueueRead())
    clear: In(QueueClear())
    """Set the position of a queue."""
    requests: Out(stream_of(DmaReadRequest))
    """The reads."""
    entries: Out(stream_of(EntryRead))
    """What stands in each of them, in the same order."""
    ahead: In(PositionRead())
    decided: Out(Decision)
    """What a snapshot has shown."""
    revisits: Out(stream_of(Doorbell))
    """Queues whose index was carried and cannot be."""
    event_idx: In(1)
    """Each good snapshot of an enabled queue gives a poll, after its last read was requested."""
    polls: Out(stream_of(Poll))
    fail: Out(1)
    """A pulse: a snapshot failed, or is ahead of the position by more than the queue's size."""
    idle: Out(1, init=1)
    """No snapshot is in flight and ``entries`` is empty."""

    def __init__(self, queues: int, depth: int = 8):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._queues = queues
        self._depth = depth
        self._snapshot: Any = Signal(IndexSnapshot, name="snapshot")
        self._rest: Any = Signal(_Rest, name="rest")
        # What the next read is cut from; ``next`` is the rest in front of it.
        self._next: Any = Signal(_Rest, name="next")
        self._entries: Any = Signal(range(_LINE_ENTRIES + 1), name="entries")
        self._first: Any = Signal(name="first")
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.in_flight = in_flight = StreamFifo(EntryRead, self._depth)
        connect(m, in_flight.o, flipped(self.entries))
        snapshot, rest = self._snapshot, self._rest
        covers, cut = Signal(), Signal()
        position = self._positions(m, covers)
        self._cut(m, cut)
        self._describe(m, in_flight.i.payload)
        m.d.sync += self.fail.eq(0)
        with m.FSM(init="SNAPSHOT") as fsm:
            with m.State("SNAPSHOT"):
                m.d.comb += self.snapshots.ready.eq(1)
                m.d.sync += snapshot.eq(self.snapshots.payload)
                with m.If(self.snapshots.valid):
                    m.next = "ROW"
            with m.State("ROW"):
                m.d.sync += self._first.eq(1)
                m.d.comb += [self.decided.valid.eq(1), self.decided.covers.eq(covers), cut.eq(1)]
                self._judge(m, position, covers)
            with m.State("LINE"):
                m.d.comb += [self._next.eq(rest), cut.eq(1)]
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += [
                    self.requests.valid.eq(in_flight.i.ready),
                    in_flight.i.valid.eq(self.requests.ready),
                ]
                with m.If(self.requests.valid & self.requests.ready):
                    m.d.sync += [
                        rest.slot.eq((rest.slot + self._entries) & (rest.size - 1)),
                        rest.remaining.eq(rest.remaining - self._entries),
                        self._first.eq(0),
                    ]
                    m.next = "LINE"
                    with m.If(rest.remaining == self._entries):
                        m.next = "SNAPSHOT"
                        with m.If(self.event_idx):
                            m.next = "POLL"
            with m.State("REVISIT"):
                m.d.comb += self.revisits.valid.eq(1)
                with m.If(self.revisits.ready):
                    m.next = "SNAPSHOT"
            with m.State("POLL"):
                m.d.comb += self.polls.valid.eq(1)
                with m.If(self.polls.ready):
                    m.next = "SNAPSHOT"
        m.d.comb += self.idle.eq(fsm.ongoing("SNAPSHOT") & in_flight.idle)
        return m

    def _positions(self, m: Any, covers: Any) -> Any:
        """The next available entry of each queue; that of the queue of the snapshot. It moves on if the
        snapshot ``covers`` new entries."""
        m.submodules.positions = positions = Memory(shape=16, depth=self._queues, init=[])
        look: Any = positions.read_port()
        ahead: Any = positions.read_port()
        move: Any = positions.write_port()
        snapshot, queue = self._snapshot, self.snapshots.payload.queue
        m.d.comb += [
            self.table.index.eq(queue),
            self.table.en.eq(self.snapshots.valid & self.snapshots.ready),
            look.addr.eq(queue),
            look.en.eq(self.table.en),
            ahead.addr.eq(self.ahead.index),
            ahead.en.eq(self.ahead.en),
            self.ahead.position.eq(ahead.data),
            move.addr.eq(Mux(self.clear.en, self.clear.index, snapshot.queue)),
            move.data.eq(Mux(self.clear.en, self.clear.position, snapshot.idx)),
            move.en.eq(self.clear.en | covers),
        ]
        return look.data

    def _judge(self, m: Any, position: Any, covers: Any) -> None:
        """Decide what becomes of a snapshot."""
        snapshot, row = self._snapshot, self.table.row
        new = Signal(16)
        m.d.comb += [
            new.eq(snapshot.idx - position),
            self._next.driver.eq(row.driver),
            self._next.slot.eq(position & (row.size - 1)),
            self._next.size.eq(row.size),
            self._next.remaining.eq(new),
        ]
        m.next = "SNAPSHOT"
        with m.If(snapshot.error):
            m.d.sync += self.fail.eq(1)
        with m.Elif((new > row.size) & snapshot.carried):
            m.next = "REVISIT"
        with m.Elif(new > row.size):
            m.d.sync += self.fail.eq(~snapshot.overlapped)
        with m.Elif((new != 0) & row.enable[0]):
            m.d.comb += covers.eq(1)
            m.next = "REQUEST"
        with m.Elif((new == 0) & row.enable[0] & self.event_idx):
            m.next = "POLL"

    def _cut(self, m: Any, cut: Any) -> None:
        """The next read: up to the end of a line or of the ring. The three bounds are compared at once."""
        place: Any = Signal(63)
        line_left, ring_left = Signal(range(_LINE_ENTRIES + 1)), Signal(16)
        head = self._next
        shorter = Mux(head.remaining < ring_left, head.remaining, ring_left)
        m.d.comb += [
            place.eq(head.driver[1:] + AVAIL_RING_OFFSET // AVAIL_ENTRY_BYTES + head.slot),
            line_left.eq(_LINE_ENTRIES - place[: (_LINE_ENTRIES - 1).bit_length()]),
            ring_left.eq(head.size - head.slot),
        ]
        with m.If(cut):
            m.d.sync += [
                self._rest.eq(head),
                self.requests.payload.address.eq(Cat(Const(0, 1), place)),
                self._entries.eq(
                    Mux(
                        head.remaining < line_left,
                        shorter,
                        Mux(ring_left < line_left, ring_left, line_left),
                    )
                ),
            ]

    def _describe(self, m: Any, entry: Any) -> None:
        """What goes out beside the read, and what is said of the snapshot."""
        snapshot, request = self._snapshot, self.requests.payload
        m.d.comb += [
            request.length.eq(self._entries * AVAIL_ENTRY_BYTES),
            entry.queue.eq(snapshot.queue),
            entry.size.eq(self._rest.size),
            entry.entries.eq(self._entries),
            entry.odd.eq(request.address[1]),
            entry.first.eq(self._first),
            self.polls.payload.queue.eq(snapshot.queue),
            self.polls.payload.idx.eq(snapshot.idx),
            self.polls.payload.found.eq(~self._first),
            self.decided.queue.eq(snapshot.queue),
            self.decided.size.eq(self.table.row.size),
            self.revisits.payload.queue.eq(snapshot.queue),
        ]


class HeadUnpacker(Component):
    """Takes ring entries out of read data, one a cycle.

    Members (W is ``data_width``):

    - ``entries`` In stream of EntryRead: the reads in flight.
    - ``data`` In stream of dma_read_beat(W): their answers.
    - ``heads`` Out stream of Head: the entries in order.
    - ``fail`` Out 1, a pulse for an entry that is no descriptor of its queue and for a read that failed; both
      are dropped.
    - ``idle`` Out 1: nothing waits in ``heads``.

    An entry comes out one cycle after its data.
    """

    def __init__(self, data_width: int):
        self._lanes = data_width // _ENTRY_BITS
        super().__init__(
            {
                "entries": In(stream_of(EntryRead)),
                "data": In(stream_of(dma_read_beat(data_width))),
                "heads": Out(stream_of(Head)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        inside, begins, new = Signal(), Signal(), Signal()
        lane, lane_next = Signal(range(self._lanes)), Signal(range(self._lanes))
        left, left_next = Signal(6), Signal(6)
        context, beat = self.entries.payload, self.data.payload
        value = beat.data.word_select(lane_next, _ENTRY_BITS)
        m.d.comb += [
            lane_next.eq(Mux(inside, lane, context.odd)),
            left_next.eq(Mux(inside, left, context.entries)),
            # A first entry that is dropped leaves the mark to the next.
            new.eq(begins | (~inside & context.first)),
            self.idle.eq(~self.heads.valid),
        ]
        m.d.sync += self.fail.eq(0)
        with m.If(self.heads.ready):
            m.d.sync += self.heads.valid.eq(0)
        with m.If(self.entries.valid & self.data.valid & (~self.heads.valid | self.heads.ready)):
            with m.If(beat.error):
                m.d.comb += [self.data.ready.eq(1), self.entries.ready.eq(beat.last)]
                m.d.sync += [self.fail.eq(1), inside.eq(0), begins.eq(new)]
            with m.Else():
                m.d.comb += [
                    self.entries.ready.eq(left_next == 1),
                    self.data.ready.eq(self.entries.ready | (lane_next == self._lanes - 1)),
                ]
                m.d.sync += [
                    inside.eq(~self.entries.ready),
                    lane.eq(lane_next + 1),
                    left.eq(left_next - 1),
                    self.heads.payload.queue.eq(context.queue),
                    self.heads.payload.at.eq(value),
                    self.heads.payload.id.eq(value),
                    self.heads.payload.first.eq(new),
                    begins.eq(new & (value >= context.size)),
                    self.heads.valid.eq(value < context.size),
                    self.fail.eq(value >= context.size),
                ]
        return m
