"""Used buffer notifications, and whether the driver has suppressed them.

Ref: virtio 1.4, 2.8.10 (Driver and Device Event Suppression), 2.8.14 (its format), 4.1.5.3.
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
from ...spec.packed import EVENT_BYTES, EventFlags, EventSuppression, RingPlace
from ...streams import QUEUE_BITS, DmaReadRequest, stream_of
from ..ring.used_queues import UsedQueues
from .place import Place
from .used_batch import UsedPlace

__all__ = ["PackedNotification"]


class _Look(data.Struct):
    """A look at what a driver wants: ``since`` descriptors were used since the last one, up to ``place``."""

    vector: unsigned(16)
    size: unsigned(16)
    place: Place
    since: unsigned(16)


class PackedNotification(Component):
    """Used buffer notifications: looks, after used descriptors were written, whether they are suppressed.

    It reads the driver's event suppression structure. With DESC there, which counts if VIRTIO_F_EVENT_IDX was
    negotiated, the driver is notified if the descriptor that it names is among those that were used since the
    last look.

    Parameters: ``data_width`` in bits; ``queues``, how many there are; ``depth``, how many reads are in
    flight at most.

    Members (W is ``data_width``):

    - ``used`` In stream of UsedPlace: queues of which descriptors were used; always ready. What comes while
      the same queue waits for its read is served by that one read, and it waits while the read before is of
      the same queue and in flight; what has ``more``, by the next that comes.
    - ``table`` Out(QueueRead()).
    - ``read`` Out(DmaReadPort(W)): reads of 4 bytes. They must not pass the writes of used descriptors.
    - ``msix_enable`` In 1: without it a queue has no vector of its own, and is always asked about.
    - ``interrupts`` Out stream of 16-bit vectors: that of the queue. In MSI-X mode a queue with NO_VECTOR is
      skipped, unread.
    - ``event_idx`` In 1: VIRTIO_F_EVENT_IDX was negotiated.
    - ``clear`` In(QueueClear()): forget the last look at a queue, and what is used of it.
    - ``restore`` In(QueueRestore()): look at a queue as if more had been used than any ring holds: the driver
      is notified, unless it waits for what is not used yet. ``published`` Out UsedPlace is in the next cycle
      what was written last of it.
    - ``fail`` Out 1, a pulse: a read failed; there is no notification then.
    - ``idle`` Out 1: nothing is in flight.

    The read is requested three cycles after ``used``, the vector is out one cycle after its answer.
    """

    def __init__(self, data_width: int, queues: int, depth: int = 4):
        self._queues = queues
        self._depth = depth
        super().__init__(
            {
                "used": In(stream_of(UsedPlace)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "msix_enable": In(1),
                "event_idx": In(1),
                "clear": In(QueueClear()),
                "restore": In(QueueRestore()),
                "published": Out(UsedPlace),
                "interrupts": Out(stream_of(unsigned(16))),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.waiting = waiting = UsedQueues(self._queues)
        m.submodules.in_flight = in_flight = StreamFifo(_Look, self._depth)
        look: Any = Signal(_Look)
        request: Any = Signal(DmaReadRequest)
        looked, asking, step = Signal(), Signal(), Signal()
        row = self.table.row
        restored, again = Signal(), Signal(QUEUE_BITS)
        # Under load one notification serves for what is used while the driver's wish is being read.
        latest, same = Signal(QUEUE_BITS), Signal()
        m.d.sync += [restored.eq(self.restore.en), again.eq(self.restore.index)]
        # Two steps: the row is looked up, then a read is asked for.
        m.d.comb += [
            waiting.i.valid.eq((self.used.valid & ~self.used.payload.more) | restored),
            waiting.i.payload.eq(Mux(restored, again, self.used.payload.queue)),
            self.used.ready.eq(waiting.i.ready),
            step.eq(~asking | (self.read.requests.valid & self.read.requests.ready)),
            same.eq((waiting.o.payload == latest) & (looked | asking | ~in_flight.idle)),
            waiting.o.ready.eq(step & ~same),
            self.table.en.eq(waiting.o.valid & waiting.o.ready),
            self.table.index.eq(waiting.o.payload),
            self.read.requests.valid.eq(asking & in_flight.i.ready),
            self.read.requests.payload.eq(request),
            in_flight.i.valid.eq(asking & self.read.requests.ready),
            in_flight.i.payload.eq(look),
        ]
        with m.If(self.table.en):
            m.d.sync += latest.eq(waiting.o.payload)
        place, since = self._since(m, waiting.o.payload, looked & step, restored)
        with m.If(step):
            m.d.sync += [
                looked.eq(self.table.en),
                # A queue that has been reset meanwhile has no area to look at.
                asking.eq(looked & row.enable[0] & ~(self.msix_enable & (row.vector == NO_VECTOR))),
                request.address.eq(Cat(Const(0, 2), row.driver[2:])),
                request.length.eq(EVENT_BYTES),
                look.vector.eq(row.vector),
                look.size.eq(row.size),
                look.place.eq(place),
                look.since.eq(since),
            ]
        self._answer(m, in_flight)
        m.d.comb += self.idle.eq(waiting.idle & ~looked & ~asking & in_flight.idle & ~self.interrupts.valid)
        return m

    def _answer(self, m: Any, in_flight: StreamFifo) -> None:
        """Notify the driver if it wants that."""
        answer, asked = self.read.data, in_flight.o.payload
        event: Any = data.View(EventSuppression, answer.payload.data[: 8 * EVENT_BYTES])
        wanted: Any = data.View(RingPlace, event.place)
        kind, behind, wants, room = Signal(2), Signal(17), Signal(), Signal()
        bad = answer.payload.error
        # How far behind the present place the wanted descriptor is; it may be on the lap before.
        lap = Mux(wanted.wrap == ~asked.place.lap, 0, asked.size)
        m.d.comb += [
            kind.eq(event.flags),
            behind.eq(asked.place.offset - wanted.offset + lap),
            wants.eq(kind != EventFlags.DISABLE),
            room.eq(~self.interrupts.valid | self.interrupts.ready),
            answer.ready.eq(room),
            in_flight.o.ready.eq(answer.valid & room),
        ]
        with m.If((kind == EventFlags.DESC) & self.event_idx):
            # Ahead of the place it is a large number.
            m.d.comb += wants.eq((behind != 0) & (behind <= asked.since))
        m.d.sync += self.fail.eq(answer.valid & room & bad)
        with m.If(room):
            m.d.sync += [
                self.interrupts.valid.eq(answer.valid & ~bad & wants),
                self.interrupts.payload.eq(asked.vector),
            ]

    def _since(self, m: Any, queue: Any, asks: Any, restored: Any) -> tuple[Any, Any]:
        """Up to where the queue that is looked up is used, and how many descriptors since the last look.

        A queue that is to be restored is looked up as well; in the next cycle, if ``restored``, its last look
        is as far away as it can be.
        """
        shape = data.StructLayout({"place": Place, "total": 16})
        m.submodules.latest = latest = Memory(shape=shape, depth=self._queues, init=[])
        m.submodules.asked = asked = Memory(shape=16, depth=self._queues, init=[])
        write: Any = latest.write_port()
        move: Any = asked.write_port()
        # What is written in the cycle of the look-up counts.
        look_new: Any = latest.read_port(transparent_for=(write,))
        look_old: Any = asked.read_port(transparent_for=(move,))
        looked = Signal(QUEUE_BITS)
        clear, restore, used = self.clear, self.restore, self.used.payload
        with m.If(self.table.en | restore.en):
            m.d.sync += looked.eq(Mux(restore.en, restore.index, queue))
        m.d.comb += [
            write.addr.eq(Mux(clear.en, clear.index, used.queue)),
            write.data.eq(Mux(clear.en, 0, Cat(used.place, used.total))),
            write.en.eq(clear.en | self.used.valid),
            *(port.addr.eq(Mux(restore.en, restore.index, queue)) for port in (look_new, look_old)),
            *(port.en.eq(self.table.en | restore.en) for port in (look_new, look_old)),
            self.published.queue.eq(looked),
            self.published.place.eq(look_new.data.place),
            self.published.total.eq(look_new.data.total),
            move.addr.eq(Mux(clear.en, clear.index, looked)),
            move.data.eq(Mux(clear.en, 0, look_new.data.total ^ (restored << 15))),
            move.en.eq(clear.en | restored | asks),
        ]
        return look_new.data.place, (look_new.data.total - look_old.data)[:16]
