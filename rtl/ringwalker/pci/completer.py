"""The completer: answers the requests that the host sends."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import ConfigPort, FunctionState, RegisterPort
from ..spec.tlp import (
    MAX_LENGTH_DWORDS,
    CompletionStatus,
    RequestHeader,
    RequestKind,
    completion_beat,
    request_beat,
)
from ..streams import stream_of
from .bar import Bar, BarDecode
from .byte_span import ByteSpan
from .capabilities import bars

__all__ = ["Completer"]

_CUT_DWORDS = 16
"""Read completions end at multiples of 64 bytes: the smallest read completion boundary."""

_FUNCTION = slice(0, 3)
"""The function number in a ``target_id``."""


class Completer(Component):
    """Takes request TLPs, one after the other, and answers those that want an answer.

    Memory and I/O requests that hit an enabled BAR become dword accesses on ``registers``, in ascending
    order, each with the byte enables that the request has for it (writes without any are left out; a read
    of no bytes is one access with strobe 0). Type 0 configuration requests to function 0 go to
    ``config``. All other non-posted requests, and those that run over the end of a BAR, are answered with
    Unsupported Request; a posted one is dropped. Messages are ignored. A poisoned write changes nothing
    and, if non-posted, is answered with Unsupported Request. Read data comes in whole dwords, in
    completions that end at multiples of 64 bytes; a beat is offered when all of its data is there.

    Parameters: ``config`` (the data width and the BARs); ``bar_list`` replaces the BARs of ``config``.

    Members (W is ``config.data_width``):

    - ``requests`` In stream of request_beat(W)
    - ``completions`` Out stream of completion_beat(W)
    - ``config`` Out(ConfigPort()): configuration space
    - ``registers`` Out(RegisterPort()): the blocks behind the BARs
    - ``state`` In(FunctionState()): as ConfigSpace gives it
    - ``unsupported`` Out 1, pulse: a request was refused
    - ``unsupported_posted`` Out 1, with ``unsupported``: it was a posted one
    - ``poisoned`` Out 1, pulse: a poisoned write came
    - ``idle`` Out 1: no request is in flight

    Latency: the first dword of a write is offered on ``registers`` 2 cycles after the beat was taken, the
    next ones follow each cycle, a further beat costs one cycle more. A read takes 3 cycles to the first
    access, and 2 cycles a dword plus the latency of the register.

    Ref: PCIe 3.1, 2.2.7 to 2.2.9, 2.3.1, 2.7.2.2
    """

    def __init__(self, config: DeviceConfig, bar_list: Sequence[Bar] | None = None):
        request: Any = request_beat(config.data_width)
        completion: Any = completion_beat(config.data_width)
        self._bars = bars(config) if bar_list is None else tuple(bar_list)
        self._slots = config.data_width // 32
        super().__init__(
            {
                "requests": In(stream_of(request)),
                "completions": Out(stream_of(completion)),
                "config": Out(ConfigPort()),
                "registers": Out(RegisterPort()),
                "state": In(FunctionState()),
                "unsupported": Out(1),
                "unsupported_posted": Out(1),
                "poisoned": Out(1),
                "idle": Out(1),
            }
        )
        # The request in flight, and the beat of it that is being worked on.
        self._header: Any = Signal(RequestHeader, name="header")
        self._data: Any = Signal(config.data_width, name="data")
        self._dwords: Any = Signal(self._slots, name="dwords")
        self._last: Any = Signal(name="last")
        # Where the next dword is, what is enabled of it, and whether it is the last one.
        self._hit: Any = Signal(name="hit")
        self._bar: Any = Signal(3, name="bar")
        self._offset: Any = Signal(24, name="offset")
        self._remaining: Any = Signal(range(MAX_LENGTH_DWORDS + 1), name="remaining")
        self._strobe: Any = Signal(4, name="strobe")
        self._at_last: Any = Signal(name="at_last")
        # The completion that is being made.
        self._answer: Any = Signal(name="answer")
        self._status: Any = Signal(CompletionStatus, name="status")
        self._length: Any = Signal(range(_CUT_DWORDS + 1), name="length")
        self._byte_count: Any = Signal(13, name="byte_count")
        self._lower_address: Any = Signal(7, name="lower_address")
        self._slot: Any = Signal(range(self._slots), name="slot")
        self._opens: Any = Signal(name="opens")
        self._closes: Any = Signal(name="closes")
        self._completer_id: Any = Signal(16, name="completer_id")

    def _drive_outputs(self, m: Any, with_data: Any) -> None:
        header, completion = self._header, self.completions.p.header
        m.d.comb += [
            self.registers.requests.p.bar.eq(self._bar),
            self.registers.requests.p.offset.eq(self._offset),
            self.registers.requests.p.strobe.eq(self._strobe),
            self.registers.requests.p.data.eq(self._data[:32]),
            self.config.requests.p.register.eq(header.address[2:12]),
            self.config.requests.p.write.eq(header.kind == RequestKind.CONFIG_WRITE_0),
            self.config.requests.p.strobe.eq(header.first_be),
            self.config.requests.p.data.eq(self._data[:32]),
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

    def _take_header(self, m: Any, decode: Any) -> None:
        """Keep the request that is offered, and where its first dword is."""
        header: Any = self.requests.p.header
        m.d.comb += [
            decode.address.eq(header.address),
            decode.length.eq(header.length),
            decode.io.eq((header.kind == RequestKind.IO_READ) | (header.kind == RequestKind.IO_WRITE)),
        ]
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

    def _next_dword(self) -> list[Any]:
        return [
            self._offset.eq(self._offset + 4),
            self._remaining.eq(self._remaining - 1),
            self._strobe.eq(Mux(self._remaining == 2, self._header.last_be, 0b1111)),
            self._at_last.eq(self._remaining == 2),
        ]

    def _refuse(self, m: Any, posted: Any) -> None:
        """Drop the rest of the request and, unless it is posted, answer that it is unsupported."""
        m.d.sync += [self._answer.eq(~posted), self._status.eq(CompletionStatus.UNSUPPORTED_REQUEST)]
        m.next = "DROP_REST"

    def _report(self, m: Any, posted: Any) -> None:
        m.d.sync += [self.unsupported.eq(1), self.unsupported_posted.eq(posted)]

    def _dispatch(self, m: Any, span: Any) -> None:
        """Decide what becomes of the request."""
        header, kind = self._header, self._header.kind
        is_read = (kind == RequestKind.MEMORY_READ) | (kind == RequestKind.IO_READ)
        is_write = (kind == RequestKind.MEMORY_WRITE) | (kind == RequestKind.IO_WRITE)
        is_config = (kind == RequestKind.CONFIG_READ_0) | (kind == RequestKind.CONFIG_WRITE_0)
        posted = (kind == RequestKind.MEMORY_WRITE) | (kind == RequestKind.MESSAGE)
        writes = is_write | (kind == RequestKind.CONFIG_WRITE_0)
        m.d.sync += [
            self._answer.eq(~posted),
            self._status.eq(CompletionStatus.SUCCESS),
            self._slot.eq(0),
            self._opens.eq(1),
            self._byte_count.eq(4),
            self._lower_address.eq(0),
        ]
        with m.If(kind == RequestKind.MEMORY_READ):
            m.d.sync += [
                self._byte_count.eq(span.count),
                self._lower_address.eq(Cat(span.skip, header.address[2:7])),
            ]
        with m.If(kind == RequestKind.MESSAGE):
            m.next = "DROP_REST"
        with m.Elif(header.poisoned & writes):
            m.d.sync += self.poisoned.eq(1)
            self._refuse(m, posted)
        with m.Elif(is_write & self._hit):
            m.next = "WRITE"
        with m.Elif(is_read & self._hit):
            m.next = "CUT_READ"
        with m.Elif(is_config & (header.target_id[_FUNCTION] == 0)):
            m.next = "REQUEST_CONFIG"
        with m.Else():
            self._report(m, posted)
            self._refuse(m, posted)

    def _write_states(self, m: Any) -> None:
        requests = self.registers.requests
        with m.State("WRITE"):
            present = self._strobe.any() & self._dwords[0]
            m.d.comb += [requests.valid.eq(present), requests.p.write.eq(1)]
            with m.If(~present | requests.ready):
                m.d.sync += [
                    *self._next_dword(),
                    self._data.eq(self._data >> 32),
                    self._dwords.eq(self._dwords >> 1),
                ]
                with m.If(self._at_last):
                    m.next = "DROP_REST"
                    with m.If(self._last & ~self._answer):
                        m.next = "WAIT_REQUEST"
                with m.Elif(~(self._dwords >> 1).any()):
                    m.next = "WAIT_BEAT"
                    with m.If(self._last):
                        m.next = "DROP_REST"
        with m.State("WAIT_BEAT"):
            m.d.comb += self.requests.ready.eq(1)
            self._take_beat(m)
            with m.If(self.requests.valid):
                m.next = "WRITE"
        with m.State("DROP_REST"):
            m.d.comb += self.requests.ready.eq(~self._last)
            with m.If(self._last):
                m.next = "WAIT_REQUEST"
                with m.If(self._answer):
                    m.next = "SEND_STATUS"
            with m.Elif(self.requests.valid):
                m.d.sync += self._last.eq(self.requests.p.last)

    def _read_states(self, m: Any) -> None:
        room = _CUT_DWORDS - self._offset[2:6]
        ends = self._at_last | self._offset[2:6].all()
        with m.State("CUT_READ"):
            m.d.sync += [
                self._length.eq(Mux(self._remaining < room, self._remaining, room)),
                self._dwords.eq(0),
            ]
            m.next = "REQUEST_READ"
        with m.State("REQUEST_READ"):
            m.d.comb += self.registers.requests.valid.eq(1)
            with m.If(self.registers.requests.ready):
                m.next = "WAIT_READ"
        with m.State("WAIT_READ"):
            m.d.comb += self.registers.responses.ready.eq(1)
            with m.If(self.registers.responses.valid):
                place = Array(self._data[n : n + 32] for n in range(0, len(self._data), 32))[self._slot]
                m.d.sync += [
                    *self._next_dword(),
                    place.eq(self.registers.responses.p.data),
                    self._dwords.eq((self._dwords << 1) | 1),
                    self._slot.eq(self._slot + 1),
                    self._closes.eq(ends),
                ]
                m.next = "REQUEST_READ"
                with m.If(ends | (self._slot == self._slots - 1)):
                    m.next = "SEND_DATA"
        with m.State("SEND_DATA"):
            m.d.comb += self.completions.valid.eq(1)
            with m.If(self.completions.ready):
                m.d.sync += [self._slot.eq(0), self._dwords.eq(0), self._opens.eq(self._closes)]
                m.next = "REQUEST_READ"
                with m.If(self._closes):
                    m.d.sync += [
                        self._byte_count.eq(
                            self._byte_count - ((self._length << 2) - self._lower_address[:2])
                        ),
                        self._lower_address.eq(Cat(Const(0, 6), ~self._lower_address[6])),
                    ]
                    m.next = "CUT_READ"
                    with m.If(self._remaining == 0):
                        m.next = "WAIT_REQUEST"

    def _config_states(self, m: Any) -> None:
        with m.State("REQUEST_CONFIG"):
            m.d.comb += self.config.requests.valid.eq(1)
            with m.If(self.config.requests.ready):
                m.next = "WAIT_CONFIG"
        with m.State("WAIT_CONFIG"):
            m.d.comb += self.config.responses.ready.eq(1)
            with m.If(self.config.responses.valid):
                m.next = "DROP_REST"
                with m.If(self._header.kind == RequestKind.CONFIG_READ_0):
                    m.d.sync += [
                        self._data.eq(self.config.responses.p.data),
                        self._dwords.eq(1),
                        self._length.eq(1),
                        self._remaining.eq(0),
                        self._closes.eq(1),
                    ]
                    m.next = "SEND_DATA"

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.decode = decode = BarDecode(self._bars)
        m.submodules.span = span = ByteSpan()
        header = self._header
        m.d.comb += [
            span.length.eq(header.length),
            span.first_be.eq(header.first_be),
            span.last_be.eq(header.last_be),
        ]
        for name in self.state.signature.members:
            m.d.comb += getattr(decode.state, name).eq(getattr(self.state, name))
        m.d.sync += [self.unsupported.eq(0), self.unsupported_posted.eq(0), self.poisoned.eq(0)]
        with_data = Signal()
        self._drive_outputs(m, with_data)
        with m.FSM() as fsm:
            m.d.comb += [self.idle.eq(fsm.ongoing("WAIT_REQUEST")), with_data.eq(fsm.ongoing("SEND_DATA"))]
            with m.State("WAIT_REQUEST"):
                m.d.comb += self.requests.ready.eq(1)
                self._take_header(m, decode)
                self._take_beat(m)
                with m.If(self.requests.valid):
                    m.next = "DISPATCH"
            with m.State("DISPATCH"):
                self._dispatch(m, span)
            self._write_states(m)
            self._read_states(m)
            self._config_states(m)
            with m.State("SEND_STATUS"):
                m.d.comb += self.completions.valid.eq(1)
                with m.If(self.completions.ready):
                    m.next = "WAIT_REQUEST"
        return m
