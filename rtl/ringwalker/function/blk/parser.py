"""Takes chains apart: the header is checked here, and nothing that fails a check goes further."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.blk import SECTOR_BYTES, BlkRequestHeader, BlkRequestType, BlkStatus
from ...streams import ChainInfo, byte_beat, stream_of
from .types import SECTORS_BITS, BlkOp, BlkRequest, write_beat

__all__ = ["BlkParser"]

_LAYOUT: Any = data.Layout.cast(BlkRequestHeader)
_HEADER_BITS = _LAYOUT.size
_HEADER_BYTES = _HEADER_BITS // 8
_SECTOR_SHIFT = SECTOR_BYTES.bit_length() - 1


class _Request:
    """Registers with what is known of the current chain."""

    def __init__(self, flushes: tuple[BlkRequestType, ...]):
        self._flushes = flushes
        self.header: Any = Signal(BlkRequestHeader)
        self.readable = Signal(32)
        self.writable = Signal(32)
        self.failed = Signal()
        """A beat came with an error."""
        self.ended = Signal()
        """The last beat was taken, or there is none."""
        self.malformed = Signal()
        """No room for a header or for a status."""
        self.sectors = Signal(SECTORS_BITS)
        self.in_range = Signal()
        """The data is whole sectors, all of them on the disk."""
        self.kind: Any = Signal(data.StructLayout({"flush": 1, "id": 1, "read": 1, "write": 1}))
        """What the type asks for; nothing of it is set if there is no such type."""
        self.some = Signal()
        """There are sectors to move."""
        self._aligned = Signal()
        self._inside = Signal()
        self._room = Signal(64)

    def check_length(self, m: Any, capacity) -> None:
        """First cycle of the checks: what each number says alone."""
        length = Signal(32)
        m.d.comb += length.eq(self.writable - 1)
        with m.If(self.header.type == BlkRequestType.OUT):
            m.d.comb += length.eq(self.readable - _HEADER_BYTES)
        m.d.sync += [
            self.malformed.eq((self.readable < _HEADER_BYTES) | (self.writable == 0)),
            self.sectors.eq(length[_SECTOR_SHIFT:]),
            self._aligned.eq(length[:_SECTOR_SHIFT] == 0),
            self._inside.eq(self.header.sector <= capacity),
            self._room.eq(capacity - self.header.sector),
        ]

    def check_range(self, m: Any) -> None:
        """Second cycle: the numbers together. ``_room`` has not wrapped if ``_inside``."""
        m.d.sync += [
            self.in_range.eq(self._aligned & self._inside & (self.sectors <= self._room)),
            self.kind.flush.eq(reduce(or_, (self.header.type == kind for kind in self._flushes))),
            self.kind.id.eq(self.header.type == BlkRequestType.GET_ID),
            self.kind.read.eq(self.header.type == BlkRequestType.IN),
            self.kind.write.eq(self.header.type == BlkRequestType.OUT),
            self.some.eq(self.sectors != 0),
        ]

    def verdict(self, m: Any, request, read_only) -> None:
        """The request to pass on, after the checks. A write whose packet has ended has no data."""
        op = Signal(BlkOp)
        m.d.comb += [
            request.op.eq(op),
            request.sector.eq(self.header.sector),
            request.sectors.eq(0),
            request.writable.eq(self.writable),
            request.status.eq(BlkStatus.OK),
            request.answer.eq(~self.malformed & ~self.failed),
        ]
        with m.If(self.kind.flush):
            m.d.comb += op.eq(BlkOp.FLUSH)
        with m.Elif(self.kind.id):
            m.d.comb += op.eq(BlkOp.ID)
        with m.Elif(self.kind.read):
            m.d.comb += op.eq(BlkOp.READ)
            with m.If(~self.in_range):
                m.d.comb += [op.eq(BlkOp.NONE), request.status.eq(BlkStatus.IOERR)]
        with m.Elif(self.kind.write):
            with m.If(read_only | ~self.in_range | (self.ended & self.some)):
                m.d.comb += request.status.eq(BlkStatus.IOERR)
            with m.Elif(self.some):
                m.d.comb += op.eq(BlkOp.WRITE)
        with m.Else():
            m.d.comb += request.status.eq(BlkStatus.UNSUPP)
        with m.If(self.malformed | self.failed):
            m.d.comb += op.eq(BlkOp.NONE)
        with m.If((op == BlkOp.READ) | (op == BlkOp.WRITE)):
            m.d.comb += request.sectors.eq(self.sectors)


class BlkParser(Component):
    """Reads each chain's header and passes the request on, and the data of writes behind it.

    Parameters: ``data_width``; ``has_legacy``: there may be a legacy driver, whose FLUSH_OUT is a FLUSH.

    Members (W is ``data_width``):

    - ``chains`` In stream of ChainInfo, and ``readable`` In stream of byte_beat(W): as in ChainPort
    - ``capacity`` In 64: size of the disk in 512-byte sectors
    - ``read_only`` In 1: writes are refused
    - ``requests`` Out stream of BlkRequest: one a chain
    - ``data`` Out stream of write_beat(W): ``sectors`` sectors for each WRITE request
    - ``malformed`` Out 1: a pulse for each chain without room for a header or a status

    A WRITE request is passed on before its data, so ``error`` may still come with the data. All other
    requests are passed on after the end of their packet.

    Latency: 6 cycles a request (7 at 64 bits), then one beat a cycle.

    Ref: virtio 1.4, 5.2.6.
    """

    def __init__(self, data_width: int, has_legacy: bool = False):
        self._width = data_width
        self._flushes = (BlkRequestType.FLUSH, BlkRequestType.FLUSH_OUT)[: 1 + has_legacy]
        super().__init__(
            {
                "chains": In(stream_of(ChainInfo)),
                "readable": In(stream_of(byte_beat(data_width))),
                "capacity": In(64),
                "read_only": In(1),
                "requests": Out(stream_of(BlkRequest)),
                "data": Out(stream_of(write_beat(data_width))),
                "malformed": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        chain, beat = self.chains.p, self.readable.p
        current = _Request(self._flushes)
        current.verdict(m, self.requests.p, self.read_only)
        taken = Signal()
        m.d.comb += taken.eq(self.readable.valid & self.readable.ready)
        with m.If(taken):
            m.d.sync += [current.failed.eq(current.failed | beat.error), current.ended.eq(beat.last)]
        m.d.sync += self.malformed.eq(0)

        with m.FSM():
            with m.State("WAIT_CHAIN"):
                m.d.comb += self.chains.ready.eq(1)
                with m.If(self.chains.valid):
                    m.d.sync += [
                        current.readable.eq(chain.readable),
                        current.writable.eq(chain.writable),
                        current.failed.eq(0),
                        current.ended.eq(chain.readable == 0),
                    ]
                    m.next = "WAIT_HEADER"
                    with m.If(chain.readable == 0):
                        m.next = "CHECK_LENGTH"
            self._header_states(m, current.header)
            with m.State("CHECK_LENGTH"):
                current.check_length(m, self.capacity)
                m.next = "CHECK_RANGE"
            with m.State("CHECK_RANGE"):
                current.check_range(m)
                m.next = "DECIDE"
            with m.State("DECIDE"):
                with m.If(self.requests.p.op == BlkOp.WRITE):
                    m.d.comb += self.requests.valid.eq(1)
                    with m.If(self.requests.ready):
                        m.next = "PASS_DATA"
                with m.Elif(current.ended):
                    m.next = "SEND_REQUEST"
                with m.Else():
                    m.next = "DRAIN"
            with m.State("PASS_DATA"):
                m.d.comb += [self.data.valid.eq(self.readable.valid), self.readable.ready.eq(self.data.ready)]
                with m.If(taken & beat.last):
                    m.next = "WAIT_CHAIN"
            with m.State("DRAIN"):
                m.d.comb += self.readable.ready.eq(1)
                with m.If(taken & beat.last):
                    m.next = "SEND_REQUEST"
            with m.State("SEND_REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.d.sync += self.malformed.eq(current.malformed)
                    m.next = "WAIT_CHAIN"
        self._realign(m, taken, current.failed)
        return m

    def _header_states(self, m: Any, header) -> None:
        beat = self.readable.p
        value = header.as_value()
        width = min(self._width, _HEADER_BITS)
        with m.State("WAIT_HEADER"):
            m.d.comb += self.readable.ready.eq(1)
            with m.If(self.readable.valid):
                m.d.sync += value[:width].eq(beat.data)
                m.next = "CHECK_LENGTH"
                if width < _HEADER_BITS:
                    with m.If(~beat.last):
                        m.next = "WAIT_SECTOR"
        if width < _HEADER_BITS:
            with m.State("WAIT_SECTOR"):
                m.d.comb += self.readable.ready.eq(1)
                with m.If(self.readable.valid):
                    m.d.sync += value[width:].eq(beat.data)
                    m.next = "CHECK_LENGTH"

    def _realign(self, m: Any, taken: Signal, failed: Signal) -> None:
        """Data starts after the header: what is left of each beat goes before the start of the next."""
        beat = self.readable.p
        m.d.comb += [self.data.p.last.eq(beat.last), self.data.p.error.eq(failed | beat.error)]
        if self._width > _HEADER_BITS:
            left = Signal(self._width - _HEADER_BITS)
            with m.If(taken):
                m.d.sync += left.eq(beat.data[_HEADER_BITS:])
            m.d.comb += self.data.p.data.eq(Cat(left, beat.data[:_HEADER_BITS]))
        else:
            m.d.comb += self.data.p.data.eq(beat.data)
