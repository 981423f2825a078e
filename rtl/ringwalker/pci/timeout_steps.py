"""The clock of completion time-outs, where software chooses how long they are."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..dma.reader import TIMEOUT_STEPS
from ..spec.pcie import COMPLETION_TIMEOUTS_US
from .endpoint import EdgeConfig

__all__ = ["TimeoutSteps", "timeout_cycles"]


def timeout_cycles(config: EdgeConfig, code: int) -> int:
    """The completion time-out that ``code`` of device control 2 stands for: the middle of its range.

    Code 0, and those that are reserved, stand for that of the configuration.
    """
    if code not in COMPLETION_TIMEOUTS_US:
        return config.completion_timeout
    return sum(COMPLETION_TIMEOUTS_US[code]) * config.clock_mhz // 2


class TimeoutSteps(Component):
    """Makes the steps that readers count.

    A time-out has ``TIMEOUT_STEPS`` of them, so it comes up to a part of as many earlier.

    Ref: PCIe 3.1, 2.8 (completion time-out), 7.8.16 (device control 2)
    """

    code: In(4)
    """As software wrote it. A change begins a new step."""
    disable: In(1)
    """There are no steps, so nothing times out."""
    step: Out(1)
    """Pulse, from a register."""

    def __init__(self, config: EdgeConfig):
        self._periods = {
            code: max(1, timeout_cycles(config, code) // TIMEOUT_STEPS)
            for code in (0, *COMPLETION_TIMEOUTS_US)
        }
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        count, before = Signal(range(max(self._periods.values()))), Signal(4)
        ends, last = Signal(), Signal.like(count)
        m.d.comb += last.eq(self._periods[0] - 1)
        with m.Switch(before):
            for code, period in self._periods.items():
                with m.Case(code):
                    m.d.comb += last.eq(period - 1)
        m.d.comb += ends.eq(count == last)
        m.d.sync += [before.eq(self.code), count.eq(count + 1), self.step.eq(ends & ~self.disable)]
        with m.If(ends | (self.code != before)):
            m.d.sync += count.eq(0)
        return m
