"""Holds received frames until there are buffers for them, and decides which are received at all."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...memories import READ_APART
from ...spec.net import MAC_BYTES, NetRxMode
from ...streams import byte_beat, stream_of
from .device_config import RX_MODE_BITS
from .settings import NetSettings
from .types import LENGTH_BITS, SHORTEST_FRAME

__all__ = ["NetFrameBuffer"]

_MARGIN = 2
"""Beats by which the fill level may lag behind."""

_USUAL_SHORTEST = 64
"""Bytes a frame with which the queue of lengths is as large as the buffer."""

_BROADCAST = (1 << 8 * MAC_BYTES) - 1


class NetFrameBuffer(Component):
    """Takes frames from the MAC, and keeps those that are whole, good, and for this station.

    That is: to ``mac``, to all stations, to a group while ALL_MULTICAST is set, and to anyone while
    PROMISCUOUS is; without an error; from ``SHORTEST_FRAME`` to ``frame_bytes`` bytes. Without room for the
    longest frame a frame is not begun if ``pause`` is configured, else dropped. A frame that was begun is
    never held up.

    Members (W is ``data_width``):

    - ``rx`` In stream of byte_beat(W): frames from the MAC
    - ``mac`` In 48: the address, byte 0 in the lowest bits
    - ``rx_mode`` In: bits of NetRxMode
    - ``enable`` In 1: while it is 0 all frames are dropped, also one that has begun. When it rises, frames of
      before are still to be flushed: meanwhile a frame is not begun if ``pause`` is configured, else dropped
    - ``lengths`` Out stream: the bytes of each frame that is kept
    - ``o`` Out stream of W bits: the bytes of these frames, each from a new beat on
    - ``missed`` Out 1: a pulse for each frame dropped for want of room
    - ``flushing`` Out 1: there may be frames from before the last rise of ``enable``
    - ``active`` Out 1: frames are being flushed

    Latency: 2 cycles from a frame's last beat to its length. A beat a cycle in and out.

    Ref: virtio 1.4, 5.1.6.4 and 5.1.6.5.1.
    """

    def __init__(self, data_width: int, config: NetSettings):
        self._width = data_width
        self._config = config
        super().__init__(
            {
                "rx": In(stream_of(byte_beat(data_width))),
                "mac": In(8 * MAC_BYTES),
                "rx_mode": In(RX_MODE_BITS),
                "enable": In(1),
                "lengths": Out(stream_of(LENGTH_BITS)),
                "o": Out(stream_of(data_width)),
                "missed": Out(1),
                "flushing": Out(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        beat_bytes, config = self._width // 8, self._config
        depth = config.buffer_bytes // beat_bytes
        frame_beats = -(-config.frame_bytes // beat_bytes)
        # What is read was committed by a cycle before, and there is room for what is written.
        m.submodules.memory = store = memory.Memory(shape=self._width, depth=depth, init=[], attrs=READ_APART)
        m.submodules.lengths = lengths = StreamFifo(LENGTH_BITS, config.buffer_bytes // _USUAL_SHORTEST)
        connect(m, lengths.o, flipped(self.lengths))
        # Positions count beats modulo twice the depth, so that full and empty differ.
        written, committed, fetched = (Signal(range(2 * depth)) for _ in range(3))
        occupied, room = Signal(range(2 * depth)), Signal()
        m.d.comb += occupied.eq(written - fetched)
        m.d.sync += room.eq(occupied <= depth - frame_beats - _MARGIN)

        commit = self._take(m, store.write_port(), written, room & lengths.i.ready, lengths.i)
        with m.If(commit):
            m.d.sync += committed.eq(written + 1)
        with m.If(self.rx.valid & self.rx.ready & self.rx.p.last & ~commit):
            m.d.sync += written.eq(committed)

        read_port: Any = store.read_port()
        loaded, sent = Signal(), Signal()
        m.d.comb += [
            read_port.addr.eq(fetched),
            read_port.en.eq((fetched != committed) & (~loaded | sent)),
            self.o.p.eq(read_port.data),
            self.o.valid.eq(loaded),
            sent.eq(loaded & self.o.ready),
        ]
        with m.If(~loaded | sent):
            m.d.sync += [loaded.eq(read_port.en), fetched.eq(fetched + read_port.en)]
        m.d.comb += self.active.eq(self.flushing & (self.enable | ~lengths.idle))
        with m.If(~self.enable):
            m.d.sync += self.flushing.eq(1)
        with m.Elif(lengths.idle):
            m.d.sync += self.flushing.eq(0)
        return m

    def _take(self, m: Any, port: Any, written: Any, room: Any, lengths: Any) -> Any:
        """Write the beats of frames that may be kept. Returns whether one is complete with this beat."""
        beat, taken = self.rx.p, self.rx.valid & self.rx.ready
        inside, refused = Signal(), Signal()
        length, total = Signal(LENGTH_BITS), Signal(LENGTH_BITS + 1)
        accepting, wanted, keep, commit = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            accepting.eq(self.enable & ~self.flushing),
            wanted.eq(self._is_for_us(beat.data) & accepting),
            keep.eq(Mux(inside, ~refused & self.enable, wanted & room) & (total <= self._config.frame_bytes)),
            total.eq(Mux(inside, length, 0) + beat.count),
            commit.eq(taken & beat.last & keep & ~beat.error & (total >= SHORTEST_FRAME)),
            self.rx.ready.eq(inside | (room & ~self.flushing) | ~self.enable if self._config.pause else 1),
            self.missed.eq(taken & ~inside & wanted & ~room),
            port.addr.eq(written),
            port.data.eq(beat.data),
            port.en.eq(taken & keep),
            lengths.p.eq(total),
            lengths.valid.eq(commit),
        ]
        with m.If(taken):
            # A frame that is too long has been refused before its length can wrap.
            m.d.sync += [inside.eq(~beat.last), refused.eq(~keep), length.eq(total)]
            with m.If(keep):
                m.d.sync += written.eq(written + 1)
        with m.Elif(~self.enable):
            m.d.sync += refused.eq(1)
        return commit

    def _is_for_us(self, data: Any) -> Any:
        address = data[: 8 * MAC_BYTES]

        def mode(flag: NetRxMode) -> Any:
            return (self.rx_mode & int(flag)) != 0

        return (
            (address == self.mac)
            | (address == _BROADCAST)
            | (address[0] & mode(NetRxMode.ALL_MULTICAST))
            | mode(NetRxMode.PROMISCUOUS)
        )
