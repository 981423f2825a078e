"""Which queue is looked at next: a pending bit a queue, round robin. Ref: virtio 1.4, 2.7.13.4, 2.9."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import QueueClear
from ..streams import QUEUE_BITS, Doorbell, Visit, stream_of

__all__ = ["GROUP", "Scheduler"]

GROUP = 16
"""Queues whose pending bits are looked at in one cycle."""


class Scheduler(Component):
    """Turns doorbells into visits: at least one visit begins after every doorbell.

    A pending bit is cleared in the cycle in which its visit is taken. A doorbell of the same queue in that
    cycle or later sets it again, so the consumer must read the ring after it took the visit. A doorbell also
    wins over ``clear`` in the same cycle.

    Pending bits are scanned in groups of 16, from low to high, and every queue is offered at most once a
    pass: between a doorbell and its visit at most ``queues`` visits of others are taken. Cycles from doorbell
    to visit with nothing else pending: 1. Visits follow each other every cycle within a group, and a change
    to the next group with a pending bit costs one cycle.

    Errors: ``ValueError`` when ``queues`` is not from 1 to 1024.
    """

    doorbells: In(stream_of(Doorbell))
    """Always ready. A queue that does not exist is ignored."""
    visits: Out(stream_of(Visit))
    """A queue to look at."""
    carried: Out(1)
    """From the cycle after a visit was taken, until the next is: each doorbell of this queue since its last
    visit carried what comes next."""
    next: Out(16)
    """What the latest of them carried."""
    halt: In(1)
    """No new visit is offered. One that is offered stays; pending bits are kept."""
    clear: In(QueueClear())
    """Forgets the pending bit of a queue."""
    idle: Out(1)
    """No visit is offered. Pending bits do not count."""
    waiting: Out(1)
    """A pending bit is set."""

    def __init__(self, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self.queues = queues
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        groups, size = -(-self.queues // GROUP), min(GROUP, self.queues)
        pending = Signal(groups * size)
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
        unseen: Any = Signal(size, init=-1)  # those of this group that have not had their turn
        candidates: Any = Signal(size)
        choice = Signal(range(size))
        m.d.comb += candidates.eq(pending.word_select(group, size) & unseen)
        for n in reversed(range(size)):
            with m.If(candidates[n]):
                m.d.comb += choice.eq(n)

        called, place = self.doorbells.payload.queue, (size - 1).bit_length()
        alone = rung.any() & ~self.waiting & ~self.halt & ~self.clear.en
        with m.If(~self.visits.valid | self.visits.ready):
            offered = candidates.any() & ~self.halt & ~self.clear.en
            m.d.sync += self.visits.valid.eq(offered)
            with m.If(offered):
                m.d.sync += self.visits.payload.queue.eq(Cat(choice, group))
                # Only those above the choice are left: everything below was seen or came too late.
                m.d.sync += [unseen[n].eq(candidates[:n].any()) for n in range(size)]
            with m.Elif(alone):
                m.d.sync += [self.visits.valid.eq(1), self.visits.payload.queue.eq(called)]
                m.d.sync += [unseen[n].eq(called[:place] < n) for n in range(size)]
                m.d.sync += group.eq(called[place:])
            with m.Elif(~candidates.any()):
                m.d.sync += [unseen.eq(-1), group.eq(self._next_group(m, pending, group, size))]
        m.d.comb += [self.idle.eq(~self.visits.valid), self.waiting.eq(pending.any())]
        self._carried(m, pending, rung, taken)
        return m

    def _next_group(self, m: Any, pending: Any, group: Any, size: int) -> Any:
        """The next group, of ``size``, that has a pending bit; this one if none has."""
        groups = len(pending) // size
        busy: Any = Signal(groups)
        after, chosen = Signal(groups), Signal.like(group)
        m.d.comb += [
            busy.eq(Cat(pending.word_select(n, size).any() for n in range(groups))),
            after.eq(busy & Cat(group < n for n in range(groups))),
            chosen.eq(group),
        ]
        for candidates in (busy, after):
            for n in reversed(range(groups)):
                with m.If(candidates[n]):
                    m.d.comb += chosen.eq(n)
        return chosen

    def _carried(self, m: Any, pending: Any, rung: Any, taken: Any) -> None:
        """What the latest doorbell of each queue carried; whether one since its last visit had nothing."""
        m.submodules.nexts = nexts = Memory(shape=16, depth=self.queues, init=[])
        write: Any = nexts.write_port()
        look: Any = nexts.read_port()
        silent = Signal.like(pending)
        doorbell = self.doorbells.payload
        m.d.comb += [
            write.addr.eq(doorbell.queue),
            write.data.eq(doorbell.next),
            write.en.eq(self.doorbells.valid & doorbell.carried & (doorbell.queue < self.queues)),
            look.addr.eq(self.visits.payload.queue),
            look.en.eq(self.visits.valid & self.visits.ready),
            self.next.eq(look.data),
        ]
        m.d.sync += silent.eq((silent & ~taken) | Mux(doorbell.carried, 0, rung))
        with m.If(look.en):
            m.d.sync += self.carried.eq(silent.bit_select(self.visits.payload.queue, 1) == 0)
