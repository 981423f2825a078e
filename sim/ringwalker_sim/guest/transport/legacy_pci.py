"""The virtio PCI transport, legacy face: the header of virtio 0.9.5 in BAR 0, of I/O or memory space.

Ref: virtio 1.4, the legacy notes of 2.4 (device configuration), 2.7 (virtqueues), 3.1 (initialization),
4.1.4.10 (PCI device layout) and 4.1.5.1 (virtqueue configuration).
"""

from collections.abc import Callable

from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_BAR,
    LEGACY_FEATURE_BITS,
    LEGACY_MSIX,
    LEGACY_QUEUE_SHIFT,
    legacy_device_config_offset,
    legacy_device_offset,
    legacy_driver_offset,
    legacy_queue_bytes,
)
from ringwalker.spec.registers import Register

from ...memory import MemoryFault
from ..errors import BindError, DeviceError
from ..pci import PciDevice
from ..ring_queue import RingVirtqueue
from ..split_queue import SplitVirtqueue
from ..virtqueue import Virtqueue
from .field_space import FieldSpace
from .legacy_fields import legacy_fields
from .legacy_header import LegacyHeader, LegacyQueue
from .pci_transport import POLLS, PciTransport
from .queue_registers import QueueRegisters

__all__ = ["LegacyPciTransport"]

_MOST_QUEUES = 1 << 16
_ATOMIC_BYTES = 4
"""Bytes that one access reads: only what is longer can change while it is read."""


class LegacyPciTransport(PciTransport):
    """Drives one PCI function by its legacy header. See :class:`.PciTransport`.

    There is no FEATURES_OK, and of the features there are bits 31:0. A queue has as many entries as the
    device says. The device configuration moves when MSI-X is enabled.
    """

    face = "legacy"
    legacy = True
    register_bar = LEGACY_BAR

    def __init__(self, pci: PciDevice, interrupt: str = "msix"):
        self.header = LegacyHeader(pci)
        super().__init__(pci, interrupt)

    async def find_face(self) -> None:
        """Find BAR 0. Errors: :class:`BindError` when the function has none, or a shorter one."""
        if LEGACY_BAR not in self.pci.bars:
            raise BindError(
                f"{self.name}: the function has no legacy header, since it has no BAR {LEGACY_BAR}"
            )
        self.pci.bar(LEGACY_BAR, 0, LEGACY.size)

    # --- status, features, interrupts ----------------------------------------------------------------------

    async def status(self) -> int:
        """Read the device status byte."""
        return await self.header.read("device_status")

    async def write_status(self, value: int) -> None:
        """Write the device status byte."""
        await self.header.write("device_status", value)

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        return await self.header.read("device_features")

    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts. Errors: :class:`BindError` for any from bit 32 on."""
        if features & ~LEGACY_FEATURE_BITS:
            raise BindError(f"{self.name}: the legacy interface has no features beyond bit 31: {features:#x}")
        await self.header.write("driver_features", features)

    async def num_queues(self) -> int:
        """Number of queues of the device: up to the first that has no entries."""
        for index in range(_MOST_QUEUES):
            if not await self.queue_registers(index).read("size"):
                return index
        return _MOST_QUEUES

    async def read_isr(self) -> int:
        """Read the ISR status, which clears it."""
        return await self.header.read("isr_status")

    async def set_config_vector(self, vector: int) -> int:
        """Write the vector of configuration changes; what it then reads."""
        await self.header.write("config_msix_vector", vector, LEGACY_MSIX)
        return await self.header.read("config_msix_vector", LEGACY_MSIX)

    # --- device configuration ------------------------------------------------------------------------------

    def _config_offset(self) -> int:
        return legacy_device_config_offset(bool(self._interrupts.vectors))

    def has_device_field(self, register: Register) -> bool:
        """Whether BAR 0 is long enough for a field: nothing else says how long the structure is."""
        end = self._config_offset() + register.offset + register.size
        return end <= self.pci.bars[LEGACY_BAR].size

    async def read_device_field(self, register: Register) -> int:
        """Read a field of device configuration; there is no generation, so twice the same value counts."""
        at, size = self._config_offset() + register.offset, register.size
        value = await self.pci.bar_read_wide(LEGACY_BAR, at, size)
        if size <= _ATOMIC_BYTES and not at % size:
            return value
        for _ in range(POLLS):
            before, value = value, await self.pci.bar_read_wide(LEGACY_BAR, at, size)
            if value == before:
                return value
        raise DeviceError(f"{self.name}: {register.name} changes faster than it can be read")

    async def write_device_field(self, register: Register, value: int) -> None:
        """Write a field of device configuration, lowest address first."""
        at = self._config_offset() + register.offset
        await self.pci.bar_write_wide(LEGACY_BAR, at, register.size, value)

    # --- queues --------------------------------------------------------------------------------------------

    def queue_registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``, behind ``queue_select``."""
        return LegacyQueue(self.header, index)

    def check_queue_size(self, index: int, size: int, limit: int) -> None:
        """Errors: ``ValueError`` for another size than the device's; :class:`DeviceError` for one that no
        queue can have.
        """
        if size != limit:
            raise ValueError(f"queue {index}: size is {size}; by the legacy interface it must be {limit}")
        if limit & (limit - 1):
            raise DeviceError(f"{self.name}: queue {index} has {limit} entries, which is no power of two")

    def new_queue(self, index: int, size: int, callback: Callable[[Virtqueue], bool] | None) -> RingVirtqueue:
        """A split ring in one piece of memory. Errors: :class:`BindError` when there is no place for it."""
        try:
            return SplitVirtqueue(
                self.port.memory,
                size,
                index=index,
                callback=callback,
                control=self,
                vdev=self.device,
                features=self.features,
                legacy=True,
            )
        except MemoryFault as error:
            length = legacy_queue_bytes(size)
            raise BindError(
                f"{self.name}: queue {index} of {size} entries needs {length} bytes in one piece: {error}"
            ) from None

    async def start_queue(self, vq: RingVirtqueue, registers: QueueRegisters) -> None:
        """Write the page of the rings, which enables the queue.

        Errors: :class:`BindError` for rings from 16 TiB on, which the register cannot name.
        """
        start = vq.desc_address
        offsets = legacy_driver_offset(vq.size), legacy_device_offset(vq.size)
        assert (vq.driver_address - start, vq.device_address - start) == offsets
        if start >> LEGACY_QUEUE_SHIFT > 0xFFFF_FFFF:
            raise BindError(
                f"{self.name}: the rings of queue {vq.index} are at {start:#x}; the legacy interface reaches "
                f"addresses below {1 << 32 + LEGACY_QUEUE_SHIFT:#x}"
            )
        await registers.write("desc", start)
        await registers.write("enable", 1)
        if await registers.read("desc") != start:
            raise DeviceError(f"{self.name}: the page of queue {vq.index} does not read as it was written")

    def doorbell(self, vq: RingVirtqueue) -> tuple[int, int, int] | None:
        """BAR and offset of the doorbell, which all queues share, and what names the queue there."""
        return LEGACY_BAR, LEGACY.queue_notify.offset, vq.index

    # --- the field list ------------------------------------------------------------------------------------

    async def make_field_space(self) -> FieldSpace:
        """The fields of 2007 as views of the header and what follows it."""
        return await legacy_fields(self)
