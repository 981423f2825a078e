"""Which available buffer the driver is to notify the device of.

Ref: virtio 1.4, 2.7.10 (Available Buffer Notification Suppression).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import DmaReadPort, QueueRead
from ...spec.ring import AVAIL_IDX_OFFSET, AVAIL_RING_OFFSET, DEVICE_ALIGN, avail_event_offset
from ...spec.tlp import RequestKind
from ...streams import QUEUE_BITS, Doorbell, request_beat, stream_of

__all__ = ["AvailEvent", "Poll"]

_INDEX_BYTES = AVAIL_RING_OFFSET - AVAIL_IDX_OFFSET


class Poll(data.Struct):
    """What a visit to ``queue`` found: something new, or nothing; ``idx`` is the entry to come next."""

    queue: unsigned(QUEUE_BITS)
    idx: unsigned(16)
    found: unsigned(1)


class AvailEvent(Component):
    """Sees to it that nothing that becomes available stays unseen, though the driver notifies of little.

    With VIRTIO_F_EVENT_IDX a driver notifies only of the entry that ``avail_event`` in the used ring names.
    So after a visit that found something the queue is visited again. After one that did not, the next
    entry is written to ``avail_event``, and then ``avail.idx`` is read: an entry that the driver wrote before
    it could see the new ``avail_event`` is seen here, and the queue is visited again.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are in flight at most.

    Members (W is ``data_width``):

    - ``polls`` In stream of Poll: what visits found.
    - ``table`` Out(QueueRead()).
    - ``writes`` Out stream of request_beat(W): the writes of ``avail_event``.
    - ``read`` Out(DmaReadPort(W)): a read is requested after its write was taken, and must not pass it.
    - ``revisits`` Out stream of Doorbell: queues to visit again.
    - ``fail`` Out 1, a pulse: a read failed.
    - ``idle`` Out 1: nothing is in flight.

    The queue of a poll that found something comes out in the next cycle, the write two cycles after its poll.
    """

    def __init__(self, data_width: int, depth: int = 4):
        self._depth = depth
        super().__init__(
            {
                "polls": In(stream_of(Poll)),
                "table": Out(QueueRead()),
                "writes": Out(stream_of(request_beat(data_width))),
                "read": Out(DmaReadPort(data_width)),
                "revisits": Out(stream_of(Doorbell)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        context = data.StructLayout({"queue": QUEUE_BITS, "idx": 16, "odd": 1})
        m.submodules.in_flight = in_flight = StreamFifo(context, self._depth)
        poll: Any = Signal(Poll)
        event, index = Signal(64), Signal(64)
        found, room = Signal(), Signal()
        row, request = self.table.row, self.read.requests
        self._offer(m, event, poll)
        m.d.comb += [
            self.table.en.eq(self.polls.valid & self.polls.ready),
            self.table.index.eq(self.polls.payload.queue),
            request.payload.address.eq(index),
            request.payload.length.eq(_INDEX_BYTES),
            in_flight.i.payload.queue.eq(poll.queue),
            in_flight.i.payload.idx.eq(poll.idx),
            in_flight.i.payload.odd.eq(index[1]),
        ]
        with m.FSM(init="POLL") as fsm:
            with m.State("POLL"):
                m.d.comb += self.polls.ready.eq(1)
                m.d.sync += poll.eq(self.polls.payload)
                with m.If(self.polls.valid):
                    m.next = "ROW"
                    with m.If(self.polls.payload.found):
                        m.next = "REVISIT"
            with m.State("ROW"):
                aligned = Cat(Const(0, DEVICE_ALIGN.bit_length() - 1), row.device[2:])
                m.d.sync += [
                    event.eq(aligned + avail_event_offset(row.size)),
                    index.eq(Cat(Const(0, 1), (row.driver + AVAIL_IDX_OFFSET)[1:64])),
                ]
                m.next = "EVENT"
            with m.State("EVENT"):
                m.d.comb += self.writes.valid.eq(1)
                with m.If(self.writes.ready):
                    m.next = "INDEX"
            with m.State("INDEX"):
                m.d.comb += [
                    request.valid.eq(in_flight.i.ready),
                    in_flight.i.valid.eq(request.ready),
                ]
                with m.If(request.valid & request.ready):
                    m.next = "POLL"
            with m.State("REVISIT"):
                with m.If(room):
                    m.d.comb += found.eq(1)
                    m.next = "POLL"
            m.d.comb += self.idle.eq(fsm.ongoing("POLL") & in_flight.idle & ~self.revisits.valid)
        self._answer(m, in_flight, found, poll, room)
        return m

    def _offer(self, m: Any, event: Signal, poll: Any) -> None:
        """The write of one dword, of which the half with the event counts."""
        beat, header = self.writes.payload, self.writes.payload.header
        m.d.comb += [
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(Cat(Const(0, 2), event[2:])),
            header.length.eq(1),
            header.first_be.eq(Mux(event[1], 0b1100, 0b0011)),
            beat.data.eq(poll.idx.replicate(2)),
            beat.dwords.eq(1),
            beat.first.eq(1),
            beat.last.eq(1),
        ]

    def _answer(self, m: Any, in_flight: StreamFifo, found: Signal, poll: Any, room: Signal) -> None:
        """Visit a queue again whose poll found something, or whose index has moved since."""
        answer, bits = self.read.data, 8 * _INDEX_BYTES
        context = in_flight.o.payload
        halves = answer.payload.data[: 2 * bits]
        idx = Mux(context.odd, halves[bits:], halves[:bits])
        moved = answer.valid & ~answer.payload.error & (idx != context.idx)
        m.d.comb += [
            room.eq(~answer.valid & (~self.revisits.valid | self.revisits.ready)),
            answer.ready.eq(~self.revisits.valid | self.revisits.ready),
            in_flight.o.ready.eq(answer.valid & answer.ready),
        ]
        m.d.sync += self.fail.eq(answer.valid & answer.ready & answer.payload.error)
        with m.If(~self.revisits.valid | self.revisits.ready):
            m.d.sync += [
                self.revisits.valid.eq(moved | found),
                self.revisits.payload.queue.eq(Mux(found, poll.queue, context.queue)),
            ]
