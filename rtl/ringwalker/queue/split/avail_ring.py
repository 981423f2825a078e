"""The entries of the available ring that an index made available.

Ref: virtio 1.4, 2.7.6 (The Virtqueue Available Ring), 2.7.13 (what the driver writes, and in which order).
"""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import DmaReadPort, QueueClear, QueueRead
from ...streams import Doorbell, Head, stream_of
from .avail_entries import Decision, EntryReader, HeadUnpacker, PositionRead
from .avail_event import Poll
from .avail_index import IndexSnapshot

__all__ = ["AvailRingFetch"]


class AvailRingFetch(Component):
    """Reads the entries of the available ring that a snapshot of the index covers.

    Parameters: ``data_width`` in bits; ``queues``, how many there are; ``depth``, how many reads are in
    flight at most.

    Members (W is ``data_width``):

    - ``snapshots`` In stream of IndexSnapshot: indices as they were read or carried.
    - ``table`` Out(QueueRead()); ``clear`` In(QueueClear()): set the position (next available entry) of a
      queue.
    - ``read`` Out(DmaReadPort(W)): the reads; none crosses a 64-byte address nor the end of the ring.
    - ``heads`` Out stream of Head: the entries, in the order of the ring, one a cycle.
    - ``ended`` Out 1: no head is to come, or the one expected next does not.
    - ``ahead`` In(PositionRead()): looks up a position. ``decided`` Out Decision: what a snapshot has shown.
    - ``revisits`` Out stream of Doorbell: queues whose index has to be read, since the one that was carried
      is not ahead of the position by the queue's size at most.
    - ``event_idx`` In 1: VIRTIO_F_EVENT_IDX was negotiated; then ``polls`` Out stream of Poll says of each
      good snapshot of an enabled queue what it showed, after its last read was requested.
    - ``fail`` Out 1, a pulse: for each snapshot that failed or is ahead of the position by more than the
      queue's size (it is dropped, the position stays), for each read that failed, and for each entry that is
      not below the queue's size (dropped). All else goes on.
    - ``idle`` Out 1: nothing is in flight.

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
                "clear": In(QueueClear()),
                "read": Out(DmaReadPort(data_width)),
                "heads": Out(stream_of(Head)),
                "ended": Out(1),
                "ahead": In(PositionRead()),
                "decided": Out(Decision),
                "revisits": Out(stream_of(Doorbell)),
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
        for name in ("snapshots", "table", "clear", "ahead", "polls", "revisits"):
            connect(m, flipped(getattr(self, name)), getattr(reader, name))
        connect(m, reader.requests, flipped(self.read.requests))
        connect(m, reader.entries, unpacker.entries)
        connect(m, flipped(self.read.data), unpacker.data)
        connect(m, unpacker.heads, flipped(self.heads))
        m.d.comb += [
            reader.event_idx.eq(self.event_idx),
            self.decided.eq(reader.decided),
            self.fail.eq(reader.fail | unpacker.fail),
            self.idle.eq(reader.idle & unpacker.idle),
            self.ended.eq(self.idle | self.fail),
        ]
        return m
