"""Which queue is looked at next: a pending bit a queue, round robin."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import QueueClear
from ..streams import QUEUE_BITS, Doorbell, Visit

__all__ = ["GROUP", "Scheduler"]

GROUP = 16
"""Queues whose pending bits are looked at in one cycle."""


class Scheduler(wiring.Component):
    """Turns doorbells into visits: at least one visit begins after every doorbell.

    Members: ``doorbells`` (stream of :class:`Doorbell`, always ready; a queue that does not exist is
    ignored), ``visits`` (stream of :class:`Visit`), ``halt`` (no new visit is offered while it is up; one
    that waits already stays, as a stream must; pending bits are kept), ``clear`` (forgets the pending bit of
    a queue), ``idle`` (no visit waits to be taken; pending bits do not count), ``waiting`` (a
    pending bit is set).

    A pending bit is cleared in the cycle in which its visit is taken. A doorbell of the same queue in that
    cycle or later sets it again, so the consumer must read the ring after it took the visit. A doorbell also
    wins over ``clear`` in the same cycle.

    Pending bits are scanned in groups of 16, from low to high, and every queue is offered at most once a
    pass: between a doorbell and its visit at most ``queues`` visits of others are taken. Cycles from doorbell
    to visit with nothing else pending: 2 up to 16 queues, else at most ``ceil(queues / 16) + 1``. Visits
    follow each other every cycle within a group, and a change to the next group costs one cycle.

    Errors: ``ValueError`` when ``queues`` is not from 1 to 1024.
    """

    def __init__(self, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self.queues = queues
        super().__init__(
            {
                "doorbells": In(stream.Signature(Doorbell)),  # pyright: ignore[reportArgumentType]
                "visits": Out(stream.Signature(Visit)),  # pyright: ignore[reportArgumentType]
                "halt": In(1),
                "clear": In(QueueClear()),
                "idle": Out(1),
                "waiting": Out(1),
            }
        )
        self.doorbells: Any
        self.visits: Any
        self.halt: Any
        self.clear: Any
        self.idle: Any
        self.waiting: Any

    def elaborate(self, platform):
        m: Any = Module()
        groups = -(-self.queues // GROUP)
        pending = Signal(groups * GROUP)
        exists = (1 << self.queues) - 1
        rung, taken, cleared = Signal.like(pending), Signal.like(pending), Signal.like(pending)
        m.d.comb += [
            self.doorbells.ready.eq(1),
            rung.eq((self.doorbells.valid << self.doorbells.payload.queue) & exists),
            taken.eq((self.visits.valid & self.visits.ready) << self.visits.payload.queue),
            cleared.eq(self.clear.en << self.clear.index),
        ]
        m.d.sync += pending.eq((pending & ~taken & ~cleared) | rung)

        group = Signal(range(groups))
        unseen: Any = Signal(GROUP, init=-1)  # those of this group that have not had their turn
        candidates = Signal(GROUP)
        choice = Signal(range(GROUP))
        m.d.comb += candidates.eq(pending.word_select(group, GROUP) & unseen)
        for n in reversed(range(GROUP)):
            with m.If(candidates[n]):
                m.d.comb += choice.eq(n)

        with m.If(~self.visits.valid | self.visits.ready):
            offered = candidates.any() & ~self.halt & ~self.clear.en
            m.d.sync += self.visits.valid.eq(offered)
            with m.If(offered):
                m.d.sync += self.visits.payload.queue.eq(Cat(choice, group))
                # Only those above the choice are left: everything below was seen or came too late.
                m.d.sync += [unseen[n].eq(choice < n) for n in range(GROUP)]
            with m.Elif(~candidates.any()):
                m.d.sync += [
                    unseen.eq(-1),
                    group.eq(Mux(group == groups - 1, 0, group + 1)),
                ]
        m.d.comb += [self.idle.eq(~self.visits.valid), self.waiting.eq(pending.any())]
        return m
