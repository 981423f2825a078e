"""Used descriptors: where the device says which chains it is done with.

Ref: virtio 1.4, 2.8.1, 2.8.22 (Receiving Used Buffers).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.ring import DESC_BYTES
from ...spec.tlp import RequestKind
from ...streams import Completed, request_beat, stream_of
from ..ring.batch_due import BatchDue
from .used_batch import PackedBatch, PackedCollector, UsedPlace

__all__ = ["PackedUsedWriter"]

_DWORDS = DESC_BYTES // 4

_MOST_MERGED = 7
"""Batches of a queue that are followed by others, before the driver is notified."""


class PackedUsedWriter(Component):
    """Writes used descriptors, those that wait as one batch. The first of a batch goes last, so that a driver
    that sees it sees all.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members (W is ``data_width``):

    - ``completed`` In stream of Completed; ``in_order`` In 1. ``table`` Out(QueueRead()).
    - ``writes`` Out stream of request_beat(W): memory writes of up to 112 bytes.
    - ``hold`` In 1: there is load, so a batch may wait to become full, for ``HOLD_CYCLES`` at most.
    - ``merge`` In 1: a notification is worth waiting for one that serves for several batches.
    - ``used`` Out stream of UsedPlace, after a batch was written. With ``merge`` or ``in_order`` one that
      another of its queue is behind has ``more``, up to 7 times in a row.
    - ``bound`` Out 1: all of a batch but its first descriptor has been written.
    - ``clear`` In(QueueClear()), ``total`` In 16: sets the place of a queue, and how many descriptors of it
      were used.
    - ``idle`` Out 1: nothing is in flight.

    Latency: 4 cycles from a chain to the write of its descriptor if nothing else is in flight. Throughput: a
    chain every two cycles, but no faster than the beats of the writes.
    """

    def __init__(self, data_width: int, queues: int):
        self._collector = PackedCollector(data_width, queues)
        self._width = data_width
        self._lanes = data_width // 32
        super().__init__(
            {
                "completed": In(stream_of(Completed)),
                "in_order": In(1),
                "table": Out(QueueRead()),
                "writes": Out(stream_of(request_beat(data_width))),
                "hold": In(1),
                "merge": In(1),
                "used": Out(stream_of(UsedPlace)),
                "bound": Out(1),
                "clear": In(QueueClear()),
                "total": In(16),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.collector = collector = self._collector
        m.submodules.due = due = BatchDue()
        for name in ("completed", "table", "clear"):
            connect(m, flipped(getattr(self, name)), getattr(collector, name))
        batch: Any = Signal(PackedBatch)
        row, free, bound = Signal.like(collector.row), Signal(), Signal()
        m.d.comb += [
            collector.in_order.eq(self.in_order),
            collector.total.eq(self.total),
            self.bound.eq(bound),
            due.waiting.eq(collector.waiting),
            due.full.eq(collector.full),
            due.taken.eq(collector.take),
            due.hold.eq(self.hold),
            collector.take.eq(free & due.due),
            collector.row.eq(row),
        ]
        narrow = self._lanes < _DWORDS
        # A batch behind this one can serve for its notification, but not for ever.
        merged, more = Signal(range(_MOST_MERGED + 1)), Signal()
        same = collector.batch.after.queue == batch.after.queue
        m.d.comb += more.eq(
            collector.waiting & same & (self.merge | self.in_order) & (merged != _MOST_MERGED)
        )
        beat, sent = self.writes.payload, self.writes.valid & self.writes.ready
        with m.If(collector.take):
            m.d.sync += batch.eq(collector.batch)
        with m.If(sent):
            m.d.sync += row.eq(Mux(beat.last, 0, row + 1))
        with m.If(self.used.ready):
            m.d.sync += self.used.valid.eq(0)
        with m.FSM(init="BATCH") as fsm:
            with m.State("BATCH"):
                m.d.comb += free.eq(1)
                self._begin(m)
            with m.State("OTHERS"):
                self._write(m, batch.address + DESC_BYTES, (batch.count - 1) * _DWORDS, row)
                m.d.comb += beat.data.eq(collector.others)
                with m.If(sent & beat.last):
                    m.d.sync += bound.eq(1)
                    m.next = "FIRST"
            with m.State("FIRST"):
                with m.If(~self.used.valid):
                    self._write(m, batch.address, _DWORDS, row)
                    first: Any = Cat(Const(0, 64), batch.upper)
                    m.d.comb += beat.data.eq(first.word_select(row, self._width) if narrow else first)
                    with m.If(sent & beat.last):
                        m.d.comb += free.eq(1)
                        m.d.sync += bound.eq(0)
                        m.d.sync += [
                            self.used.valid.eq(1),
                            self.used.payload.eq(batch.after),
                            self.used.payload.more.eq(more),
                            merged.eq(Mux(more, merged + 1, 0)),
                        ]
                        m.next = "BATCH"
                        self._begin(m)
            m.d.comb += self.idle.eq(fsm.ongoing("BATCH") & collector.idle & ~self.used.valid)
        return m

    def _begin(self, m: Any) -> None:
        """Go on with a batch that is taken in this cycle."""
        with m.If(self._collector.take):
            m.next = "OTHERS"
            with m.If(self._collector.batch.count == 1):
                m.next = "FIRST"

    def _write(self, m: Any, address: Any, dwords: Any, row: Any) -> None:
        """Offer beat ``row`` of a write of so many dwords."""
        beat, header, left = self.writes.payload, self.writes.payload.header, Signal(11)
        m.d.comb += [
            left.eq(dwords - row * self._lanes),
            self.writes.valid.eq(1),
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(address),
            header.length.eq(dwords),
            header.first_be.eq(0xF),
            header.last_be.eq(0xF),
            beat.first.eq(row == 0),
            beat.last.eq(left <= self._lanes),
            beat.dwords.eq(Cat(left > n for n in range(self._lanes))),
        ]
