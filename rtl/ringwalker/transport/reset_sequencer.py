"""Carries out resets, and makes a device quiet that failed: stop, forget, rewrite rows, report."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import QueueClear, QueueRestore, QueueWrite
from ..spec.modern import NO_VECTOR
from ..streams import QUEUE_BITS
from .quiet import QUIET_CYCLES, when_quiet

__all__ = ["CLOSE_CYCLES", "DRAIN_CYCLES", "STOP_CYCLES", "ResetSequencer"]

DRAIN_CYCLES = 1000
"""How long the chains of a queue's lane may take to finish before a reset of the queue forgets them."""

STOP_CYCLES = 1900
"""How long after a request the host may take to answer reads before they are not waited for."""

CLOSE_CYCLES = 4
"""Cycles from the fall of ``ready`` to the first write: more than a register write that was already taken by
CommonConfig needs to reach the queue table."""


class ResetSequencer(Component):
    """Resets all queues after power-up and on ``device_request``, one queue on ``queue_request``.

    ```
    device_request ──────────────► STOP ──► FLUSH ──► SETTLE ──► rows ──► device_done, queue_done
    queue_request ────► DRAIN ──────▲  └─ halted in time ──▲  └─► RESTORE ─▲ (if a lane was flushed)
    failed ────────────────────────► STOP ──► FLUSH
    ```

    However much is in flight, a request takes no longer than the host takes to answer the reads that it was
    asked for, and a queue request ``DRAIN_CYCLES`` more; and no longer than ``STOP_CYCLES``. That is beside
    the time in which what has left the walkers leaves the device. Register accesses go on meanwhile, since
    the answers may stand behind the host's writes. Then a row a cycle: ``ready`` is low for ``CLOSE_CYCLES``
    + rows cycles. A device request goes before a queue request, and makes it superfluous if rows were not
    rewritten yet: then only ``device_done`` is given.

    Ref: virtio 1.4, 2.4 (device reset), 2.6.1 (virtqueue reset), 4.1.4.3.1.
    """

    device_request: In(1)
    """Level; must fall in the cycle after ``device_done``."""
    queue_request: In(1)
    """Level; must fall, or name the next queue, in the cycle after ``queue_done``."""
    queue_index: In(QUEUE_BITS)
    """The queue of ``queue_request``."""
    failed: In(1)
    """Level, until ``clearing``: the device is to become quiet, and stay so until its reset."""
    halted: In(1)
    """All blocks that ``whole`` speaks of are idle."""
    departed: In(1)
    """Nothing of them is on its way to the link."""
    answered: In(1)
    """Nothing of them is in flight at the host."""
    settled: In(1)
    """Nothing that was sent before is still in the device."""
    halt: Out(1)
    """Nothing new is to begin: from the cycle after a request until done, and during power-up."""
    whole: Out(1, init=1)
    """What ``halt``, ``stop``, ``flush``, ``halted``, ``departed`` and ``answered`` are about: 1 for the
    device, 0 for the lane of the queue ``queue_index`` alone."""
    stop: Out(1)
    """Nothing is asked of the host any more, up to and with ``flush``."""
    flush: Out(1)
    """Pulse: forget everything in flight."""
    hold: Out(1)
    """Nothing is to leave the device that is not on its way already."""
    forget: Out(1)
    """Level, while a device reset or power-up ends: what the driver has not been notified of is void."""
    table_write: Out(QueueWrite())
    """Rows in their reset state."""
    clear: Out(QueueClear())
    """The ring positions of the same queue."""
    restore: Out(QueueRestore())
    """After ``flush`` of a single lane: its queues but ``queue_index`` go on. It comes for all queues."""
    clearing: Out(1)
    """Pulse at a device reset once all is quiet: forget everything else."""
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
        count, age = Signal(range(max(QUIET_CYCLES, CLOSE_CYCLES))), Signal(range(STOP_CYCLES + 1))
        for_device, for_queue = Signal(), Signal()
        # Everything is forgotten already; there is something to report; a lane has other queues.
        flushed, reports, restores = Signal(), Signal(), Signal()

        def stop_all() -> None:
            m.d.sync += [self.whole.eq(1), count.eq(0), age.eq(0), reports.eq(self.device_request)]
            m.next = "STOP"

        with m.If(~self.failed):
            m.d.sync += flushed.eq(0)
        with m.If(age != STOP_CYCLES):
            m.d.sync += age.eq(age + 1)

        with m.FSM(init="REWRITE_ROWS") as fsm:
            with m.State("WAIT_REQUEST"):
                m.d.sync += [count.eq(0), age.eq(0)]
                with m.If(self.device_request | (self.failed & ~flushed)):
                    stop_all()
                with m.Elif(self.queue_request):
                    m.d.sync += [self.whole.eq(0), reports.eq(1), restores.eq(0)]
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                when_quiet(m, count, self.halted, "SETTLE")
                with m.If(age == DRAIN_CYCLES - 1):
                    m.d.sync += count.eq(0)
                    m.next = "STOP"
                with m.If(self.device_request | (self.failed & ~flushed)):
                    stop_all()
            with m.State("STOP"):
                when_quiet(m, count, self.departed & (self.answered | (age == STOP_CYCLES)), "FLUSH")
                with m.If(self.device_request & ~self.whole):
                    # More has to become quiet than was waited for so far.
                    stop_all()
            with m.State("FLUSH"):
                m.d.sync += [flushed.eq(self.failed & self.whole), restores.eq(~self.whole), index.eq(0)]
                m.next = "SETTLE"
                with m.If(~reports):
                    m.next = "WAIT_REQUEST"
            with m.State("SETTLE"):
                when_quiet(m, count, self.settled, "RESTORE")
                with m.If(self.device_request & ~self.whole):
                    stop_all()
            with m.State("RESTORE"):
                m.d.sync += index.eq(index + 1)
                m.d.comb += self.restore.en.eq(restores)
                with m.If(~restores | (index == last_queue)):
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
            self._levels(m, fsm, index)
        return m

    def _levels(self, m: Any, fsm: Any, index: Any) -> None:
        """What is up in which state; rows are written from ``index``."""
        rewriting = fsm.ongoing("REWRITE_ROWS")
        closing = fsm.ongoing("SETTLE") | fsm.ongoing("RESTORE") | fsm.ongoing("WAIT_REGISTERS")
        m.d.comb += [
            self.halt.eq(~fsm.ongoing("WAIT_REQUEST")),
            self.stop.eq(fsm.ongoing("STOP") | fsm.ongoing("FLUSH")),
            self.flush.eq(fsm.ongoing("FLUSH")),
            self.hold.eq(fsm.ongoing("SETTLE")),
            self.forget.eq(self.whole & (closing | rewriting)),
            self.ready.eq(~rewriting & ~fsm.ongoing("WAIT_REGISTERS")),
            self.table_write.en.eq(rewriting),
            self.table_write.index.eq(index),
            self.table_write.mask.eq(-1),
            self.table_write.row.size.eq(self.config.queue_size),
            self.table_write.row.vector.eq(NO_VECTOR),
            self.clear.en.eq(rewriting),
            self.clear.index.eq(index),
            self.restore.index.eq(index),
        ]
