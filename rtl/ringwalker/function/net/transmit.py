"""Sends frames: takes the header off and keeps what the MAC sees in order, whatever happens behind it."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...apart import ResetInserter
from ...component import Component
from ...dma.byte_packer import BytePacker
from ...spec.net import LEGACY_NET_HEADER_BYTES
from ...streams import byte_beat, stream_of
from .types import HEADER_BYTES, transmit_beat

__all__ = ["NetTransmit"]


class NetTransmit(Component):
    """Packets in, frames out: what follows the header, the first bytes of each packet.

    Parameters: ``data_width``; ``has_legacy``: there may be a legacy driver.

    Members (W is ``data_width``):

    - ``i`` In stream of transmit_beat(W): packets; those to send are longer than a header
    - ``tx`` Out stream of byte_beat(W): frames
    - ``halt`` In 1: wait for nobody
    - ``forget`` In 1: a pulse: a frame that was begun ends with an error, and nothing else is held
    - ``finished`` Out 1: a pulse for each packet not discarded, when its last beat is the next that the MAC
      gets, or was dropped
    - ``legacy`` In 1, with ``has_legacy``: the header has no ``num_buffers``

    A frame of which a beat came with an error ends with one. While ``halt`` is up, a frame that meets a
    ``tx`` that is not ready is dropped; if its first beat was shown already, it ends with a beat that has
    ``error`` and that waits for the MAC without holding up anything else.

    Latency: 5 cycles. A beat a cycle, no gaps between packets.

    Ref: virtio 1.4, 5.1.6.2.
    """

    def __init__(self, data_width: int, has_legacy: bool = False):
        self._width = data_width
        super().__init__(
            {
                "i": In(stream_of(transmit_beat(data_width))),
                "tx": Out(stream_of(byte_beat(data_width))),
                "halt": In(1),
                "forget": In(1),
                "finished": Out(1),
                **({"legacy": In(1)} if has_legacy else {}),
            }
        )
        self._legacy = self.legacy if has_legacy else None

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.packer = ResetInserter(self.forget)(packer := BytePacker(self._width))
        self._strip(m, packer.i)

        frame, free = packer.o, Signal()
        begun, cutting, abort = Signal(), Signal(), Signal()
        swallow, load = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.tx.valid | self.tx.ready),
            swallow.eq(cutting | (self.halt & ~free)),
            load.eq(frame.valid & free & ~abort & ~swallow),
            frame.ready.eq(swallow | (free & ~abort)),
            self.finished.eq(frame.valid & frame.ready & frame.p.last),
        ]
        with m.If(free):
            m.d.sync += [self.tx.valid.eq(load | abort), abort.eq(0)]
            with m.If(abort):
                m.d.sync += [self.tx.p.count.eq(1), self.tx.p.first.eq(0), self.tx.p.last.eq(1)]
                m.d.sync += self.tx.p.error.eq(1)
            with m.Else():
                m.d.sync += self.tx.p.eq(frame.p)
        with m.If(load):
            m.d.sync += begun.eq(~frame.p.last)
        with m.If(frame.valid & swallow):
            m.d.sync += [cutting.eq(~frame.p.last), begun.eq(0)]
            with m.If(begun):
                m.d.sync += abort.eq(1)
        with m.If(self.forget):
            m.d.sync += [cutting.eq(0), begun.eq(0)]
            with m.If(Mux(load, ~frame.p.last, begun)):
                m.d.sync += abort.eq(1)
        return m

    def _strip(self, m: Any, o: Any) -> None:
        """Pass on all but whole beats of header, and the beat after them without the rest of it."""
        beat_bytes = self._width // 8
        skipped, shift = divmod(HEADER_BYTES, beat_bytes)
        beat, taken = self.i.p.beat, self.i.valid & self.i.ready
        skip, cut = Signal(), Signal()
        if skipped:
            after = Signal()
            assert skipped == 1
            m.d.comb += [skip.eq(beat.first), cut.eq(after)]
            with m.If(taken):
                m.d.sync += after.eq(beat.first)
        else:
            m.d.comb += cut.eq(beat.first)
        unwanted = skip | self.i.p.discard
        m.d.comb += [
            o.valid.eq(self.i.valid & ~unwanted),
            o.p.data.eq(Mux(cut, beat.data >> 8 * shift, beat.data)),
            o.p.count.eq(beat.count - Mux(cut, shift, 0)),
            o.p.last.eq(beat.last),
            o.p.error.eq(beat.error),
            self.i.ready.eq(o.ready | unwanted),
        ]
        if self._legacy is not None:
            shift = LEGACY_NET_HEADER_BYTES - skipped * beat_bytes
            with m.If(self._legacy & cut):
                m.d.comb += [o.p.data.eq(beat.data >> 8 * shift), o.p.count.eq(beat.count - shift)]
