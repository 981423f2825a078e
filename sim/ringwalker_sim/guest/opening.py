"""Opens a device by the names of its function, its interface and its transport."""

import errno
from collections.abc import Awaitable, Callable
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

DRIVERS: dict[str, Callable[..., VirtioDriver]] = {
    "blk": blk_driver,
    "net": net_driver,
    "console": console_driver,
}


@dataclass
class OpenDevice:
    """A device with its driver. ``driven`` is the driver's object: a ``BlkDevice``, ``NetDevice``, ..."""

    machine: Machine
    device: VirtioDevice
    driver: VirtioDriver
    driven: Any

    async def close(self) -> None:
        """Remove the device and the driver."""
        await self.machine.remove(self.device)
        await self.machine.bus.unregister_virtio_driver(self.driver)


async def _find_pci(machine: Machine, kind: DeviceType, interrupt: str, **_others: Any) -> VirtioDevice:
    if not any(isinstance(device.config, VirtioPciTransport) for device in machine.bus.devices):
        await machine.probe_pci(interrupt)
    for device in machine.bus.devices:
        if device.driver is None and device.id.type == kind:
            return device
    raise BindError(f"no PCI function is a {kind.name.lower()} device without a driver")


async def _add_memory(machine: Machine, kind: DeviceType, model: Any, **_others: Any) -> VirtioDevice:
    return await machine.add_memory_device(_checked(model, kind, "memory"))


async def _add_pipe(
    machine: Machine, kind: DeviceType, model: Any, pipe: dict[str, Any], **_others: Any
) -> VirtioDevice:
    return await machine.add_pipe_device(_checked(model, kind, "pipe"), **pipe)


def _checked(model: FunctionModel | None, kind: DeviceType, transport: str) -> FunctionModel:
    if model is None or model.device_type != kind:
        raise ValueError(f"transport {transport!r} needs a model of a {kind.name.lower()} device")
    return model


TRANSPORTS: dict[str, Callable[..., Awaitable[VirtioDevice]]] = {
    "pci": _find_pci,
    "memory": _add_memory,
    "pipe": _add_pipe,
}
"""How each transport makes or finds a device: coroutines of the machine, the device type, and ``interrupt``,
``model`` and ``pipe`` of :func:`open_device`. ``pci`` is a function of the machine's port; the others have a
device in Python.
"""


def _only(driver: VirtioDriver, wanted: VirtioDevice) -> VirtioDriver:
    """``driver``, for the device ``wanted`` alone."""

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
    """Open the device of ``function`` on ``transport``, with its driver on the stage ``interface``.

    ``pci`` opens the first PCI function of that type that has no driver. Other transports need ``model``, a
    device in Python that was made with ``machine.port.schedule``. ``pipe`` are arguments of
    :meth:`Machine.add_pipe_device`; ``options`` go to the driver.
    Errors: ``ValueError`` for unknown names, :class:`BindError` when there is no such device, and those of
    transport and driver.
    """
    for name, value, known in (
        ("function", function, tuple(DRIVERS)),
        ("interface", interface, INTERFACES),
        ("transport", transport, tuple(TRANSPORTS)),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
    device = await TRANSPORTS[transport](
        machine, DeviceType[function.upper()], interrupt=interrupt, model=model, pipe=pipe or {}
    )
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
