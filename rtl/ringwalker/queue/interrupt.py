"""Whether the driver wants to hear of a used buffer, asked after the used ring was written.

Ref: virtio 1.4, 2.7.7 (Used Buffer Notification Suppression).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import DmaReadPort, QueueRead
from ..spec.common import NO_VECTOR
from ..spec.ring import AVAIL_F_NO_INTERRUPT, AVAIL_FLAGS_OFFSET, AVAIL_IDX_OFFSET
from ..streams import QUEUE_BITS, Visit
from .fifo import StreamFifo

__all__ = ["InterruptStage"]

_FLAGS_BYTES = AVAIL_IDX_OFFSET - AVAIL_FLAGS_OFFSET


class _Question(data.Struct):
    """A read of flags under way; ``odd``: they are in the upper half of their dword."""

    vector: unsigned(16)
    odd: unsigned(1)


class InterruptStage(wiring.Component):
    """For each used buffer reads ``avail.flags`` and passes on the queue's vector unless it forbids.

    The read is asked for after the index write, through a stream that keeps their order, so a driver that
    clears the flag and then finds the used ring unchanged will be notified. Further ``used`` of the same
    queue that arrive before the read was asked for are served by it. With MSI-X enabled and no vector nothing
    is read.

    Parameters: ``depth``, how many reads are under way at most.

    Members (W is ``data_width``): ``used`` In stream of Visit; ``table`` Out(QueueRead()); ``read``
    Out(DmaReadPort(W)); ``msix_enable`` In 1; ``interrupts`` Out stream of 16-bit vectors; ``fail`` Out 1, a
    pulse when a read failed (no notification then); ``idle`` Out 1.

    Latency: 2 cycles from a used buffer to its read, 1 from the answer to the vector.
    """

    def __init__(self, data_width: int, depth: int = 8):
        self._depth = depth
        super().__init__(
            {
                "used": In(stream.Signature(Visit)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "msix_enable": In(1),
                "interrupts": Out(stream.Signature(16)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.questions = questions = StreamFifo(_Question, self._depth)
        self._ask(m, questions)
        self._hear(m, questions)
        return m

    def _ask(self, m, questions):
        """From a used buffer to a read of its queue's flags."""
        looked = Signal()
        queue = Signal(QUEUE_BITS)
        row, request, used = self.table.row, self.read.requests, self.used
        address = row.driver + AVAIL_FLAGS_OFFSET
        unwanted = self.msix_enable & (row.vector == NO_VECTOR)
        asked = request.valid & request.ready
        same = looked & (used.payload.queue == queue)
        m.d.comb += [
            request.valid.eq(looked & ~unwanted & questions.i.ready),
            request.payload.address.eq(Cat(Const(0, 1), address[1:64])),
            request.payload.length.eq(_FLAGS_BYTES),
            questions.i.valid.eq(asked),
            questions.i.payload.vector.eq(row.vector),
            questions.i.payload.odd.eq(address[1]),
            # One of the same queue may join until the read is on its way, but not in that very cycle.
            used.ready.eq(~looked | asked | unwanted | same),
            self.table.en.eq(used.valid & used.ready),
            self.table.index.eq(used.payload.queue),
            self.idle.eq(~looked & questions.idle & ~self.interrupts.valid),
        ]
        with m.If(used.valid & used.ready):
            m.d.sync += [looked.eq(1), queue.eq(used.payload.queue)]
        with m.Elif(asked | unwanted):
            m.d.sync += looked.eq(0)

    def _hear(self, m, questions):
        """From the answer to a notification."""
        answer, question = self.read.data, questions.o.payload
        halves = answer.payload.data[:32]
        flags = Mux(question.odd, halves[16:], halves[:16])
        free = ~self.interrupts.valid | self.interrupts.ready
        take = Signal()
        m.d.comb += [
            take.eq(answer.valid & questions.o.valid & free),
            answer.ready.eq(take),
            questions.o.ready.eq(take & answer.payload.last),
        ]
        m.d.sync += self.fail.eq(take & answer.payload.error)
        with m.If(self.interrupts.ready):
            m.d.sync += self.interrupts.valid.eq(0)
        with m.If(take & ~answer.payload.error & ((flags & AVAIL_F_NO_INTERRUPT) == 0)):
            m.d.sync += [self.interrupts.valid.eq(1), self.interrupts.payload.eq(question.vector)]
        return m
