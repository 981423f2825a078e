"""Carries out device and queue resets: halt, wait until everything is idle, rewrite rows, report."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import QueueClear, QueueWrite
from ..spec.modern import NO_VECTOR
from ..streams import QUEUE_BITS

__all__ = ["CLOSE_CYCLES", "QUIET_CYCLES", "ResetSequencer"]

QUIET_CYCLES = 8
"""Consecutive cycles of ``idle`` that count as idle: more than it takes an item to show up in ``idle`` of the
block that took it."""

CLOSE_CYCLES = 4
"""Cycles from the fall of ``ready`` to the first write: more than a register write that was already taken by
CommonConfig needs to reach the queue table."""


class ResetSequencer(Component):
    """Resets all queues after power-up and on ``device_request``, one queue on ``queue_request``.

    Waiting for ``idle`` takes as long as it takes; register accesses must go on meanwhile, since the answers
    of the host to reads may stand behind its writes. Then a row a cycle: ``ready`` is low for
    ``CLOSE_CYCLES`` + rows cycles. A device request goes before a queue request, and makes it superfluous if
    that was not idle yet: then only ``device_done`` is given.

    Ref: virtio 1.4, 2.4 (device reset), 2.6.1 (virtqueue reset), 4.1.4.3.1.
    """

    device_request: In(1)
    """Level; must fall in the cycle after ``device_done``."""
    queue_request: In(1)
    """Level; must fall, or name the next queue, in the cycle after ``queue_done``."""
    queue_index: In(QUEUE_BITS)
    """The queue of ``queue_request``."""
    idle: In(1)
    """All blocks that ``whole`` speaks of are idle."""
    halt: Out(1)
    """Nothing new is to begin: from the cycle after a request until done, and during power-up."""
    whole: Out(1, init=1)
    """What ``halt`` and ``idle`` are about: 1 for the device, 0 for the queue ``queue_index`` alone."""
    table_write: Out(QueueWrite())
    """Rows in their reset state."""
    clear: Out(QueueClear())
    """The ring positions of the same queue."""
    clearing: Out(1)
    """Pulse at a device reset once all is idle: forget everything else."""
    device_done: Out(1)
    """Pulse."""
    queue_done: Out(1)
    """Pulse."""
    ready: Out(1)
    """Low while rows are being rewritten: CommonConfig must be held. Whoever shares the table's write
    port has it to itself while this is up, except that ``table_write.en`` always wins."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        last_queue = self.config.queues - 1
        index, last = Signal(QUEUE_BITS), Signal(QUEUE_BITS, init=last_queue)
        count = Signal(range(max(QUIET_CYCLES, CLOSE_CYCLES)))
        for_device, for_queue = Signal(), Signal()

        with m.FSM(init="REWRITE_ROWS") as fsm:
            with m.State("WAIT_REQUEST"):
                m.d.sync += count.eq(0)
                with m.If(self.device_request | self.queue_request):
                    m.d.sync += self.whole.eq(self.device_request)
                    m.next = "WAIT_IDLE"
            with m.State("WAIT_IDLE"):
                m.d.sync += count.eq(Mux(self.idle, count + 1, 0))
                with m.If(self.device_request & ~self.whole):
                    # More has to become idle than was waited for so far.
                    m.d.sync += [self.whole.eq(1), count.eq(0)]
                with m.Elif(self.idle & (count == QUIET_CYCLES - 1)):
                    m.d.sync += count.eq(0)
                    m.next = "WAIT_REGISTERS"
            with m.State("WAIT_REGISTERS"):
                m.d.sync += count.eq(count + 1)
                with m.If(count == CLOSE_CYCLES - 1):
                    m.d.sync += [
                        for_device.eq(self.whole),
                        for_queue.eq(~self.whole),
                        index.eq(Mux(self.whole, 0, self.queue_index)),
                        last.eq(Mux(self.whole, last_queue, self.queue_index)),
                        self.clearing.eq(self.whole),
                    ]
                    m.next = "REWRITE_ROWS"
            with m.State("REWRITE_ROWS"):
                m.d.sync += [index.eq(index + 1), self.clearing.eq(0)]
                with m.If(index == last):
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += [self.device_done.eq(for_device), self.queue_done.eq(for_queue)]
                m.next = "WAIT_REQUEST"
            rewriting = fsm.ongoing("REWRITE_ROWS")
            m.d.comb += [
                self.halt.eq(~fsm.ongoing("WAIT_REQUEST")),
                self.ready.eq(~rewriting & ~fsm.ongoing("WAIT_REGISTERS")),
            ]

        m.d.comb += [
            self.table_write.en.eq(rewriting),
            self.table_write.index.eq(index),
            self.table_write.mask.eq(-1),
            self.table_write.row.size.eq(self.config.queue_size),
            self.table_write.row.vector.eq(NO_VECTOR),
            self.clear.en.eq(rewriting),
            self.clear.index.eq(index),
        ]
        return m
