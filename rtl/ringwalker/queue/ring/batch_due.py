"""When a batch of used buffers is to be written: at once, or under load when it is full or old."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from .limits import HOLD_CYCLES

__all__ = ["BatchDue"]


class BatchDue(Component):
    """Decides when the batch that is being gathered is due. Latency: 0 cycles from ``full`` and ``hold``."""

    waiting: In(1)
    """Something has been gathered."""
    full: In(1)
    """It does not grow any more."""
    taken: In(1)
    """It is taken; what waits after this cycle is a new one."""
    hold: In(1)
    """There is load, so it may wait to become full, for ``HOLD_CYCLES`` at most."""
    due: Out(1)

    def elaborate(self, platform):
        m: Any = Module()
        age, old = Signal(range(HOLD_CYCLES + 1)), Signal()
        with m.If(self.taken | ~self.waiting):
            m.d.sync += [age.eq(0), old.eq(0)]
        with m.Elif(~old):
            m.d.sync += [age.eq(age + 1), old.eq(age == HOLD_CYCLES - 1)]
        m.d.comb += self.due.eq(self.waiting & (~self.hold | self.full | old))
        return m
