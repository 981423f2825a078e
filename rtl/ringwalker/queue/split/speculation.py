"""Heads that are guessed before their ring entries are read, and how a guess is proved or refuted.

PCI Express does not keep reads in order, so what a read gave may be used only if it was asked for when the
index that covers it was known. A guess says no more than which descriptors to ask for then. Its head is
compared with the ring entry, which is read after the index as always.
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...streams import QUEUE_BITS, Head, stream_of
from .avail_entries import Decision
from .avail_index import EarlyHead

__all__ = ["Foresight", "Verdict"]


class Foresight(Component):
    """Puts a guess in front of the heads of a visit that found the walker at rest.

    Members: ``eager`` In 1, a pulse: such a visit to ``eager_queue`` has begun; ``early`` In stream of
    EarlyHead, always ready: what its first head may be, from the same cycle on; ``decided`` In: what
    snapshots have shown; ``i`` In and ``o`` Out, streams of Head: ``o`` has the heads of ``i``, and before
    them a guess if both the early head and a snapshot that covers it came before the first of them;
    ``look``, ``look_queue`` In: ``expected`` Out is, one cycle later, the head that comes next on this queue
    if it is as far from the last as that was from the one before. That is the same head for a driver with
    one request at a time that takes the descriptors it was given back last, and the one that follows for
    a driver that takes them in turn. ``idle`` Out 1: no guess waits.

    A guess is out two cycles after the later of its early head and its decision. Heads pass in the same
    cycle.
    """

    def __init__(self, queues: int):
        self._queues = queues
        super().__init__(
            {
                "eager": In(1),
                "eager_queue": In(QUEUE_BITS),
                "early": In(stream_of(EarlyHead)),
                "decided": In(Decision),
                "i": In(stream_of(Head)),
                "o": Out(stream_of(Head)),
                "look": In(1),
                "look_queue": In(QUEUE_BITS),
                "expected": Out(16),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        hoped, known, covered, offered = Signal(), Signal(), Signal(), Signal()
        size = Signal(16)
        guess: Any = Signal(EarlyHead)
        m.d.comb += [
            self.early.ready.eq(1),
            self.o.valid.eq(self.i.valid | offered),
            self.i.ready.eq(self.o.ready & ~offered),
            self.o.payload.eq(self.i.payload),
            self.idle.eq(~offered),
        ]
        with m.If(offered):
            m.d.comb += [
                self.o.payload.queue.eq(guess.queue),
                self.o.payload.head.eq(guess.head),
                self.o.payload.first.eq(1),
                self.o.payload.guess.eq(1),
            ]
        with m.If(self.early.valid):
            m.d.sync += [known.eq(1), guess.head.eq(self.early.payload.head)]
        with m.If(self.decided.valid & (self.decided.queue == guess.queue)):
            m.d.sync += [covered.eq(self.decided.covers), size.eq(self.decided.size)]
            with m.If(~self.decided.covers):
                m.d.sync += hoped.eq(0)
        with m.If(self.i.valid):
            m.d.sync += hoped.eq(0)
        with m.Elif(hoped & known & covered):
            m.d.sync += [hoped.eq(0), offered.eq(guess.head < size)]
        with m.If(offered & self.o.ready):
            m.d.sync += offered.eq(0)
        with m.If(self.eager):
            m.d.sync += [hoped.eq(1), covered.eq(0), known.eq(self.early.valid)]
            m.d.sync += guess.queue.eq(self.eager_queue)
        self._expect(m)
        return m

    def _expect(self, m: Any) -> None:
        """The last head of each queue and the one expected next, written a cycle after a head has passed."""
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
            self.expected.eq(expected.data.next),
        ]
        m.d.sync += passed.eq(before.en)
        with m.If(before.en):
            m.d.sync += [queue.eq(head.queue), last.eq(head.head)]


class Verdict(Component):
    """Compares a guess with the head that follows it. There is one guess at a time.

    Members: ``guess`` In 1: ``head`` is a guess that something is begun for; ``shown`` In 1: ``head`` is the
    head that follows; ``head`` In Head; ``doubt`` In 1: none will follow; ``dropped`` In 1: what was begun
    for a guess that failed is gone; ``open`` Out 1: there is a guess that is not decided; ``holds`` Out 1: it
    is decided in this cycle, and is right, so the head has been seen to; ``failed`` Out 1: it was wrong,
    until ``dropped``.
    """

    def __init__(self):
        pulses = ("guess", "shown", "doubt", "dropped")
        super().__init__(
            {
                **{name: In(1) for name in pulses},
                "head": In(Head),
                **{name: Out(1) for name in ("open", "holds", "failed")},
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        guessed: Any = Signal(Head)
        same = (self.head.queue == guessed.queue) & (self.head.head == guessed.head) & self.head.first
        m.d.comb += self.holds.eq(self.open & self.shown & same)
        with m.If(self.guess):
            m.d.sync += [self.open.eq(1), guessed.eq(self.head)]
        with m.Elif(self.open & (self.shown | self.doubt)):
            m.d.sync += [self.open.eq(0), self.failed.eq(~self.holds)]
        with m.Elif(self.dropped):
            m.d.sync += self.failed.eq(0)
        return m
