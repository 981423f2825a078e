"""What a monitor knows of a device from the accesses to its registers, by either transport."""

from dataclasses import dataclass, field

from ringwalker.spec.features import Feature
from ringwalker.spec.mmio import MMIO
from ringwalker.spec.modern import COMMON, NO_VECTOR, DeviceStatus
from ringwalker.spec.packed import EVENT_BYTES
from ringwalker.spec.registers import Register
from ringwalker.spec.ring import descriptor_area_bytes, device_area_bytes, driver_area_bytes

__all__ = ["DeviceView", "QueueView", "common_accesses", "mmio_access"]

_MMIO_NAMES: dict[str, tuple[str, int]] = {
    "device_features": ("device_feature", 0),
    "device_features_sel": ("device_feature_select", 0),
    "driver_features": ("driver_feature", 0),
    "driver_features_sel": ("driver_feature_select", 0),
    "queue_sel": ("queue_select", 0),
    "queue_size": ("queue_size", 0),
    "queue_ready": ("queue_enable", 0),
    "status": ("device_status", 0),
    "queue_reset": ("queue_reset", 0),
    "config_generation": ("config_generation", 0),
    "interrupt_status": ("interrupt_status", 0),
    "interrupt_ack": ("interrupt_ack", 0),
    **{f"queue_{area}_low": (f"queue_{area}", 0) for area in ("desc", "driver", "device")},
    **{f"queue_{area}_high": (f"queue_{area}", 32) for area in ("desc", "driver", "device")},
}
"""Registers of the memory-mapped transport: the name in the common configuration, and the bit of it."""


@dataclass(frozen=True)
class RegisterAccess:
    """An access of ``bits`` bits of register ``name`` from bit ``shift`` on."""

    name: str
    shift: int
    bits: int
    value: int


def _overlap(register: Register, offset: int, size: int) -> tuple[int, int]:
    return max(register.offset, offset), min(register.offset + register.size, offset + size)


def common_accesses(offset: int, size: int, value: int) -> list[RegisterAccess]:
    """The registers of the common configuration that an access of ``size`` bytes at ``offset`` reaches."""
    found = []
    for register in COMMON:
        start, end = _overlap(register, offset, size)
        if start < end:
            bits = 8 * (end - start)
            part = value >> 8 * (start - offset) & (1 << bits) - 1
            found.append(RegisterAccess(register.name, 8 * (start - register.offset), bits, part))
    return found


def mmio_access(offset: int, value: int) -> RegisterAccess | None:
    """The register of the memory-mapped transport at ``offset``; None for one that tells nothing."""
    for register in MMIO:
        if register.offset == offset and register.name in _MMIO_NAMES:
            name, shift = _MMIO_NAMES[register.name]
            return RegisterAccess(name, shift, register.width, value)
    return None


@dataclass
class QueueView:
    """A queue as the driver has set it up: its ``size``, and addresses of its areas by register name."""

    index: int
    size: int = 0
    vector: int = NO_VECTOR
    enabled: bool = False
    stopping: bool = False
    """It was asked to stop, and may end what it does."""
    off: bool = False
    """It has stopped."""
    registers: dict[str, int] = field(default_factory=dict)

    def areas(self, packed: bool) -> dict[str, tuple[int, int]]:
        """Address and length of the areas ``desc``, ``driver`` and ``device``."""
        lengths = (
            (descriptor_area_bytes(self.size), EVENT_BYTES, EVENT_BYTES)
            if packed
            else (
                descriptor_area_bytes(self.size),
                driver_area_bytes(self.size),
                device_area_bytes(self.size),
            )
        )
        names = ("desc", "driver", "device")
        return {
            name: (self.registers.get(f"queue_{name}", 0), length)
            for name, length in zip(names, lengths, strict=True)
        }


class DeviceView:
    """The state of a device as the driver has made it: ``status`` as written, ``features`` as accepted.

    ``offered`` are the offered features by word, as far as they were read. ``quiet``: the device was reset,
    and no queue is enabled yet. ``resetting``: a reset was asked for, and its end was not seen.
    """

    def __init__(self) -> None:
        self.status = 0
        self.offered: dict[int, int] = {}
        self.accepted: dict[int, int] = {}
        self.queues: dict[int, QueueView] = {}
        self.config_vector = NO_VECTOR
        self.quiet = self.resetting = False
        self._selected: dict[str, int] = {}

    @property
    def features(self) -> int:
        """The features that the driver has accepted, as a mask."""
        return sum(value << 32 * word for word, value in self.accepted.items())

    @property
    def offer(self) -> int:
        """The offered features, as a mask."""
        return sum(value << 32 * word for word, value in self.offered.items())

    def has(self, feature: Feature) -> bool:
        """Whether the driver has accepted a feature."""
        return bool(self.features >> feature & 1)

    @property
    def running(self) -> bool:
        """Whether DRIVER_OK is set."""
        return bool(self.status & DeviceStatus.DRIVER_OK)

    @property
    def queue(self) -> QueueView:
        """The queue that is selected."""
        index = self._selected.get("queue_select", 0)
        return self.queues.setdefault(index, QueueView(index))

    def written(self, access: RegisterAccess) -> None:
        """The driver has written a register."""
        name, value = access.name, access.value
        if name in ("queue_select", "device_feature_select", "driver_feature_select"):
            self._selected[name] = value
        elif name == "driver_feature":
            self.accepted[self._selected.get("driver_feature_select", 0)] = value
        elif name == "device_status":
            self._status_written(value)
        elif name == "queue_size":
            self.queue.size = value
        elif name == "queue_enable":
            self.queue.enabled = self.queue.enabled or bool(value)
            self.queue.stopping, self.queue.off = not value, False
            self.quiet = self.quiet and not value
        elif name == "queue_reset" and value:
            self.queue.stopping = True
        elif name == "queue_msix_vector":
            self.queue.vector = value
        elif name == "config_msix_vector":
            self.config_vector = value
        elif name in ("queue_desc", "queue_driver", "queue_device"):
            mask = (1 << access.bits) - 1 << access.shift
            before = self.queue.registers.get(name, 0)
            self.queue.registers[name] = before & ~mask | value << access.shift

    def _status_written(self, value: int) -> None:
        if value == 0:
            self.resetting, self.quiet = True, False
            self.accepted.clear()
            self.queues.clear()
            self.config_vector = NO_VECTOR
        self.status = value

    def read(self, access: RegisterAccess) -> None:
        """The driver has read a register."""
        if access.name == "device_feature":
            self.offered[self._selected.get("device_feature_select", 0)] = access.value
        elif access.name == "queue_size" and not self.queue.size:
            self.queue.size = access.value
        elif access.name in ("queue_reset", "queue_enable") and not access.value and self.queue.stopping:
            self.queue.enabled = self.queue.stopping = False
            self.queue.off = True
        elif access.name == "device_status" and self.resetting and access.value == 0:
            self.resetting, self.quiet = False, True
