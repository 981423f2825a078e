"""The available ring: first its index, then the entries that the index made available.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.7.13 (what the driver writes, and in which order).
"""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..interfaces import DmaReadPort, QueueClear, QueueRead
from ..spec.ring import AVAIL_IDX_OFFSET, AVAIL_RING_OFFSET
from ..streams import QUEUE_BITS, Head, IndexSnapshot, Poll, Visit, stream_of
from .entries import EntryReader, HeadUnpacker

__all__ = ["AvailIndexFetch", "AvailRingFetch"]

_INDEX_BYTES = AVAIL_RING_OFFSET - AVAIL_IDX_OFFSET


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

    visits: Any
    table: Any
    read: Any
    snapshots: Any
    idle: Any

    def __init__(self, data_width: int, depth: int = 4):
        if depth < 1:
            raise ValueError(f"depth is {depth!r}; it must be at least 1")
        self._depth = depth
        super().__init__(
            {
                "visits": In(stream.Signature(Visit)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "snapshots": Out(stream.Signature(IndexSnapshot)),  # pyright: ignore[reportArgumentType]
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
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
        halves = answers.payload.data[: 2 * 8 * _INDEX_BYTES]
        m.d.comb += [
            self.snapshots.valid.eq(answers.valid),
            answers.ready.eq(self.snapshots.ready),
            snapshot.queue.eq(oldest.queue),
            snapshot.idx.eq(Mux(oldest.odd, halves[8 * _INDEX_BYTES :], halves[: 8 * _INDEX_BYTES])),
            snapshot.error.eq(answers.payload.error),
            snapshot.overlapped.eq(oldest.overlapped),
            retire.eq(answers.valid & answers.ready & answers.payload.last),
        ]
        same: Any = Cat(*((n < count) & (entry.queue == queue) for n, entry in enumerate(under_way)))
        new = {"queue": queue, "odd": address[1], "overlapped": same.any()}
        m.d.sync += count.eq(count + issue - retire)
        for n in range(self._depth):
            with m.If(issue & (n + retire == count)):
                m.d.sync += [under_way[n][key].eq(value) for key, value in new.items()]
            with m.Elif(retire):
                m.d.sync += under_way[n].eq(under_way[n + 1])
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
    - ``event_idx``: VIRTIO_F_EVENT_IDX was negotiated; then ``polls`` says of each good snapshot of an
      enabled queue what it showed, after its last read was requested.
    - ``fail``: a pulse for each snapshot that failed or is ahead of the position by more than the
      queue's size (it is dropped, the position stays), for each read that failed, and for each entry that
      is not below the queue's size (dropped). All else goes on.
    - ``idle``: nothing is under way.

    The position moves on when the reads are planned. A snapshot that is ``overlapped`` and lies behind
    the position is dropped without ``fail``. The first read is requested three cycles after the snapshot,
    and a head is out one cycle after its data.
    """

    snapshots: Any
    table: Any
    read: Any
    heads: Any
    clear: Any
    event_idx: Any
    polls: Any
    fail: Any
    idle: Any

    def __init__(self, data_width: int, queues: int, depth: int = 8):
        self._width = data_width
        self._queues = queues
        self._depth = depth
        super().__init__(
            {
                "snapshots": In(stream.Signature(IndexSnapshot)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "heads": Out(stream.Signature(Head)),  # pyright: ignore[reportArgumentType]
                "clear": In(QueueClear()),
                "event_idx": In(1),
                "polls": Out(stream_of(Poll)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.reader = reader = EntryReader(self._queues, self._depth)
        m.submodules.unpacker = unpacker = HeadUnpacker(self._width)
        connect(m, flipped(self.snapshots), reader.snapshots)
        connect(m, flipped(self.table), reader.table)
        connect(m, flipped(self.clear), reader.clear)
        connect(m, reader.requests, flipped(self.read.requests))
        connect(m, flipped(self.read.data), unpacker.data)
        connect(m, reader.entries, unpacker.entries)
        connect(m, reader.polls, flipped(self.polls))
        connect(m, unpacker.heads, flipped(self.heads))
        m.d.comb += [
            reader.event_idx.eq(self.event_idx),
            self.fail.eq(reader.fail | unpacker.fail),
            self.idle.eq(reader.idle & unpacker.idle),
        ]
        return m
