"""What drivers of all device types have in common: opening a device that is found, closing one that goes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ringwalker.spec.ids import CLASS_CODES, DeviceType

from .bus import Matcher, VirtioDevice, VirtioDriver, virtio_ids
from .errors import VirtioError

__all__ = ["OpensAndCloses", "device_driver"]


class OpensAndCloses(Protocol):
    """A device as its driver offers it to the guest."""

    async def open(self) -> None:
        """Negotiate, set up the queues, and let the device start. Errors: ``VirtioError``."""
        ...

    async def close(self) -> None:
        """Stop the device, and take back and free what it was given."""
        ...


def device_driver(
    device_type: DeviceType, make: Callable[[VirtioDevice], OpensAndCloses], ids: Sequence[Matcher] = ()
) -> VirtioDriver:
    """A driver for a bus: what ``make`` gives is opened and put into ``priv`` of the device.

    It serves the ids that ``device_type`` has, and ``ids``. A device that cannot be opened is told that its
    driver gave up, and the error goes to whoever registered.
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

    table = (*virtio_ids(device_type, CLASS_CODES[device_type]), *ids)
    return VirtioDriver(f"virtio_{device_type.name.lower()}", table, probe, remove)
