"""Which descriptors are to be asked for, and which heads need not ask: they share the line of another."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...buffers import StreamFifo
from ...component import Component
from ...streams import stream_of
from .lines import MOST_READ, SLOT_BITS

__all__ = ["LineSharing", "PendingFetch", "PendingFetches"]


class PendingFetch(data.Struct):
    """Descriptor ``index`` of where the chain in ``slot`` is. ``group``: its line serves all that joined;
    ``length``: as in DescriptorRequest; ``lap``: changes when slots are given out from the first again."""

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    index: unsigned(16)
    group: unsigned(1)
    length: range(MOST_READ + 1)


class PendingFetches(Component):
    """The next descriptor that each chain needs, in order; a chain is in here at most once.

    Parameters: ``chains``, how many there are at most.

    A front that may not be asked for goes to the end of the queue, a cycle after that was seen. From ``adds``
    to ``o``: 1 cycle.
    """

    adds: In(1)
    """``added`` is put at the end. Only while ``busy`` is low."""
    added: In(PendingFetch)
    returns: In(1)
    """``returned`` is put at the end, at any time."""
    returned: In(PendingFetch)
    busy: Out(1)
    """Something else is put at the end."""
    oldest: In(SLOT_BITS)
    """The slot of the oldest chain."""
    roomy: In(1)
    """Other chains may be asked for as well."""
    o: Out(stream_of(PendingFetch))
    """The front. It does not stay until it is taken: it is withdrawn when it may no more be asked for."""

    def __init__(self, chains: int):
        self._chains = chains
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        # One place more lets the front go to the end when all chains are in here.
        m.submodules.fifo = fifo = StreamFifo(PendingFetch, self._chains + 1)
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

    A line that is offered is joined no more; what joins in its first cycle is still seen before it leaves.
    """

    line: In(16)
    """The line that the descriptor of the head is in."""
    first: In(1)
    """The head is the first of those that were made available together."""
    alone: In(1)
    """Its chain is read by itself: it shares no line with others."""
    joins: Out(1)
    """It shares the line."""
    accept: In(1)
    """The head gets ``slot`` on lap ``lap``."""
    slot: In(SLOT_BITS)
    lap: In(1)
    shown: In(1)
    """A line that serves a group is offered, that of ``leader`` on lap ``leader_lap``."""
    leader: In(SLOT_BITS)
    leader_lap: In(1)
    withdrawn: In(1)
    """What was begun for the last head is given up."""

    def elaborate(self, platform):
        m: Any = Module()
        opened, arrives, leads = Signal(), Signal(), Signal()
        slot, lap, line = Signal(SLOT_BITS), Signal(), Signal(16)
        # On another lap it is the chain that was in this slot before, which may have left already.
        mine = (self.leader == slot) & (self.leader_lap == lap)
        m.d.comb += [
            self.joins.eq(opened & ~arrives & ~self.first & ~self.alone & (self.line == line)),
            leads.eq(self.accept & ~self.joins),
        ]
        m.d.sync += arrives.eq(self.shown & mine & ~leads)
        with m.If(arrives | self.withdrawn):
            m.d.sync += opened.eq(0)
        with m.If(leads):
            m.d.sync += [opened.eq(~self.alone), slot.eq(self.slot), lap.eq(self.lap), line.eq(self.line)]
        return m
