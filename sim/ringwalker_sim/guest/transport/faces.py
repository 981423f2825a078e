"""The register faces of PCI functions that a driver here can use, by name."""

from ringwalker.config import FACES
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import VIRTIO_CAPABILITY, CapabilityId

from ...errors import ParameterError
from ..pci import PciDevice
from .legacy_pci import LegacyPciTransport
from .pci_transport import PciTransport
from .virtio_pci import VirtioPciTransport

__all__ = ["DRIVER_FACES", "bind_face", "driver_face"]

DRIVER_FACES: dict[str, type[PciTransport]] = {
    transport.face: transport for transport in (VirtioPciTransport, LegacyPciTransport)
}
"""The transport of each face. A transitional device has both faces, of which a driver uses one."""


def driver_face(face: str, wanted: str | None = None) -> str:
    """By which face a driver uses a device whose ``face`` is one of the configuration: the one that is
    ``wanted``, or the modern one where there is one.

    Errors: :class:`ParameterError` for a face that there is not, or that the device does not have.
    """
    modern, legacy = VirtioPciTransport.face, LegacyPciTransport.face
    has = {"modern": (modern,), "legacy": (legacy,), "transitional": (modern, legacy)}
    assert tuple(has) == FACES
    if wanted is not None and wanted not in has[face]:
        raise ParameterError(f"driver_face is {wanted!r}; a device whose face is {face!r} does not have it")
    return wanted or has[face][0]


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
