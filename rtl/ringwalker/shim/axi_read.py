"""Reads of an AXI master as memory reads of PCI Express."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import StreamFifo
from ..component import Component
from ..dma.reader import DmaReader
from ..spec.tlp import completion_beat, request_beat
from ..streams import stream_of
from ..tlp.tags import TagRange
from .axi_gather import FIXED, WRAP, next_address
from .axi_ports import LINE_BITS, AxiPort

__all__ = ["AxiReader"]

_SLVERR = 2
_READS = 16
"""Reads in flight."""

_BURSTS = 8
"""Transactions in flight."""


class Burst(data.Struct):
    """A read transaction whose data is to come: its first address (low bits), and its beats less one."""

    address: unsigned(12)
    beats: unsigned(8)
    size: unsigned(3)
    fixed: unsigned(1)
    bad: unsigned(1)
    line: unsigned(LINE_BITS)


class AxiReader(Component):
    """Makes memory reads of the read transactions of an AXI master, and answers them in their order.

    A read asks for whole words of W bits, so also for bytes beside those that the transaction is about. What
    the host does not supply is answered with SLVERR, and so is a transaction of kind WRAP, which reads
    nothing.

    Parameters: ``data_width`` (W) of the TLPs; ``bus_width``, W or a part of it; ``max_read_request``, the
    largest; ``timeout_cycles`` of a :class:`~ringwalker.dma.reader.DmaReader`.

    Members:

    - ``bus`` In(AxiPort(bus_width)), of which the channels AR and R are used here
    - ``requests`` Out stream of request_beat(W): ``requester_id`` is 0
    - ``completions`` In stream of completion_beat(W): ready is always 1
    - ``limit`` In 13: the maximum read request size
    - ``enable`` In 1: bus mastering is enabled; at 0 reads end with an error
    - ``flush`` In 1: all transactions are void
    - ``answered`` Out 1: no answer of the host is to come
    - ``failed``, ``unsupported``, ``aborted``, ``unexpected``, ``timed_out`` Out 1: those of DmaReader
    - ``idle`` Out 1: nothing is in flight

    Ref: AMBA AXI, IHI 0022E, A3.4; PCIe 3.1, 2.2.7
    """

    def __init__(self, data_width: int, bus_width: int, max_read_request: int, timeout_cycles: int):
        self._width, self._bus_width = data_width, bus_width
        self._slot, self._timeout = max_read_request, timeout_cycles
        pulses = ("failed", "unsupported", "aborted", "unexpected", "timed_out")
        super().__init__(
            {
                "bus": In(AxiPort(bus_width)),
                "requests": Out(stream_of(request_beat(data_width))),
                "completions": In(stream_of(completion_beat(data_width))),
                "limit": In(13),
                "enable": In(1),
                "flush": In(1),
                "answered": Out(1),
                **{name: Out(1) for name in pulses},
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.reader = reader = DmaReader(self._width, TagRange(0, _READS), self._slot, self._timeout)
        m.submodules.bursts = bursts = StreamFifo(Burst, _BURSTS)
        connect(m, reader.requests, flipped(self.requests))
        connect(m, flipped(self.completions), reader.completions)
        m.d.comb += [reader.abort.eq(~self.enable), reader.flush.eq(self.flush)]
        for name in ("answered", "failed", "unsupported", "aborted", "unexpected", "timed_out"):
            m.d.comb += getattr(self, name).eq(getattr(reader, name))
        asking = self._ask(m, reader.port.requests, bursts.i)
        self._answer(m, reader.port.data, bursts.o)
        m.d.comb += self.idle.eq(~asking & reader.idle & bursts.idle)
        return m

    def _ask(self, m: Any, requests: Any, bursts: Any) -> Any:
        """The reads of each transaction; whether one is in flight."""
        bus = self.bus
        low = (self._width // 8 - 1).bit_length()
        asking, address, left, room = Signal(), Signal(64), Signal(14), Signal(13)
        first, total, fixed, bad = Signal(64), Signal(14), Signal(), Signal()
        # All bytes from the begin of the first word to the end of the last beat.
        begin = bus.araddr[:low] >> bus.arsize << bus.arsize
        beats = Mux(fixed, 1, bus.arlen + 1)
        m.d.comb += [
            fixed.eq(bus.arburst == FIXED),
            bad.eq(bus.arburst == WRAP),
            first.eq(Cat(Const(0, low), bus.araddr[low:])),
            total.eq((begin + (beats << bus.arsize) + (1 << low) - 1) >> low << low),
            bus.arready.eq(~asking & bursts.ready),
            bursts.valid.eq(~asking & bus.arvalid),
            bursts.p.address.eq(bus.araddr),
            bursts.p.beats.eq(bus.arlen),
            bursts.p.size.eq(bus.arsize),
            bursts.p.fixed.eq(fixed),
            bursts.p.bad.eq(bad),
            bursts.p.line.eq(bus.arid),
            room.eq(self.limit - (address[:12] & (self.limit - 1)[:12])),
            requests.valid.eq(asking),
            requests.p.address.eq(address),
            requests.p.length.eq(Mux(left < room, left, room)),
        ]
        with m.If(~asking):
            m.d.sync += [
                asking.eq(bus.arvalid & bursts.ready & ~bad),
                address.eq(first),
                left.eq(total),
            ]
        with m.Elif(requests.ready):
            m.d.sync += [
                asking.eq(left > room),
                address.eq(address + room),
                left.eq(left - room),
            ]
        with m.If(self.flush):
            m.d.sync += asking.eq(0)
        return asking

    def _answer(self, m: Any, words: Any, bursts: Any) -> None:
        """The beats of each transaction."""
        bus, burst = self.bus, bursts.p
        low, parts = (self._width // 8 - 1).bit_length(), self._width // self._bus_width
        part_bits = (self._bus_width // 8 - 1).bit_length()
        inside, kept, number = Signal(), Signal(12), Signal(8)
        address, following = Signal(12), Signal(12)
        lane: Any = address[part_bits:low] if parts > 1 else Const(0, 1)
        m.d.comb += [
            address.eq(Mux(inside, kept, burst.address)),
            following.eq(next_address(address, burst.size)),
            bus.rvalid.eq(bursts.valid & (words.valid | burst.bad)),
            bus.rid.eq(burst.line),
            bus.rdata.eq(words.p.data.word_select(lane, self._bus_width)),
            bus.rlast.eq(number == burst.beats),
            bus.rresp.eq(Mux(burst.bad | words.p.error, _SLVERR, 0)),
        ]
        leaves: Any = ~burst.fixed & (following[low:] != address[low:])
        with m.If(bus.rvalid & bus.rready):
            m.d.comb += [words.ready.eq(~burst.bad & (bus.rlast | leaves)), bursts.ready.eq(bus.rlast)]
            m.d.sync += kept.eq(Mux(burst.fixed, address, following))
            m.d.sync += [inside.eq(~bus.rlast), number.eq(Mux(bus.rlast, 0, number + 1))]
        with m.If(self.flush):
            m.d.sync += [inside.eq(0), number.eq(0)]
            m.d.comb += bursts.ready.eq(1)
