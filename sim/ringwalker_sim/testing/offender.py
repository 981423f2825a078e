"""A device that breaks rules on command, to see that they are checked."""

import enum
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring

from ringwalker.component import Component
from ringwalker.spec.tlp import RequestKind

from .traffic import RegisterFace, tlp_ports

__all__ = ["Offence", "Offender", "RawRequest"]


class Offence(enum.Flag):
    """What the device does wrong."""

    UNSTABLE = 1
    WITHDRAWN = 2
    FIRST = 4
    LAST = 8
    DWORDS = 16
    REQUESTER = 32
    HEADER = 64


RawRequest: Any = data.StructLayout(
    {
        "length": 11,
        "first_be": 4,
        "last_be": 4,
        "tag": 8,
        "kind": 4,
        "pad": 1,
        "offence": 8,
        "unused": 24,
    }
)
"""What to send; lies where the copier's ``destination`` is. Its address is the copier's ``source``."""


class Offender(Component):
    """Sends one request packet, exactly as given, when ``control`` is written; ``intx`` while it does.

    Completions for it are taken and forgotten. Payload dwords are 0 and up.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(tlp_ports(data_width))

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        wiring.connect(m, face.i, wiring.flipped(self.completer_request))
        wiring.connect(m, wiring.flipped(self.completer_completion), face.o)
        o, width = self.requester_request, self.data_width // 32
        raw: Any = data.View(RawRequest, face.registers.destination)
        offence = {member: raw.offence[member.value.bit_length() - 1] for member in Offence}
        sent, cycles = Signal(12), Signal(8)
        write = raw.kind == RequestKind.MEMORY_WRITE.value
        left = Mux(write, raw.length, 0) - sent
        last = left <= width
        full = Const(-1, width)
        m.d.comb += [
            self.requester_completion.ready.eq(1),
            self.intx.eq(o.valid),
            o.p.header.kind.eq(raw.kind),
            o.p.header.address.eq(face.registers.source),
            o.p.header.length.eq(raw.length),
            o.p.header.first_be.eq(raw.first_be),
            o.p.header.last_be.eq(raw.last_be),
            o.p.header.tag.eq(raw.tag + (offence[Offence.HEADER] & (sent != 0))),
            o.p.header.requester_id.eq(face.requester_id ^ offence[Offence.REQUESTER]),
            o.p.first.eq((sent == 0) ^ offence[Offence.FIRST]),
            o.p.last.eq(last ^ offence[Offence.LAST]),
            o.p.dwords.eq((Mux(last, ~(full << left[:5]), full) & full) ^ offence[Offence.DWORDS]),
        ]
        for number in range(width):
            word = sent + number + Mux(offence[Offence.UNSTABLE], cycles, 0)
            m.d.comb += o.p.data.word_select(number, 32).eq(word)
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(o.valid & o.ready):
            m.d.sync += [sent.eq(sent + width), o.valid.eq(~last)]
        with m.Elif(offence[Offence.WITHDRAWN]):
            m.d.sync += o.valid.eq(0)
        with m.If(face.started):
            m.d.sync += [o.valid.eq(1), sent.eq(0)]
        return m
