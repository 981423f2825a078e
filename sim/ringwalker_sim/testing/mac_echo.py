"""A small device that sends back every frame it receives, and breaks a rule of its MAC port on request."""

import enum
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Out, connect, flipped

from ringwalker.buffers import StreamFifo
from ringwalker.component import Component
from ringwalker.interfaces import MacPort
from ringwalker.streams import byte_beat

from .traffic import RegisterFace, tlp_ports

__all__ = ["MacEcho", "MacOffence"]


class MacOffence(enum.IntEnum):
    """What to do wrong, as the CPU writes it into register ``destination``."""

    NONE = 0
    EMPTY_BEAT = 1
    """``count`` is 0 in every beat."""
    FIRST_TWICE = 2
    """``first`` in every beat."""
    UNSTABLE = 3
    """The payload changes while it waits."""
    WITHDRAWN = 4
    """``valid`` falls every other cycle."""


class MacEcho(Component):
    """``mac.rx`` to ``mac.tx`` through 16 beats of buffer. Register ``errors`` reads as ``link_up``."""

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__({**tlp_ports(data_width), "mac": Out(MacPort(data_width))})

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        m.submodules.fifo = fifo = StreamFifo(byte_beat(self.data_width), 16)
        connect(m, face.i, flipped(self.completer_request))
        connect(m, flipped(self.completer_completion), face.o)
        connect(m, fifo.i, flipped(self.mac.rx))
        tx, beat, offence = self.mac.tx, fifo.o.p, face.registers.destination[:3]
        phase = Signal()
        m.d.sync += phase.eq(~phase)
        m.d.comb += [
            face.errors.eq(self.mac.link_up),
            tx.valid.eq(fifo.o.valid & ~((offence == MacOffence.WITHDRAWN) & phase)),
            fifo.o.ready.eq(tx.ready & tx.valid),
            tx.p.eq(beat),
            tx.p.count.eq(Mux(offence == MacOffence.EMPTY_BEAT, 0, beat.count)),
            tx.p.first.eq(beat.first | (offence == MacOffence.FIRST_TWICE)),
            tx.p.error.eq(beat.error ^ ((offence == MacOffence.UNSTABLE) & phase)),
        ]
        return m
