"""The ISR status byte, and with it the level of the INTx interrupt."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..spec.modern import ISR, PAGE, IsrBit

__all__ = ["Isr"]

_WIDTH = IsrBit.CONFIG.bit_length()
_QUEUE = IsrBit.QUEUE.bit_length() - 1
_CONFIG = IsrBit.CONFIG.bit_length() - 1


class Isr(Component):
    """The ISR status byte: reading it gives the bits and clears them.

    A read that does not enable the byte leaves the bits alone, as does a read of another offset, which gives
    0. Writes have no effect. A set in the cycle in which a read is taken is not lost: the read
    gives the bits from before, and the set remains.

    Latency: a response is valid one cycle after its request was taken.

    Ref: virtio 1.4, 4.1.4.5.
    """

    registers: In(RegisterPort())
    """Of the offset only the place in the page counts."""
    set_queue: In(1)
    """Pulse: a used ring changed."""
    set_config: In(1)
    """Pulse: the configuration changed."""
    clear: In(1)
    """Device reset: clears both bits, and wins over a set in the same cycle."""
    asserted: Out(1)
    """A bit is set; from registers."""
    bits: Out(_WIDTH)
    """The byte; from registers."""
    raised: Out(_WIDTH)
    """Pulses, from registers: a bit was set that was 0, or that was read in that cycle."""

    def elaborate(self, platform):
        m: Any = Module()
        requests, responses = self.registers.requests, self.registers.responses
        dword, lane = divmod(ISR.isr_status.offset, 4)
        place = requests.payload.offset[2 : PAGE.bit_length() - 1]
        bits: Any = self.bits
        arriving: Any = Signal(_WIDTH)
        kept, hit = Signal(_WIDTH), Signal()
        m.d.comb += [
            requests.ready.eq(~responses.valid | responses.ready),
            hit.eq(requests.valid & requests.ready & ~requests.payload.write & (place == dword)),
            arriving[_QUEUE].eq(self.set_queue),
            arriving[_CONFIG].eq(self.set_config),
            kept.eq(bits),
            self.asserted.eq(bits.any()),
        ]
        with m.If(hit & requests.payload.strobe[lane]):
            m.d.comb += kept.eq(0)
        m.d.sync += [bits.eq(kept | arriving), self.raised.eq(arriving & ~kept)]
        with m.If(self.clear):
            m.d.sync += [bits.eq(0), self.raised.eq(0)]
        with m.If(responses.ready):
            m.d.sync += responses.valid.eq(0)
        with m.If(requests.valid & requests.ready):
            m.d.sync += [
                responses.valid.eq(~requests.payload.write),
                responses.payload.data.eq(0),
            ]
            with m.If(hit):
                m.d.sync += responses.payload.data.eq(bits << (8 * lane))
        return m
