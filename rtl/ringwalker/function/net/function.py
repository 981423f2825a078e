"""The network device: wiring of its parts."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import ChainPort, MacPort, RegisterPort
from ...spec.net import NET_CONTROL_QUEUE, NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE, NetStatus
from .device_config import RX_MODE_BITS, net_config_face
from .frame_buffer import NetFrameBuffer
from .outgoing import NetOutgoing
from .receive import NetReceive

__all__ = ["NetFunction", "net_lanes", "net_ports"]


def net_lanes(config: DeviceConfig) -> dict[str, tuple[int, ...]]:
    """Receive chains wait for frames, so they have a lane of their own; the MAC and commands share one."""
    return {"incoming": (NET_RECEIVE_QUEUE,), "outgoing": (NET_TRANSMIT_QUEUE, NET_CONTROL_QUEUE)}


def net_ports(config: DeviceConfig) -> dict[str, Any]:
    """What of the network function the whole device passes on."""
    return {"mac": Out(MacPort(config.data_width))}


class NetFunction(Component):
    """A virtio network device over any MAC.

    Members (W is ``config.data_width``):

    - ``incoming`` In(ChainPort(W)): of the receive queue
    - ``outgoing`` In(ChainPort(W)): of the transmit and control queues
    - ``registers`` In(RegisterPort()): device configuration
    - ``mac`` Out(MacPort(W)): the MAC
    - ``driver_ok`` In 1: while it is 0 received frames are dropped
    - ``clear`` In 1: a pulse: forget what the driver has set
    - ``active`` Out 1: something moves on the MAC port, or frames are being dropped
    - ``generation`` Out 8: of the device configuration
    - ``config_change`` Out 1: a pulse when the link went up or down
    - ``missed`` Out 1: a pulse for each received frame that was dropped for want of room in the buffer
    - ``undersized`` Out 1: a pulse for each received frame that was dropped for want of room in its chain
    - ``legacy`` In 1, if ``config`` has a legacy face: headers are those of a legacy driver

    :class:`~.frame_buffer.NetFrameBuffer` says what is received and what is dropped,
    :class:`~.receive.NetReceive` and :class:`~.outgoing.NetOutgoing` how chains are answered, and
    :class:`~.control.NetControl` which commands there are. One beat a cycle in both directions.

    Ref: virtio 1.4, 5.1.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__(
            {
                "incoming": In(ChainPort(config.data_width)),
                "outgoing": In(ChainPort(config.data_width)),
                "registers": In(RegisterPort()),
                **net_ports(config),
                "driver_ok": In(1),
                "clear": In(1),
                "active": Out(1),
                "generation": Out(8),
                "config_change": Out(1),
                "missed": Out(1),
                "undersized": Out(1),
                **({"legacy": In(1)} if config.has_legacy else {}),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config = self._config
        m.submodules.face = face = net_config_face(config)
        m.submodules.buffer = buffer = NetFrameBuffer(config.data_width, config.settings)
        m.submodules.receive = receive = NetReceive(config.data_width, config.has_legacy)
        m.submodules.outgoing = outgoing = NetOutgoing(config)
        for source, sink in (
            (flipped(self.registers), face.registers),
            (flipped(self.mac.rx), buffer.rx),
            (buffer.lengths, receive.lengths),
            (buffer.o, receive.data),
            (outgoing.tx, flipped(self.mac.tx)),
        ):
            connect(m, source, sink)
        connect(m, flipped(self.incoming), receive.chain)
        connect(m, flipped(self.outgoing), outgoing.chain)
        if config.has_legacy:
            m.d.comb += [receive.legacy.eq(self.legacy), outgoing.legacy.eq(self.legacy)]
        table = Signal(RX_MODE_BITS)
        with m.If(outgoing.set_table):
            m.d.sync += table.eq(outgoing.new_table)
        with m.If(self.clear):
            m.d.sync += table.eq(0)
        moves = (item.valid & item.ready for item in (self.mac.tx, self.mac.rx))
        m.d.comb += [
            face.clear.eq(self.clear),
            face.status.eq(Mux(self.mac.link_up, int(NetStatus.LINK_UP), 0)),
            face.set_mac.eq(outgoing.set_mac.replicate(len(face.mac))),
            face.new_mac.eq(outgoing.new_mac),
            face.set_rx_mode.eq(outgoing.set_mode),
            face.new_rx_mode.eq(outgoing.new_mode.replicate(RX_MODE_BITS)),
            outgoing.image.eq(face.image),
            buffer.mac.eq(face.mac),
            buffer.rx_mode.eq(face.rx_mode | table),
            buffer.enable.eq(self.driver_ok),
            receive.flushing.eq(buffer.flushing),
            self.active.eq(reduce(or_, moves) | buffer.active | receive.active),
            self.generation.eq(face.generation),
            self.config_change.eq(face.config_change),
            self.missed.eq(buffer.missed),
            self.undersized.eq(receive.undersized),
        ]
        return m
