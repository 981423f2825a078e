"""Heads that are guessed before their ring entries are read, and how a guess is proved or refuted.

When nothing else is in flight, a visit reads the ring entry at the queue's position together with the index.
An index that was carried has nothing to be read with; there the head is expected to be as far from the last
one as that was from the one before. As soon as the index is known to cover it, either is a guess: the walker
of chains may begin with it. PCI Express does not keep reads in order, so what a read gave may be used only if
it was asked for when the index that covers it was known. A guess says no more than which descriptors to ask
for then; it is compared with the ring entry, which is read after the index as always.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import DmaReadPort, QueueRow
from ...spec.ring import AVAIL_ENTRY_BYTES, AVAIL_RING_OFFSET
from ...streams import QUEUE_BITS, Head, stream_of
from .avail_entries import Decision
from .avail_index import BegunVisit

__all__ = ["Speculation"]

_ENTRY_BITS = 8 * AVAIL_ENTRY_BYTES


class Speculation(Component):
    """Puts a guess in front of the heads of a visit that found the walker at rest, and judges it.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members:

    - ``quiet`` In 1: nothing is in flight behind this visit and the visits before it.
    - ``look`` In 1, ``look_queue`` In: a visit to this queue is taken.
    - ``begun`` In BegunVisit: it has begun; then ``row`` In QueueRow and ``position`` In 16 are its queue's.
    - ``hold`` Out 1: no visit may be taken, since an entry is still to be asked for. It depends on ``begun``
      in the same cycle.
    - ``read`` Out(DmaReadPort(W)): reads of entries, requested one cycle after the visit has begun.
    - ``decided`` In Decision: what a snapshot of the index has shown.
    - ``i`` In stream of Head: heads as their entries say. ``ended`` In 1: none is to come.
    - ``o`` Out stream of Head: those of ``i``, and before them a guess if what it is made of, and a snapshot
      that covers it, came before the first of them. A head that confirms a guess is left out.
    - ``confirm``, ``withdraw`` Out 1: as a ring format has them.
    - ``idle`` Out 1: no entry is being read and no guess waits.

    A guess is out two cycles after the later of what it is made of and the decision. A verdict comes
    one cycle after its head, or in the cycle of ``ended``. Heads pass in the same cycle, but for one in the
    cycle after a guess or a head that was left out.

    The head that is expected is that of before for a driver with one request at a time that takes the
    descriptors it was given back last, and the one that follows for a driver that takes them in turn.
    """

    def __init__(self, data_width: int, queues: int):
        self._queues = queues
        super().__init__(
            {
                "quiet": In(1),
                "look": In(1),
                "look_queue": In(QUEUE_BITS),
                "begun": In(BegunVisit),
                "row": In(QueueRow),
                "position": In(16),
                "hold": Out(1),
                "read": Out(DmaReadPort(data_width)),
                "decided": In(Decision),
                "i": In(stream_of(Head)),
                "ended": In(1),
                "o": Out(stream_of(Head)),
                "confirm": Out(1),
                "withdraw": Out(1),
                "idle": Out(1, init=1),
            }
        )
        # A visit that is guessed for has begun; what its first head may be; and that it is known.
        self._begins, self._known = Signal(), Signal()
        self._head = Signal(16)
        # A guess is offered; it was taken in the cycle before; it is not decided yet.
        self._offered, self._given, self._open = Signal(), Signal(), Signal()
        self._guess: Any = Signal(data.StructLayout({"queue": QUEUE_BITS, "head": 16}))

    def elaborate(self, platform):
        m: Any = Module()
        self._begin(m)
        self._offer(m)
        self._judge(m)
        return m

    def _begin(self, m: Any) -> None:
        """Read the entry of a visit that found all at rest, or take the head that is expected."""
        quiet, asks, reading, odd = Signal(), Signal(), Signal(), Signal()
        begun, row, request, answer = self.begun, self.row, self.read.requests, self.read.data
        slot: Any = (self.position & (row.size - 1))[:16]
        entry: Any = Signal(64)
        value, sent = answer.payload.data, Signal()
        expected = self._expect(m)
        # What was in flight in the cycle before is seen by now.
        m.d.sync += quiet.eq(self.quiet & ~self._offered)
        m.d.comb += [
            self._begins.eq(begun.valid & begun.alone & quiet & ~asks & ~reading),
            request.valid.eq(asks),
            request.payload.address.eq(entry),
            request.payload.length.eq(AVAIL_ENTRY_BYTES),
            sent.eq(request.valid & request.ready),
            self.hold.eq((self._begins & ~begun.carried) | (asks & ~sent)),
            answer.ready.eq(1),
            self._known.eq((answer.valid & ~answer.payload.error) | (self._begins & begun.carried)),
            self._head.eq(
                Mux(
                    self._begins,
                    expected & (row.size - 1),
                    Mux(odd, value[_ENTRY_BITS : 2 * _ENTRY_BITS], value[:_ENTRY_BITS]),
                )
            ),
            self.idle.eq(~asks & ~reading & ~self._offered),
        ]
        with m.If(self._begins & ~begun.carried):
            m.d.sync += [
                asks.eq(1),
                entry.eq(Cat(Const(0, 1), (row.driver + AVAIL_RING_OFFSET + slot * AVAIL_ENTRY_BYTES)[1:64])),
            ]
        with m.If(sent):
            m.d.sync += [asks.eq(0), reading.eq(1), odd.eq(entry[1])]
        with m.If(answer.valid & answer.payload.last):
            m.d.sync += reading.eq(0)

    def _offer(self, m: Any) -> None:
        """Offer a guess when its head and a snapshot that covers it are known before the first real head."""
        hoped, known, covered = Signal(), Signal(), Signal()
        size, guess = Signal(16), self._guess
        with m.If(self._known):
            m.d.sync += [known.eq(1), guess.head.eq(self._head)]
        with m.If(self.decided.valid & (self.decided.queue == guess.queue)):
            m.d.sync += [covered.eq(self.decided.covers), size.eq(self.decided.size)]
            with m.If(~self.decided.covers):
                m.d.sync += hoped.eq(0)
        with m.If(self.i.valid):
            m.d.sync += hoped.eq(0)
        with m.Elif(hoped & known & covered):
            m.d.sync += [hoped.eq(0), self._offered.eq(guess.head < size)]
        m.d.sync += self._given.eq(self._offered & self.o.ready)
        with m.If(self._offered & self.o.ready):
            m.d.sync += self._offered.eq(0)
        with m.If(self._begins):
            m.d.sync += [hoped.eq(1), covered.eq(0), known.eq(self._known)]
            m.d.sync += guess.queue.eq(self.begun.queue)

    def _judge(self, m: Any) -> None:
        """Pass on heads, and compare a guess with the one that follows it."""
        head, guess = self.i.payload, self._guess
        right, judged, refuted, passes = Signal(), Signal(), Signal(), Signal()
        same = (head.queue == guess.queue) & (head.at == guess.head) & head.first
        m.d.comb += [
            judged.eq(self._open & self.i.valid & ~self.ended),
            right.eq(judged & same),
            passes.eq(~self._offered & ~self._given & ~self.confirm & ~right),
            self.o.valid.eq(self._offered | (self.i.valid & passes)),
            self.i.ready.eq((self.o.ready & passes) | right),
            self.o.payload.eq(head),
            self.withdraw.eq(refuted | (self._open & self.ended)),
        ]
        with m.If(self._offered):
            m.d.comb += [
                self.o.payload.queue.eq(guess.queue),
                self.o.payload.at.eq(guess.head),
                self.o.payload.id.eq(guess.head),
                self.o.payload.first.eq(1),
                self.o.payload.guess.eq(1),
            ]
        m.d.sync += [self.confirm.eq(right), refuted.eq(judged & ~same)]
        with m.If(self._given):
            m.d.sync += self._open.eq(1)
        with m.Elif(judged | self.ended):
            m.d.sync += self._open.eq(0)

    def _expect(self, m: Any) -> Any:
        """The head expected next on the queue that was looked up: as far from the last as that from the one
        before. Both are written a cycle after a head has passed."""
        shape = data.StructLayout({"last": 16, "next": 16})
        m.submodules.heads = heads = Memory(shape=shape, depth=self._queues, init=[])
        write: Any = heads.write_port()
        before: Any = heads.read_port(transparent_for=(write,))
        expected: Any = heads.read_port()
        passed, head = Signal(), self.i.payload
        queue, last = Signal(QUEUE_BITS), Signal(16)
        m.d.comb += [
            before.addr.eq(head.queue),
            before.en.eq(self.i.valid & self.i.ready),
            write.addr.eq(queue),
            write.en.eq(passed),
            write.data.last.eq(last),
            write.data.next.eq((last << 1) - before.data.last),
            expected.addr.eq(self.look_queue),
            expected.en.eq(self.look),
        ]
        m.d.sync += passed.eq(before.en)
        with m.If(before.en):
            m.d.sync += [queue.eq(head.queue), last.eq(head.at)]
        return expected.data.next
