"""Where the host's requests come in: posted ones are carried out here, all others are passed on."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..spec.tlp import MAX_LENGTH_DWORDS, RequestHeader, RequestKind, request_beat, with_tag
from ..streams import stream_of
from .bar import Bar, BarDecode
from .ports import FunctionState
from .request_answers import nonposted_request

__all__ = ["RequestIntake"]


class RequestIntake(Component):
    """Takes request TLPs in order: carries out posted ones, one after the other, and passes on the others.

    A memory write that hits an enabled BAR becomes dword writes on ``registers``, in ascending order, each
    with the byte enables that the request has for it; dwords without any are left out. A write that hits no
    BAR, runs over the end of one, or is poisoned is dropped. Messages are ignored.

    A request that is not posted is passed on when all posted ones before it are done, with the first dword of
    its payload. Later posted ones do not wait until it is answered.

    Parameters: ``data_width`` (W) in bits; ``bars``, the BARs there are; ``tag_bits`` of the headers.

    Members:

    - ``requests`` In stream of request_beat(W)
    - ``nonposted`` Out stream of NonPostedRequest
    - ``registers`` Out(RegisterPort()): the blocks behind the BARs
    - ``state`` In(FunctionState()): as ConfigSpace gives it
    - ``unsupported`` Out 1, pulse: a write was refused
    - ``poisoned`` Out 1, pulse: a poisoned write came
    - ``header`` Out RequestHeader: with one of these pulses, the request that it is about
    - ``idle`` Out 1: no posted request is in flight

    Latency: the first dword of a write is offered 2 cycles after the beat was taken, the next ones follow
    each cycle, a further beat costs one cycle more. A request is passed on in the same cycle.

    Ref: PCIe 3.1, 2.2.7, 2.3.1, 2.4.1 (posted requests wait for no others), 2.7.2.2
    """

    def __init__(self, data_width: int, bars: Sequence[Bar], tag_bits: int = 8):
        self._bars = tuple(bars)
        header = with_tag(RequestHeader, tag_bits)
        super().__init__(
            {
                "requests": In(stream_of(request_beat(data_width, tag_bits))),
                "nonposted": Out(stream_of(nonposted_request(tag_bits))),
                "registers": Out(RegisterPort()),
                "state": In(FunctionState()),
                "unsupported": Out(1),
                "poisoned": Out(1),
                "header": Out(header),
                "idle": Out(1),
            }
        )
        # The request in flight, and the beat of it that is being worked on.
        self._header: Any = Signal(header, name="header")
        self._data: Any = Signal(data_width, name="data")
        self._dwords: Any = Signal(data_width // 32, name="dwords")
        self._last: Any = Signal(name="last")
        # Where the next dword is, what is enabled of it, and whether it is the last one.
        self._hit: Any = Signal(name="hit")
        self._bar: Any = Signal(3, name="bar")
        self._offset: Any = Signal(24, name="offset")
        self._remaining: Any = Signal(range(MAX_LENGTH_DWORDS + 1), name="remaining")
        self._strobe: Any = Signal(4, name="strobe")
        self._at_last: Any = Signal(name="at_last")

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.decode = decode = BarDecode(self._bars)
        for name in self.state.signature.members:
            m.d.comb += getattr(decode.state, name).eq(getattr(self.state, name))
        requests, access = self.requests, self.registers.requests
        kind = requests.p.header.kind
        posted = (kind == RequestKind.MEMORY_WRITE) | (kind == RequestKind.MESSAGE)
        m.d.comb += [
            decode.address.eq(requests.p.header.address),
            decode.length.eq(requests.p.header.length),
            access.p.bar.eq(self._bar),
            access.p.offset.eq(self._offset),
            access.p.strobe.eq(self._strobe),
            access.p.data.eq(self._data[:32]),
            access.p.write.eq(1),
            self.registers.responses.ready.eq(1),
            self.header.eq(self._header),
            self.nonposted.p.header.eq(requests.p.header),
            self.nonposted.p.data.eq(requests.p.data[:32]),
        ]
        m.d.sync += [self.unsupported.eq(0), self.poisoned.eq(0)]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_REQUEST"))
            with m.State("WAIT_REQUEST"):
                m.d.comb += [
                    requests.ready.eq(posted | self.nonposted.ready),
                    self.nonposted.valid.eq(requests.valid & ~posted),
                ]
                self._take_header(m, decode)
                self._take_beat(m)
                with m.If(requests.valid & posted):
                    m.next = "DISPATCH"
                with m.Elif(requests.valid & requests.ready & ~requests.p.last):
                    m.next = "DROP_REST"
            with m.State("DISPATCH"):
                m.next = "DROP_REST"
                with m.If(self._header.kind == RequestKind.MEMORY_WRITE):
                    with m.If(self._header.poisoned):
                        m.d.sync += self.poisoned.eq(1)
                    with m.Elif(self._hit):
                        m.next = "WRITE"
                    with m.Else():
                        m.d.sync += self.unsupported.eq(1)
            self._write_states(m)
            with m.State("DROP_REST"):
                m.d.comb += requests.ready.eq(~self._last)
                with m.If(self._last):
                    m.next = "WAIT_REQUEST"
                with m.Elif(requests.valid):
                    m.d.sync += self._last.eq(requests.p.last)
        return m

    def _take_header(self, m: Any, decode: Any) -> None:
        """Keep the request that is offered, and where its first dword is."""
        header = self.requests.p.header
        m.d.sync += [
            self._header.eq(header),
            self._hit.eq(decode.hit),
            self._bar.eq(decode.bar),
            self._offset.eq(decode.offset),
            self._remaining.eq(header.length),
            self._strobe.eq(header.first_be),
            self._at_last.eq(header.length == 1),
        ]

    def _take_beat(self, m: Any) -> None:
        m.d.sync += [
            self._data.eq(self.requests.p.data),
            self._dwords.eq(self.requests.p.dwords),
            self._last.eq(self.requests.p.last),
        ]

    def _write_states(self, m: Any) -> None:
        access = self.registers.requests
        with m.State("WRITE"):
            present, left = self._strobe.any() & self._dwords[0], self._dwords >> 1
            m.d.comb += access.valid.eq(present)
            with m.If(~present | access.ready):
                m.d.sync += [
                    self._offset.eq(self._offset + 4),
                    self._remaining.eq(self._remaining - 1),
                    self._strobe.eq(Mux(self._remaining == 2, self._header.last_be, 0b1111)),
                    self._at_last.eq(self._remaining == 2),
                    self._data.eq(self._data >> 32),
                    self._dwords.eq(left),
                ]
                with m.If(self._at_last):
                    m.next = "DROP_REST"
                    with m.If(self._last):
                        m.next = "WAIT_REQUEST"
                with m.Elif(~left.any()):
                    m.next = "WAIT_BEAT"
                    with m.If(self._last):
                        m.next = "DROP_REST"
        with m.State("WAIT_BEAT"):
            m.d.comb += self.requests.ready.eq(1)
            self._take_beat(m)
            with m.If(self.requests.valid):
                m.next = "WRITE"
