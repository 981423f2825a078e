"""The field list of a PCI function, in the BAR that the virtio vendor capability with id 0x5000 names."""

from ringwalker.spec.ids import VENDOR_2007
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import VIRTIO_CAPABILITY, VIRTIO_VENDOR_CAPABILITY, CapabilityId

from ..errors import BindError
from ..pci import PciDevice
from .field_space import FieldSpace

__all__ = ["PciFieldSpace", "find_fields"]


class PciFieldSpace(FieldSpace):
    """``size`` bytes at ``offset`` of a BAR."""

    def __init__(self, pci: PciDevice, bar: int, offset: int, size: int):
        super().__init__()
        pci.bar(bar, offset, size)
        self.size = size
        self._pci = pci
        self._bar = bar
        self._offset = offset

    async def read_bytes(self, offset: int, length: int) -> bytes:
        """Read the BAR, in naturally aligned pieces."""
        value = await self._pci.bar_read_wide(self._bar, self._offset + offset, length)
        return value.to_bytes(length, "little")

    async def write_bytes(self, offset: int, data: bytes) -> None:
        """Write the BAR, in naturally aligned pieces."""
        value = int.from_bytes(data, "little")
        await self._pci.bar_write_wide(self._bar, self._offset + offset, len(data), value)


async def find_fields(pci: PciDevice) -> PciFieldSpace:
    """The field list of a function. Errors: :class:`BindError` when it has none."""
    for capability in pci.find_capabilities(CapabilityId.VENDOR):
        at = capability.offset
        if await pci.read(VIRTIO_CAPABILITY.type, at) != CapabilityType.VENDOR:
            continue
        if await pci.read(VIRTIO_VENDOR_CAPABILITY.vendor_id, at) == VENDOR_2007:
            return PciFieldSpace(
                pci,
                await pci.read(VIRTIO_VENDOR_CAPABILITY.bar, at),
                await pci.read(VIRTIO_VENDOR_CAPABILITY.offset, at),
                await pci.read(VIRTIO_VENDOR_CAPABILITY["size"], at),
            )
    raise BindError(f"{pci.name}: the function has no field list; one with the identity of 2007 does")
