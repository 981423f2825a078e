"""A small device that sends back every byte it receives, and breaks a rule of its UART port on request."""

import enum
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.buffers import StreamFifo
from ringwalker.component import Component
from ringwalker.interfaces import UartPort

from .traffic import RegisterFace, tlp_ports

__all__ = ["UartEcho", "UartOffence"]


class UartOffence(enum.IntEnum):
    """What to do wrong, as the CPU writes it into register ``destination``."""

    NONE = 0
    UNSTABLE = 1
    """The byte changes while it waits."""
    WITHDRAWN = 2
    """``valid`` falls every other cycle."""


class UartEcho(Component):
    """``uart.rx`` to ``uart.tx`` through 16 bytes of buffer. Register ``errors``: ``cols`` + ``rows``."""

    def __init__(self, data_width: int):
        self.data_width = data_width
        ports = {"uart": Out(UartPort()), "cols": In(16), "rows": In(16)}
        super().__init__({**tlp_ports(data_width), **ports})

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        m.submodules.fifo = fifo = StreamFifo(8, 16)
        connect(m, face.i, flipped(self.completer_request))
        connect(m, flipped(self.completer_completion), face.o)
        connect(m, fifo.i, flipped(self.uart.rx))
        tx, offence, phase = self.uart.tx, face.registers.destination[:2], Signal()
        m.d.sync += phase.eq(~phase)
        m.d.comb += [
            face.errors.eq(self.cols + self.rows),
            tx.valid.eq(fifo.o.valid & ~((offence == UartOffence.WITHDRAWN) & phase)),
            fifo.o.ready.eq(tx.ready & tx.valid),
            tx.p.eq(fifo.o.p ^ ((offence == UartOffence.UNSTABLE) & phase)),
        ]
        return m
