"""The virtio structures of a PCI function: their places and registers. Ref: virtio 1.4, 4.1.4."""

from dataclasses import dataclass

from ringwalker.spec.modern import COMMON, CapabilityType
from ringwalker.spec.pci import VIRTIO_CAPABILITY, VIRTIO_NOTIFY_CAPABILITY, CapabilityId
from ringwalker.spec.registers import Register
from ringwalker.spec.ring import NotificationData

from ..errors import BindError, DeviceError
from ..pci import PciDevice
from .queue_registers import QueueRegisters, QueueSelection

__all__ = ["CommonQueue", "Structure", "VirtioStructures"]


@dataclass(frozen=True)
class Structure:
    """The place of a virtio structure: ``size`` bytes at ``offset`` of BAR ``bar``."""

    bar: int
    offset: int
    size: int
    multiplier: int = 0


class VirtioStructures:
    """The structures of ``pci`` by capability type, in ``places`` after :meth:`find`."""

    def __init__(self, pci: PciDevice):
        self.pci = pci
        self.places: dict[int, Structure] = {}
        self.selection = QueueSelection(
            pci.port, lambda index: self.write(CapabilityType.COMMON, COMMON.queue_select, index)
        )

    async def find(self) -> None:
        """Find the structures. Errors: :class:`BindError` when a required one is missing."""
        for capability in self.pci.find_capabilities(CapabilityId.VENDOR):
            at = capability.offset
            kind = await self.pci.read(VIRTIO_CAPABILITY.type, at)
            bar = await self.pci.read(VIRTIO_CAPABILITY.bar, at)
            # The first usable capability of each type counts; reserved BAR values are skipped.
            skipped = (CapabilityType.PCI, CapabilityType.VENDOR)
            if kind in self.places or kind in skipped or bar not in self.pci.bars:
                continue
            offset = await self.pci.read(VIRTIO_CAPABILITY.offset, at)
            size = await self.pci.read(VIRTIO_CAPABILITY["size"], at)
            multiplier = 0
            if kind == CapabilityType.NOTIFY:
                multiplier = await self.pci.read(VIRTIO_NOTIFY_CAPABILITY.multiplier, at)
            self.pci.bar(bar, offset, size)
            self.places[kind] = Structure(bar, offset, size, multiplier)
        for kind in (CapabilityType.COMMON, CapabilityType.NOTIFY, CapabilityType.ISR):
            if kind not in self.places:
                raise BindError(f"{self.pci.name}: no usable virtio capability of type {kind.name}")

    async def read(self, kind: CapabilityType, register: Register) -> int:
        """Read a register of a structure, in pieces of at most 4 bytes."""
        place = self.places[kind]
        return await self.pci.bar_read_wide(place.bar, place.offset + register.offset, register.size)

    async def write(self, kind: CapabilityType, register: Register, value: int) -> None:
        """Write a register of a structure, in pieces of at most 4 bytes."""
        place = self.places[kind]
        await self.pci.bar_write_wide(place.bar, place.offset + register.offset, register.size, value)

    def doorbell(self, index: int, notify_off: int) -> int:
        """The offset of a doorbell in its BAR. Errors: :class:`DeviceError` outside the structure."""
        place = self.places[CapabilityType.NOTIFY]
        at = notify_off * place.multiplier
        if at + NotificationData.as_shape().size // 8 > place.size:
            raise DeviceError(
                f"queue {index}: its doorbell at {at:#x} is outside the structure of {place.size} bytes"
            )
        return place.offset + at

    async def ring(self, doorbell: int, name: int, shown: int | None) -> None:
        """Write to the doorbell of a queue what it is named by there, with the available index ``shown`` if
        not None."""
        bar = self.places[CapabilityType.NOTIFY].bar
        if shown is None:
            await self.pci.bar_write(bar, doorbell, 2, name)
        else:
            data = NotificationData.const({"queue": name, "next": shown})
            await self.pci.bar_write(bar, doorbell, 4, data.as_bits())


class CommonQueue(QueueRegisters):
    """The registers of queue ``index`` in the common configuration, behind ``queue_select``.

    ``named``: the device says by what number the queue is named in a notification.
    """

    def __init__(self, structures: VirtioStructures, index: int, named: bool = False):
        self._structures = structures
        self._index = index
        self._named = named
        self.doorbell: int | None = None
        """The offset of the doorbell in its BAR, once it was read."""
        self.name = index
        """The number that names the queue in a notification, once it was read."""

    @staticmethod
    def _row(name: str) -> Register:
        return COMMON["queue_msix_vector" if name == "vector" else f"queue_{name}"]

    async def read(self, name: str) -> int:
        """Read a register."""
        async with self._structures.selection.of(self._index):
            return await self._structures.read(CapabilityType.COMMON, self._row(name))

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        async with self._structures.selection.of(self._index):
            await self._structures.write(CapabilityType.COMMON, self._row(name), value)

    async def ring(self, index: int, shown: int | None = None) -> None:
        """Write the doorbell. Its address is read once."""
        if self.doorbell is None:
            if self._named:
                self.name = await self.read("notif_config_data")
            self.doorbell = self._structures.doorbell(index, await self.read("notify_off"))
        await self._structures.ring(self.doorbell, self.name, shown)
