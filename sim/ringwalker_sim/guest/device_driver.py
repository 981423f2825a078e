"""The part that the drivers of all device types share: open at the probe, close at the removal."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ringwalker.spec.ids import CLASS_CODES, DeviceType

from .bus import Matcher, VirtioDevice, VirtioDriver, virtio_ids
from .errors import VirtioError

__all__ = ["OpensAndCloses", "device_driver"]


class OpensAndCloses(Protocol):
    """What a driver makes of a device: a disk, a network interface, a console."""

    async def open(self) -> None:
        """Negotiate, set up the queues, and set DRIVER_OK. Errors: :class:`VirtioError`."""
        ...

    async def close(self) -> None:
        """Reset the device, and free its queues and buffers."""
        ...


def device_driver(
    device_type: int, make: Callable[[VirtioDevice], OpensAndCloses], ids: Sequence[Matcher] = ()
) -> VirtioDriver:
    """A driver for a bus. Its probe opens ``make(device)`` and puts it into ``priv`` of the device.

    It matches the ids of ``device_type``, a virtio device type, and ``ids``. A device that cannot be opened
    gets the status FAILED, and the error is raised by the call that registered.
    """

    async def probe(device: VirtioDevice) -> int:
        driven = make(device)
        device.priv = driven
        try:
            await driven.open()
        except VirtioError:
            device.priv = None
            await device.config.fail()
            raise
        return 0

    async def remove(device: VirtioDevice) -> None:
        driven: OpensAndCloses = device.priv
        device.priv = None
        await driven.close()

    known = device_type in tuple(DeviceType)
    class_code = CLASS_CODES[DeviceType(device_type)] if known else 0
    name = DeviceType(device_type).name.lower() if known else str(device_type)
    return VirtioDriver(f"virtio_{name}", (*virtio_ids(device_type, class_code), *ids), probe, remove)
