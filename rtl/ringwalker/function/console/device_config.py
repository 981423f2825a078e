"""The device configuration of the console: the size of the terminal, and the emergency write."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import RegisterPort
from ...spec.console import CONSOLE_CONFIG, ConsoleFeature
from ...spec.modern import PAGE

__all__ = ["ConsoleConfigFace", "console_features"]

_SIZE_DWORD = CONSOLE_CONFIG.cols.offset // 4
_EMERGENCY_DWORD = CONSOLE_CONFIG.emerg_wr.offset // 4


def console_features(config: DeviceConfig) -> int:
    """The feature bits that the console function offers, as a mask."""
    return 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE


class ConsoleConfigFace(Component):
    """Shows columns and rows, and passes on what is written to ``emerg_wr``; other writes have no effect.

    Members: ``registers`` (In, ``RegisterPort``; of ``offset`` only the part inside a page counts), ``cols``
    and ``rows`` (In), ``emergency`` (Out: a pulse for each emergency write) with ``byte`` (Out 8),
    ``generation`` (Out: goes up in the cycle in which the size that the driver sees changes),
    ``config_change`` (Out: a pulse with it). The first size after reset is no change. One cycle a
    read. Ref: virtio 1.4, 5.3.4, 5.3.5 and 2.5.1.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "cols": In(16, init=config.settings.cols),
                "rows": In(16, init=config.settings.rows),
                "emergency": Out(1),
                "byte": Out(8),
                "generation": Out(8),
                "config_change": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        size, started = Signal(32), Signal()
        now = Cat(self.cols, self.rows)
        m.d.sync += [started.eq(1), size.eq(now), self.config_change.eq(0)]
        with m.If(started & (size != now)):
            m.d.sync += [self.generation.eq(self.generation + 1), self.config_change.eq(1)]

        request, response = self.registers.requests, self.registers.responses
        dword = request.p.offset[2 : PAGE.bit_length() - 1]
        m.d.comb += [
            request.ready.eq(~response.valid | response.ready),
            self.byte.eq(request.p.data[:8]),
        ]
        with m.If(request.ready):
            m.d.sync += [response.valid.eq(request.valid & ~request.p.write), response.p.data.eq(0)]
            with m.Switch(dword):
                with m.Case(_SIZE_DWORD):
                    m.d.sync += response.p.data.eq(size)
                with m.Case(_EMERGENCY_DWORD):
                    m.d.comb += self.emergency.eq(request.valid & request.p.write & request.p.strobe[0])
        return m
