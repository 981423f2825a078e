"""A device that does nothing but read or write memory, as fast as the link lets it."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring

from ringwalker.component import Component
from ringwalker.spec.tlp import CompletionStatus, RequestKind

from .traffic import RegisterFace, tlp_ports

__all__ = ["LoadRegisters", "MemoryLoad"]

_TAG_BITS = 8

LoadRegisters: Any = data.StructLayout(
    {
        "address": 64,
        "length": 32,
        "count": 32,
        "write": 32,
        "control": 32,
        "done": 32,
        "errors": 32,
    }
)
"""What the CPU writes, dword by dword at offset 0 of memory space.

Writing ``control`` starts ``count`` requests of ``length`` bytes: writes if ``write`` is not 0, else reads.
``done`` (read only) is 1 when all have ended, ``errors`` (read only) counts completions without data.
"""


class MemoryLoad(Component):
    """Sends a request whenever it may, one after another over ``window`` bytes from ``address`` on.

    Lengths are powers of two from a beat to the limits of the host, ``address`` is a multiple of the length.
    Every byte of a write is 0x5A. Up to 256 reads are in flight. ``intx`` is ``done``.
    """

    def __init__(self, data_width: int, window: int = 1 << 16):
        self.data_width, self.window = data_width, window
        super().__init__(tlp_ports(data_width))

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width, LoadRegisters)
        m.submodules.face = face
        wiring.connect(m, face.i, wiring.flipped(self.completer_request))
        wiring.connect(m, wiring.flipped(self.completer_completion), face.o)
        registers, o, i = face.registers, self.requester_request, self.requester_completion
        busy: Any = Signal(1 << _TAG_BITS)
        tag, flying = Signal(_TAG_BITS), Signal(_TAG_BITS + 1)
        left, position, beat = (
            Signal(32),
            Signal(range(self.window)),
            Signal(range(4096 * 8 // self.data_width)),
        )
        errors, running = Signal(32), Signal()
        beats: Any = registers.length >> (self.data_width // 8 - 1).bit_length()
        write = registers.write != 0
        advance = ~o.valid | o.ready
        begins = running & (left != 0) & (beat == 0) & (write | ~busy.bit_select(tag, 1))
        ended = Signal()
        m.d.comb += [
            i.ready.eq(1),
            ended.eq(
                i.valid & i.p.last & (~i.p.header.has_data | (i.p.header.byte_count <= i.p.header.length * 4))
            ),
            self.intx.eq(face.done),
            face.errors.eq(errors),
            o.p.data.eq(Const(0x5A, 8).replicate(self.data_width // 8)),
            o.p.header.first_be.eq(0xF),
            o.p.header.last_be.eq(0xF),
            o.p.header.requester_id.eq(face.requester_id),
        ]
        m.d.sync += errors.eq(errors + (ended & (i.p.header.status != CompletionStatus.SUCCESS)))
        asked = Signal()
        m.d.comb += asked.eq(advance & begins & ~write)
        m.d.sync += flying.eq(flying + asked - ended)
        with m.If(ended):
            m.d.sync += busy.bit_select(i.p.header.tag, 1).eq(0)
        with m.If(asked):
            m.d.sync += busy.bit_select(tag, 1).eq(1)
        with m.If(advance):
            m.d.sync += o.valid.eq(0)
            with m.If(begins | (beat != 0)):
                m.d.sync += [
                    o.valid.eq(1),
                    o.p.first.eq(beat == 0),
                    o.p.last.eq(~write | (beat == beats - 1)),
                    o.p.dwords.eq(Mux(write, Const(-1, self.data_width // 32), 0)),
                ]
                m.d.sync += beat.eq(Mux(~write | (beat == beats - 1), 0, beat + 1))
            with m.If(begins):
                m.d.sync += [
                    o.p.header.kind.eq(Mux(write, RequestKind.MEMORY_WRITE, RequestKind.MEMORY_READ)),
                    o.p.header.address.eq(registers.address + position),
                    o.p.header.length.eq(registers.length >> 2),
                    o.p.header.tag.eq(tag),
                    left.eq(left - 1),
                    position.eq(position + registers.length),
                    tag.eq(tag + ~write),
                ]
        with m.If(face.started):
            m.d.sync += [running.eq(1), left.eq(registers.count), errors.eq(0), face.done.eq(0)]
        with m.Elif(running & (left == 0) & (beat == 0) & ~o.valid & (flying == 0)):
            m.d.sync += [running.eq(0), face.done.eq(1)]
        return m
