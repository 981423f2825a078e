"""Where descriptors come from: today one read each."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..buffers import StreamFifo
from ..interfaces import DmaReadPort, QueueRead
from ..spec.ring import DESC_BYTES, Descriptor
from ..streams import QUEUE_BITS

__all__ = ["SLOT_BITS", "DescriptorRequest", "DescriptorResponse", "DescriptorSource"]

SLOT_BITS = 6
"""Width of the number of a chain that is being walked: up to 64."""


class DescriptorRequest(data.Struct):
    """Asks for descriptor ``index`` of ``queue``. ``slot`` comes back with the answer."""

    slot: unsigned(SLOT_BITS)
    queue: unsigned(QUEUE_BITS)
    index: unsigned(16)


class DescriptorResponse(data.Struct):
    """A descriptor, or ``error``. ``size`` is the number of descriptors in the table that it comes from."""

    slot: unsigned(SLOT_BITS)
    size: unsigned(16)
    descriptor: Descriptor
    error: unsigned(1)


class DescriptorSource(wiring.Component):
    """Fetches descriptors. Ref: virtio 1.4, 2.7.5.

    Parameters: ``data_width`` in bits; ``depth``, how many reads are under way at most.

    Members: ``requests``, ``responses``; ``table``, the queue table; ``read``, reads of 16 bytes;
    ``idle``: no request is under way. The index must have been checked against the queue's size. Who
    asks may not count on the order of the responses, only on ``slot``. The read is requested one cycle
    after the request was taken; one request a cycle.
    """

    requests: Any
    responses: Any
    table: Any
    read: Any
    idle: Any

    def __init__(self, data_width: int, depth: int):
        self._width = data_width
        self._depth = depth
        super().__init__(
            {
                "requests": In(stream.Signature(DescriptorRequest)),  # pyright: ignore[reportArgumentType]
                "responses": Out(stream.Signature(DescriptorResponse)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        context = data.StructLayout({"slot": SLOT_BITS, "size": 16})
        m.submodules.under_way = under_way = StreamFifo(context, self._depth)
        looked = Signal()
        request: Any = Signal(DescriptorRequest)
        row, read = self.table.row, self.read.requests
        offset = request.index << (DESC_BYTES - 1).bit_length()
        moved = read.valid & read.ready
        m.d.comb += [
            read.valid.eq(looked & under_way.i.ready),
            read.payload.address.eq(Cat(Const(0, 4), (row.desc + offset)[4:64])),
            read.payload.length.eq(DESC_BYTES),
            under_way.i.valid.eq(looked & read.ready),
            under_way.i.payload.slot.eq(request.slot),
            under_way.i.payload.size.eq(row.size),
            self.requests.ready.eq(~looked | moved),
            self.table.en.eq(self.requests.valid & self.requests.ready),
            self.table.index.eq(self.requests.payload.queue),
            self.idle.eq(~looked & under_way.idle),
        ]
        with m.If(self.requests.ready):
            m.d.sync += [looked.eq(self.requests.valid), request.eq(self.requests.payload)]

        beat, answer = self.read.data, self.responses.payload
        bits = 8 * DESC_BYTES
        if self._width >= bits:
            descriptor = beat.payload.data[:bits]
        else:
            # Two beats: the first is kept until the second is there.
            kept = Signal(self._width)
            descriptor = Cat(kept, beat.payload.data)
            with m.If(beat.valid & ~beat.payload.last):
                m.d.sync += kept.eq(beat.payload.data)
        m.d.comb += [
            answer.slot.eq(under_way.o.payload.slot),
            answer.size.eq(under_way.o.payload.size),
            answer.descriptor.eq(descriptor),
            answer.error.eq(beat.payload.error),
            self.responses.valid.eq(beat.valid & beat.payload.last),
            beat.ready.eq(Mux(beat.payload.last, self.responses.ready, 1)),
            under_way.o.ready.eq(self.responses.valid & self.responses.ready),
        ]
        return m
