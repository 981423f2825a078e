"""Which available descriptor the driver is to notify the device of.

Ref: virtio 1.4, 2.8.10 (Driver and Device Event Suppression), 2.8.14 (its format).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import DmaReadPort, QueueRead
from ...spec.packed import EVENT_BYTES, EventFlags, PackedDescriptor, is_available
from ...spec.ring import DESC_BYTES
from ...spec.tlp import RequestKind
from ...streams import QUEUE_BITS, Doorbell, request_beat, stream_of
from .place import event_bits
from .poll import RingEnd

__all__ = ["DeviceEvent"]

_SHIFT = DESC_BYTES.bit_length() - 1
_FLAGS_AT = PackedDescriptor.as_shape()["flags"].offset // 8 & ~3
"""The dword of a descriptor that its flags are in."""


class DeviceEvent(Component):
    """Sees to it that nothing that becomes available stays unseen, though the driver notifies of little.

    With VIRTIO_F_EVENT_IDX it asks the driver to notify of the descriptor at which a queue ended, and then
    reads its flags: if it was made available before the driver could see that, the queue is visited again.
    Without, the driver notifies of every descriptor, and nothing is done.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are in flight at most.

    Members (W is ``data_width``):

    - ``ends`` In stream of RingEnd: where nothing more is available. ``event_idx`` In 1.
    - ``table`` Out(QueueRead()).
    - ``writes`` Out stream of request_beat(W): the writes of the device's event suppression structure.
    - ``read`` Out(DmaReadPort(W)): a read is requested after its write was taken, and must not pass it.
    - ``revisits`` Out stream of Doorbell: queues to visit again.
    - ``fail`` Out 1, a pulse: a read failed.
    - ``idle`` Out 1: nothing is in flight.

    Latency: 2 cycles from an end to its write.
    """

    def __init__(self, data_width: int, depth: int = 4):
        self._depth = depth
        super().__init__(
            {
                "ends": In(stream_of(RingEnd)),
                "event_idx": In(1),
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
        context = data.StructLayout({"queue": QUEUE_BITS, "wrap": 1})
        m.submodules.in_flight = in_flight = StreamFifo(context, self._depth)
        end: Any = Signal(RingEnd)
        event, flags = Signal(64), Signal(64)
        row, request = self.table.row, self.read.requests
        beat, header = self.writes.payload, self.writes.payload.header
        m.d.comb += [
            self.table.en.eq(self.ends.valid & self.ends.ready),
            self.table.index.eq(self.ends.payload.queue),
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(event),
            header.length.eq(1),
            header.first_be.eq(0xF),
            beat.data.eq(Cat(event_bits(end.place), Const(EventFlags.DESC, 16))),
            beat.dwords.eq(1),
            beat.first.eq(1),
            beat.last.eq(1),
            request.payload.address.eq(flags),
            request.payload.length.eq(EVENT_BYTES),
            in_flight.i.payload.queue.eq(end.queue),
            in_flight.i.payload.wrap.eq(~end.place.lap),
        ]
        with m.FSM(init="END") as fsm:
            with m.State("END"):
                m.d.comb += self.ends.ready.eq(1)
                m.d.sync += end.eq(self.ends.payload)
                with m.If(self.ends.valid & self.event_idx):
                    m.next = "ROW"
            with m.State("ROW"):
                place = Cat(Const(_FLAGS_AT, _SHIFT), row.desc[_SHIFT:] + end.place.offset)
                m.d.sync += [event.eq(Cat(Const(0, 2), row.device[2:])), flags.eq(place)]
                m.next = "EVENT"
            with m.State("EVENT"):
                m.d.comb += self.writes.valid.eq(1)
                with m.If(self.writes.ready):
                    m.next = "FLAGS"
            with m.State("FLAGS"):
                m.d.comb += [request.valid.eq(in_flight.i.ready), in_flight.i.valid.eq(request.ready)]
                with m.If(request.valid & request.ready):
                    m.next = "END"
            held = self.revisits.valid
            m.d.comb += self.idle.eq(fsm.ongoing("END") & in_flight.idle & ~held)
        self._answer(m, in_flight)
        return m

    def _answer(self, m: Any, in_flight: StreamFifo) -> None:
        """Visit a queue again whose descriptor is available by now."""
        answer, asked, room = self.read.data, in_flight.o.payload, Signal()
        bad = answer.payload.error
        m.d.comb += [
            room.eq(~self.revisits.valid | self.revisits.ready),
            answer.ready.eq(room),
            in_flight.o.ready.eq(answer.valid & room),
        ]
        m.d.sync += self.fail.eq(answer.valid & room & bad)
        with m.If(room):
            m.d.sync += [
                self.revisits.valid.eq(
                    answer.valid & ~bad & is_available(answer.payload.data[16:32], asked.wrap)
                ),
                self.revisits.payload.queue.eq(asked.queue),
            ]
