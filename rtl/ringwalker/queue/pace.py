"""When queues need not be visited yet: while there is work enough, what they have grows into batches."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import QUEUE_BITS

__all__ = ["ALIKE", "FEW_CHAINS", "MANY_CHAINS", "PAYLOAD_GAP", "VISIT_GAP", "VisitPace"]

MANY_CHAINS = 40
"""With so many chains in flight no queue is visited."""

FEW_CHAINS = 10
"""With less every queue is."""

VISIT_GAP = 64
"""Cycles between two visits, in between."""

PAYLOAD_GAP = 16
"""Cycles without payload after which the link has room for more."""

ALIKE = 3
"""Visits of the same queue as the one before, after which it is taken to be the only one in use."""

_MOST = 1 << 8


class VisitPace(Component):
    """Holds visits back while the link is busy with payload and chains enough wait for it.

    A visit costs the same reads and writes of a ring whether it finds one chain or many. So where many queues
    have few chains each, those that wait in the rings for some time cost the link less. Chains that move no
    payload hold nothing back, nor is a queue held back that is the only one in use.

    Latency: none from ``visited``, 1 cycle from ``begun`` and ``completed``, 2 from ``payload``.
    """

    begun: In(1)
    """A chain was walked."""
    completed: In(1)
    """A chain is completed."""
    visited: In(1)
    """A visit was taken."""
    queue: In(QUEUE_BITS)
    """Of which queue."""
    payload: In(1)
    """Payload moves, or waits for the link."""
    several: Out(1)
    """More queues than one are in use."""
    hold: Out(1)
    """No visit is to begin."""

    def elaborate(self, platform):
        m: Any = Module()
        chains, many, some = Signal(range(_MOST)), Signal(), Signal()
        since, quiet = Signal(range(VISIT_GAP + 1)), Signal(range(PAYLOAD_GAP + 1))
        latest, alike = Signal(QUEUE_BITS), Signal(range(ALIKE + 1), init=ALIKE)
        busy = (quiet != PAYLOAD_GAP) & self.several
        m.d.comb += self.several.eq(alike != ALIKE)
        m.d.comb += self.hold.eq(many | (some & ((since != VISIT_GAP) | self.visited)))
        m.d.sync += [
            chains.eq(chains + self.begun - self.completed),
            many.eq(busy & (chains >= MANY_CHAINS)),
            some.eq(busy & (chains >= FEW_CHAINS)),
        ]
        with m.If(self.visited):
            m.d.sync += [since.eq(0), latest.eq(self.queue)]
            with m.If(self.queue != latest):
                m.d.sync += alike.eq(0)
            with m.Elif(alike != ALIKE):
                m.d.sync += alike.eq(alike + 1)
        with m.Elif(since != VISIT_GAP):
            m.d.sync += since.eq(since + 1)
        with m.If(self.payload):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != PAYLOAD_GAP):
            m.d.sync += quiet.eq(quiet + 1)
        return m
