"""The index of the available ring, read from memory or told by a notification.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.9 (Driver Notifications).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, Signature

from ...component import Component
from ...interfaces import DmaReadPort, QueueRead
from ...spec.ring import AVAIL_ENTRY_BYTES, AVAIL_IDX_OFFSET, AVAIL_RING_OFFSET
from ...streams import QUEUE_BITS, IndexSnapshot, Visit, stream_of

__all__ = ["AvailIndexFetch", "EarlyHead", "PositionRead"]

_INDEX_BYTES = AVAIL_RING_OFFSET - AVAIL_IDX_OFFSET


class PositionRead(Signature):
    """Looks up the next available entry of a queue, and which head is ``expected`` to stand there.

    Both follow ``en`` by one cycle, and hold. Of ``expected`` only the bits below the queue's size count.
    """

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "position": In(16), "expected": In(16)})


class EarlyHead(data.Struct):
    """What the next head of ``queue`` may be."""

    queue: unsigned(QUEUE_BITS)
    head: unsigned(16)


class AvailIndexFetch(Component):
    """Finds out ``avail.idx`` of every queue that is visited.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are under way at most.

    Members:

    - ``visits``: the queues to look at. A visit to a queue that is not enabled ends here. ``told``, ``idx``
      In: as the scheduler gives them for the visit taken last; an index that was told is not read, unless
      a read of the same index is under way.
    - ``table``: the queue table; ``read``: reads of 2 bytes. ``ahead`` Out(PositionRead()).
    - ``snapshots``: the answers; those that were read are in the order of the visits.
    - ``quiet`` In 1: nothing is under way behind ``snapshots``. A visit that found it so, and no read under
      way, is ``eager`` Out 1, a pulse, of queue ``eager_queue``: the ring entry at the queue's position is
      read together with the index. What stands there comes out as ``early`` after the snapshot; the head
      that is expected comes there at once, if the index was told.
    - ``idle``: no visit is under way.

    A visit is a read request one cycle after it was taken, or a snapshot if its index was told; an answer is
    a snapshot in the same cycle; one visit a cycle. Two reads of the same index may be under way, and a host
    may answer the second with older memory than the first; the second is then marked ``overlapped``.
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
                "told": In(1),
                "idx": In(16),
                "table": Out(QueueRead()),
                "ahead": Out(PositionRead()),
                "read": Out(DmaReadPort(data_width)),
                "snapshots": Out(stream_of(IndexSnapshot)),
                "quiet": In(1),
                "eager": Out(1),
                "eager_queue": Out(QUEUE_BITS),
                "early": Out(stream_of(EarlyHead)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        looked, second = Signal(), Signal()
        queue, entry_address = Signal(QUEUE_BITS), Signal(64)
        row, place = self.table.row, self.ahead.position
        context = data.StructLayout({"queue": QUEUE_BITS, "odd": 1, "overlapped": 1, "entry": 1})
        count = Signal(range(self._depth + 1))
        issue, retire, quiet, alone, asks, direct, loads = (Signal() for _ in range(7))
        # All that is under way behind came through ``snapshots``.
        m.d.sync += quiet.eq(self.quiet & ~self.snapshots.valid)
        new: Any = Signal(context)
        oldest, same = self._under_way(m, context, count, issue, retire, new)

        requests, begins = self.read.requests, looked & ~second
        address = Mux(second, entry_address, row.driver + AVAIL_IDX_OFFSET)
        m.d.comb += [
            alone.eq(quiet & (count == 0) & ~self._held),
            direct.eq(begins & row.enable[0] & self.told & ~same),
            asks.eq(begins & row.enable[0] & ~direct),
            requests.valid.eq((asks | second) & (count != self._depth)),
            requests.payload.address.eq(Cat(Const(0, 1), address[1:64])),
            requests.payload.length.eq(_INDEX_BYTES),
            issue.eq(requests.valid & requests.ready),
            new.queue.eq(queue),
            new.odd.eq(address[1]),
            new.overlapped.eq(same),
            new.entry.eq(second),
            self.eager.eq(alone & ((issue & asks) | loads)),
            self.eager_queue.eq(queue),
            self.visits.ready.eq(
                ~looked | (begins & ~row.enable[0]) | loads | (issue & (second | ~self.eager))
            ),
            self.idle.eq(~looked & (count == 0) & ~self._held),
        ]
        for port in (self.table, self.ahead):
            m.d.comb += [
                port.en.eq(self.visits.valid & self.visits.ready),
                port.index.eq(self.visits.payload.queue),
            ]
        with m.If(self.visits.ready):
            m.d.sync += [looked.eq(self.visits.valid), queue.eq(self.visits.payload.queue)]
        with m.If(issue):
            m.d.sync += second.eq(asks & self.eager)
        slot: Any = (place & (row.size - 1))[:16]
        with m.If(asks):
            m.d.sync += entry_address.eq(row.driver + AVAIL_RING_OFFSET + slot * AVAIL_ENTRY_BYTES)
        self._answers(m, oldest, retire, direct, loads, queue)
        return m

    def _under_way(self, m: Any, context: Any, count: Any, issue: Any, retire: Any, new: Any) -> Any:
        """What is under way, oldest first: the oldest, and whether the index of the queue of ``new`` is."""
        under_way: list[Any] = [Signal(context, name=f"under_way_{n}") for n in range(self._depth + 1)]
        same: Any = Cat(
            *((n < count) & ~entry.entry & (entry.queue == new.queue) for n, entry in enumerate(under_way))
        )
        m.d.sync += count.eq(count + issue - retire)
        for n in range(self._depth):
            with m.If(issue & (n + retire == count)):
                m.d.sync += under_way[n].eq(new)
            with m.Elif(retire):
                m.d.sync += under_way[n].eq(under_way[n + 1])
        return under_way[0], same.any()

    def _answers(self, m: Any, oldest: Any, retire: Any, direct: Any, loads: Any, queue: Any) -> None:
        """Indices that were read or told become snapshots, the former first."""
        answers, early = self.read.data, self.early
        room, index_read = Signal(), Signal()
        held: Any = Signal(IndexSnapshot, name="held_snapshot")
        new: Any = Signal(IndexSnapshot, name="new_snapshot")
        value, bits = Signal(16), 8 * _INDEX_BYTES
        m.d.comb += [
            value.eq(Mux(oldest.odd, answers.payload.data[bits : 2 * bits], answers.payload.data[:bits])),
            room.eq(~self._held | self.snapshots.ready),
            index_read.eq(answers.valid & ~oldest.entry),
            answers.ready.eq(Mux(oldest.entry, early.ready, room)),
            retire.eq(answers.valid & answers.ready & answers.payload.last),
            loads.eq(direct & room & ~index_read),
            early.valid.eq((answers.valid & oldest.entry & ~answers.payload.error) | (loads & self.eager)),
            early.payload.queue.eq(Mux(loads, queue, oldest.queue)),
            early.payload.head.eq(Mux(loads, self.ahead.expected & (self.table.row.size - 1), value)),
            new.queue.eq(Mux(index_read, oldest.queue, queue)),
            new.idx.eq(Mux(index_read, value, self.idx)),
            new.error.eq(index_read & answers.payload.error),
            new.overlapped.eq(index_read & oldest.overlapped),
            new.told.eq(~index_read),
            self.snapshots.valid.eq(self._held | index_read | direct),
            self.snapshots.payload.eq(Mux(self._held, held.as_value(), new.as_value())),
        ]
        with m.If(room):
            m.d.sync += [
                self._held.eq((index_read | direct) & (self._held | ~self.snapshots.ready)),
                held.eq(new),
            ]
