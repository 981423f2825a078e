"""Used buffer notifications, and whether the driver has suppressed them.

Ref: virtio 1.4, 2.7.7 (Used Buffer Notification Suppression), 2.7.7.1 (with and without
VIRTIO_F_EVENT_IDX), 4.1.5.3 (Used Buffer Notifications).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import DmaReadPort, QueueClear, QueueRead, QueueRestore
from ...spec.modern import NO_VECTOR
from ...spec.ring import (
    AVAIL_F_NO_INTERRUPT,
    AVAIL_FLAGS_OFFSET,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    used_event_offset,
)
from ...streams import QUEUE_BITS, DmaReadRequest, stream_of
from ..ring.used_queues import UsedQueues
from .used_writer import UsedIndex

__all__ = ["UsedNotification"]

_FLAGS_BYTES = AVAIL_IDX_OFFSET - AVAIL_FLAGS_OFFSET


class UsedNotification(Component):
    """Used buffer notifications: looks, after a used index was written, whether they are suppressed.

    Without VIRTIO_F_EVENT_IDX it reads ``avail.flags``; with it, ``used_event``, the entry of the used ring
    that the driver waits for: it is notified if that is among those written since the last look.

    Parameters: ``data_width`` in bits; ``queues``, how many there are; ``depth``, how many reads are in
    flight at most; ``on_empty``, whether VIRTIO_F_NOTIFY_ON_EMPTY can be negotiated.

    Members (W is ``data_width``):

    - ``used`` In stream of UsedIndex: queues whose used index was written; always ready. What comes while
      the same queue waits for its read is served by that one read.
    - ``table`` Out(QueueRead()).
    - ``read`` Out(DmaReadPort(W)): reads of 2 bytes. They must not pass the writes of the used index.
    - ``msix_enable`` In 1: without it a queue has no vector of its own, and is always asked about.
    - ``interrupts`` Out stream of 16-bit vectors: that of the queue. In MSI-X mode a queue with NO_VECTOR is
      skipped, unread.
    - ``event_idx`` In 1: VIRTIO_F_EVENT_IDX was negotiated.
    - ``notify_on_empty`` In 1, with ``on_empty``: the driver is notified when all that it made available is
      used, whatever it suppresses. Then 4 bytes are read, flags and ``avail.idx``. With ``event_idx``, or an
      available ring that is not at a multiple of 4, it is always notified instead.
    - ``clear`` In(QueueClear()): forget the last look at a queue, and its used index.
    - ``restore`` In(QueueRestore()): look at a queue as if it had been used since half of all indices ago:
      the driver is notified, unless it waits for what is not used yet. ``published`` Out 16 is its used index
      in the next cycle, as it was written last.
    - ``fail`` Out 1, a pulse: a read failed; there is no notification then.
    - ``idle`` Out 1: nothing is in flight.

    The read is requested three cycles after ``used``, the vector is out one cycle after its answer.
    """

    def __init__(self, data_width: int, queues: int, depth: int = 4, on_empty: bool = False):
        self._queues = queues
        self._depth = depth
        self._on_empty = on_empty
        super().__init__(
            {
                "used": In(stream_of(UsedIndex)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "msix_enable": In(1),
                "event_idx": In(1),
                **({"notify_on_empty": In(1)} if on_empty else {}),
                "clear": In(QueueClear()),
                "restore": In(QueueRestore()),
                "published": Out(16),
                "interrupts": Out(stream_of(unsigned(16))),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        looks = {"index": 1, "always": 1} if self._on_empty else {}
        context = data.StructLayout({"vector": 16, "odd": 1, "old": 16, "new": 16, **looks})
        m.submodules.waiting = waiting = UsedQueues(self._queues)
        m.submodules.in_flight = in_flight = StreamFifo(context, self._depth)
        restored, again = Signal(), Signal(QUEUE_BITS)
        m.d.sync += [restored.eq(self.restore.en), again.eq(self.restore.index)]
        m.d.comb += [
            waiting.i.valid.eq(self.used.valid | restored),
            waiting.i.payload.eq(Mux(restored, again, self.used.payload.queue)),
            self.used.ready.eq(waiting.i.ready),
        ]

        # Two steps: the row is looked up, then a read is asked for.
        looked, asking = Signal(), Signal()
        request: Any = Signal(DmaReadRequest)
        vector = Signal(16)
        row = self.table.row
        old, new, old_looked, new_looked = Signal(16), Signal(16), Signal(16), Signal(16)
        step = Signal()
        m.d.comb += [
            step.eq(~asking | (self.read.requests.valid & self.read.requests.ready)),
            waiting.o.ready.eq(step),
            self.table.en.eq(waiting.o.valid & step),
            self.table.index.eq(waiting.o.payload),
            self.read.requests.valid.eq(asking & in_flight.i.ready),
            self.read.requests.payload.eq(request),
            in_flight.i.valid.eq(asking & self.read.requests.ready),
            in_flight.i.payload.vector.eq(vector),
            in_flight.i.payload.odd.eq(request.address[1]),
            in_flight.i.payload.old.eq(old),
            in_flight.i.payload.new.eq(new),
        ]
        self._indices(m, waiting.o.payload, looked & step, old_looked, new_looked, restored)
        offset = Mux(self.event_idx, used_event_offset(row.size), AVAIL_FLAGS_OFFSET)
        with m.If(step):
            m.d.sync += [
                looked.eq(waiting.o.valid),
                # A queue that has been reset meanwhile has no ring to look at.
                asking.eq(looked & row.enable[0] & ~(self.msix_enable & (row.vector == NO_VECTOR))),
                request.address.eq(Cat(Const(0, 1), (row.driver + offset)[1:64])),
                request.length.eq(_FLAGS_BYTES),
                vector.eq(row.vector),
                old.eq(old_looked),
                new.eq(new_looked),
            ]

        answer = self.read.data
        bits = 8 * _FLAGS_BYTES
        asked, flags, wants = in_flight.o.payload, Signal(16), Signal()
        m.d.comb += [
            flags.eq(Mux(asked.odd, answer.payload.data[bits : 2 * bits], answer.payload.data[:bits])),
            wants.eq(
                Mux(
                    self.event_idx,
                    # Entry ``flags`` is one of those from ``old`` to before ``new``.
                    (flags - asked.old)[:16] < (asked.new - asked.old)[:16],
                    (flags & AVAIL_F_NO_INTERRUPT) == 0,
                )
            ),
        ]
        if self._on_empty:
            wants = self._or_empty(m, step, request, in_flight, wants)
        room = ~self.interrupts.valid | self.interrupts.ready
        m.d.comb += [answer.ready.eq(room), in_flight.o.ready.eq(answer.valid & room)]
        m.d.sync += self.fail.eq(answer.valid & room & answer.payload.error)
        with m.If(room):
            m.d.sync += [
                self.interrupts.valid.eq(answer.valid & ~answer.payload.error & wants),
                self.interrupts.payload.eq(in_flight.o.payload.vector),
            ]
        m.d.comb += self.idle.eq(waiting.idle & ~looked & ~asking & in_flight.idle & ~self.interrupts.valid)
        return m

    def _or_empty(self, m: Any, step: Any, request: Any, in_flight: Any, wants: Any) -> Any:
        """``wants``, or all is used that the driver made available; and the read that this takes."""
        driver, index, always = self.table.row.driver, Signal(), Signal()
        # Aligned like this the read does not cross a page.
        reads = ~self.event_idx & ~driver[1]
        with m.If(step):
            m.d.sync += [index.eq(self.notify_on_empty & reads), always.eq(self.notify_on_empty & ~reads)]
            with m.If(self.notify_on_empty & reads):
                m.d.sync += request.length.eq(AVAIL_RING_OFFSET - AVAIL_FLAGS_OFFSET)
        m.d.comb += [in_flight.i.payload.index.eq(index), in_flight.i.payload.always.eq(always)]
        asked, place = in_flight.o.payload, 8 * (AVAIL_IDX_OFFSET - AVAIL_FLAGS_OFFSET)
        available = self.read.data.payload.data[place : place + 16]
        return wants | asked.always | (asked.index & (available == asked.new))

    def _indices(self, m: Any, queue: Any, asks: Any, old: Signal, new: Signal, restored: Signal) -> None:
        """The used index of the queue that is looked up: what it was at the last look, and now.

        A queue that is to be restored is looked up as well; in the next cycle, if ``restored``, its last look
        is half of all indices away.
        """
        m.submodules.latest = latest = Memory(shape=16, depth=self._queues, init=[])
        m.submodules.asked = asked = Memory(shape=16, depth=self._queues, init=[])
        write: Any = latest.write_port()
        move: Any = asked.write_port()
        # What is written in the cycle of the look-up counts.
        look_new: Any = latest.read_port(transparent_for=(write,))
        look_old: Any = asked.read_port(transparent_for=(move,))
        looked = Signal(QUEUE_BITS)
        clear, restore = self.clear, self.restore
        with m.If(self.table.en | restore.en):
            m.d.sync += looked.eq(Mux(restore.en, restore.index, queue))
        m.d.comb += [
            write.addr.eq(Mux(clear.en, clear.index, self.used.payload.queue)),
            write.data.eq(Mux(clear.en, 0, self.used.payload.idx)),
            write.en.eq(clear.en | self.used.valid),
            *(port.addr.eq(Mux(restore.en, restore.index, queue)) for port in (look_new, look_old)),
            *(port.en.eq(self.table.en | restore.en) for port in (look_new, look_old)),
            new.eq(look_new.data),
            old.eq(look_old.data),
            self.published.eq(new),
            move.addr.eq(Mux(clear.en, clear.index, looked)),
            move.data.eq(Mux(clear.en, 0, new ^ (restored << 15))),
            move.en.eq(clear.en | restored | asks),
        ]
