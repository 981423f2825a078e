"""What transports without registers have in common: the agreement on features, and the status."""

from abc import ABC, abstractmethod

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus

from ..errors import BindError, DeviceError

__all__ = ["StatusOps"]

TRANSPORT_FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
"""Features that belong to the transport and are accepted wherever they are offered."""


class StatusOps(ABC):
    """Status and features over four primitives. ``name`` is for messages, ``features`` what was agreed on.

    Ref: virtio 1.4, 3.1.1.
    """

    name: str
    features: int = 0

    @abstractmethod
    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""

    @abstractmethod
    async def accept_features(self, features: int) -> None:
        """Tell the device which features are wanted."""

    @abstractmethod
    async def status(self) -> int:
        """The device status byte."""

    @abstractmethod
    async def write_status(self, value: int) -> None:
        """Write the device status byte."""

    async def add_status(self, bits: int) -> None:
        """Set bits of the device status."""
        await self.write_status(await self.status() | bits)

    async def negotiate(self, wanted: int) -> int:
        """Accept those bits of ``wanted`` that are offered, and always VERSION_1; what was agreed on.

        Features of the transport are accepted where they are offered.
        Errors: :class:`BindError` when the device is not a modern one or refuses.
        """
        offered = await self.device_features()
        if not offered >> Feature.VERSION_1 & 1:
            raise BindError(f"{self.name}: the device does not offer VIRTIO_F_VERSION_1")
        accepted = offered & (wanted | TRANSPORT_FEATURES)
        await self.accept_features(accepted)
        await self.add_status(DeviceStatus.FEATURES_OK)
        if not await self.status() & DeviceStatus.FEATURES_OK:
            raise BindError(f"{self.name}: the device refuses the features {accepted:#x} of {offered:#x}")
        self.features = accepted
        return accepted

    async def driver_ok(self) -> None:
        """Let the device start. Errors: :class:`DeviceError` when it failed at once."""
        await self.add_status(DeviceStatus.DRIVER_OK)
        if await self.needs_reset():
            raise DeviceError(f"{self.name}: the device needs a reset right after DRIVER_OK")

    async def fail(self) -> None:
        """Say that the driver gave up."""
        await self.add_status(DeviceStatus.FAILED)

    async def needs_reset(self) -> bool:
        """Whether the device has failed."""
        return bool(await self.status() & DeviceStatus.DEVICE_NEEDS_RESET)
