"""The part that all transports share: feature negotiation, and the device status."""

from abc import ABC, abstractmethod

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus

from ..errors import BindError, DeviceError

__all__ = ["StatusOps"]

TRANSPORT_FEATURES = (
    1 << Feature.VERSION_1
    | 1 << Feature.ACCESS_PLATFORM
    | 1 << Feature.ORDER_PLATFORM
    | 1 << Feature.RING_RESET
    | 1 << Feature.SUSPEND
)
"""Features of the transport, accepted whenever the device offers them.

ACCESS_PLATFORM and ORDER_PLATFORM cost this driver nothing: its addresses are those of the bus, and what it
writes to memory is visible to the device before the notification that follows.
"""

LEGACY_FEATURES = 1 << Feature.ANY_LAYOUT
"""The same of the legacy interface: what drivers here put into a queue is laid out as they like."""


class StatusOps(ABC):
    """Status and features over four primitives. ``name`` is for messages, ``features`` the negotiated mask.

    ``ring_features`` are accepted besides what a driver wants: how queues look is the transport's matter.
    ``legacy``: the device is used through the legacy interface, without VERSION_1 and FEATURES_OK.

    Ref: virtio 1.4, 3.1.1.
    """

    name: str
    features: int = 0
    ring_features: int = 0
    legacy: bool = False

    @abstractmethod
    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""

    @abstractmethod
    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts, as a mask."""

    @abstractmethod
    async def status(self) -> int:
        """Read the device status byte."""

    @abstractmethod
    async def write_status(self, value: int) -> None:
        """Write the device status byte."""

    async def add_status(self, bits: int) -> None:
        """Set bits of the device status."""
        await self.write_status(await self.status() | bits)

    def choose_features(self, offered: int, wanted: int) -> int:
        """Which of the ``offered`` features are accepted: those of ``wanted`` and the transport's.

        Errors: :class:`BindError` without VERSION_1, but for the legacy interface.
        """
        if not self.legacy and not offered >> Feature.VERSION_1 & 1:
            raise BindError(f"{self.name}: the device does not offer VIRTIO_F_VERSION_1")
        own = LEGACY_FEATURES if self.legacy else TRANSPORT_FEATURES
        return offered & (wanted | own | self.ring_features)

    async def negotiate(self, wanted: int) -> int:
        """Accept the offered bits of ``wanted`` and the transport's; the negotiated mask.

        Errors: :class:`BindError` when the device does not offer VERSION_1 or refuses the features.
        """
        offered = await self.device_features()
        accepted = self.choose_features(offered, wanted)
        await self.accept_features(accepted)
        if self.legacy:
            self.features = accepted
            return accepted
        await self.add_status(DeviceStatus.FEATURES_OK)
        if not await self.status() & DeviceStatus.FEATURES_OK:
            raise BindError(f"{self.name}: the device refuses the features {accepted:#x} of {offered:#x}")
        self.features = accepted
        return accepted

    async def driver_ok(self) -> None:
        """Set DRIVER_OK: the device may use its queues. Errors: :class:`DeviceError` when it fails."""
        await self.add_status(DeviceStatus.DRIVER_OK)
        if await self.needs_reset():
            raise DeviceError(f"{self.name}: the device sets DEVICE_NEEDS_RESET right after DRIVER_OK")

    async def fail(self) -> None:
        """Set FAILED: the driver has given up on the device."""
        await self.add_status(DeviceStatus.FAILED)

    async def needs_reset(self) -> bool:
        """Whether the device has set DEVICE_NEEDS_RESET."""
        return bool(await self.status() & DeviceStatus.DEVICE_NEEDS_RESET)
