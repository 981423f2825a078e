"""MSI: the bits of the ISR as messages."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.modern import IsrBit
from ..spec.tlp import RequestKind, request_beat
from ..streams import stream_of
from .ports import MsiState

__all__ = ["MsiSender"]

_QUEUE = IsrBit.QUEUE.bit_length() - 1
_CONFIG = IsrBit.CONFIG.bit_length() - 1


class MsiSender(Component):
    """Sends a message when a bit of the ISR is set, in place of the level of INTx.

    Used buffer notifications are message 0, and so are configuration changes, unless software has enabled
    two messages: then they are message 1. A message that is masked, or must not be sent since bus mastering
    is off, is pending. It is forgotten when its bits of the ISR are read, or MSI is disabled. If MSI is
    enabled while a bit is set, that is as if it were set then.

    Parameters: ``data_width`` (W) in bits.

    Members:

    - ``bits`` In 2: the ISR
    - ``raised`` In 2, pulses: a bit of it was set that was 0, or that was read in that cycle
    - ``state`` In(MsiState()): as ConfigSpace gives it; ``enable`` is 0 while MSI-X is enabled
    - ``bus_master_enable`` In 1: messages may be sent
    - ``pending`` Out 2: messages that wait
    - ``messages`` Out stream of request_beat(W): memory writes of one dword, without a requester ID
    - ``idle`` Out 1: nothing is to be sent

    Latency: 2 cycles from ``raised`` to the message. One that waits for the link is sent, whatever is masked
    meanwhile.

    Ref: PCI 3.0, 6.8.1; virtio 1.4, 4.1.4.5 (without MSI-X a driver reads the ISR)
    """

    def __init__(self, data_width: int):
        super().__init__(
            {
                "bits": In(2),
                "raised": In(2),
                "state": In(MsiState()),
                "bus_master_enable": In(1),
                "pending": Out(2),
                "messages": Out(stream_of(request_beat(data_width))),
                "idle": Out(1),
            }
        )

    def _by_message(self, bits: Any) -> Any:
        """Bits of the ISR as bits of the messages that stand for them."""
        config, two = bits[_CONFIG], self.state.two
        return Cat(bits[_QUEUE] | (config & ~two), config & two)

    def elaborate(self, platform):
        m: Any = Module()
        state, messages = self.state, self.messages
        header = messages.p.header
        enabled, begins = Signal(), Signal()
        set_now, sent = Signal(2), Signal(2)
        due: Any = Signal(2)
        free = ~messages.valid | messages.ready
        m.d.comb += [
            begins.eq(state.enable & ~enabled),
            set_now.eq(self._by_message(self.raised | Mux(begins, self.bits, 0))),
            due.eq(Mux(state.enable & self.bus_master_enable, self.pending & ~state.mask, 0)),
            sent.eq(Mux(free, Cat(due[0], due[1] & ~due[0]), 0)),
            self.idle.eq(~messages.valid & (due == 0)),
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.length.eq(1),
            header.first_be.eq(0b1111),
            messages.p.dwords.eq(1),
            messages.p.first.eq(1),
            messages.p.last.eq(1),
        ]
        waits = ((self.pending & ~sent) | set_now) & self._by_message(self.bits)
        m.d.sync += [enabled.eq(state.enable), self.pending.eq(Mux(state.enable, waits, 0))]
        with m.If(free):
            number = Mux(state.two, sent[1], state.data[0])
            m.d.sync += [
                messages.valid.eq(sent.any()),
                header.address.eq(state.address),
                messages.p.data.eq(Cat(number, state.data[1:])),
            ]
        return m
