"""The console: wiring of its parts."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out, connect, flipped

from ...apart import ResetInserter
from ...buffers import StreamFifo
from ...component import Component
from ...config import DeviceConfig
from ...interfaces import ChainPort, RegisterPort, UartPort
from ...spec.console import CONSOLE_RECEIVE_QUEUE, CONSOLE_TRANSMIT_QUEUE
from .device_config import console_config_face
from .receive import ConsoleReceive
from .transmit import ConsoleTransmit

__all__ = ["EMERGENCY_BYTES", "RECEIVE_BYTES", "ConsoleFunction", "console_lanes", "console_ports"]

RECEIVE_BYTES = 64
"""Bytes from the terminal that wait for a chain before the terminal has to wait."""

EMERGENCY_BYTES = 16
"""Emergency writes that wait for the terminal; the driver cannot be made to wait, so others are lost."""


def console_lanes(config: DeviceConfig) -> dict[str, tuple[int, ...]]:
    """Receive chains wait for the terminal, so each direction has a lane of its own."""
    return {"receive": (CONSOLE_RECEIVE_QUEUE,), "transmit": (CONSOLE_TRANSMIT_QUEUE,)}


def console_ports(config: DeviceConfig) -> dict[str, Any]:
    """What of the console function the whole device passes on."""
    return {
        "uart": Out(UartPort()),
        "cols": In(16, init=config.settings.cols),
        "rows": In(16, init=config.settings.rows),
    }


class ConsoleFunction(Component):
    """A virtio console of one port over any terminal that takes and gives bytes.

    Members (W is ``config.data_width``):

    - ``receive`` In(ChainPort(W)), ``transmit`` In(ChainPort(W)): of the two queues
    - ``registers`` In(RegisterPort()): device configuration
    - ``uart`` Out(UartPort()): the terminal
    - ``cols`` In 16, ``rows`` In 16: its size
    - ``active`` Out 1: something moves on the UART port, or a receive buffer is about to be given back
    - ``generation`` Out 8: of the device configuration
    - ``config_change`` Out 1: a pulse when the size changed

    Bytes from the terminal wait in a FIFO, also through a reset; when it is full the terminal waits, and none
    is lost but those that a forgotten chain has. Bytes of forgotten chains that were not offered to the
    terminal are dropped. Emergency writes go out before bytes of the transmit queue, and need no queue.
    :class:`~.transmit.ConsoleTransmit` and :class:`~.receive.ConsoleReceive` say what a halt does to chains.

    Ref: virtio 1.4, 5.3.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__(
            {
                "receive": In(ChainPort(config.data_width)),
                "transmit": In(ChainPort(config.data_width)),
                "registers": In(RegisterPort()),
                **console_ports(config),
                "active": Out(1),
                "generation": Out(8),
                "config_change": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        width = self._config.data_width
        m.submodules.face = face = console_config_face(self._config)
        m.submodules.received = received = StreamFifo(8, RECEIVE_BYTES)
        m.submodules.emergency = emergency = StreamFifo(8, EMERGENCY_BYTES)
        receiver, transmitter = (
            ConsoleReceive(width, self._config.settings.idle_cycles),
            ConsoleTransmit(width),
        )
        m.submodules.receiver = ResetInserter(self.receive.forget)(receiver)
        m.submodules.transmitter = ResetInserter(self.transmit.forget)(transmitter)
        for source, sink in (
            (flipped(self.registers), face.registers),
            (flipped(self.uart.rx), received.i),
            (received.o, receiver.i),
            (flipped(self.receive), receiver.chain),
            (flipped(self.transmit), transmitter.chain),
        ):
            connect(m, source, sink)
        # What is offered to the terminal stays, whatever comes meanwhile.
        tx, urgent, usual = self.uart.tx, emergency.o, transmitter.o
        free = ~tx.valid | tx.ready
        m.d.comb += [emergency.i.valid.eq(face.write_emerg_wr[0]), emergency.i.p.eq(face.emerg_wr[:8])]
        m.d.comb += [urgent.ready.eq(free), usual.ready.eq(free & ~urgent.valid)]
        with m.If(free):
            m.d.sync += [
                tx.valid.eq(urgent.valid | usual.valid),
                tx.p.eq(Mux(urgent.valid, urgent.p, usual.p)),
            ]
        m.d.comb += [
            face.cols.eq(self.cols),
            face.rows.eq(self.rows),
            self.active.eq(
                (tx.valid & tx.ready) | (self.uart.rx.valid & self.uart.rx.ready) | receiver.waiting
            ),
            self.generation.eq(face.generation),
            self.config_change.eq(face.config_change),
        ]
        return m
