"""Suspends the device when its driver asks for it, and resumes it."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.modern import DeviceStatus
from .quiet import QUIET_CYCLES, when_quiet

__all__ = ["Suspend"]


class Suspend(Component):
    """Brings the device to rest from a write of SUSPEND to one of DRIVER_OK.

    ```
    RUNNING ── SUSPEND written ──► WAIT_TURN ──► WAIT_HALTED ──► WAIT_SETTLED ──► SUSPENDED
       ▲                           (no reset)    (chains end)    (all has left)       │
       └──────────────────────── DRIVER_OK written, or a reset ───────────────────────┘
    ```

    Chains that the device has taken are finished, and the driver is notified of them; those that wait for the
    outside world are used with nothing written. Buffers that were available and not taken stay so. A write
    of either bit counts only where the drawing has an arrow for it.

    Ref: virtio 1.4, 3.4 (Device Suspend), 2.1
    """

    write: In(1)
    """For one cycle: the driver writes ``value`` to the device status."""
    value: In(8)
    running: In(1)
    """The driver may suspend the device: DRIVER_OK is set, and VIRTIO_F_SUSPEND negotiated."""
    abandon: In(1)
    """The device is, or is to be, reset: it runs."""
    busy: In(1)
    """A reset of a queue is in progress. None may begin while ``halt`` is up and ``suspended`` is not."""
    halted: In(1)
    """All that ``halt`` speaks of is idle."""
    settled: In(1)
    """Nothing that was sent before is still in the device."""
    halt: Out(1)
    """Nothing new is to begin."""
    hold: Out(1)
    """The driver is to be notified of nothing more; changes of the configuration wait."""
    suspended: Out(1)
    """The device is at rest."""

    def elaborate(self, platform):
        m: Any = Module()
        count = Signal(range(QUIET_CYCLES))
        suspends = self.write & ((self.value & int(DeviceStatus.SUSPEND)) != 0)
        resumes = self.write & ((self.value & int(DeviceStatus.DRIVER_OK)) != 0)

        with m.FSM() as fsm:
            with m.State("RUNNING"):
                m.d.sync += count.eq(0)
                with m.If(suspends & self.running & ~self.abandon):
                    m.next = "WAIT_TURN"
            with m.State("WAIT_TURN"):
                with m.If(~self.busy):
                    m.next = "WAIT_HALTED"
                with m.If(self.abandon):
                    m.next = "RUNNING"
            with m.State("WAIT_HALTED"):
                when_quiet(m, count, self.halted, "WAIT_SETTLED")
                with m.If(self.abandon):
                    m.next = "RUNNING"
            with m.State("WAIT_SETTLED"):
                when_quiet(m, count, self.settled, "SUSPENDED")
                with m.If(self.abandon):
                    m.next = "RUNNING"
            with m.State("SUSPENDED"):
                with m.If(resumes | self.abandon):
                    m.next = "RUNNING"
            m.d.comb += [
                self.suspended.eq(fsm.ongoing("SUSPENDED")),
                self.hold.eq(fsm.ongoing("WAIT_SETTLED") | self.suspended),
                self.halt.eq(fsm.ongoing("WAIT_HALTED") | self.hold),
            ]
        return m
