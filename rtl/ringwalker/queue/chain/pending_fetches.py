"""Which descriptors are to be asked for, and which heads need not ask: they share the line of another."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...streams import stream_of
from .lines import SLOT_BITS

__all__ = ["LineSharing", "Wanted", "WantedQueue"]


class Wanted(data.Struct):
    """Descriptor ``index`` of where the chain in ``slot`` is. ``group``: its line serves all that joined;
    ``lap``: changes when slots are given out from the first again."""

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    index: unsigned(16)
    group: unsigned(1)


class WantedQueue(Component):
    """The next descriptor that each chain needs, in order; a chain is in here at most once.

    Parameters: ``chains``, how many there are at most.

    Members: ``adds`` In 1: ``added`` In Wanted is put at the end, only while ``busy`` Out 1 is low;
    ``returns`` In 1: ``returned`` In Wanted is, at any time; ``oldest`` In: the slot of the oldest chain;
    ``roomy`` In 1: other chains may be asked for as well; ``o`` Out stream of Wanted: the front. A front that
    may not be asked for goes to the end of the queue, a cycle after that was seen. From ``adds`` to ``o``:
    1 cycle.
    """

    def __init__(self, chains: int):
        self._chains = chains
        super().__init__(
            {
                "adds": In(1),
                "added": In(Wanted),
                "returns": In(1),
                "returned": In(Wanted),
                "busy": Out(1),
                "oldest": In(SLOT_BITS),
                "roomy": In(1),
                "o": Out(stream_of(Wanted)),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        # One place more lets the front go to the end when all chains are in here.
        m.submodules.fifo = fifo = StreamFifo(Wanted, self._chains + 1)
        late, rotates = Signal(), Signal()
        front, allowed = fifo.o.payload, Signal()
        m.d.sync += late.eq(fifo.o.valid & ~allowed & ~rotates)
        m.d.comb += [
            allowed.eq((front.slot == self.oldest) | self.roomy),
            rotates.eq(late & ~self.returns),
            self.busy.eq(self.returns | rotates),
            self.o.valid.eq(fifo.o.valid & allowed & ~late),
            self.o.payload.eq(front),
            fifo.o.ready.eq((allowed & ~late & self.o.ready) | rotates),
            fifo.i.valid.eq(self.busy | self.adds),
            fifo.i.payload.eq(self.added),
        ]
        with m.If(rotates):
            m.d.comb += fifo.i.payload.eq(front)
        with m.If(self.returns):
            m.d.comb += fifo.i.payload.eq(self.returned)
        return m


class LineSharing(Component):
    """Says whether a head's descriptor comes with the line of the last head that did not join another.

    Members: ``line`` In 16: where the descriptor of the head is; ``first`` In 1: the head is the first of its
    snapshot; ``joins`` Out 1: it shares that line; ``accept`` In 1: the head gets ``slot`` on lap ``lap`` In;
    ``shown`` In 1: a line that serves a group is in hand, that of ``leader``, ``leader_lap`` In; ``refuted``
    In 1: what was begun for the last head is given up.

    A line that is in hand is joined no more; what joins in its first cycle is still seen before it leaves.
    """

    def __init__(self):
        super().__init__(
            {
                "line": In(16),
                "first": In(1),
                "joins": Out(1),
                "accept": In(1),
                "slot": In(SLOT_BITS),
                "lap": In(1),
                "shown": In(1),
                "leader": In(SLOT_BITS),
                "leader_lap": In(1),
                "refuted": In(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        opened, arrives, leads = Signal(), Signal(), Signal()
        slot, lap, line = Signal(SLOT_BITS), Signal(), Signal(16)
        # On another lap it is the chain that was in this slot before, which may have left already.
        mine = (self.leader == slot) & (self.leader_lap == lap)
        m.d.comb += [
            self.joins.eq(opened & ~arrives & ~self.first & (self.line == line)),
            leads.eq(self.accept & ~self.joins),
        ]
        m.d.sync += arrives.eq(self.shown & mine & ~leads)
        with m.If(arrives | self.refuted):
            m.d.sync += opened.eq(0)
        with m.If(leads):
            m.d.sync += [opened.eq(1), slot.eq(self.slot), lap.eq(self.lap), line.eq(self.line)]
        return m
