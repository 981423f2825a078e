"""Answers requests: data from storage or the serial number, then the status byte."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.blk import ID_BYTES, BlkStatus
from ...streams import reply_beat, storage_beat, stream_of
from .types import BlkRecord, BlkSource

__all__ = ["BlkReply", "BlkResults"]


class BlkResults(Component):
    """Gathers the results of all commands of a request into one."""

    expected: In(stream_of(1))
    """0 for each command, 1 after a request's last."""
    results: In(stream_of(1))
    """As in StoragePort: 1 for a command that failed."""
    statuses: Out(stream_of(1))
    """One a request: 1 if any of its commands failed."""

    def elaborate(self, platform):
        m: Any = Module()
        failed = Signal()
        m.d.comb += self.statuses.p.eq(failed)
        with m.If(self.expected.p):
            m.d.comb += [
                self.statuses.valid.eq(self.expected.valid),
                self.expected.ready.eq(self.statuses.ready),
            ]
            with m.If(self.expected.valid & self.statuses.ready):
                m.d.sync += failed.eq(0)
        with m.Else():
            m.d.comb += [
                self.results.ready.eq(self.expected.valid),
                self.expected.ready.eq(self.results.valid),
            ]
            with m.If(self.expected.valid & self.results.valid):
                m.d.sync += failed.eq(failed | self.results.p)
        return m


class BlkReply(Component):
    """Writes the answers.

    Members (W is ``data_width``):

    - ``records`` In stream of BlkRecord: the answers that are due
    - ``statuses`` In stream of 1 bit: one a record, 1 if storage failed
    - ``read_data`` In stream of storage_beat(W): data from storage
    - ``replies`` Out stream of reply_beat(W): the answers

    An answer is a packet of data at offset 0, if there is any, and a packet with the status byte that ends
    the chain. ``written`` counts the bytes that were written from the start up to the first gap.

    Latency: 2 cycles; one beat a cycle, and 2 cycles a request beside.

    Ref: virtio 1.4, 5.2.6 and 2.7.8.
    """

    def __init__(self, data_width: int, serial: str):
        self._width = data_width
        self._serial = serial.encode("ascii").ljust(ID_BYTES, b"\0")
        super().__init__(
            {
                "records": In(stream_of(BlkRecord)),
                "statuses": In(stream_of(1)),
                "read_data": In(stream_of(storage_beat(data_width))),
                "replies": Out(stream_of(reply_beat(data_width))),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        free, valid, sent = Signal(), Signal(), Signal()
        beat: Any = Signal(reply_beat(self._width))
        m.d.comb += [free.eq(~self.replies.valid | self.replies.ready), sent.eq(valid & free)]
        with m.If(free):
            m.d.sync += [self.replies.valid.eq(valid), self.replies.p.eq(beat)]

        record: Any = Signal(BlkRecord)
        supplied, left, first = Signal(32), Signal(32), Signal()
        with m.FSM():
            with m.State("WAIT_RECORD"):
                m.d.comb += self.records.ready.eq(1)
                m.d.sync += [record.eq(self.records.p), first.eq(1)]
                with m.If(self.records.valid):
                    length = self._data_length(m, self.records.p)
                    m.d.sync += [supplied.eq(length), left.eq(length)]
                    m.next = "SEND_STATUS"
                    with m.If((length != 0) & (self.records.p.source == BlkSource.STORAGE)):
                        m.next = "PASS_DATA"
                    with m.If((length != 0) & (self.records.p.source == BlkSource.ID)):
                        m.next = "SEND_ID"
            with m.State("PASS_DATA"):
                m.d.comb += [valid.eq(self.read_data.valid), self.read_data.ready.eq(free)]
                m.d.comb += beat.data.eq(self.read_data.p.data)
                self._data_beat(m, beat, sent, supplied, left, first)
            with m.State("SEND_ID"):
                m.d.comb += valid.eq(1)
                self._id_data(m, beat, supplied - left)
                self._data_beat(m, beat, sent, supplied, left, first)
            with m.State("SEND_STATUS"):
                m.d.comb += [valid.eq(self.statuses.valid), self.statuses.ready.eq(free)]
                self._status_beat(m, beat, record, supplied)
                with m.If(sent):
                    m.next = "WAIT_RECORD"
        return m

    def _data_length(self, m: Any, record: Any) -> Signal:
        length = Signal(32)
        with m.Switch(record.source):
            with m.Case(BlkSource.STORAGE):
                m.d.comb += length.eq(record.offset)
            with m.Case(BlkSource.ID):
                m.d.comb += length.eq(Mux(record.offset > ID_BYTES, ID_BYTES, record.offset))
        return length

    def _data_beat(self, m: Any, beat, sent: Signal, supplied: Any, left: Any, first: Signal) -> None:
        beat_bytes = self._width // 8
        last = left <= beat_bytes
        m.d.comb += [
            beat.count.eq(Mux(last, left, beat_bytes)),
            beat.first.eq(first),
            beat.last.eq(last),
            beat.length.eq(supplied),
        ]
        with m.If(sent):
            m.d.sync += [left.eq(left - beat_bytes), first.eq(0)]
            with m.If(last):
                m.next = "SEND_STATUS"

    def _id_data(self, m: Any, beat, position) -> None:
        beat_bytes = self._width // 8
        with m.Switch(position[: ID_BYTES.bit_length()]):
            for start in range(0, ID_BYTES, beat_bytes):
                piece = self._serial[start : start + beat_bytes]
                with m.Case(start):
                    m.d.comb += beat.data.eq(int.from_bytes(piece, "little"))

    def _status_beat(self, m: Any, beat, record, supplied: Any) -> None:
        m.d.comb += [beat.first.eq(1), beat.last.eq(1), beat.done.eq(1)]
        with m.If(record.answer):
            m.d.comb += [
                beat.data.eq(Mux(self.statuses.p, BlkStatus.IOERR, record.status)),
                beat.count.eq(1),
                beat.offset.eq(record.offset),
                beat.length.eq(1),
                beat.written.eq(supplied),
            ]
            with m.If(supplied == record.offset):
                m.d.comb += beat.written.eq(supplied + 1)
