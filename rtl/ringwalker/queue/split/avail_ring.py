"""The entries of the available ring that an index made available.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.7.13 (what the driver writes, and in which order).
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import DmaReadPort, QueueClear, QueueRead
from ...streams import QUEUE_BITS, Doorbell, Head, IndexSnapshot, Poll, stream_of
from .avail_entries import EntryReader, HeadUnpacker
from .avail_index import EarlyHead, PositionRead
from .speculation import Foresight

__all__ = ["AvailRingFetch"]


class AvailRingFetch(Component):
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
    - ``ahead`` In(PositionRead()): asked for each visit. ``eager``, ``eager_queue``, ``early``: from the
      index stage; an early head that a snapshot covers goes out as a ``guess`` before the head itself does.
      ``doubt`` Out 1: no head that was announced by a guess is to come.
    - ``again``: queues whose index has to be read, since what was told is not ahead of the position by the
      queue's size at most.
    - ``fail``: a pulse for each snapshot that failed or is ahead of the position by more than the
      queue's size (it is dropped, the position stays), for each read that failed, and for each entry that
      is not below the queue's size (dropped). All else goes on.
    - ``idle``: nothing is under way.

    The position moves on when the reads are planned. A snapshot that is ``overlapped`` and lies behind
    the position is dropped without ``fail``. The first read is requested two cycles after the snapshot,
    and a head is out one cycle after its data.
    """

    def __init__(self, data_width: int, queues: int, depth: int = 8):
        self._width = data_width
        self._queues = queues
        self._depth = depth
        super().__init__(
            {
                "snapshots": In(stream_of(IndexSnapshot)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "heads": Out(stream_of(Head)),
                "clear": In(QueueClear()),
                "ahead": In(PositionRead()),
                "eager": In(1),
                "eager_queue": In(QUEUE_BITS),
                "early": In(stream_of(EarlyHead)),
                "doubt": Out(1),
                "again": Out(stream_of(Doorbell)),
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
        m.submodules.foresight = foresight = Foresight(self._queues)
        connect(m, flipped(self.early), foresight.early)
        connect(m, reader.again, flipped(self.again))
        connect(m, unpacker.heads, foresight.i)
        connect(m, foresight.o, flipped(self.heads))
        still = Signal()
        m.d.comb += [
            reader.event_idx.eq(self.event_idx),
            reader.ahead.en.eq(self.ahead.en),
            reader.ahead.index.eq(self.ahead.index),
            self.ahead.position.eq(reader.ahead.position),
            foresight.look.eq(self.ahead.en),
            foresight.look_queue.eq(self.ahead.index),
            self.ahead.expected.eq(foresight.expected),
            foresight.eager.eq(self.eager),
            foresight.eager_queue.eq(self.eager_queue),
            foresight.decided.eq(reader.decided),
            self.fail.eq(reader.fail | unpacker.fail),
            still.eq(reader.idle & unpacker.idle),
            self.doubt.eq(still | self.fail),
            self.idle.eq(still & foresight.idle),
        ]
        return m
