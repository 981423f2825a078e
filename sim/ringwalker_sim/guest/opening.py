"""From names to a device that works: a function, an interface and a transport."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.ids import DeviceType

from .blk import blk_driver
from .bus import VirtioDevice, VirtioDriver
from .console import console_driver
from .errors import BindError, VirtioError
from .history import INTERFACES, adapt
from .machine import Machine
from .models.function import FunctionModel
from .net import net_driver
from .transport.virtio_pci import VirtioPciTransport

__all__ = ["DRIVERS", "INTERFACES", "TRANSPORTS", "OpenDevice", "open_device"]

TRANSPORTS = ("pci", "memory", "pipe")
"""``pci`` is a function of the machine's port; the others have a device in Python."""

DRIVERS: dict[str, Callable[..., VirtioDriver]] = {
    "blk": blk_driver,
    "net": net_driver,
    "console": console_driver,
}


@dataclass
class OpenDevice:
    """A device with its driver. ``driven`` is what the driver offers: a ``BlkDevice``, ``NetDevice``, ..."""

    machine: Machine
    device: VirtioDevice
    driver: VirtioDriver
    driven: Any

    async def close(self) -> None:
        """Remove the device and the driver."""
        await self.machine.remove(self.device)
        await self.machine.bus.unregister_virtio_driver(self.driver)


def _only(driver: VirtioDriver, wanted: VirtioDevice) -> VirtioDriver:
    """The driver for one device alone."""

    async def probe(device: VirtioDevice) -> int | None:
        return await driver.probe(device) if device is wanted else -errno.ENODEV

    return VirtioDriver(driver.name, driver.id_table, probe, driver.remove)


async def open_device(
    machine: Machine,
    function: str,
    interface: str = "modern",
    transport: str = "pci",
    *,
    model: FunctionModel | None = None,
    interrupt: str = "msix",
    pipe: dict[str, Any] | None = None,
    **options: Any,
) -> OpenDevice:
    """Bring the device for ``function`` up, by ``interface``, and give it to its driver.

    ``pci`` takes the first function of that type on the machine's port that has no driver yet; other
    transports need ``model``, a device in Python that is made on ``machine.port.schedule``. ``pipe`` are
    arguments of :meth:`Machine.add_pipe_device`, ``options`` go to the driver.
    Errors: ``ValueError`` for names that there are not, :class:`BindError` when there is no such device, and
    those of transport and driver.
    """
    for name, value, known in (
        ("function", function, tuple(DRIVERS)),
        ("interface", interface, INTERFACES),
        ("transport", transport, TRANSPORTS),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
    device = await _find(machine, function, transport, model, interrupt, pipe or {})
    driver = _only(adapt(interface, DRIVERS[function](machine.port, **options), machine.port), device)
    try:
        await machine.bus.register_virtio_driver(driver)
        return OpenDevice(machine, device, driver, machine.driven(device))
    except VirtioError:
        if driver in machine.bus.drivers:
            machine.bus.drivers.remove(driver)
        if transport != "pci":
            await machine.remove(device)
        raise


async def _find(
    machine: Machine,
    function: str,
    transport: str,
    model: FunctionModel | None,
    interrupt: str,
    pipe: dict[str, Any],
) -> VirtioDevice:
    kind = DeviceType[function.upper()]
    if transport == "pci":
        if not any(isinstance(device.config, VirtioPciTransport) for device in machine.bus.devices):
            await machine.probe_pci(interrupt)
        for device in machine.bus.devices:
            if device.driver is None and device.id.type == kind:
                return device
        raise BindError(f"no PCI function is a {function} device without a driver")
    if model is None or model.device_type != kind:
        raise ValueError(f"transport {transport!r} needs a model of a {function} device")
    if transport == "memory":
        return await machine.add_memory_device(model)
    return await machine.add_pipe_device(model, **pipe)
