"""The device status field: which bits the driver may set, failure, and the request for a device reset."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.modern import DeviceStatus

__all__ = ["DeviceStatusMachine", "LegacyStatusMachine"]


class DeviceStatusMachine(Component):
    """The status byte of :class:`~ringwalker.transport.common_config.CommonConfig`.

    - Bits are only ever added, since a driver must not clear any: a write is ORed into the byte.
    - ACKNOWLEDGE, DRIVER and FAILED can always be set; none of them has a further effect.
    - FEATURES_OK sticks only while ``features_acceptable``, otherwise the bit stays 0 and can be tried again.
    - DRIVER_OK sticks only with FEATURES_OK, set before or by the same write.
    - DEVICE_NEEDS_RESET is set by ``needs_reset`` once DRIVER, FEATURES_OK or DRIVER_OK is, never by a write.
      With DRIVER_OK the driver is notified.
    - SUSPEND and DRIVER_OK show whether the device is ``suspended``. Other bits stay 0.
    - During a reset writes are ignored and the old value is read. Should that be 0, DEVICE_NEEDS_RESET is
      read instead: 0 would say that the reset is over.

    Latency: a write shows in the cycle after it. All outputs but ``status`` and ``driver_ok`` come from
    registers directly.

    Ref: virtio 1.4, 2.1 (status), 2.2.2 (FEATURES_OK), 2.4 (reset), 4.1.4.3.1.
    """

    write: In(1)
    """For one cycle: the driver writes ``value``."""
    value: In(8)
    features_acceptable: In(1)
    """The driver may set FEATURES_OK."""
    needs_reset: In(1)
    """Level or pulse: an error that only a reset cures."""
    suspended: In(1)
    """SUSPEND reads 1 in the place of DRIVER_OK."""
    reset: In(1)
    """Pulse: a reset begins that the driver has not asked for."""
    reset_done: In(1)
    """Pulse: the reset that was asked for is over."""
    status: Out(8)
    """What the driver reads."""
    features_ok: Out(1)
    driver_ok: Out(1)
    """DRIVER_OK is set, and no reset is in progress or needed, and the device is not suspended."""
    reset_request: Out(1)
    """From a write of 0, or ``reset``, until ``reset_done``."""
    config_change: Out(1)
    """Pulse: notify the driver that DEVICE_NEEDS_RESET, which ``status`` shows by then, was set."""

    _STARTED = DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK

    def _may_start(self, features_ok: Any) -> Any:
        """Whether DRIVER_OK sticks."""
        return features_ok

    def _runs(self, bits: Any) -> Any:
        """Whether the driver may use the device."""
        return (bits & int(DeviceStatus.DRIVER_OK)) != 0

    def elaborate(self, platform):
        m: Any = Module()
        bits = Signal(8)
        free = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FAILED

        def asks(flag: DeviceStatus) -> Any:
            return (self.value & int(flag)) != 0

        def has(flag: DeviceStatus) -> Any:
            return (bits & int(flag)) != 0

        features_ok = has(DeviceStatus.FEATURES_OK) | (
            asks(DeviceStatus.FEATURES_OK) & self.features_acceptable
        )
        gained = Signal(8)
        m.d.comb += gained.eq(
            (self.value & int(free))
            | Mux(features_ok, int(DeviceStatus.FEATURES_OK), 0)
            | Mux(self._may_start(features_ok) & asks(DeviceStatus.DRIVER_OK), int(DeviceStatus.DRIVER_OK), 0)
        )
        fails = Signal()
        m.d.comb += fails.eq(self.needs_reset & has(self._STARTED) & ~has(DeviceStatus.DEVICE_NEEDS_RESET))

        with m.If((self.write & ~self.reset_request & (self.value == 0)) | self.reset):
            m.d.sync += self.reset_request.eq(1)
        m.d.sync += bits.eq(
            bits
            | Mux(self.write & ~self.reset_request & (self.value != 0), gained, 0)
            | Mux(fails, int(DeviceStatus.DEVICE_NEEDS_RESET), 0)
        )
        m.d.sync += self.config_change.eq(fails & (self.driver_ok | self.suspended))
        with m.If(self.reset_done):
            m.d.sync += [self.reset_request.eq(self.reset), bits.eq(0), self.config_change.eq(0)]

        resetting = self.reset_request & (bits == 0)
        shown = Mux(self.suspended, bits & ~int(DeviceStatus.DRIVER_OK) | int(DeviceStatus.SUSPEND), bits)
        m.d.comb += [
            self.status.eq(Mux(resetting, int(DeviceStatus.DEVICE_NEEDS_RESET), shown)),
            self.features_ok.eq(has(DeviceStatus.FEATURES_OK)),
            self.driver_ok.eq(
                self._runs(bits)
                & ~has(DeviceStatus.DEVICE_NEEDS_RESET)
                & ~self.reset_request
                & ~self.suspended
            ),
        ]
        return m


class LegacyStatusMachine(DeviceStatusMachine):
    """The same for a device with a legacy face. With a legacy driver

    - DRIVER_OK needs no FEATURES_OK,
    - ``driver_ok`` is up from its first status bit on, since such drivers use the device before DRIVER_OK,
    - so DEVICE_NEEDS_RESET is set with any status bit.

    Ref: virtio 1.4, 3.1.2 (Legacy Interface: Device Initialization).
    """

    legacy: In(1)
    """The driver is a legacy one."""

    _STARTED = DeviceStatusMachine._STARTED | DeviceStatus.ACKNOWLEDGE

    def _may_start(self, features_ok: Any) -> Any:
        return features_ok | self.legacy

    def _runs(self, bits: Any) -> Any:
        return super()._runs(bits) | (self.legacy & bits.any())
