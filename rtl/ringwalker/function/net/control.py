"""Commands of the control queue: receive mode, address, and a look at the device configuration."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NetClass,
    NetControlAck,
    NetControlHeader,
    NetMacCommand,
    NetRxCommand,
    NetRxMode,
)
from ...streams import ChainInfo, byte_beat, reply_beat, stream_of
from .device_config import RX_MODE_BITS

__all__ = ["NetControl"]

_HEADER: Any = data.Layout.cast(NetControlHeader)
_HEADER_BYTES = _HEADER.size // 8
_COMMAND_BYTES = _HEADER_BYTES + MAC_BYTES
_COUNT_BYTES = 4
"""Bytes of the number in front of each of the two tables of TABLE_SET."""
_CONFIG_READ = 0
_ANSWER_BYTES = 1 + NET_CONFIG.size
_MODES = {
    NetRxCommand.PROMISCUOUS: NetRxMode.PROMISCUOUS,
    NetRxCommand.ALL_MULTICAST: NetRxMode.ALL_MULTICAST,
}


def _table_mode(data: Any, length: Any) -> Any:
    """The receive mode for the tables of a command of ``length`` bytes whose data begin with ``data``."""
    has_stations = data[: 8 * _COUNT_BYTES] != 0
    has_groups = length > _HEADER_BYTES + 2 * _COUNT_BYTES
    groups = Mux(has_groups, int(NetRxMode.ALL_MULTICAST), 0)
    return Mux(has_stations, int(NetRxMode.PROMISCUOUS), groups)


class NetControl(Component):
    """Carries out control commands, one at a time.

    Members (W is ``data_width``):

    - ``chains`` In stream of ChainInfo: as in ChainPort, but a chain is taken after its packet
    - ``readable`` In stream of byte_beat(W): as in ChainPort
    - ``replies`` Out stream of reply_beat(W): as in ChainPort
    - ``image`` In: the device configuration, byte 0 in the lowest bits
    - ``set_mac`` Out 1: a pulse: the address is to become ``new_mac``
    - ``new_mac`` Out 48: byte 0 in the lowest bits
    - ``set_mode`` Out: a pulse for each bit of the receive mode that is to become ``new_mode``
    - ``new_mode`` Out 1
    - ``set_table`` Out 1: a pulse: the table of addresses is to become ``new_table``
    - ``new_table`` Out: the receive mode that lets its addresses pass

    PROMISCUOUS and ALL_MULTICAST with one byte that is 0 or 1, ADDR_SET with the address of one station,
    TABLE_SET with two tables, and CONFIG READ are answered OK. The addresses of tables are not kept: while
    there are stations in them every frame is received, while there are groups only, those to all groups.
    Anything else, of another class, command or length, is answered ERR and has no effect. The answer to
    CONFIG READ goes on with as much of the device configuration as there is room for. A chain without room
    for an answer, or whose packet came with an error, has no effect and is finished with ``written`` 0. Four
    cycles a command and one a beat.

    Ref: virtio 1.4, 5.1.6.5.
    """

    def __init__(self, data_width: int):
        self._width = data_width
        super().__init__(
            {
                "chains": In(stream_of(ChainInfo)),
                "readable": In(stream_of(byte_beat(data_width))),
                "replies": Out(stream_of(reply_beat(data_width))),
                "image": In(8 * NET_CONFIG.size),
                "set_mac": Out(1),
                "new_mac": Out(8 * MAC_BYTES),
                "set_mode": Out(RX_MODE_BITS),
                "new_mode": Out(1),
                "set_table": Out(1),
                "new_table": Out(RX_MODE_BITS),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        chain, beat = self.chains.p, self.readable.p
        command, failed = Signal(8 * _COMMAND_BYTES), Signal()
        accepted, extended = Signal(), Signal()
        answer, left = Signal(8 * _ANSWER_BYTES), Signal(range(_ANSWER_BYTES + 1))
        acknowledgement = Signal(8)
        with m.FSM():
            with m.State("WAIT_CHAIN"):
                m.d.sync += failed.eq(0)
                with m.If(self.chains.valid):
                    m.next = "DECIDE"
                    with m.If(chain.readable != 0):
                        m.next = "WAIT_COMMAND"
            with m.State("WAIT_COMMAND"):
                m.d.comb += self.readable.ready.eq(1)
                with m.If(self.readable.valid):
                    m.d.sync += failed.eq(failed | beat.error)
                    with m.If(beat.first):
                        m.d.sync += command.eq(beat.data)
                    with m.If(beat.last):
                        m.next = "DECIDE"
            with m.State("DECIDE"):
                wanted = ~failed & (chain.writable != 0)
                self._decide(m, command, chain.readable, accepted, extended)
                m.d.comb += [
                    self.chains.ready.eq(1),
                    acknowledgement.eq(Mux(accepted, NetControlAck.OK, NetControlAck.ERR)),
                    self.new_mac.eq(command[8 * _HEADER_BYTES :]),
                    self.new_mode.eq(command[8 * _HEADER_BYTES]),
                    self.new_table.eq(_table_mode(command[8 * _HEADER_BYTES :], chain.readable)),
                ]
                m.d.sync += [
                    answer.eq(Cat(acknowledgement, self.image)),
                    left.eq(wanted),
                ]
                with m.If(wanted):
                    self._carry_out(m, command, accepted)
                    with m.If(extended):
                        m.d.sync += left.eq(
                            Mux(chain.writable < _ANSWER_BYTES, chain.writable, _ANSWER_BYTES)
                        )
                m.next = "SEND_FIRST"
            self._send_states(m, answer, left)
        return m

    def _decide(self, m: Any, command: Any, length: Any, accepted: Any, extended: Any) -> None:
        """Whether the command is carried out, and whether the device configuration is asked for."""
        kind, number, value = command[:8], command[8:16], command[16:]
        rx, mac, table, config = (Signal(name=f"is_{name}") for name in ("rx", "mac", "table", "config"))
        known = (number == NetRxCommand.PROMISCUOUS) | (number == NetRxCommand.ALL_MULTICAST)
        m.d.comb += [
            rx.eq((kind == NetClass.RX) & known & (length == _HEADER_BYTES + 1) & (value[:8] <= 1)),
            mac.eq(
                (kind == NetClass.MAC)
                & (number == NetMacCommand.ADDR_SET)
                & (length == _HEADER_BYTES + MAC_BYTES)
                & ~value[0]
            ),
            table.eq(
                (kind == NetClass.MAC)
                & (number == NetMacCommand.TABLE_SET)
                & (length >= _HEADER_BYTES + 2 * _COUNT_BYTES)
            ),
            config.eq((kind == NetClass.CONFIG) & (number == _CONFIG_READ) & (length == _HEADER_BYTES)),
            accepted.eq(rx | mac | table | config),
            extended.eq(config),
        ]

    def _carry_out(self, m: Any, command: Any, accepted: Any) -> None:
        with m.If(accepted & (command[:8] == NetClass.MAC)):
            is_table = command[8:16] == NetMacCommand.TABLE_SET
            m.d.comb += [self.set_mac.eq(~is_table), self.set_table.eq(is_table)]
        with m.If(accepted & (command[:8] == NetClass.RX)), m.Switch(command[8:16]):
            for number, mode in _MODES.items():
                with m.Case(int(number)):
                    m.d.comb += self.set_mode.eq(int(mode))

    def _send_states(self, m: Any, answer: Any, left: Any) -> None:
        """One packet with what is in ``answer``; its length is in ``left`` at first."""
        beat_bytes = self._width // 8
        reply, length = self.replies.p, Signal(range(_ANSWER_BYTES + 1))
        last = left <= beat_bytes
        m.d.comb += [
            reply.data.eq(answer),
            reply.count.eq(Mux(last, left, beat_bytes)),
            reply.last.eq(last),
            reply.done.eq(1),
        ]
        with m.State("SEND_FIRST"):
            m.d.comb += [
                self.replies.valid.eq(1),
                reply.first.eq(1),
                reply.length.eq(left),
                reply.written.eq(left),
            ]
            m.d.sync += length.eq(left)
            with m.If(self.replies.ready):
                m.d.sync += [left.eq(left - beat_bytes), answer.eq(answer >> self._width)]
                m.next = "WAIT_CHAIN"
                with m.If(~last):
                    m.next = "SEND_REST"
        with m.State("SEND_REST"):
            m.d.comb += [self.replies.valid.eq(1), reply.length.eq(length), reply.written.eq(length)]
            with m.If(self.replies.ready):
                m.d.sync += [left.eq(left - beat_bytes), answer.eq(answer >> self._width)]
                with m.If(last):
                    m.next = "WAIT_CHAIN"
