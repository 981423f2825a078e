"""The device configuration of the network device: what the driver reads and writes, and the filter heeds."""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import RegisterPort
from ...spec.modern import PAGE
from ...spec.net import MAC_BYTES, NET_CONFIG, NetFeature, NetRxMode, NetStatus

__all__ = ["RX_MODE_BITS", "NetConfigFace", "net_features"]

RX_MODE_BITS = int(max(NetRxMode)).bit_length()
"""Bits of ``rx_mode`` that mean something; the others read as 0."""


def net_features(config: DeviceConfig) -> int:
    """The feature bits that the network function offers, as a mask."""
    offered = (
        NetFeature.MAC,
        NetFeature.STATUS,
        NetFeature.MTU,
        NetFeature.CTRL_VQ,
        NetFeature.CTRL_RX,
        NetFeature.CTRL_MAC_ADDR,
    )
    return sum(1 << bit for bit in offered)


class NetConfigFace(Component):
    """Holds the address and the receive mode, and shows them with the rest of the device configuration.

    ``mac`` and ``rx_mode`` can be written, whatever features were negotiated, a byte at a time; all else
    cannot.

    Members: ``registers`` (In, ``RegisterPort``; of ``offset`` only the part inside a page counts), ``clear``
    (In: back to the configured address and to no receive mode), ``set_mac`` and ``new_mac`` (In: a pulse and
    the address, byte 0 in the lowest bits), ``set_mode`` (In: for each bit of the mode a pulse) and
    ``new_mode`` (In 1: what that bit becomes), ``link_up`` (In), ``mac`` (Out 48), ``rx_mode`` (Out),
    ``image`` (Out: all of NET_CONFIG, byte 0 in the lowest bits), ``generation`` (Out: goes up when the
    device changes something: the status, or the address and mode on a command), ``config_change`` (Out: a
    pulse when ``link_up`` changed). The first ``link_up`` after reset is no change. One cycle a read; what is
    written shows in the cycle after it. Ref: virtio 1.4, 5.1.4 and 2.5.1.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        self._address = int.from_bytes(config.settings.address, "little")
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "clear": In(1),
                "set_mac": In(1),
                "new_mac": In(8 * MAC_BYTES),
                "set_mode": In(RX_MODE_BITS),
                "new_mode": In(1),
                "link_up": In(1, init=1),
                "mac": Out(8 * MAC_BYTES, init=self._address),
                "rx_mode": Out(RX_MODE_BITS),
                "image": Out(8 * NET_CONFIG.size),
                "generation": Out(8),
                "config_change": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        request, response = self.registers.requests, self.registers.responses
        dword = request.p.offset[2 : PAGE.bit_length() - 1]
        m.d.comb += request.ready.eq(~response.valid | response.ready)
        with m.If(request.ready):
            m.d.sync += [response.valid.eq(request.valid & ~request.p.write), response.p.data.eq(0)]
            with m.Switch(dword):
                for number in range(-(-NET_CONFIG.size // 4)):
                    with m.Case(number):
                        m.d.sync += response.p.data.eq(self.image[32 * number : 32 * number + 32])
                        with m.If(request.valid & request.p.write):
                            self._write(m, number, request.p)

        linked, started = Signal(init=1), Signal()
        m.d.sync += [started.eq(1), linked.eq(self.link_up), self.config_change.eq(0)]
        self._show(m, linked)
        changed = started & (linked != self.link_up)
        with m.If(changed):
            m.d.sync += self.config_change.eq(1)
        with m.If(changed | self.set_mac | self.set_mode.any()):
            m.d.sync += self.generation.eq(self.generation + 1)
        with m.If(self.set_mac):
            m.d.sync += self.mac.eq(self.new_mac)
        for bit, pulse in enumerate(self.set_mode):
            with m.If(pulse):
                m.d.sync += self.rx_mode[bit].eq(self.new_mode)
        with m.If(self.clear):
            m.d.sync += [self.mac.eq(self._address), self.rx_mode.eq(0)]
        return m

    def _show(self, m: Any, linked: Any) -> None:
        values = {
            "mac": self.mac,
            "status": Mux(linked, int(NetStatus.LINK_UP), 0),
            "mtu": Const(self._config.settings.mtu, 16),
            "rx_mode": self.rx_mode,
        }
        for name, value in values.items():
            register = NET_CONFIG[name]
            place = self.image[8 * register.offset : 8 * register.offset + register.width]
            m.d.comb += place.eq(value)

    def _write(self, m: Any, number: int, request: Any) -> None:
        """Bytes of dword ``number`` that can be written."""
        for lane, (name, byte) in self._writable(number):
            target = getattr(self, name)
            source = request.data.word_select(lane, 8)
            with m.If(request.strobe[lane]):
                bits = target[8 * byte : 8 * byte + 8]
                m.d.sync += bits.eq(source[: len(bits)])

    @staticmethod
    def _writable(number: int) -> Iterator[tuple[int, tuple[str, int]]]:
        """Pairs of a byte's place in the dword, and register and byte in it."""
        for name in ("mac", "rx_mode"):
            register = NET_CONFIG[name]
            for byte in range(register.size):
                where, lane = divmod(register.offset + byte, 4)
                if where == number:
                    yield lane, (name, byte)
