"""Rules of registers: what a driver reads has to agree with what it has read and written before."""

from typing import Protocol

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus, IsrBit

from ..conform.feature_rules import known_features, unmet
from .notices import Notices
from .ring_checker import RingChecker
from .view import DeviceView, RegisterAccess

__all__ = ["RegisterChecker"]


class _Monitor(Protocol):
    device_type: int
    checkers: dict[int, RingChecker]
    notices: Notices

    def report(self, rule: str, clause: str, text: str, queue: int | None = None) -> None: ...

    def look(self, rule: str) -> None: ...


class RegisterChecker:
    """Looks at each access to a register, before ``view`` knows of it. ``mmio``: which transport it is."""

    def __init__(self, view: DeviceView, monitor: _Monitor, mmio: bool):
        self._view = view
        self._monitor = monitor
        self._mmio = mmio
        self._offer = -1
        self._generation: int | None = None
        self._stable: dict[int, int] = {}
        """Bytes of device configuration, as they are in this generation."""
        self._fresh: dict[int, int] = {}
        """Those read since the generation was read."""
        self._seen_uses = self._acknowledged = 0

    # --- accesses ------------------------------------------------------------------------------------------

    def before_write(self, access: RegisterAccess) -> None:
        """The driver writes a register."""
        if access.name == "device_status" and access.value == 0:
            self._generation = None
            self._stable.clear()
            self._fresh.clear()
            self._seen_uses = self._acknowledged = 0
        elif access.name == "interrupt_ack" and access.value & IsrBit.QUEUE:
            self._acknowledged = self._seen_uses

    def read(self, access: RegisterAccess) -> None:
        """The driver has read a register."""
        look = getattr(self, f"_read_{access.name}", None)
        if look is not None:
            look(access.value)

    def config_read(self, offset: int, size: int, value: int) -> None:
        """The driver has read device configuration."""
        for at, byte in enumerate(value.to_bytes(size, "little")):
            self._fresh[offset + at] = byte

    def config_written(self, offset: int, size: int) -> None:
        """The driver writes device configuration: those bytes may become anything."""
        for at in range(offset, offset + size):
            self._fresh.pop(at, None)
            self._stable.pop(at, None)

    # --- rules ---------------------------------------------------------------------------------------------

    def _read_device_feature(self, _value: int) -> None:
        offered = self._view.offered
        if set(offered) < {0, 1} or self._view.offer == self._offer:
            return
        self._offer = offer = self._view.offer
        monitor, kind = self._monitor, self._monitor.device_type
        monitor.look("offered_features")
        if not offer >> Feature.VERSION_1 & 1:
            text = f"the offered features {offer:#x} have no VERSION_1"
            monitor.report("offered_features", "core-15.01", text)
        for feature, group in unmet(kind, offer):
            needed = " or ".join(str(int(other)) for other in group)
            text = f"feature {int(feature)} is offered without {needed}"
            monitor.report("offered_features", "core-02.01", text)
        if unknown := offer & ~known_features(kind):
            text = f"the features {unknown:#x} are offered, which a device of type {kind} does not have"
            monitor.report("offered_features", "core-02.04", text)

    def _read_device_status(self, value: int) -> None:
        view, monitor = self._view, self._monitor
        if view.offered:
            self._read_device_feature(0)
        if view.quiet and view.status == 0:
            monitor.look("status_after_reset")
            if value:
                monitor.report("status_after_reset", "core-03.01", f"the status becomes {value:#x} by itself")
        if view.status & value & DeviceStatus.FEATURES_OK and set(view.offered) >= {0, 1}:
            monitor.look("refused_features")
            if wrong := view.features & ~view.offer:
                text = f"FEATURES_OK stays, while {wrong:#x} was accepted and is not offered"
                monitor.report("refused_features", "core-02.03", text)
        if view.running and value & DeviceStatus.DEVICE_NEEDS_RESET:
            monitor.look("failure_notified")
            text = "DEVICE_NEEDS_RESET is set, and no configuration change notification comes"
            monitor.notices.expect_configuration(text)

    def _read_queue_enable(self, value: int) -> None:
        queue = self._view.queue
        if queue.enabled or queue.off or self._view.resetting:
            return
        self._monitor.look("queue_after_reset")
        if value:
            clause = "mmio-01.05" if self._mmio else "pci-05.08"
            text = "the queue is enabled, which it was not since the reset"
            self._monitor.report("queue_after_reset", clause, text, queue.index)

    def _read_queue_size(self, value: int) -> None:
        view = self._view
        if self._mmio or not view.status & DeviceStatus.FEATURES_OK or view.has(Feature.RING_PACKED):
            return
        self._monitor.look("queue_size")
        if value & (value - 1):
            text = f"queue_size is {value}, which is no power of two"
            self._monitor.report("queue_size", "pci-05.15", text, view.queue.index)

    def _read_config_generation(self, value: int) -> None:
        if value != self._generation:
            self._generation = value
            self._stable.clear()
        elif self._fresh:
            self._monitor.look("config_generation")
            for at, byte in self._fresh.items():
                if self._stable.setdefault(at, byte) != byte:
                    text = f"byte {at} of the configuration was {self._stable[at]:#x} and is {byte:#x}"
                    clause = "mmio-01.06" if self._mmio else "pci-05.06"
                    text = f"{text}, while config_generation is still {value}"
                    self._monitor.report("config_generation", clause, text)
                    self._stable[at] = byte
        self._fresh.clear()

    def _read_interrupt_status(self, value: int) -> None:
        uses = sum(checker.uses for checker in self._monitor.checkers.values())
        if value & IsrBit.QUEUE and self._view.queues and self._monitor.checkers:
            self._monitor.look("interrupt_status")
            if uses == self._acknowledged:
                text = "interrupt_status has the queue bit, and no buffer was used since it was acknowledged"
                self._monitor.report("interrupt_status", "mmio-01.04", text)
        self._seen_uses = uses
