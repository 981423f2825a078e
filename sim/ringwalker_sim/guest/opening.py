"""Opens a device by the names of its function, its interface and its transport."""

import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..function.simulation import device_type_of, simulation_of
from ..golden.function import FunctionModel
from .bus import VirtioDevice, VirtioDeviceId, VirtioDriver
from .errors import BindError, VirtioError
from .history import INTERFACES, adapt
from .machine import Machine, VirtioPciDriver
from .pci import enumerate_pci
from .transport.faces import DRIVER_FACES
from .transport.pci_transport import PciTransport

__all__ = ["INTERFACES", "TRANSPORTS", "OpenDevice", "open_device"]


@dataclass
class OpenDevice:
    """A device with its driver. ``driven`` is the driver's object: a ``BlkDevice``, ``NetDevice``, ...

    ``model`` is the device in Python behind a transport without hardware; None on PCI.
    """

    machine: Machine
    device: VirtioDevice
    driver: VirtioDriver
    driven: Any
    model: Any = None

    async def close(self) -> None:
        """Remove the device and the driver."""
        await self.machine.remove(self.device)
        await self.machine.bus.unregister_virtio_driver(self.driver)


async def _find_pci(
    machine: Machine,
    function: str,
    interrupt: str,
    ids: Sequence[VirtioDeviceId],
    face: str | None,
    **_others: Any,
) -> VirtioDevice:
    if not any(isinstance(device.config, PciTransport) for device in machine.bus.devices):
        driver = VirtioPciDriver(machine.bus, interrupt, tuple(item.vendor for item in ids), face)
        found = await enumerate_pci(machine.port, assign=len(machine.port.mmio32) > 0)
        if not found:
            raise BindError("no PCI function answers")
        virtio = [pci for pci in found if driver.matches(pci)]
        if not virtio:
            raise BindError(f"no driver for {found[0].id.vendor:04x}:{found[0].id.device:04x}")
        for pci in virtio:
            await driver.probe(pci)
    kind = device_type_of(function)
    for device in machine.bus.devices:
        known = device.id.type == kind or any(item.matches(device.id) for item in ids)
        if device.driver is None and known:
            return device
    raise BindError(f"no PCI function is a {function} device without a driver")


async def _add_memory(machine: Machine, function: str, model: Any, **_others: Any) -> VirtioDevice:
    return await machine.add_memory_device(_checked(model, function, "memory"))


async def _add_pipe(
    machine: Machine, function: str, model: Any, pipe: dict[str, Any], **_others: Any
) -> VirtioDevice:
    return await machine.add_pipe_device(_checked(model, function, "pipe"), **pipe)


def _checked(model: FunctionModel | None, function: str, transport: str) -> FunctionModel:
    if model is None or model.device_type != device_type_of(function):
        raise ValueError(f"transport {transport!r} needs a model of a {function} device")
    return model


TRANSPORTS: dict[str, Callable[..., Awaitable[VirtioDevice]]] = {
    "pci": _find_pci,
    "memory": _add_memory,
    "pipe": _add_pipe,
}
"""How each transport makes or finds a device: coroutines of the machine, the function, and ``interrupt``,
``ids``, ``model``, ``pipe`` and ``face`` of :func:`open_device`. ``pci`` is a function of the machine's port;
the others have a device in Python.
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
    ids: Sequence[VirtioDeviceId] = (),
    rings: int = 0,
    face: str | None = None,
    **options: Any,
) -> OpenDevice:
    """Open the device of ``function`` on ``transport``, with its driver on the stage ``interface``.

    ``pci`` opens the first PCI function of that type that has no driver. Other transports need ``model``, a
    device in Python that was made with ``machine.port.schedule``. ``pipe`` are arguments of
    :meth:`Machine.add_pipe_device`; ``ids`` are further vendors and devices that the driver matches, and
    ``options`` go to it. ``rings`` is a mask of ``RING_FEATURES``, which the transport accepts where the
    device offers them. ``face`` is the register face of PCI functions, of :data:`.DRIVER_FACES`; None: the
    modern one where there is one.
    Errors: ``ValueError`` for unknown names, :class:`BindError` when there is no such device, and those of
    transport and driver.
    """
    for name, value, known in (
        ("interface", interface, INTERFACES),
        ("transport", transport, tuple(TRANSPORTS)),
        ("face", face, (None, *DRIVER_FACES)),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}")
    make_driver = simulation_of(function).driver
    device = await TRANSPORTS[transport](
        machine, function, interrupt=interrupt, ids=ids, model=model, pipe=pipe or {}, face=face
    )
    device.config.ring_features = rings
    driver = _only(adapt(interface, make_driver(machine.port, ids=ids, **options), machine.port), device)
    try:
        await machine.bus.register_virtio_driver(driver)
        return OpenDevice(machine, device, driver, machine.driven(device), model)
    except VirtioError:
        if driver in machine.bus.drivers:
            machine.bus.drivers.remove(driver)
        if transport != "pci":
            await machine.remove(device)
        raise
