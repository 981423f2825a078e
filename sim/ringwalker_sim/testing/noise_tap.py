"""A small device that takes noise on request, and shows what its other ports have undriven."""

import enum
from typing import Any

from amaranth.hdl import Array, Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.component import Component
from ringwalker.streams import stream_of

from .traffic import RegisterFace, tlp_ports

__all__ = ["LEVEL", "WIDE", "NoiseTap", "Shown"]

LEVEL, WIDE = 0x1234, 0x89AB_CDEF << 64 | 0x7654_3210


class Shown(enum.IntEnum):
    """What register ``errors`` reads as; the CPU writes it into register ``source``."""

    NOISE = 0
    """Word number ``chunks`` of the beat that was taken last."""
    LEVEL = 1
    WIDE_LOW = 2
    WIDE_HIGH = 3
    SPARE = 4
    """How many bytes of stream ``spare`` somebody took."""
    BEATS = 5
    """How many beats of noise were taken."""


class NoiseTap(Component):
    """Takes a beat of noise for each write of register ``control``; all while ``destination`` is 1."""

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                **tlp_ports(data_width),
                "noise": In(stream_of(data_width)),
                "level": In(16, init=LEVEL),
                "wide": In(96, init=WIDE),
                "spare": Out(stream_of(8)),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        connect(m, face.i, flipped(self.completer_request))
        connect(m, flipped(self.completer_completion), face.o)
        beat, wanted = Signal(self.data_width), Signal(32)
        spare, beats = Signal(32), Signal(32)
        taken: Any = self.noise.valid & self.noise.ready
        shown = Array(
            [
                beat.word_select(face.registers.chunks[:4], 32),
                self.level,
                self.wide[:32],
                self.wide[64:],
                spare,
                beats,
            ]
        )
        m.d.comb += [
            self.noise.ready.eq((wanted != 0) | face.registers.destination[0]),
            self.spare.valid.eq(1),
            face.done.eq(1),
            face.errors.eq(shown[face.registers.source[:3]]),
        ]
        m.d.sync += [
            wanted.eq(wanted + face.started - (taken & (wanted != 0))),
            spare.eq(spare + (self.spare.valid & self.spare.ready)),
            beats.eq(beats + taken),
        ]
        with m.If(taken):
            m.d.sync += beat.eq(self.noise.payload)
        return m
