"""Requests of the host that want an answer: reads, I/O and configuration."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..spec.tlp import (
    MAX_LENGTH_DWORDS,
    CompletionStatus,
    RequestHeader,
    RequestKind,
    completion_beat,
    with_tag,
)
from ..streams import stream_of
from .bar import Bar, BarDecode
from .byte_span import ByteSpan
from .ports import ConfigPort, FunctionState

__all__ = ["NonPostedRequest", "RequestAnswers", "nonposted_request"]

_CUT_DWORDS = 16
"""Read completions end at multiples of 64 bytes: the smallest read completion boundary."""

_FUNCTION = slice(0, 3)
"""The function number in a ``target_id``."""


class NonPostedRequest(data.Struct):
    """A request that is not posted, and the first dword of its payload, if it has any."""

    header: RequestHeader
    data: unsigned(32)


def nonposted_request(tag_bits: int) -> Any:
    """The layout of NonPostedRequest with a tag of ``tag_bits``."""
    if tag_bits == 8:
        return NonPostedRequest
    return data.StructLayout({"header": with_tag(RequestHeader, tag_bits), "data": unsigned(32)})


class RequestAnswers(Component):
    """Carries out requests that are not posted, one after the other, and answers each.

    Memory reads and I/O requests that hit an enabled BAR become dword accesses on ``registers``, in ascending
    order, each with the byte enables that the request has for it; a read of no bytes is one access with
    strobe 0, an I/O write of none is no access. Type 0 configuration requests to function 0 go to
    ``config``. All others, and those that run over the end of a BAR, are answered with Unsupported
    Request, as are poisoned writes, which change nothing. Read data comes in whole dwords, in completions
    that end at multiples of 64 bytes; a beat is offered when all of its data is there.

    Parameters: ``data_width`` (W) in bits; ``bars``, the BARs there are; ``tag_bits`` of the headers.

    Members:

    - ``requests`` In stream of NonPostedRequest: taken with the last beat of its answer
    - ``completions`` Out stream of completion_beat(W)
    - ``config`` Out(ConfigPort()): configuration space
    - ``registers`` Out(RegisterPort()): the blocks behind the BARs. A response is taken at once, whether or
      not completions are
    - ``state`` In(FunctionState()): as ConfigSpace gives it
    - ``unsupported`` Out 1, pulse: a request was refused
    - ``poisoned`` Out 1, pulse: a poisoned write came
    - ``idle`` Out 1: no request is in flight

    Latency: a configuration request is offered on ``config`` one cycle after it was offered here. A memory
    read takes 2 cycles to the first access, and 2 cycles a dword plus the latency of the register.

    Ref: PCIe 3.1, 2.2.7 to 2.2.9, 2.3.1, 2.7.2.2
    """

    def __init__(self, data_width: int, bars: Sequence[Bar], tag_bits: int = 8):
        self._bars = tuple(bars)
        self._slots = data_width // 32
        super().__init__(
            {
                "requests": In(stream_of(nonposted_request(tag_bits))),
                "completions": Out(stream_of(completion_beat(data_width, tag_bits))),
                "config": Out(ConfigPort()),
                "registers": Out(RegisterPort()),
                "state": In(FunctionState()),
                "unsupported": Out(1),
                "poisoned": Out(1),
                "idle": Out(1),
            }
        )
        # Where the next dword is, what is enabled of it, and whether it is the last one.
        self._hit: Any = Signal(name="hit")
        self._bar: Any = Signal(3, name="bar")
        self._offset: Any = Signal(24, name="offset")
        self._remaining: Any = Signal(range(MAX_LENGTH_DWORDS + 1), name="remaining")
        self._strobe: Any = Signal(4, name="strobe")
        self._at_last: Any = Signal(name="at_last")
        # The completion that is being made.
        self._data: Any = Signal(data_width, name="data")
        self._dwords: Any = Signal(self._slots, name="dwords")
        self._status: Any = Signal(CompletionStatus, name="status")
        self._length: Any = Signal(range(_CUT_DWORDS + 1), name="length")
        self._byte_count: Any = Signal(13, name="byte_count")
        self._lower_address: Any = Signal(7, name="lower_address")
        self._slot: Any = Signal(range(self._slots), name="slot")
        self._opens: Any = Signal(name="opens")
        self._closes: Any = Signal(name="closes")
        self._completer_id: Any = Signal(16, name="completer_id")

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.decode = decode = BarDecode(self._bars)
        m.submodules.span = span = ByteSpan()
        for name in self.state.signature.members:
            m.d.comb += getattr(decode.state, name).eq(getattr(self.state, name))
        header = self.requests.p.header
        is_io = (header.kind == RequestKind.IO_READ) | (header.kind == RequestKind.IO_WRITE)
        m.d.comb += [
            decode.address.eq(header.address),
            decode.length.eq(header.length),
            decode.io.eq(is_io),
            span.length.eq(header.length),
            span.first_be.eq(header.first_be),
            span.last_be.eq(header.last_be),
        ]
        m.d.sync += [self.unsupported.eq(0), self.poisoned.eq(0)]
        with_data = Signal()
        self._drive_outputs(m, with_data)
        with m.FSM() as fsm:
            m.d.comb += [
                self.idle.eq(fsm.ongoing("WAIT_REQUEST") & ~self.requests.valid),
                with_data.eq(fsm.ongoing("SEND_DATA")),
            ]
            with m.State("WAIT_REQUEST"):
                self._look(m, decode)
            with m.State("DISPATCH"):
                self._dispatch(m, span)
            self._access_states(m)
            self._config_states(m)
            self._send_states(m)
        return m

    def _drive_outputs(self, m: Any, with_data: Any) -> None:
        header, completion = self.requests.p.header, self.completions.p.header
        access = self.registers.requests.p
        m.d.comb += [
            access.bar.eq(self._bar),
            access.offset.eq(self._offset),
            access.strobe.eq(self._strobe),
            access.write.eq(header.kind == RequestKind.IO_WRITE),
            access.data.eq(self.requests.p.data),
            self.config.requests.p.register.eq(header.address[2:12]),
            self.config.requests.p.write.eq(header.kind == RequestKind.CONFIG_WRITE_0),
            self.config.requests.p.strobe.eq(header.first_be),
            self.config.requests.p.data.eq(self.requests.p.data),
            self.config.requests.p.target_id.eq(header.target_id),
            completion.status.eq(self._status),
            completion.has_data.eq(with_data),
            completion.length.eq(Mux(with_data, self._length, 0)),
            completion.byte_count.eq(self._byte_count),
            completion.lower_address.eq(self._lower_address),
            completion.requester_id.eq(header.requester_id),
            completion.completer_id.eq(self._completer_id),
            completion.tag.eq(header.tag),
            completion.traffic_class.eq(header.traffic_class),
            completion.attributes.eq(header.attributes),
            self.completions.p.data.eq(Mux(with_data, self._data, 0)),
            self.completions.p.dwords.eq(Mux(with_data, self._dwords, 0)),
            self.completions.p.first.eq(self._opens | ~with_data),
            self.completions.p.last.eq(self._closes | ~with_data),
        ]
        with m.If(~self.completions.valid):
            m.d.sync += self._completer_id.eq(self.state.requester_id)

    def _look(self, m: Any, decode: Any) -> None:
        """Find out where the request goes. What is for configuration space has been found already."""
        header = self.requests.p.header
        reads, writes = header.kind == RequestKind.CONFIG_READ_0, header.kind == RequestKind.CONFIG_WRITE_0
        m.d.sync += [
            self._hit.eq(decode.hit),
            self._bar.eq(decode.bar),
            self._offset.eq(decode.offset),
            self._remaining.eq(header.length),
            self._strobe.eq(header.first_be),
            self._at_last.eq(header.length == 1),
            self._status.eq(CompletionStatus.SUCCESS),
            self._byte_count.eq(4),
            self._lower_address.eq(0),
            self._slot.eq(0),
            self._dwords.eq(0),
            self._opens.eq(1),
        ]
        with m.If(self.requests.valid):
            m.next = "DISPATCH"
            with m.If((header.target_id[_FUNCTION] == 0) & (reads | (writes & ~header.poisoned))):
                m.next = "REQUEST_CONFIG"

    def _dispatch(self, m: Any, span: Any) -> None:
        """Decide what becomes of a request that is not for configuration space."""
        header = self.requests.p.header
        kind = header.kind
        is_read = (kind == RequestKind.MEMORY_READ) | (kind == RequestKind.IO_READ)
        is_write = kind == RequestKind.IO_WRITE
        m.d.sync += self._length.eq(self._to_cut())
        with m.If(kind == RequestKind.MEMORY_READ):
            m.d.sync += [
                self._byte_count.eq(span.count),
                self._lower_address.eq(Cat(span.skip, header.address[2:7])),
            ]
        with m.If(header.poisoned & (is_write | (kind == RequestKind.CONFIG_WRITE_0))):
            m.d.sync += [self.poisoned.eq(1), self._status.eq(CompletionStatus.UNSUPPORTED_REQUEST)]
            m.next = "SEND_STATUS"
        with m.Elif(is_read & self._hit):
            m.next = "REQUEST_READ"
        with m.Elif(is_write & self._hit & self._at_last):
            m.next = "REQUEST_WRITE"
        with m.Else():
            m.d.sync += [self.unsupported.eq(1), self._status.eq(CompletionStatus.UNSUPPORTED_REQUEST)]
            m.next = "SEND_STATUS"

    def _to_cut(self) -> Any:
        """Dwords up to where the next completion ends."""
        room = _CUT_DWORDS - self._offset[2:6]
        return Mux(self._remaining < room, self._remaining, room)

    def _access_states(self, m: Any) -> None:
        requests, responses = self.registers.requests, self.registers.responses
        ends = self._at_last | self._offset[2:6].all()
        with m.State("REQUEST_WRITE"):
            m.d.comb += requests.valid.eq(self._strobe.any())
            with m.If(~requests.valid | requests.ready):
                m.next = "SEND_STATUS"
        with m.State("CUT_READ"):
            m.d.sync += self._length.eq(self._to_cut())
            m.next = "REQUEST_READ"
        with m.State("REQUEST_READ"):
            m.d.comb += requests.valid.eq(1)
            with m.If(requests.ready):
                m.next = "WAIT_READ"
        with m.State("WAIT_READ"):
            m.d.comb += responses.ready.eq(1)
            with m.If(responses.valid):
                place = Array(self._data[n : n + 32] for n in range(0, len(self._data), 32))[self._slot]
                m.d.sync += [
                    self._offset.eq(self._offset + 4),
                    self._remaining.eq(self._remaining - 1),
                    self._strobe.eq(Mux(self._remaining == 2, self.requests.p.header.last_be, 0b1111)),
                    self._at_last.eq(self._remaining == 2),
                    place.eq(responses.p.data),
                    self._dwords.eq((self._dwords << 1) | 1),
                    self._slot.eq(self._slot + 1),
                    self._closes.eq(ends),
                ]
                m.next = "REQUEST_READ"
                with m.If(ends | (self._slot == self._slots - 1)):
                    m.next = "SEND_DATA"

    def _config_states(self, m: Any) -> None:
        with m.State("REQUEST_CONFIG"):
            m.d.comb += self.config.requests.valid.eq(1)
            with m.If(self.config.requests.ready):
                m.next = "WAIT_CONFIG"
        with m.State("WAIT_CONFIG"):
            m.d.comb += self.config.responses.ready.eq(1)
            m.d.sync += [
                self._data.eq(self.config.responses.p.data),
                self._dwords.eq(1),
                self._length.eq(1),
                self._remaining.eq(0),
                self._closes.eq(1),
            ]
            with m.If(self.config.responses.valid):
                m.next = "SEND_STATUS"
                with m.If(self.requests.p.header.kind == RequestKind.CONFIG_READ_0):
                    m.next = "SEND_DATA"

    def _send_states(self, m: Any) -> None:
        completions = self.completions
        with m.State("SEND_DATA"):
            m.d.comb += completions.valid.eq(1)
            with m.If(completions.ready):
                m.d.sync += [self._slot.eq(0), self._dwords.eq(0), self._opens.eq(self._closes)]
                m.next = "REQUEST_READ"
                with m.If(self._closes):
                    part = (self._length << 2) - self._lower_address[:2]
                    m.d.sync += [
                        self._byte_count.eq(self._byte_count - part),
                        self._lower_address.eq(Cat(Const(0, 6), ~self._lower_address[6])),
                    ]
                    m.next = "CUT_READ"
                    with m.If(self._remaining == 0):
                        m.d.comb += self.requests.ready.eq(1)
                        m.next = "WAIT_REQUEST"
        with m.State("SEND_STATUS"):
            m.d.comb += completions.valid.eq(1)
            with m.If(completions.ready):
                m.d.comb += self.requests.ready.eq(1)
                m.next = "WAIT_REQUEST"
