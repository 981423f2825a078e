"""The available ring: first its index, then the entries that the index made available.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.7.13 (what the driver writes, and in which order).
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..interfaces import DmaReadPort, QueueClear, QueueRead
from ..spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
)
from ..streams import QUEUE_BITS, DmaReadRequest, Head, IndexSnapshot, Visit, dma_read_beat
from .fifo import StreamFifo

__all__ = ["LINE_BYTES", "AvailIndexFetch", "AvailRingFetch", "EntryRead", "EntryReader", "HeadUnpacker"]

LINE_BYTES = 64
"""Reads of the ring end at multiples of this: what a host supplies in one piece."""

_LINE_ENTRIES = LINE_BYTES // AVAIL_ENTRY_BYTES
_INDEX_BYTES = AVAIL_RING_OFFSET - AVAIL_IDX_OFFSET
_ENTRY_BITS = 8 * AVAIL_ENTRY_BYTES


class AvailIndexFetch(wiring.Component):
    """Reads ``avail.idx`` of every queue that is visited.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are under way at most.

    Members:

    - ``visits``: the queues to look at. A visit to a queue that is not enabled ends here.
    - ``table``: the queue table; ``read``: the index reads, 2 bytes each.
    - ``snapshots``: the answers, in the order of the visits.
    - ``idle``: no visit is under way.

    A visit is a read request one cycle after it was taken, and an answer is a snapshot in the same
    cycle; one visit a cycle. Two reads of the same index may be under way, and a host may answer the
    second with older memory than the first; the second is then marked ``overlapped``.
    """

    def __init__(self, data_width: int, depth: int = 4):
        if depth < 1:
            raise ValueError(f"depth is {depth!r}; it must be at least 1")
        self._depth = depth
        super().__init__(
            {
                "visits": In(stream.Signature(Visit)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "snapshots": Out(stream.Signature(IndexSnapshot)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        looked = Signal()
        queue = Signal(QUEUE_BITS)
        row = self.table.row

        # What is under way, oldest first.
        context = data.StructLayout({"queue": QUEUE_BITS, "odd": 1, "overlapped": 1})
        under_way = Array([Signal(context, name=f"under_way_{n}") for n in range(self._depth + 1)])
        count = Signal(range(self._depth + 1))
        issue, drop, retire = Signal(), Signal(), Signal()

        requests, answers = self.read.requests, self.read.data
        address = row.driver + AVAIL_IDX_OFFSET
        m.d.comb += [
            requests.valid.eq(looked & row.enable[0] & (count != self._depth)),
            requests.payload.address.eq(Cat(Const(0, 1), address[1:64])),
            requests.payload.length.eq(_INDEX_BYTES),
            issue.eq(requests.valid & requests.ready),
            drop.eq(looked & ~row.enable[0]),
            self.visits.ready.eq(~looked | issue | drop),
            self.table.en.eq(self.visits.valid & self.visits.ready),
            self.table.index.eq(self.visits.payload.queue),
            self.idle.eq(~looked & (count == 0)),
        ]
        with m.If(self.visits.ready):
            m.d.sync += [looked.eq(self.visits.valid), queue.eq(self.visits.payload.queue)]

        oldest, snapshot = under_way[0], self.snapshots.payload
        halves = answers.payload.data[: 2 * _ENTRY_BITS]
        m.d.comb += [
            self.snapshots.valid.eq(answers.valid),
            answers.ready.eq(self.snapshots.ready),
            snapshot.queue.eq(oldest.queue),
            snapshot.idx.eq(Mux(oldest.odd, halves[_ENTRY_BITS:], halves[:_ENTRY_BITS])),
            snapshot.error.eq(answers.payload.error),
            snapshot.overlapped.eq(oldest.overlapped),
            retire.eq(answers.valid & answers.ready & answers.payload.last),
        ]
        same = Cat(*((n < count) & (entry.queue == queue) for n, entry in enumerate(under_way)))
        new = {"queue": queue, "odd": address[1], "overlapped": same.any()}
        m.d.sync += count.eq(count + issue - retire)
        for n in range(self._depth):
            with m.If(issue & (n + retire == count)):
                m.d.sync += [under_way[n][key].eq(value) for key, value in new.items()]
            with m.Elif(retire):
                m.d.sync += under_way[n].eq(under_way[n + 1])
        return m


class EntryRead(data.Struct):
    """A read of ring entries under way; ``odd``: the first of them is in the upper half of its dword."""

    queue: unsigned(QUEUE_BITS)
    size: unsigned(16)
    entries: unsigned(6)
    odd: unsigned(1)


class EntryReader(wiring.Component):
    """Finds out which ring entries are new, and reads them.

    Parameters: ``queues``, how many there are; ``depth``, how many reads are under way at most.

    Members: ``snapshots``, ``table``, ``clear`` and ``fail`` as in :class:`AvailRingFetch`;
    ``requests``, the reads; ``entries``, what stands in each of them, in the same order; ``idle``: no
    snapshot is under way and ``entries`` is empty.

    A read is requested three cycles after its snapshot was taken, a further one every two cycles.
    """

    def __init__(self, queues: int, depth: int = 8):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._queues = queues
        self._depth = depth
        super().__init__(
            {
                "snapshots": In(stream.Signature(IndexSnapshot)),
                "table": Out(QueueRead()),
                "clear": In(QueueClear()),
                "requests": Out(stream.Signature(DmaReadRequest)),
                "entries": Out(stream.Signature(EntryRead)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.under_way = under_way = StreamFifo(EntryRead, self._depth)
        connect(m, under_way.o, flipped(self.entries))
        m.submodules.positions = positions = Memory(shape=16, depth=self._queues, init=[])
        look, move = positions.read_port(), positions.write_port()

        snapshot = Signal(IndexSnapshot)
        base = Signal(64)
        slot, size, remaining = Signal(16), Signal(16), Signal(16)
        new = Signal(16)
        row = self.table.row
        m.d.comb += [
            new.eq(snapshot.idx - look.data),
            self.table.index.eq(self.snapshots.payload.queue),
            look.addr.eq(self.snapshots.payload.queue),
            self.table.en.eq(self.snapshots.valid & self.snapshots.ready),
            look.en.eq(self.table.en),
            move.addr.eq(Mux(self.clear.en, self.clear.index, snapshot.queue)),
            move.data.eq(Mux(self.clear.en, 0, snapshot.idx)),
            move.en.eq(self.clear.en),
        ]
        m.d.sync += self.fail.eq(0)

        request, entry = self.requests.payload, under_way.i.payload
        entries = Signal(range(_LINE_ENTRIES + 1))
        line_left = _LINE_ENTRIES - (base[1:6] + slot)[: len(base[1:6])]
        ring_left = size - slot
        within_ring = Mux(ring_left < remaining, ring_left, remaining)
        m.d.comb += [
            entry.queue.eq(snapshot.queue),
            entry.size.eq(size),
            entry.entries.eq(entries),
            entry.odd.eq(request.address[1]),
        ]
        with m.FSM(init="SNAPSHOT") as fsm:
            with m.State("SNAPSHOT"):
                m.d.comb += self.snapshots.ready.eq(1)
                m.d.sync += snapshot.eq(self.snapshots.payload)
                with m.If(self.snapshots.valid):
                    m.next = "ROW"
            with m.State("ROW"):
                m.d.sync += [
                    base.eq(Cat(Const(0, 1), (row.driver + AVAIL_RING_OFFSET)[1:64])),
                    size.eq(row.size),
                    slot.eq(look.data & (row.size - 1)),
                    remaining.eq(new),
                ]
                m.next = "SNAPSHOT"
                with m.If(snapshot.error):
                    m.d.sync += self.fail.eq(1)
                with m.Elif(new > row.size):
                    m.d.sync += self.fail.eq(~snapshot.overlapped)
                with m.Elif((new != 0) & row.enable[0]):
                    m.d.comb += move.en.eq(1)
                    m.next = "LINE"
            with m.State("LINE"):
                m.d.sync += [
                    request.address.eq(base + slot * AVAIL_ENTRY_BYTES),
                    entries.eq(Mux(line_left < within_ring, line_left, within_ring)),
                ]
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += [
                    request.length.eq(entries * AVAIL_ENTRY_BYTES),
                    self.requests.valid.eq(under_way.i.ready),
                    under_way.i.valid.eq(self.requests.ready),
                ]
                with m.If(self.requests.valid & self.requests.ready):
                    m.d.sync += [
                        slot.eq((slot + entries) & (size - 1)),
                        remaining.eq(remaining - entries),
                    ]
                    m.next = "LINE"
                    with m.If(remaining == entries):
                        m.next = "SNAPSHOT"
        m.d.comb += self.idle.eq(fsm.ongoing("SNAPSHOT") & under_way.idle)
        return m


class HeadUnpacker(wiring.Component):
    """Takes ring entries out of read data, one a cycle.

    Members: ``entries``, the reads under way; ``data``, their answers; ``heads``, the entries in order;
    ``fail``, a pulse for an entry that is no descriptor of its queue and for a read that failed (both
    are dropped); ``idle``: nothing waits in ``heads``. An entry comes out one cycle after its data.
    """

    def __init__(self, data_width: int):
        self._lanes = data_width // _ENTRY_BITS
        super().__init__(
            {
                "entries": In(stream.Signature(EntryRead)),
                "data": In(stream.Signature(dma_read_beat(data_width))),
                "heads": Out(stream.Signature(Head)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inside = Signal()
        lane, lane_next = Signal(range(self._lanes)), Signal(range(self._lanes))
        left, left_next = Signal(6), Signal(6)
        context, beat = self.entries.payload, self.data.payload
        value = beat.data.word_select(lane_next, _ENTRY_BITS)
        m.d.comb += [
            lane_next.eq(Mux(inside, lane, context.odd)),
            left_next.eq(Mux(inside, left, context.entries)),
            self.idle.eq(~self.heads.valid),
        ]
        m.d.sync += self.fail.eq(0)
        with m.If(self.heads.ready):
            m.d.sync += self.heads.valid.eq(0)
        with m.If(self.entries.valid & self.data.valid & (~self.heads.valid | self.heads.ready)):
            with m.If(beat.error):
                m.d.comb += [self.data.ready.eq(1), self.entries.ready.eq(beat.last)]
                m.d.sync += [self.fail.eq(1), inside.eq(0)]
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
                    self.heads.payload.head.eq(value),
                    self.heads.valid.eq(value < context.size),
                    self.fail.eq(value >= context.size),
                ]
        return m


class AvailRingFetch(wiring.Component):
    """Reads the entries of the available ring that a snapshot of the index covers.

    Parameters: ``data_width`` in bits; ``queues``, how many there are; ``depth``, how many reads are
    under way at most.

    Members:

    - ``snapshots``: indices as they were read. ``table``: the queue table.
    - ``read``: the reads; none crosses a 64-byte address nor the end of the ring.
    - ``heads``: the entries, in the order of the ring, one a cycle.
    - ``clear``: forget the position (next available entry) of a queue.
    - ``fail``: a pulse for each snapshot that failed or is ahead of the position by more than the
      queue's size (it is dropped, the position stays), for each read that failed, and for each entry that
      is not below the queue's size (dropped). All else goes on.
    - ``idle``: nothing is under way.

    The position moves on when the reads are planned. A snapshot that is ``overlapped`` and lies behind
    the position is dropped without ``fail``. The first read is requested three cycles after the snapshot,
    and a head is out one cycle after its data.
    """

    def __init__(self, data_width: int, queues: int, depth: int = 8):
        self._width = data_width
        self._queues = queues
        self._depth = depth
        super().__init__(
            {
                "snapshots": In(stream.Signature(IndexSnapshot)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "heads": Out(stream.Signature(Head)),
                "clear": In(QueueClear()),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = EntryReader(self._queues, self._depth)
        m.submodules.unpacker = unpacker = HeadUnpacker(self._width)
        connect(m, flipped(self.snapshots), reader.snapshots)
        connect(m, flipped(self.table), reader.table)
        connect(m, flipped(self.clear), reader.clear)
        connect(m, reader.requests, flipped(self.read.requests))
        connect(m, flipped(self.read.data), unpacker.data)
        connect(m, reader.entries, unpacker.entries)
        connect(m, unpacker.heads, flipped(self.heads))
        m.d.comb += [
            self.fail.eq(reader.fail | unpacker.fail),
            self.idle.eq(reader.idle & unpacker.idle),
        ]
        return m
