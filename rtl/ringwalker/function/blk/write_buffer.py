"""Holds the data of writes until a whole chunk of it is there."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ...apart import ResetInserter
from ...buffers import StreamFifo
from ...component import Component
from ...memories import READ_APART
from ...streams import storage_beat, stream_of
from .types import sector_beats, write_beat

__all__ = ["BlkWriteBuffer"]


class BlkWriteBuffer(Component):
    """Cuts the data of writes into chunks, and keeps each until it is granted.

    A chunk has ``chunk_sectors`` sectors; the last of a write may be shorter. There is room for two whole
    ones.

    Members (W is ``data_width``):

    - ``i`` In stream of write_beat(W): the data of each write
    - ``chunks`` Out stream of 1 bit: a chunk has ended; 1 if it can be written, 0 if an error came and it was
      dropped
    - ``grant`` In 1: a pulse lets go of the oldest good chunk
    - ``o`` Out stream of storage_beat(W): granted chunks, ``last`` at the end of each
    - ``forget`` In 1: a pulse: chunks that are not granted are void
    - ``lingers`` In 1: but for the oldest of them, which is still to be granted

    After ``forget`` nothing is taken until all that was granted has left. One beat a cycle in and out.
    """

    def __init__(self, data_width: int, chunk_sectors: int):
        self._width = data_width
        self._chunk_beats = chunk_sectors * sector_beats(data_width)
        super().__init__(
            {
                "i": In(stream_of(write_beat(data_width))),
                "chunks": Out(stream_of(1)),
                "grant": In(1),
                "o": Out(stream_of(storage_beat(data_width))),
                "forget": In(1),
                "lingers": In(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        depth = 2 * self._chunk_beats
        beat = storage_beat(self._width)
        # What is read was committed by a cycle before, and there is room for what is written.
        m.submodules.memory = store = memory.Memory(shape=beat, depth=depth, init=[], attrs=READ_APART)
        m.submodules.ended = ResetInserter(self.forget)(ended := StreamFifo(1, 4))
        wiring.connect(m, ended.o, wiring.flipped(self.chunks))
        write_port: Any = store.write_port()
        read_port: Any = store.read_port()
        # Positions count beats modulo twice the depth, so that full and empty differ.
        written, committed, fetched = (Signal(range(2 * depth)) for _ in range(3))
        position = Signal(range(self._chunk_beats))

        taken, chunk_end, room, voids = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            room.eq(((written - fetched)[: len(written)] != depth) & ~voids),
            self.i.ready.eq(room & ended.i.ready),
            taken.eq(self.i.valid & self.i.ready),
            chunk_end.eq((position == self._chunk_beats - 1) | self.i.p.last),
            write_port.addr.eq(written),
            write_port.data.data.eq(self.i.p.data),
            write_port.data.last.eq(chunk_end),
            write_port.en.eq(taken),
            ended.i.valid.eq(self.i.valid & chunk_end & room),
            ended.i.p.eq(~self.i.p.error),
        ]
        with m.If(taken):
            m.d.sync += [written.eq(written + 1), position.eq(position + 1)]
            with m.If(chunk_end):
                m.d.sync += position.eq(0)
                with m.If(self.i.p.error):
                    m.d.sync += written.eq(committed)
                with m.Else():
                    m.d.sync += committed.eq(written + 1)

        loaded, sent = Signal(), Signal()
        granted = Signal(range(depth + 1))
        m.d.comb += [
            read_port.addr.eq(fetched),
            read_port.en.eq((fetched != committed) & (~loaded | sent)),
            self.o.p.eq(read_port.data),
            self.o.valid.eq(loaded & (granted != 0)),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(~loaded | sent):
            m.d.sync += [loaded.eq(read_port.en), fetched.eq(fetched + read_port.en)]
        m.d.sync += granted.eq(granted + self.grant - (sent & self.o.p.last))
        with m.If(self.forget):
            m.d.sync += voids.eq(1)
        with m.Elif(voids & (granted == 0) & ~self.lingers):
            m.d.sync += voids.eq(0)
            m.d.sync += [state.eq(0) for state in (written, committed, fetched, position, loaded)]
        return m
