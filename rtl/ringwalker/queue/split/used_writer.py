"""The used ring: where the device says which chains it is done with.

Ref: virtio 1.4, 2.7.8 (The Virtqueue Used Ring), 2.7.8.2 (the element before the index).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.ring import USED_ENTRY_BYTES, USED_FLAGS_OFFSET, USED_IDX_OFFSET
from ...spec.tlp import RequestKind
from ...streams import QUEUE_BITS, Completed, request_beat, stream_of
from ..ring.batch_due import BatchDue
from .used_batch import UsedBatch, UsedCollector

__all__ = ["UsedIndex", "UsedWriter"]


class UsedIndex(data.Struct):
    """The used index of ``queue`` was written, and is ``idx`` now."""

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)


class UsedWriter(Component):
    """Writes used elements, those that wait as one batch, and then the used index.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members (W is ``data_width``):

    - ``completed`` In stream of Completed. ``table`` Out(QueueRead()).
    - ``in_order`` In 1: VIRTIO_F_IN_ORDER was negotiated. One element is written for all that wait, if all
      but the last were written completely; the index moves on by as many.
    - ``writes`` Out stream of request_beat(W): memory writes of up to 128 bytes.
    - ``hold`` In 1: there is load, so a batch may wait to become full, for ``HOLD_CYCLES`` at most.
    - ``used`` Out stream of UsedIndex, after the index write was accepted.
    - ``clear`` In(QueueClear()): sets the used index of a queue.
    - ``idle`` Out 1: nothing is in flight.

    Latency: 4 cycles from a chain to the write of its element if nothing else is in flight, and the index
    follows directly. Throughput: a chain every two cycles, but no faster than the beats of the writes; the
    index write takes a cycle a batch. An element that crosses a 4 KiB boundary is written by itself,
    in two writes.
    """

    def __init__(self, data_width: int, queues: int):
        self._collector = UsedCollector(data_width, queues)
        self._dwords = data_width // 32
        super().__init__(
            {
                "completed": In(stream_of(Completed)),
                "in_order": In(1),
                "table": Out(QueueRead()),
                "writes": Out(stream_of(request_beat(data_width))),
                "hold": In(1),
                "used": Out(stream_of(UsedIndex)),
                "clear": In(QueueClear()),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.collector = collector = self._collector
        m.submodules.due = due = BatchDue()
        for name in ("completed", "table", "clear"):
            connect(m, flipped(getattr(self, name)), getattr(collector, name))
        batch: Any = Signal(UsedBatch)
        row = Signal.like(collector.row)
        free = Signal()
        m.d.comb += [
            due.waiting.eq(collector.waiting),
            due.full.eq(collector.full),
            due.taken.eq(collector.take),
            due.hold.eq(self.hold),
            collector.take.eq(free & due.due),
            collector.row.eq(row),
            collector.in_order.eq(self.in_order),
        ]
        with m.If(collector.take):
            m.d.sync += [batch.eq(collector.batch), row.eq(0)]
        with m.Elif(self.writes.valid & self.writes.ready & ~self.writes.payload.last):
            m.d.sync += row.eq(row + 1)
        with m.If(self.used.ready):
            m.d.sync += self.used.valid.eq(0)
        with m.FSM(init="BATCH") as fsm:
            with m.State("BATCH"):
                m.d.comb += free.eq(1)
                with m.If(collector.take):
                    m.next = "ELEMENTS"
            with m.State("ELEMENTS"):
                self._elements(m, batch, row)
                with m.If(self.writes.ready & self.writes.payload.last):
                    m.next = "INDEX"
                    with m.If(batch.crosses):
                        m.next = "ELEMENT_END"
            with m.State("ELEMENT_END"):
                self._write(m, batch.address + 4, 1, 0)
                m.d.comb += self.writes.payload.data.eq(collector.elements[32:64])
                with m.If(self.writes.ready):
                    m.next = "INDEX"
            with m.State("INDEX"):
                with m.If(~self.used.valid):
                    self._write(m, batch.ring + USED_FLAGS_OFFSET, 1, 0)
                    self._index(m, batch)
                    with m.If(self.writes.ready):
                        m.d.comb += free.eq(1)
                        m.d.sync += [
                            self.used.valid.eq(1),
                            self.used.payload.queue.eq(batch.queue),
                            self.used.payload.idx.eq(batch.idx),
                        ]
                        m.next = "BATCH"
                        with m.If(collector.take):
                            m.next = "ELEMENTS"
            m.d.comb += self.idle.eq(fsm.ongoing("BATCH") & collector.idle & ~self.used.valid)
        return m

    def _write(self, m: Any, address: Any, dwords: Any, last_be: Any) -> None:
        """Offer a write of so many dwords; a single beat unless said otherwise."""
        beat, header = self.writes.payload, self.writes.payload.header
        m.d.comb += [
            self.writes.valid.eq(1),
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(address),
            header.length.eq(dwords),
            header.first_be.eq(0xF),
            header.last_be.eq(last_be),
            beat.first.eq(1),
            beat.last.eq(1),
            beat.dwords.eq(1),
        ]

    def _elements(self, m: Any, batch: Any, row: Any) -> None:
        """The elements of a batch, or the first half of one that crosses a page."""
        beat, dwords, left = self.writes.payload, Signal(11), Signal(11)
        m.d.comb += [
            dwords.eq(Mux(batch.crosses, 1, batch.count * (USED_ENTRY_BYTES // 4))),
            left.eq(dwords - row * self._dwords),
        ]
        self._write(m, batch.address, dwords, Mux(batch.crosses, 0, 0xF))
        m.d.comb += [
            beat.data.eq(self._collector.elements),
            beat.dwords.eq(Cat(left > n for n in range(self._dwords))),
            beat.first.eq(row == 0),
            beat.last.eq(left <= self._dwords),
        ]

    def _index(self, m: Any, batch: Any) -> None:
        """The dword of flags and index, of which only the index is written."""
        shift = USED_IDX_OFFSET - USED_FLAGS_OFFSET
        beat = self.writes.payload
        m.d.comb += [
            beat.header.first_be.eq(0b11 << shift),
            beat.data.eq(Cat(Const(0, 8 * shift), batch.idx)),
        ]
