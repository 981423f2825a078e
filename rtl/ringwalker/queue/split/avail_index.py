"""The index of the available ring, read from memory or carried by doorbells.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.9 (Driver Notifications).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import DmaReadPort, QueueRead
from ...spec.ring import AVAIL_IDX_OFFSET, AVAIL_RING_OFFSET
from ...streams import QUEUE_BITS, Visit, stream_of

__all__ = ["AvailIndexFetch", "BegunVisit", "IndexSnapshot"]

_INDEX_BYTES = AVAIL_RING_OFFSET - AVAIL_IDX_OFFSET


class IndexSnapshot(data.Struct):
    """``avail.idx`` of ``queue`` as it was read from memory, or as doorbells ``carried`` it.

    ``overlapped``: it was asked for while an earlier read of the same index was in flight, so it may be the
    older of the two; what it then lacks the earlier one has covered.
    """

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)
    error: unsigned(1)
    overlapped: unsigned(1)
    carried: unsigned(1)


class BegunVisit(data.Struct):
    """With ``valid``, for one cycle: a visit to ``queue``, which is enabled, has begun.

    Its index was requested, or ``carried`` and is a snapshot. ``alone``: no other visit is in flight here.
    """

    valid: unsigned(1)
    queue: unsigned(QUEUE_BITS)
    carried: unsigned(1)
    alone: unsigned(1)


class AvailIndexFetch(Component):
    """Finds out ``avail.idx`` of every queue that is visited.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are in flight at most.

    Members:

    - ``visits`` In stream of Visit: the queues to look at. A visit to a queue that is not enabled ends here.
    - ``carried`` In 1, ``next`` In 16: as the scheduler gives them for the visit taken last. An index that
      was carried is not read, unless a read of the same index is in flight.
    - ``table`` Out(QueueRead()); ``read`` Out(DmaReadPort(W)): reads of 2 bytes.
    - ``snapshots`` Out stream of IndexSnapshot; those that were read are in the order of the visits.
    - ``begun`` Out BegunVisit. ``table.row`` is that of its queue until the next visit is taken.
    - ``hold`` In 1: no visit is taken. It may depend on ``begun`` in the same cycle.
    - ``idle`` Out 1: no visit is in flight.

    A visit is a read request one cycle after it was taken, or a snapshot if its index was carried; an answer
    is a snapshot in the same cycle; one visit a cycle. Two reads of the same index may be in flight, and a
    host may answer the second with older memory than the first; the second is then marked ``overlapped``.

    Errors: ``ValueError`` for a depth below 2.
    """

    def __init__(self, data_width: int, depth: int = 4):
        if depth < 2:
            raise ValueError(f"depth is {depth!r}; it must be at least 2")
        self._depth = depth
        # A snapshot that was not taken at once.
        self._held: Any = Signal(name="held")
        super().__init__(
            {
                "visits": In(stream_of(Visit)),
                "carried": In(1),
                "next": In(16),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "snapshots": Out(stream_of(IndexSnapshot)),
                "begun": Out(BegunVisit),
                "hold": In(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        looked, queue = Signal(), Signal(QUEUE_BITS)
        row = self.table.row
        context = data.StructLayout({"queue": QUEUE_BITS, "odd": 1, "overlapped": 1})
        count = Signal(range(self._depth + 1))
        issue, retire, asks, offered, direct, loads, ends = (Signal() for _ in range(7))
        new: Any = Signal(context)
        oldest, same = self._in_flight(m, context, count, issue, retire, new)
        requests = self.read.requests
        address = row.driver + AVAIL_IDX_OFFSET
        m.d.comb += [
            direct.eq(looked & row.enable[0] & self.carried & ~same & ~offered),
            asks.eq(looked & row.enable[0] & ~direct),
            requests.valid.eq(asks & (count != self._depth)),
            requests.payload.address.eq(Cat(Const(0, 1), address[1:64])),
            requests.payload.length.eq(_INDEX_BYTES),
            issue.eq(requests.valid & requests.ready),
            new.queue.eq(queue),
            new.odd.eq(address[1]),
            new.overlapped.eq(same),
            ends.eq((looked & ~row.enable[0]) | loads | issue),
            self.visits.ready.eq((~looked | ends) & ~self.hold),
            self.table.en.eq(self.visits.valid & self.visits.ready),
            self.table.index.eq(self.visits.payload.queue),
            self.begun.valid.eq(issue | loads),
            self.begun.queue.eq(queue),
            self.begun.carried.eq(loads),
            self.begun.alone.eq((count == 0) & ~self._held),
            self.idle.eq(~looked & (count == 0) & ~self._held),
        ]
        # A read that is offered stays, though the one that it overlaps is answered before it is taken.
        m.d.sync += offered.eq(requests.valid & ~requests.ready)
        with m.If(ends):
            m.d.sync += looked.eq(0)
        with m.If(self.visits.ready):
            m.d.sync += [looked.eq(self.visits.valid), queue.eq(self.visits.payload.queue)]
        self._answers(m, oldest, retire, direct, loads, queue)
        return m

    def _in_flight(self, m: Any, context: Any, count: Any, issue: Any, retire: Any, new: Any) -> Any:
        """The reads in flight, oldest first: the oldest, and whether one is of the queue of ``new``."""
        reads: list[Any] = [Signal(context, name=f"in_flight_{n}") for n in range(self._depth + 1)]
        same: Any = Cat(*((n < count) & (entry.queue == new.queue) for n, entry in enumerate(reads)))
        m.d.sync += count.eq(count + issue - retire)
        for n in range(self._depth):
            with m.If(issue & (n + retire == count)):
                m.d.sync += reads[n].eq(new)
            with m.Elif(retire):
                m.d.sync += reads[n].eq(reads[n + 1])
        return reads[0], same.any()

    def _answers(self, m: Any, oldest: Any, retire: Any, direct: Any, loads: Any, queue: Any) -> None:
        """Indices that were read or carried become snapshots, the former first."""
        answers = self.read.data
        room = Signal()
        held: Any = Signal(IndexSnapshot, name="held_snapshot")
        new: Any = Signal(IndexSnapshot, name="new_snapshot")
        value, bits = Signal(16), 8 * _INDEX_BYTES
        m.d.comb += [
            value.eq(Mux(oldest.odd, answers.payload.data[bits : 2 * bits], answers.payload.data[:bits])),
            room.eq(~self._held | self.snapshots.ready),
            answers.ready.eq(room),
            retire.eq(answers.valid & answers.ready & answers.payload.last),
            loads.eq(direct & room & ~answers.valid),
            new.queue.eq(Mux(answers.valid, oldest.queue, queue)),
            new.idx.eq(Mux(answers.valid, value, self.next)),
            new.error.eq(answers.valid & answers.payload.error),
            new.overlapped.eq(answers.valid & oldest.overlapped),
            new.carried.eq(~answers.valid),
            self.snapshots.valid.eq(self._held | answers.valid | direct),
            self.snapshots.payload.eq(Mux(self._held, held.as_value(), new.as_value())),
        ]
        with m.If(room):
            m.d.sync += [
                self._held.eq((answers.valid | direct) & (self._held | ~self.snapshots.ready)),
                held.eq(new),
            ]
