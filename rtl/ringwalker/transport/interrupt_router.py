"""Where notifications of the device go: to a message-signalled vector or to the ISR."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.modern import NO_VECTOR
from ..streams import stream_of

__all__ = ["InterruptRouter"]


class InterruptRouter(Component):
    """Routes used buffer notifications and configuration changes: to MSI-X vectors or to the ISR.

    - With MSI-X enabled a vector other than NO_VECTOR goes out one cycle after it was taken, NO_VECTOR is
      dropped, and the ISR's queue bit is left alone. Otherwise that bit is set and no vector goes out.
    - The ISR's configuration bit is set for every change in both modes.
    - Configuration changes are remembered until they are sent, several as one, with the vector of that
      moment. One that arrives while an earlier is being sent is sent too. They go first, but never twice in
      a row while a used buffer notification waits.
    - While ``hold`` is up no configuration change is sent; it is remembered, and does not count for ``idle``.

    Ref: virtio 1.4, 4.1.5.3 (used buffer notifications), 4.1.5.4 (configuration changes), 4.1.4.5.1
    (the ISR's configuration bit), 4.1.5.1.2 (vectors).
    """

    interrupts: In(stream_of(16))
    """Vectors of used buffer notifications."""
    config_change: In(1)
    """Pulse."""
    config_vector: In(16)
    """The vector of configuration changes."""
    msix_enable: In(1)
    hold: In(1)
    """Configuration changes wait."""
    clear: In(1)
    """What waits to be sent is forgotten."""
    vectors: Out(stream_of(16))
    """Vectors for MSI-X."""
    set_queue: Out(1)
    """Pulse to the ISR, from a register."""
    set_config: Out(1)
    """Pulse to the ISR, from a register."""
    idle: Out(1)
    """Nothing waits to be sent."""

    def elaborate(self, platform):
        m: Any = Module()
        interrupts, vectors = self.interrupts, self.vectors
        changed = Signal()  # a configuration change is to be sent
        yields = Signal()  # the last one sent was a configuration change
        free, send_change, send_used, due = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~vectors.valid | vectors.ready),
            due.eq(changed & ~self.hold),
            interrupts.ready.eq(free & (~due | yields)),
            send_used.eq(interrupts.valid & interrupts.ready),
            send_change.eq(free & due & ~send_used),
            self.idle.eq(~vectors.valid & ~due & ~self.set_queue & ~self.set_config),
        ]
        m.d.sync += [
            self.set_queue.eq(send_used & ~self.msix_enable),
            self.set_config.eq(send_change),
        ]
        with m.If(free):
            m.d.sync += vectors.valid.eq(0)
        with m.If(send_used):
            m.d.sync += [
                yields.eq(0),
                vectors.valid.eq(self.msix_enable & (interrupts.payload != NO_VECTOR)),
                vectors.payload.eq(interrupts.payload),
            ]
        with m.If(send_change):
            m.d.sync += [
                yields.eq(1),
                changed.eq(0),
                vectors.valid.eq(self.msix_enable & (self.config_vector != NO_VECTOR)),
                vectors.payload.eq(self.config_vector),
            ]
        with m.If(self.config_change):
            m.d.sync += changed.eq(1)
        with m.If(self.clear):
            m.d.sync += [changed.eq(0), vectors.valid.eq(0)]
        return m
