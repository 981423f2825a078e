"""Turns requests into storage commands."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...streams import StorageCommand, StorageOp, stream_of
from .types import BlkOp, BlkRecord, BlkRequest, BlkSource

__all__ = ["BlkCommander"]


class BlkCommander(Component):
    """Issues each request's commands, of at most ``chunk_sectors`` each, in the order of the requests.

    The record of a write comes after its last command, all others before the first. A write of which a
    chunk was lost is not answered. Three cycles a command, and at most three a request.

    After ``forget`` nothing more is done for the request, but a command that was offered stays until it is
    taken.
    """

    requests: In(stream_of(BlkRequest))
    """What to do."""
    chunks: In(stream_of(1))
    """The next chunk of a write is there (1), or is lost (0)."""
    grant: Out(1)
    """A pulse: the command of a chunk was taken."""
    forget: In(1)
    """A pulse: the request is void."""
    lingers: Out(1)
    """The command that is offered is of a void request."""
    hold: In(1)
    """No other command is offered."""
    commands: Out(stream_of(StorageCommand))
    """To the storage."""
    records: Out(stream_of(BlkRecord))
    """The answers that are due."""
    expected: Out(stream_of(1))
    """0 for each command, 1 after the last command of a request."""

    def __init__(self, chunk_sectors: int):
        self._chunk = chunk_sectors
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        request: Any = Signal(BlkRequest)
        sectors = Signal(range(self._chunk + 1))
        is_write, void = Signal(), Signal()
        m.d.comb += [
            is_write.eq(request.op == BlkOp.WRITE),
            self.lingers.eq(void),
            sectors.eq(Mux(request.sectors > self._chunk, self._chunk, request.sectors)),
        ]
        self._payloads(m, request, sectors)

        def advance():
            m.d.sync += [
                request.sector.eq(request.sector + sectors),
                request.sectors.eq(request.sectors - sectors),
            ]

        def void_request():
            with m.If(self.forget):
                m.next = "WAIT_REQUEST"

        with m.FSM():
            with m.State("WAIT_REQUEST"):
                m.d.comb += self.requests.ready.eq(1)
                with m.If(self.requests.valid):
                    m.d.sync += request.eq(self.requests.p)
                    m.next = "SEND_RECORD"
                    with m.If(self.requests.p.op == BlkOp.WRITE):
                        m.next = "WAIT_CHUNK"
                void_request()
            with m.State("WAIT_CHUNK"):
                m.d.comb += self.chunks.ready.eq(1)
                with m.If(self.chunks.valid & self.chunks.p):
                    m.next = "SEND_COMMAND"
                with m.Elif(self.chunks.valid):
                    m.d.sync += request.answer.eq(0)
                    advance()
                    with m.If(request.sectors == sectors):
                        m.next = "SEND_RECORD"
                void_request()
            with m.State("SEND_COMMAND"):
                offered, taken = self.commands.valid, self.commands.valid & self.commands.ready
                m.d.comb += [offered.eq(void | ~self.hold), self.grant.eq(taken & is_write)]
                m.d.sync += void.eq((self.forget | void) & offered & ~taken)
                with m.If(taken):
                    advance()
                    m.next = "SEND_EXPECTED"
                with m.If((self.forget | void) & (taken | ~offered)):
                    m.next = "WAIT_REQUEST"
            with m.State("SEND_EXPECTED"):
                m.d.comb += self.expected.valid.eq(1)
                with m.If(self.expected.ready):
                    with m.If(request.sectors != 0):
                        m.next = "SEND_COMMAND"
                        with m.If(is_write):
                            m.next = "WAIT_CHUNK"
                    with m.Else():
                        m.next = "SEND_END"
                        with m.If(is_write):
                            m.next = "SEND_RECORD"
                void_request()
            with m.State("SEND_RECORD"):
                m.d.comb += self.records.valid.eq(1)
                with m.If(self.records.ready):
                    m.next = "SEND_END"
                    with m.If((request.op == BlkOp.FLUSH) | (request.sectors != 0)):
                        m.next = "SEND_COMMAND"
                void_request()
            with m.State("SEND_END"):
                m.d.comb += [self.expected.valid.eq(1), self.expected.p.eq(1)]
                with m.If(self.expected.ready):
                    m.next = "WAIT_REQUEST"
                void_request()
        return m

    def _payloads(self, m: Any, request, sectors: Signal) -> None:
        command, record = self.commands.p, self.records.p
        m.d.comb += [
            command.op.eq(StorageOp.READ),
            command.sector.eq(request.sector),
            command.sectors.eq(sectors),
            record.source.eq(BlkSource.NONE),
            record.offset.eq(request.writable - 1),
            record.status.eq(request.status),
            record.answer.eq(request.answer),
        ]
        with m.Switch(request.op):
            with m.Case(BlkOp.WRITE):
                m.d.comb += command.op.eq(StorageOp.WRITE)
            with m.Case(BlkOp.FLUSH):
                m.d.comb += [command.op.eq(StorageOp.FLUSH), command.sector.eq(0), command.sectors.eq(0)]
            with m.Case(BlkOp.READ):
                m.d.comb += record.source.eq(BlkSource.STORAGE)
            with m.Case(BlkOp.ID):
                m.d.comb += record.source.eq(BlkSource.ID)
