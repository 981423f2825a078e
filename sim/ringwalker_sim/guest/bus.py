"""The bus that matches virtio devices with drivers. It knows no transport and no device type.

The names are those of the interface of 2007: ``struct virtio_device``, ``struct virtio_driver``,
``register_virtio_driver``. A device has a PCI id on every transport, and a device type.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_2007, VENDOR_OASIS, DeviceType
from ringwalker.spec.registers import Register, RegisterTable

from .virtqueue import Virtqueue

__all__ = [
    "ANY",
    "TRANSITIONAL_DEVICES",
    "VIRTIO_DEV_ID",
    "Matcher",
    "TransitionalDeviceId",
    "TypeId",
    "VirtioBus",
    "VirtioConfigOps",
    "VirtioDevice",
    "VirtioDeviceId",
    "VirtioDriver",
    "virtio_ids",
]

ANY = 0xFFFFFFFF
"""Matches every value (PCI_ANY_ID)."""

TRANSITIONAL_DEVICES = range(0x1000, 0x1040)
"""PCI device ids of vendor 0x1AF4 for legacy and transitional devices. Ref: virtio 1.4, 4.1.2.3."""


@dataclass(frozen=True)
class VirtioDeviceId:
    """The devices that a driver matches; without wildcards, the identity of one device.

    ``class_`` is the 24-bit class code; only the bits of ``class_mask`` are compared. ``name`` is the type of
    a device whose PCI id has none.
    """

    vendor: int
    device: int
    subvendor: int = ANY
    subdevice: int = ANY
    class_: int = 0
    class_mask: int = 0
    name: str = ""

    @property
    def type(self) -> int:
        """The virtio device type in the PCI id; 0 if it has none."""
        if self.vendor == VENDOR_OASIS:
            if self.device in TRANSITIONAL_DEVICES:
                return 0 if self.subdevice == ANY else self.subdevice
            return max(0, self.device - OASIS_DEVICE_BASE)
        return self.device if self.vendor == VENDOR_2007 else 0

    @property
    def type_name(self) -> str:
        """The virtio device type as a string; empty if it has none."""
        if self.name:
            return self.name
        try:
            return DeviceType(self.type).name.lower()
        except ValueError:
            return ""

    def matches(self, identity: "VirtioDeviceId") -> bool:
        """Whether a device that reports ``identity`` is meant."""
        return (
            self.vendor in (ANY, identity.vendor)
            and self.device in (ANY, identity.device)
            and self.subvendor in (ANY, identity.subvendor)
            and self.subdevice in (ANY, identity.subdevice)
            and not (self.class_ ^ identity.class_) & self.class_mask
        )


@dataclass(frozen=True)
class TypeId:
    """Devices of one type, by a string (``"blk"``) or by a constant (2). ``driver_data`` is the driver's."""

    device_type: str | int
    driver_data: Any = None

    def matches(self, identity: VirtioDeviceId) -> bool:
        """Whether a device that reports ``identity`` is meant."""
        if isinstance(self.device_type, str):
            return self.device_type != "" and self.device_type == identity.type_name
        return self.device_type != 0 and self.device_type == identity.type


class Matcher(Protocol):
    """An entry of an ``id_table``."""

    def matches(self, identity: VirtioDeviceId) -> bool:
        """Whether a device that reports ``identity`` is meant."""
        ...


def VIRTIO_DEV_ID(devid: int, class_: int) -> VirtioDeviceId:
    """The id of 2007: vendor 0x5000, any subsystem, base class and subclass ``class_`` (16 bits)."""
    return VirtioDeviceId(VENDOR_2007, devid, class_=class_ << 8, class_mask=0xFFFF00)


@dataclass(frozen=True)
class TransitionalDeviceId:
    """Legacy and transitional devices of one type: the subsystem names it. Ref: virtio 1.4, 4.1.2.3."""

    device_type: int

    def matches(self, identity: VirtioDeviceId) -> bool:
        """Whether a device that reports ``identity`` is meant."""
        transitional = identity.vendor == VENDOR_OASIS and identity.device in TRANSITIONAL_DEVICES
        return transitional and identity.subdevice == self.device_type


def virtio_ids(device_type: int, class_code: int) -> tuple[Matcher, ...]:
    """All ids of a device type: that of 2007 and those of the OASIS specification."""
    return (
        VIRTIO_DEV_ID(device_type, class_code >> 8),
        VirtioDeviceId(VENDOR_OASIS, OASIS_DEVICE_BASE + device_type),
        TransitionalDeviceId(device_type),
    )


class VirtioConfigOps(Protocol):
    """The operations of a transport on a device: configuration, features, status and queues."""

    ring_features: int
    """Features of rings that are accepted besides what a driver wants, where the device offers them."""
    legacy: bool
    """Whether the device is used through the legacy interface."""

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The row ``name`` of device configuration; None when the device's structure ends before it."""
        ...

    async def get(self, register: Register) -> int:
        """Read a field of device configuration: one consistent value, also while it changes."""
        ...

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        ...

    async def negotiate(self, wanted: int) -> int:
        """Accept those bits of the mask ``wanted`` that the device offers; the negotiated mask."""
        ...

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        ...

    async def find_vq(self, index: int, callback: Callable[[Virtqueue], bool] | None = None) -> Virtqueue:
        """Set up queue ``index``."""
        ...

    async def del_vq(self, vq: Virtqueue) -> None:
        """Free a queue that was shut down or whose device was reset."""
        ...

    async def driver_ok(self) -> None:
        """Set DRIVER_OK: the device may use its queues."""
        ...

    async def fail(self) -> None:
        """Set FAILED: the driver has given up on the device."""
        ...

    async def reset(self) -> None:
        """Reset the device: it stops, and its queues are gone."""
        ...

    async def needs_reset(self) -> bool:
        """Whether the device has set DEVICE_NEEDS_RESET."""
        ...

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        ...


@dataclass(eq=False)
class VirtioDevice:
    """A device on the bus.

    ``index`` is its unique number there (None: the bus chooses one), ``id`` its identity, ``config`` the
    :class:`VirtioConfigOps` of its transport, ``priv`` belongs to its driver, ``vqs`` are its queues.
    """

    index: int | None
    id: VirtioDeviceId
    config: Any
    priv: Any = None
    vqs: list[Virtqueue] = field(default_factory=list)
    driver: "VirtioDriver | None" = None


@dataclass(eq=False)
class VirtioDriver:
    """A driver. ``probe(device)`` returns 0 or None when it drives the device, else a negative errno;
    ``remove(device)`` stops driving it.
    """

    name: str
    id_table: Sequence[Matcher]
    probe: Callable[[VirtioDevice], Awaitable[int | None]]
    remove: Callable[[VirtioDevice], Awaitable[None]]


class VirtioBus:
    """Matches devices with drivers, registered in any order.

    An exception of a probe is raised by the call that registered; the device stays on the bus without a
    driver. Errors: ``ValueError`` for what is registered twice or was never registered.
    """

    def __init__(self) -> None:
        self.devices: list[VirtioDevice] = []
        self.drivers: list[VirtioDriver] = []

    async def register_virtio_driver(self, driver: VirtioDriver) -> None:
        """Add a driver. It probes every device that it matches and that has no driver."""
        if driver in self.drivers:
            raise ValueError(f"driver {driver.name!r} is registered already")
        self.drivers.append(driver)
        for device in tuple(self.devices):
            if device.driver is None:
                await self._attach(device, driver)

    async def unregister_virtio_driver(self, driver: VirtioDriver) -> None:
        """Remove a driver from its devices. The next driver that matches probes them."""
        if driver not in self.drivers:
            raise ValueError(f"driver {driver.name!r} is not registered")
        self.drivers.remove(driver)
        for device in tuple(self.devices):
            if device.driver is driver:
                await self._detach(device)
                await self._find_driver(device)

    async def register_virtio_device(self, device: VirtioDevice) -> None:
        """Add a device. The drivers that match probe it in their order, until one drives it."""
        if device in self.devices:
            raise ValueError(f"device {device.index} is registered already")
        taken = {other.index for other in self.devices}
        if device.index is None:
            device.index = next(n for n in range(len(taken) + 1) if n not in taken)
        if device.index in taken:
            raise ValueError(f"there is a device {device.index} on the bus already")
        self.devices.append(device)
        await self._find_driver(device)

    async def unregister_virtio_device(self, device: VirtioDevice) -> None:
        """Remove a device from its driver, then from the bus."""
        if device not in self.devices:
            raise ValueError(f"device {device.index} is not on the bus")
        self.devices.remove(device)
        if device.driver is not None:
            await self._detach(device)

    async def _find_driver(self, device: VirtioDevice) -> None:
        for driver in tuple(self.drivers):
            if device.driver is None:
                await self._attach(device, driver)

    async def _attach(self, device: VirtioDevice, driver: VirtioDriver) -> None:
        if not any(entry.matches(device.id) for entry in driver.id_table):
            return
        device.driver = driver
        try:
            result = await driver.probe(device)
        except BaseException:
            device.driver = None
            raise
        if result is not None and result < 0:
            device.driver = None

    async def _detach(self, device: VirtioDevice) -> None:
        driver, device.driver = device.driver, None
        assert driver is not None
        await driver.remove(device)
