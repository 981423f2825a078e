"""Writes of an AXI master as memory writes of PCI Express."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import StreamFifo
from ..component import Component
from ..spec.tlp import RequestKind, request_beat
from ..streams import stream_of
from .axi_gather import WordGather, word_beat
from .axi_ports import ADDRESS_BITS, LINE_BITS, AxiPort

__all__ = ["AxiWriter", "RunCutter", "run"]

_SLVERR = 2


def run(data_width: int) -> data.StructLayout:
    """``words`` words that follow each other, all of them whole, or a single one of which ``strobe`` says
    which bytes are written. ``last``: it is the end of transaction ``line``, which was ``bad`` or not.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "words": unsigned(10),
            "strobe": unsigned(data_width // 8),
            "line": unsigned(LINE_BITS),
            "last": 1,
            "bad": 1,
        }
    )


class RunCutter(Component):
    """Finds runs of whole words, none across a multiple of ``limit``; any other word is a run of its own.

    Members (W is ``data_width``):

    - ``i`` In stream of word_beat(W)
    - ``limit`` In 13: bytes, a power of two up to 4096
    - ``runs`` Out stream of run(W): each after the data of its words
    - ``data`` Out stream of W
    - ``idle`` Out 1: no run has begun that is not on ``runs``

    Latency: 1 cycle from the last word of a run to it.
    """

    def __init__(self, data_width: int):
        self._width = data_width
        super().__init__(
            {
                "i": In(stream_of(word_beat(data_width))),
                "limit": In(13),
                "runs": Out(stream_of(run(data_width))),
                "data": Out(stream_of(data_width)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        word, runs = self.i.p, self.runs
        begin, count = Signal(ADDRESS_BITS), Signal(10)
        whole, free, apart, ends, at_limit = Signal(), Signal(), Signal(), Signal(), Signal()
        after = Signal(12)
        m.d.comb += [
            whole.eq(word.strobe.all()),
            after.eq(word.address[:12] + self._width // 8),
            at_limit.eq((after & (self.limit - 1)[:12]) == 0),
            # A word that is not whole ends the run before it first.
            apart.eq(self.i.valid & ~whole & (count != 0)),
            ends.eq(~whole | word.last | word.alone | at_limit),
            free.eq(~runs.valid | runs.ready),
            self.i.ready.eq(self.data.ready & ~apart & (free | ~ends)),
            self.data.valid.eq(self.i.valid & ~apart & (free | ~ends)),
            self.data.payload.eq(word.data),
            self.idle.eq((count == 0) & ~runs.valid),
        ]
        with m.If(runs.ready):
            m.d.sync += runs.valid.eq(0)
        with m.If(apart & free):
            m.d.sync += [runs.valid.eq(1), runs.p.eq(0), runs.p.address.eq(begin), runs.p.words.eq(count)]
            m.d.sync += [runs.p.strobe.eq(~0), runs.p.bad.eq(word.bad), count.eq(0)]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 0):
                m.d.sync += begin.eq(word.address)
            with m.If(ends):
                m.d.sync += [
                    runs.valid.eq(1),
                    runs.p.address.eq(Mux(count == 0, word.address, begin)),
                    runs.p.words.eq(count + 1),
                    runs.p.strobe.eq(word.strobe),
                    runs.p.line.eq(word.line),
                    runs.p.last.eq(word.last),
                    runs.p.bad.eq(word.bad),
                    count.eq(0),
                ]
        return m


class AxiWriter(Component):
    """Makes memory writes of the write transactions of an AXI master.

    Whole words that follow each other become one TLP, up to the maximum payload. Of a word that is not whole
    each dword is a TLP, so any strobes are right. A transaction is answered when its last TLP was taken, so
    what the master does after that is seen after the data. A transaction of kind WRAP is answered with SLVERR
    and writes nothing; so does, with OKAY, one without bus mastering.

    Parameters: ``data_width`` (W) of the TLPs; ``bus_width``, W or a part of it; ``max_payload`` at most.

    Members:

    - ``bus`` In(AxiPort(bus_width)), of which the channels AW, W and B are used here
    - ``posted`` Out stream of request_beat(W): ``requester_id`` is 0
    - ``limit`` In 13: the maximum payload
    - ``enable`` In 1: bus mastering is enabled
    - ``hold`` In 1: no TLP begins
    - ``between`` Out 1: no TLP has begun that has not ended
    - ``idle`` Out 1: nothing is in flight

    Throughput: a beat a cycle, and a cycle for each TLP. Ref: PCIe 3.1, 2.2.5, 2.2.7
    """

    def __init__(self, data_width: int, bus_width: int, max_payload: int):
        self._width, self._bus_width, self._max_payload = data_width, bus_width, max_payload
        super().__init__(
            {
                "bus": In(AxiPort(bus_width)),
                "posted": Out(stream_of(request_beat(data_width))),
                "limit": In(13),
                "enable": In(1),
                "hold": In(1),
                "between": Out(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        width = self._width
        words = 2 * self._max_payload * 8 // width
        m.submodules.gather = gather = WordGather(width, self._bus_width)
        m.submodules.cutter = cutter = RunCutter(width)
        m.submodules.data = fifo = StreamFifo(width, max(words, 16))
        m.submodules.runs = runs = StreamFifo(run(width), 8)
        bus = flipped(self.bus)
        for name in gather.bus.signature.members:
            member = gather.bus.signature.members[name]
            if name.startswith(("aw", "w")):
                ours, theirs = getattr(bus, name), getattr(gather.bus, name)
                m.d.comb += theirs.eq(ours) if member.flow is In else ours.eq(theirs)
        connect(m, gather.words, cutter.i)
        connect(m, cutter.runs, runs.i)
        connect(m, cutter.data, fifo.i)
        m.d.comb += cutter.limit.eq(self.limit)
        busy = Signal()
        self._emit(m, runs.o, fifo.o, busy)
        parts = (gather, cutter, fifo, runs)
        idle: Any = Cat(part.idle for part in parts)
        m.d.comb += self.idle.eq(~busy & ~self.bus.bvalid & idle.all())
        return m

    def _emit(self, m: Any, runs: Any, words: Any, busy: Any) -> None:
        """A TLP for each run, or for each dword of a word, and an answer for each transaction."""
        width, posted, bus, one = self._width, self.posted, self.bus, runs.p
        lanes = width // 32
        lane, left, first = Signal(range(lanes)), Signal(10), Signal(init=1)
        nibble: Any = one.strobe.word_select(lane, 4)
        header = posted.p.header
        whole, silent, done = Signal(), Signal(), Signal()
        m.d.comb += [
            whole.eq(one.strobe.all()),
            silent.eq(one.bad | ~self.enable | ~one.strobe.any()),
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(Mux(whole, one.address, one.address + (lane << 2))),
            header.length.eq(Mux(whole, one.words * lanes, 1)),
            header.first_be.eq(Mux(whole, 0b1111, nibble)),
            header.last_be.eq(Mux(whole, 0b1111, 0)),
            posted.p.data.eq(Mux(whole, words.payload, words.payload.word_select(lane, 32))),
            posted.p.dwords.eq(Mux(whole, ~Const(0, lanes), 1)),
            posted.p.first.eq(Mux(whole, first, 1)),
            posted.p.last.eq(Mux(whole, left == 1, 1)),
            runs.ready.eq(done & (~bus.bvalid | bus.bready)),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.FSM() as fsm:
            m.d.comb += [self.between.eq(fsm.ongoing("WAIT_RUN")), busy.eq(~fsm.ongoing("WAIT_RUN"))]
            with m.State("WAIT_RUN"):
                m.d.sync += [lane.eq(0), left.eq(one.words), first.eq(1)]
                with m.If(runs.valid & ~self.hold):
                    m.next = "SEND_WORDS"
                    with m.If(silent):
                        m.next = "DROP_WORDS"
                    with m.Elif(~whole):
                        m.next = "SEND_DWORDS"
            with m.State("SEND_WORDS"):
                m.d.comb += [posted.valid.eq(words.valid), words.ready.eq(posted.ready)]
                with m.If(words.valid & posted.ready):
                    m.d.sync += [left.eq(left - 1), first.eq(0)]
                    with m.If(left == 1):
                        m.next = "ANSWER"
            with m.State("SEND_DWORDS"):
                m.d.comb += posted.valid.eq(words.valid & nibble.any())
                with m.If(words.valid & (posted.ready | ~nibble.any())):
                    m.d.sync += lane.eq(lane + 1)
                    with m.If(lane == lanes - 1):
                        m.d.comb += words.ready.eq(1)
                        m.next = "ANSWER"
            with m.State("DROP_WORDS"):
                m.d.comb += words.ready.eq(1)
                with m.If(words.valid):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += done.eq(1)
                with m.If(runs.ready):
                    m.d.sync += [
                        bus.bvalid.eq(one.last),
                        bus.bid.eq(one.line),
                        bus.bresp.eq(Mux(one.bad, _SLVERR, 0)),
                    ]
                    m.next = "WAIT_RUN"
