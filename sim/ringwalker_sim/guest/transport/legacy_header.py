"""The legacy header of a PCI function, and the registers of one queue in it. Ref: virtio 1.4, 4.1.4.10."""

from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_BAR,
    LEGACY_MSIX,
    LEGACY_QUEUE_SHIFT,
    legacy_device_offset,
    legacy_driver_offset,
)
from ringwalker.spec.registers import RegisterTable

from ..errors import BindError
from ..pci import PciDevice
from .queue_registers import QueueRegisters, QueueSelection

__all__ = ["LegacyHeader", "LegacyQueue"]

_FIXED = {"driver": legacy_driver_offset, "device": legacy_device_offset}
"""Areas whose place follows from that of the descriptors and from the size."""

_NUMBERS = ("index", "notify_off", "notif_config_data")
"""Registers that hold the number of the queue, which is what names it in the doorbell."""


class LegacyHeader:
    """The registers in BAR 0 of ``pci``, by name: those of ``LEGACY``, and of ``LEGACY_MSIX`` while MSI-X is
    enabled.
    """

    def __init__(self, pci: PciDevice):
        self.pci = pci
        self.selection = QueueSelection(pci.port, lambda index: self.write("queue_select", index))

    async def read(self, name: str, table: RegisterTable = LEGACY) -> int:
        """Read a register."""
        row = table[name]
        return await self.pci.bar_read(LEGACY_BAR, row.offset, row.size)

    async def write(self, name: str, value: int, table: RegisterTable = LEGACY) -> None:
        """Write a register."""
        row = table[name]
        await self.pci.bar_write(LEGACY_BAR, row.offset, row.size, value)


class LegacyQueue(QueueRegisters):
    """The registers of queue ``index``, behind ``queue_select``.

    The header has fewer: a page, which enables the queue, and no size to write. What is written to the others
    must be what they are fixed to. Errors: :class:`BindError` for anything else.
    """

    def __init__(self, header: LegacyHeader, index: int):
        self._header = header
        self._index = index
        self._desc = 0

    async def read(self, name: str) -> int:
        """Read a register."""
        if name in _NUMBERS:
            return self._index
        if name in ("reset", "doorbell"):
            return 0
        header = self._header
        async with header.selection.of(self._index):
            if name == "size":
                return await header.read("queue_size")
            if name == "vector":
                return await header.read("queue_msix_vector", LEGACY_MSIX)
            page = await header.read("queue_pfn")
            if name == "enable":
                return int(page != 0)
            start = page << LEGACY_QUEUE_SHIFT
            if name == "desc" or not page:
                return start
            return start + _FIXED[name](await header.read("queue_size"))

    async def write(self, name: str, value: int) -> None:
        """Write a register. ``desc`` counts from the write of ``enable`` on."""
        header = self._header
        if name == "desc":
            self._desc = value
        elif name == "doorbell":
            await self.ring(self._index)
        elif name in ("vector", "enable"):
            async with header.selection.of(self._index):
                if name == "vector":
                    await header.write("queue_msix_vector", value, LEGACY_MSIX)
                else:
                    await header.write("queue_pfn", self._desc >> LEGACY_QUEUE_SHIFT if value else 0)
        else:
            await self._check(name, value)

    async def _check(self, name: str, value: int) -> None:
        if name != "size" and name not in _FIXED:
            raise BindError(f"queue {self._index}: the legacy interface has no {name} to write")
        size = await self.read("size")
        fixed = size if name == "size" else self._desc + _FIXED[name](size)
        if value != fixed:
            raise BindError(
                f"queue {self._index}: {name} is {value:#x}; by the legacy interface it must be {fixed:#x}"
            )

    async def ring(self, index: int, shown: int | None = None) -> None:
        """Write the doorbell, which all queues share."""
        await self._header.write("queue_notify", index)
