"""The register faces of PCI functions that a driver here can use, by name."""

from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import VIRTIO_CAPABILITY, CapabilityId

from ..pci import PciDevice
from .legacy_pci import LegacyPciTransport
from .pci_transport import PciTransport
from .virtio_pci import VirtioPciTransport

__all__ = ["DRIVER_FACES", "bind_face"]

DRIVER_FACES: dict[str, type[PciTransport]] = {
    transport.face: transport for transport in (VirtioPciTransport, LegacyPciTransport)
}
"""The transport of each face. A transitional device has both faces, of which a driver uses one."""


async def bind_face(pci: PciDevice, interrupt: str = "msix", face: str | None = None) -> PciTransport:
    """Bind a function by its ``face``, or if that is None by the modern one where it has that.

    Ref: virtio 1.4, 4.1.5.1.1.1 (layout detection). Errors: those of the transport's ``bind``.
    """
    if face is None:
        kinds = [
            await pci.read(VIRTIO_CAPABILITY.type, item.offset)
            for item in pci.find_capabilities(CapabilityId.VENDOR)
        ]
        face = VirtioPciTransport.face if CapabilityType.COMMON in kinds else LegacyPciTransport.face
    return await DRIVER_FACES[face].bind(pci, interrupt)
