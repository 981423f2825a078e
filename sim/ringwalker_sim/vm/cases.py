"""The ways in which a driver drives a virtio block device, in which two devices are compared."""

from dataclasses import dataclass

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_OASIS, DeviceType
from ringwalker.spec.legacy import TransitionalId

from ..guest.errors import DeviceError
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.port import Port
from ..guest.transport.faces import DRIVER_FACES
from ..guest.transport.pci_transport import PciTransport

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """How a device is driven.

    ``interrupt`` is ``"msix"`` or ``"intx"``, ``ring`` ``"split"`` or ``"packed"``. ``device`` names the
    register faces that the device has: ``"modern"``, ``"legacy"`` or ``"transitional"``. ``face`` is the one
    that the driver uses.
    """

    interrupt: str = "msix"
    ring: str = "split"
    device: str = "modern"
    face: str = "modern"

    def __str__(self) -> str:
        return f"{self.device}-by-{self.face}-{self.ring}-{self.interrupt}"

    @property
    def words(self) -> frozenset[str]:
        """All of it, as a set of words of :data:`~.differences.WORDS`."""
        found = {self.interrupt, self.ring, f"{self.device} device", f"{self.face} face"}
        if self.device != "legacy":
            found.add("modern registers")
        if self.device != "modern":
            found.add("legacy registers")
        return frozenset(found)

    @property
    def features(self) -> int:
        """The mask of features that choose the ring."""
        return 1 << Feature.RING_PACKED if self.ring == "packed" else 0

    async def find(self, port: Port) -> PciDevice:
        """The device on the bus of ``port``. Errors: :class:`DeviceError` unless there is exactly one."""
        modern = self.device == "modern"
        wanted = VENDOR_OASIS, OASIS_DEVICE_BASE + DeviceType.BLK if modern else int(TransitionalId.BLK)
        found = [item for item in await enumerate_pci(port) if (item.id.vendor, item.id.device) == wanted]
        if len(found) != 1:
            raise DeviceError(f"there are {len(found)} virtio block devices on the bus; it must be one")
        return found[0]

    async def bind(self, pci: PciDevice) -> PciTransport:
        """The transport of the driver."""
        return await DRIVER_FACES[self.face].bind(pci, self.interrupt)

    async def other_face(self, pci: PciDevice) -> PciTransport | None:
        """The face that the driver does not use, if the device has one; nothing is done to the device."""
        if self.device != "transitional":
            return None
        (other,) = [transport for name, transport in DRIVER_FACES.items() if name != self.face]
        found = other(pci, self.interrupt)
        await found.find_face()
        return found


CASES = tuple(
    Case(interrupt, ring, device, face)
    for ring, device, face in (
        ("split", "modern", "modern"),
        ("packed", "modern", "modern"),
        ("split", "transitional", "modern"),
        ("split", "transitional", "legacy"),
        ("split", "legacy", "legacy"),
    )
    for interrupt in ("msix", "intx")
)
"""All cases that are compared."""
