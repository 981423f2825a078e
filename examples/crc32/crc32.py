"""A CRC-32 accelerator: bytes in, four bytes out, a beat a cycle."""

from functools import reduce
from operator import xor
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In

from ringwalker.component import Component
from ringwalker.function.kind import FunctionKind
from ringwalker.interfaces import ChainPort


def divided(byte: int) -> int:
    """The remainder of ``byte`` after eight steps of division by the polynomial of Ethernet."""
    for _ in range(8):
        byte = byte >> 1 ^ 0xEDB88320 * (byte & 1)
    return byte


class Crc32(Component):
    """Answers every chain with the CRC-32 of its device-readable bytes, 1 cycle after the last beat.

    ``chain`` In(ChainPort(W)) is its only port. A chain with room for less than four bytes is finished with
    nothing written, and so is one whose bytes could not be read.
    """

    def __init__(self, config):
        self._beat_bytes = config.data_width // 8
        super().__init__({"chain": In(ChainPort(config.data_width))})

    def elaborate(self, platform):
        m: Any = Module()
        chains, beats, replies = self.chain.chains, self.chain.readable, self.chain.replies
        rest, room = Signal(32), Signal()
        after = rest
        for n in range(self._beat_bytes):
            before, after, byte = after, Signal(32, name=f"after_{n}"), Signal(8, name=f"byte_{n}")
            terms = (Mux(byte[bit], divided(1 << bit), 0) for bit in range(8))
            m.d.comb += byte.eq(before ^ beats.p.data.word_select(n, 8))
            m.d.comb += after.eq(Mux(n < beats.p.count, reduce(xor, terms, before >> 8), before))
        m.d.comb += replies.p.data.eq(~rest)
        m.d.comb += [replies.p[name].eq(1) for name in ("first", "last", "done")]
        m.d.comb += [replies.p[name].eq(Mux(room, 4, 0)) for name in ("count", "length", "written")]
        with m.FSM():
            with m.State("WAIT_CHAIN"):
                m.d.comb += [chains.ready.eq(1), self.chain.idle.eq(1)]
                m.d.sync += [rest.eq(-1), room.eq(chains.p.writable >= 4)]
                with m.If(chains.valid):
                    m.next = "WAIT_BYTES"
                    with m.If(chains.p.readable == 0):
                        m.next = "WAIT_REPLY"
            with m.State("WAIT_BYTES"):
                m.d.comb += beats.ready.eq(1)
                with m.If(beats.valid):
                    m.d.sync += [rest.eq(after), room.eq(room & ~beats.p.error)]
                    with m.If(beats.p.last):
                        m.next = "WAIT_REPLY"
            with m.State("WAIT_REPLY"):
                m.d.comb += replies.valid.eq(1)
                with m.If(replies.ready):
                    m.next = "WAIT_CHAIN"
        return m


KIND = FunctionKind("crc32", device_type=0x40, component=Crc32, simulation="crc32_driver:SIMULATION")
