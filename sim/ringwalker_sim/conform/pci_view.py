"""Configuration space and the MSI-X table as the checks need them: any byte, and everything put back.

Ref: PCI Local Bus 3.0, 6.1 (header), 6.8.2 (MSI-X); PCI Express Base 3.1, 7.9 (extended capabilities).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    EXTENDED_CONFIG_SPACE_BYTES,
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    VIRTIO_CAPABILITY,
    CapabilityId,
    Command,
    MsixControl,
    MsixTableOffset,
    MsixVectorControl,
)
from ringwalker.spec.pci_extended import ExtendedHeader
from ringwalker.spec.pcie import PCIE_CAPABILITY

from ..guest.pci import Capability, PciDevice

__all__ = [
    "MsixTable",
    "config",
    "extended_capabilities",
    "put_config",
    "saved_configuration",
    "virtio_capabilities",
]

_KEPT = ("cache_line_size", *(f"bar{index}" for index in range(6)), "interrupt_line", "expansion_rom")
_DWORD = 4


async def config(pci: PciDevice, offset: int, size: int = _DWORD) -> int:
    """Read ``size`` bytes of configuration space at ``offset``."""
    return await pci.port.config_read(pci.bdf, offset, size)


async def put_config(pci: PciDevice, offset: int, value: int, size: int = _DWORD) -> None:
    """Write ``size`` bytes of configuration space at ``offset``."""
    await pci.port.config_write(pci.bdf, offset, size, value)


async def extended_capabilities(pci: PciDevice) -> list[Capability]:
    """The extended capabilities, in the order of their list; none for a function that has no such space."""
    found: list[Capability] = []
    seen: set[int] = set()
    offset = CONFIG_SPACE_BYTES if pci.find_capabilities(CapabilityId.PCI_EXPRESS) else 0
    while CONFIG_SPACE_BYTES <= offset < EXTENDED_CONFIG_SPACE_BYTES and offset not in seen:
        seen.add(offset)
        header = await config(pci, offset)
        if header in (0, 0xFFFF_FFFF):
            break
        found.append(Capability(header & ExtendedHeader.ID, offset))
        offset = header >> 20 & ~0b11
    return found


async def virtio_capabilities(pci: PciDevice, kind: CapabilityType) -> list[dict[str, int]]:
    """The virtio capabilities of a type, in their order: ``at``, and their registers by name."""
    found = []
    for item in pci.find_capabilities(CapabilityId.VENDOR):
        row = {register.name: await pci.read(register, item.offset) for register in VIRTIO_CAPABILITY}
        if row["type"] == kind:
            found.append(row | {"at": item.offset})
    return found


@asynccontextmanager
async def saved_configuration(pci: PciDevice) -> AsyncIterator[None]:
    """Put the command register, the base addresses and the control of MSI-X and PCI Express back at the end.

    The MSI-X table is not kept; what uses vectors writes it anew.
    """
    rows = [HEADER[name] for name in _KEPT]
    values = [await pci.read(row) for row in rows]
    command = await pci.read(HEADER.command)
    controls = [
        (register, item.offset, await pci.read(register, item.offset))
        for kind, register in (
            (CapabilityId.MSIX, MSIX_CAPABILITY.control),
            (CapabilityId.PCI_EXPRESS, PCIE_CAPABILITY.device_control),
        )
        for item in pci.find_capabilities(kind)
    ]
    try:
        yield
    finally:
        # Nothing answers at an address that is half written.
        await pci.write(HEADER.command, command & ~(Command.MEMORY_ENABLE | Command.IO_ENABLE))
        for row, value in zip(rows, values, strict=True):
            await pci.write(row, value)
        for register, at, value in controls:
            await pci.write(register, value, at)
        await pci.write(HEADER.command, command)


class MsixTable:
    """The MSI-X table and the pending bits of ``pci``, which has the capability ``at``."""

    def __init__(self, pci: PciDevice):
        self.pci = pci
        self.at = pci.find_capabilities(CapabilityId.MSIX)[0].offset
        self.size = 0
        """Entries, once :meth:`find` has run."""

    async def find(self) -> "MsixTable":
        """Read where the table is."""
        self.size = (await self.control() & MsixControl.TABLE_SIZE) + 1
        table = await self.pci.read(MSIX_CAPABILITY.table, self.at)
        pending = await self.pci.read(MSIX_CAPABILITY.pba, self.at)
        mask = int(MsixTableOffset.BAR)
        self.bar, self.base = table & mask, table & ~mask
        self.pending_bar, self.pending_base = pending & mask, pending & ~mask
        return self

    async def control(self) -> int:
        """Read the control register."""
        return await self.pci.read(MSIX_CAPABILITY.control, self.at)

    async def set_function_mask(self, on: bool) -> None:
        """Mask all vectors, or leave that to the mask of each."""
        control = await self.control() & ~MsixControl.FUNCTION_MASK
        control |= MsixControl.FUNCTION_MASK if on else 0
        await self.pci.write(MSIX_CAPABILITY.control, control, self.at)

    def _place(self, vector: int, name: str) -> tuple[int, int, int]:
        row = MSIX_TABLE_ENTRY[name]
        return self.bar, self.base + vector * MSIX_ENTRY_BYTES + row.offset, row.size

    async def read(self, vector: int, name: str) -> int:
        """Read a register of an entry."""
        return await self.pci.bar_read(*self._place(vector, name))

    async def write(self, vector: int, name: str, value: int) -> None:
        """Write a register of an entry; it has reached the device at the end."""
        await self.pci.bar_write(*self._place(vector, name), value)
        await self.read(vector, name)

    async def set_mask(self, vector: int, on: bool) -> None:
        """Mask a vector, or unmask it."""
        await self.write(vector, "vector_control", MsixVectorControl.MASK if on else 0)

    async def pending(self, vector: int) -> bool:
        """The pending bit of a vector."""
        at = self.pending_base + vector // 32 * _DWORD
        return bool(await self.pci.bar_read(self.pending_bar, at, _DWORD) >> vector % 32 & 1)
