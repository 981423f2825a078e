"""Writes of an AXI master as whole words of the bus."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import stream_of
from .axi_ports import ADDRESS_BITS, LINE_BITS, AxiPort

__all__ = ["FIXED", "WRAP", "WordGather", "next_address", "word_beat"]

FIXED, WRAP = 0, 2
"""Kinds of burst; all else is taken for INCR."""


def next_address(address: Any, size: Any) -> Any:
    """The low 12 bits of the address of the beat after that at ``address``, in a burst of kind INCR."""
    step: Any = Const(1, 8) << size
    return ((address[:12] & ~(step - 1)[:12]) + step)[:12]


def word_beat(data_width: int) -> data.StructLayout:
    """A word of a write: ``address`` of its first byte, a bit of ``strobe`` for each byte that is written.

    ``last`` ends the transaction ``line``; ``alone``: the next word does not follow in memory; ``bad``: the
    transaction is one that cannot be done.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "data": unsigned(data_width),
            "strobe": unsigned(data_width // 8),
            "line": unsigned(LINE_BITS),
            "last": 1,
            "alone": 1,
            "bad": 1,
        }
    )


class WordGather(Component):
    """Takes the write transactions of an AXI master; beats that lie in one word become one word.

    Bursts are of kind INCR or FIXED; one of kind WRAP is bad. Parameters: ``data_width`` (W) of the words, 64
    to 512 bits; ``bus_width``, that of the bus, W or a part of it.

    Members:

    - ``bus`` In(AxiPort(bus_width)), of which the channels AW and W are used here
    - ``words`` Out stream of word_beat(W)
    - ``idle`` Out 1: nothing is in flight

    Latency: 1 cycle from a beat to its word. Throughput: a beat a cycle, and a cycle for each transaction.
    Ref: AMBA AXI, IHI 0022E, A3.4
    """

    def __init__(self, data_width: int, bus_width: int):
        self._width, self._bus_width = data_width, bus_width
        super().__init__(
            {
                "bus": In(AxiPort(bus_width)),
                "words": Out(stream_of(word_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        bus, words = self.bus, self.words
        width = self._width
        word_bits, parts = (width // 8 - 1).bit_length(), width // self._bus_width
        part_bits = (self._bus_width // 8 - 1).bit_length()
        active, address, size = Signal(), Signal(ADDRESS_BITS), Signal(3)
        line, fixed, bad = Signal(LINE_BITS), Signal(), Signal()
        kept: Any = Signal(width)
        strobes: Any = Signal(width // 8)
        here: Any = address[part_bits:word_bits] if parts > 1 else Const(0, 1)
        strobe, following, free, ends = Signal(width // 8), Signal(12), Signal(), Signal()
        merged: Any = Signal(width)
        m.d.comb += [
            strobe.eq(bus.wstrb << (here * (self._bus_width // 8))),
            following.eq(next_address(address, size)),
            free.eq(~words.valid | words.ready),
            ends.eq(bus.wlast | fixed | (following[word_bits:] != address[word_bits:12])),
            bus.awready.eq(~active),
            bus.wready.eq(active & free),
            self.idle.eq(~active & ~words.valid),
        ]
        beat: Any = bus.wdata.replicate(parts)
        for n in range(width // 8):
            byte = slice(8 * n, 8 * n + 8)
            m.d.comb += merged[byte].eq(Mux(strobe[n], beat[byte], kept[byte]))
        with m.If(words.ready):
            m.d.sync += words.valid.eq(0)
        with m.If(~active):
            m.d.sync += [
                active.eq(bus.awvalid),
                address.eq(bus.awaddr),
                size.eq(bus.awsize),
                line.eq(bus.awid),
                fixed.eq(bus.awburst == FIXED),
                bad.eq(bus.awburst == WRAP),
                strobes.eq(0),
            ]
        with m.Elif(bus.wvalid & free):
            m.d.sync += [kept.eq(merged), strobes.eq(Mux(ends, 0, strobes | strobe))]
            with m.If(~fixed):
                m.d.sync += address.eq(Cat(following, address[12:]))
            with m.If(ends):
                m.d.sync += [
                    words.valid.eq(1),
                    words.p.address.eq(Cat(Const(0, word_bits), address[word_bits:])),
                    words.p.data.eq(merged),
                    words.p.strobe.eq(strobes | strobe),
                    words.p.line.eq(line),
                    words.p.last.eq(bus.wlast),
                    words.p.alone.eq(fixed),
                    words.p.bad.eq(bad),
                ]
            with m.If(bus.wlast):
                m.d.sync += active.eq(0)
        return m
