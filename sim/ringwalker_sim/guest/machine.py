"""A guest machine: one memory, one bus for drivers and devices, and devices by several transports at once."""

from typing import Any

from ringwalker.spec.ids import CLASS_CODES, VENDOR_2007, VENDOR_OASIS, DeviceType

from ..golden.function import FunctionModel
from ..golden.pipe_server import PipeServer
from ..golden.ring_server import RingServer
from .bus import VirtioBus, VirtioDevice, VirtioDeviceId
from .errors import BindError
from .pci import PciDevice, enumerate_pci
from .transport.faces import bind_face
from .transport.memory import MemoryTransport
from .transport.pipe import PipeTransport
from .transport.pipe_records import make_pipe

__all__ = ["Machine", "VirtioPciDriver", "identity_of"]

_OASIS_DEVICES = range(0x1000, 0x1080)
"""PCI device ids of vendor 0x1AF4 that are virtio. Ref: virtio 1.4, 4.1.2."""


def identity_of(device_type: int, name: str = "") -> VirtioDeviceId:
    """The identity of a device of ``device_type`` without a PCI header: what its header would hold."""
    known = device_type in tuple(DeviceType)
    class_code = CLASS_CODES[DeviceType(device_type)] if known else 0
    return VirtioDeviceId(VENDOR_2007, device_type, VENDOR_2007, device_type, class_code, 0xFFFFFF, name)


class VirtioPciDriver:
    """The PCI driver of all virtio functions. It registers a virtio device on ``bus`` for each of them.

    A driver of a device type therefore sees no PCI, and several transports share one bus (proposed by Arnd
    Bergmann in answer to the patches of 20 September 2007). ``vendors`` are further PCI vendors whose
    functions are virtio devices; ``face`` is the register face of :func:`.bind_face`.
    """

    def __init__(
        self,
        bus: VirtioBus,
        interrupt: str = "msix",
        vendors: tuple[int, ...] = (),
        face: str | None = None,
    ):
        self.bus = bus
        self.interrupt = interrupt
        self.vendors = (VENDOR_2007, *vendors)
        self.face = face

    def matches(self, pci: PciDevice) -> bool:
        """Whether a function is a virtio device."""
        identity = pci.id
        oasis = identity.vendor == VENDOR_OASIS and identity.device in _OASIS_DEVICES
        return oasis or identity.vendor in self.vendors

    async def probe(self, pci: PciDevice) -> VirtioDevice:
        """Register a virtio device for a function on the bus. Errors: those of the transport's ``bind``."""
        transport = await bind_face(pci, self.interrupt, self.face)
        await self.bus.register_virtio_device(transport.device)
        return transport.device


class Machine:
    """The devices of ``port``: its PCI functions, and models in Python that run in its time.

    ``bus`` is the only registry of drivers and devices. Devices are added and removed in any order.
    """

    def __init__(self, port: Any):
        self.port: Any = port
        self.bus = VirtioBus()

    async def probe_pci(
        self, interrupt: str = "msix", vendors: tuple[int, ...] = (), face: str | None = None
    ) -> list[VirtioDevice]:
        """Find all PCI functions and bind those that are virtio. Errors: those of the transport."""
        driver = VirtioPciDriver(self.bus, interrupt, vendors, face)
        found = await enumerate_pci(self.port, assign=len(self.port.mmio32) > 0)
        return [await driver.probe(pci) for pci in found if driver.matches(pci)]

    async def add_memory_device(
        self, model: FunctionModel, identity: VirtioDeviceId | None = None
    ) -> VirtioDevice:
        """Add a device in Python with rings in the guest's memory."""
        rings = RingServer(model, self.port.memory, self.port.now)
        transport = MemoryTransport(rings, identity or identity_of(model.device_type))
        await transport.reset()
        await self.bus.register_virtio_device(transport.device)
        return transport.device

    async def add_pipe_device(
        self,
        model: FunctionModel,
        identity: VirtioDeviceId | None = None,
        *,
        capacity: int = 4096,
        latency: int = 20,
        seed: int = 0,
    ) -> VirtioDevice:
        """Add a device in Python at the other end of a byte pipe; the numbers are those of
        :func:`.make_pipe`.
        """
        near, far = make_pipe(model.schedule, capacity=capacity, latency=latency, seed=seed)
        PipeServer(model, far)
        transport = PipeTransport(self.port, near, identity or identity_of(model.device_type))
        await transport.connect()
        await transport.reset()
        await self.bus.register_virtio_device(transport.device)
        return transport.device

    async def remove(self, device: VirtioDevice) -> None:
        """Remove a device from its driver and from the bus, and reset it."""
        await self.bus.unregister_virtio_device(device)
        await device.config.unbind()

    async def close(self) -> None:
        """Remove all devices."""
        for device in tuple(self.bus.devices):
            await self.remove(device)

    def driven(self, device: VirtioDevice) -> Any:
        """``priv`` of a device. Errors: :class:`BindError` when the device has no driver."""
        if device.driver is None:
            identity = device.id
            raise BindError(f"no driver for {identity.vendor:04x}:{identity.device:04x}")
        return device.priv
