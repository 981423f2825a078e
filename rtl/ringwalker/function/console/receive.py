"""The receive queue of the console: bytes as they come to chains."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import ChainPort
from ...streams import stream_of

__all__ = ["ConsoleReceive"]


class ConsoleReceive(Component):
    """Writes bytes to the chain at the front, and finishes it when it is full or no more bytes come.

    Parameters: ``idle_cycles``, for so long no byte may come before a chain that has some is finished.

    Members (W is ``data_width``):

    - ``chain`` In(ChainPort(W)): of the receive queue
    - ``i`` In stream of 8 bits: bytes from the terminal
    - ``waiting`` Out 1: a chain has bytes, and may yet be finished because no more come

    A chain is taken only when a byte is there. So none is given back empty, except one without room for a
    byte, and, while ``chain.halt`` is up, every one that has no byte yet; one that has is finished with
    what it has. No byte is taken from ``i`` while ``chain.halt`` is up. Readable bytes are dropped first.
    Replies are packets of one beat; one byte a cycle, and one cycle a beat beside.

    Ref: virtio 1.4, 5.3.6.
    """

    def __init__(self, data_width: int, idle_cycles: int):
        self._width = data_width
        self._idle_cycles = idle_cycles
        super().__init__({"chain": In(ChainPort(data_width)), "i": In(stream_of(8)), "waiting": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        chains, replies, halt = self.chain.chains, self.chain.replies, self.chain.halt
        beat_bytes = self._width // 8
        data: Any = Signal(self._width)
        count = Signal(range(beat_bytes + 1))
        room, offset, done = Signal(32), Signal(32), Signal()
        quiet = Signal(range(self._idle_cycles))
        m.d.comb += [
            replies.p.data.eq(data),
            replies.p.count.eq(count),
            replies.p.length.eq(count),
            replies.p.offset.eq(offset),
            replies.p.written.eq(offset + count),
            replies.p.first.eq(1),
            replies.p.last.eq(1),
            replies.p.done.eq(done),
        ]
        with m.FSM() as fsm:
            with m.State("WAIT_CHAIN"):
                m.d.comb += [self.chain.idle.eq(1), chains.ready.eq(self.i.valid | halt)]
                m.d.sync += [offset.eq(0), count.eq(0), data.eq(0), quiet.eq(0)]
                m.d.sync += [room.eq(chains.p.writable), done.eq(1)]
                with m.If(chains.valid & chains.ready):
                    m.next = "WAIT_BYTE"
                    with m.If(halt | (chains.p.writable == 0)):
                        m.next = "WAIT_REPLY"
                    with m.If(chains.p.readable != 0):
                        m.next = "WAIT_READABLE"
            with m.State("WAIT_READABLE"):
                # The host is not read of a chain that has been given back.
                m.d.comb += self.chain.readable.ready.eq(1)
                with m.If(self.chain.readable.valid & self.chain.readable.p.last):
                    m.next = "WAIT_BYTE"
                    with m.If(halt | (room == 0)):
                        m.next = "WAIT_REPLY"
            with m.State("WAIT_BYTE"):
                m.d.comb += self.i.ready.eq(~halt)
                m.d.sync += [quiet.eq(quiet + 1), done.eq(1)]
                with m.If(self.i.valid & ~halt):
                    m.d.sync += [
                        data.word_select(count, 8).eq(self.i.p),
                        count.eq(count + 1),
                        room.eq(room - 1),
                        done.eq(room == 1),
                        quiet.eq(0),
                    ]
                    with m.If((count == beat_bytes - 1) | (room == 1)):
                        m.next = "WAIT_REPLY"
                with m.Elif(halt | (quiet == self._idle_cycles - 1)):
                    m.next = "WAIT_REPLY"
            with m.State("WAIT_REPLY"):
                m.d.comb += replies.valid.eq(1)
                m.d.sync += quiet.eq(0)
                with m.If(replies.ready):
                    m.d.sync += [offset.eq(offset + count), count.eq(0), data.eq(0)]
                    m.next = "WAIT_BYTE"
                    with m.If(done):
                        m.next = "WAIT_CHAIN"
            m.d.comb += self.waiting.eq(fsm.ongoing("WAIT_BYTE"))
        return m
