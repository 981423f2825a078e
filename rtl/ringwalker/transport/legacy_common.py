"""The common configuration of a device that has a legacy face: whose driver it is, and what that changes."""

from typing import Any

from amaranth.hdl import Const, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..spec.legacy import LEGACY_FEATURES
from .common_config import CommonConfig
from .device_status import DeviceStatusMachine, LegacyStatusMachine

__all__ = ["LegacyCommonConfig"]


class LegacyCommonConfig(CommonConfig):
    """The same registers, for drivers of virtio 1.x and for legacy ones.

    The first who begins has the device until it is reset: a write of a status other than 0 through either
    face, or a ``claim``. If the configuration has no modern face the driver is always a legacy one. For a
    legacy driver

    - FEATURES_OK stays 0, and nothing asks for it: bits that are written to ``driver_feature`` count at once,
      those of bits 31:0 that are offered, NOTIFY_ON_EMPTY and ANY_LAYOUT among them, and no others;
    - :class:`~.device_status.LegacyStatusMachine` says when it may use the device;
    - ``queue_reset`` takes 1 without VIRTIO_F_RING_RESET.

    Ref: virtio 1.4, 2.2.3, 3.1.2, 6.3 (legacy interface: feature bits, initialization, reserved bits).
    """

    claim: In(1)
    """A legacy driver begins: up before what it writes has an effect, until it is taken."""
    legacy: Out(1)
    """The driver is a legacy one."""

    def _status_machine(self) -> DeviceStatusMachine:
        return LegacyStatusMachine()

    def _modern(self, condition: Any) -> Any:
        return condition & ~self.legacy

    def _accepted(self, features: Any) -> Any:
        offered = (self.device_features & ~self.withheld) | LEGACY_FEATURES
        return features & Mux(self.legacy, offered[:32], ~Const(0, 64))

    def _may_reset(self, asked: Any, status: DeviceStatusMachine) -> Any:
        return super()._may_reset(asked, status) | (asked & self.legacy)

    def _connect_status(self, m: Any, status: Any, features: Any, written: Any) -> None:
        super()._connect_status(m, status, features, written)
        m.d.comb += status.legacy.eq(self.legacy)
        if not self.config.has_modern:
            m.d.comb += self.legacy.eq(1)
            return
        claimed, held = Signal(), Signal()
        # A write that is taken in the cycle in which a reset ends counts, and has its effect after it.
        m.d.sync += held.eq(self.claim)
        with m.If((self.claim | held) & (self.status == 0)):
            m.d.sync += claimed.eq(1)
        with m.If(self.reset_done):
            m.d.sync += claimed.eq(0)
        m.d.comb += self.legacy.eq(claimed)
