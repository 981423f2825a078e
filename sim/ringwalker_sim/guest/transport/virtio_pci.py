"""The virtio PCI transport, modern face: configuration operations and queues over virtio structures.

Ref: virtio 1.4, 3.1 (initialization), 4.1.4 (structures), 4.1.5 (operation).
"""

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, FACE_BAR, ISR, CapabilityType
from ringwalker.spec.registers import Register

from ..errors import DeviceError
from ..pci import PciDevice
from ..ring_queue import RingVirtqueue
from .field_space import FieldSpace
from .pci_transport import POLLS, PciTransport
from .queue_registers import QueueRegisters
from .virtio_pci_field_list import find_fields
from .virtio_pci_structures import CommonQueue, VirtioStructures

__all__ = ["VirtioPciTransport"]


class VirtioPciTransport(PciTransport):
    """Drives one PCI function by its virtio capabilities. See :class:`.PciTransport`."""

    face = "modern"
    register_bar = FACE_BAR

    def __init__(self, pci: PciDevice, interrupt: str = "msix"):
        self.structures = VirtioStructures(pci)
        super().__init__(pci, interrupt)

    async def find_face(self) -> None:
        """Find the structures. Errors: :class:`BindError` when a required one is missing."""
        await self.structures.find()

    async def read_common(self, name: str) -> int:
        """Read a field of the common configuration."""
        return await self.structures.read(CapabilityType.COMMON, COMMON[name])

    async def write_common(self, name: str, value: int) -> None:
        """Write a field of the common configuration."""
        await self.structures.write(CapabilityType.COMMON, COMMON[name], value)

    # --- status, features, interrupts ----------------------------------------------------------------------

    async def status(self) -> int:
        """Read the device status byte."""
        return await self.read_common("device_status")

    async def write_status(self, value: int) -> None:
        """Write the device status byte."""
        await self.write_common("device_status", value)

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        offered = 0
        for word in range(2):
            await self.write_common("device_feature_select", word)
            offered |= await self.read_common("device_feature") << 32 * word
        return offered

    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts, as a mask."""
        for word in range(2):
            await self.write_common("driver_feature_select", word)
            await self.write_common("driver_feature", features >> 32 * word & 0xFFFF_FFFF)

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        return await self.read_common("num_queues")

    async def read_isr(self) -> int:
        """Read the ISR status, which clears it."""
        return await self.structures.read(CapabilityType.ISR, ISR.isr_status)

    async def set_config_vector(self, vector: int) -> int:
        """Write the vector of configuration changes; what it then reads."""
        await self.write_common("config_msix_vector", vector)
        return await self.read_common("config_msix_vector")

    # --- device configuration ------------------------------------------------------------------------------

    def has_device_field(self, register: Register) -> bool:
        """Whether the device's structure holds a field."""
        place = self.structures.places.get(CapabilityType.DEVICE)
        return place is not None and register.offset + register.size <= place.size

    async def read_device_field(self, register: Register) -> int:
        """Read a field of device configuration; again if it changed meanwhile."""
        for _ in range(POLLS):
            before = await self.read_common("config_generation")
            value = await self.structures.read(CapabilityType.DEVICE, register)
            if await self.read_common("config_generation") == before:
                return value
        raise DeviceError(f"{self.name}: {register.name} changes faster than it can be read")

    async def write_device_field(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        await self.structures.write(CapabilityType.DEVICE, register, value)

    # --- queues --------------------------------------------------------------------------------------------

    def queue_registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``, behind ``queue_select``."""
        named = bool(self.features >> Feature.NOTIF_CONFIG_DATA & 1)
        return CommonQueue(self.structures, index, named)

    async def start_queue(self, vq: RingVirtqueue, registers: QueueRegisters) -> None:
        """Write the addresses of the rings to the device, and enable the queue."""
        await registers.write("desc", vq.desc_address)
        await registers.write("driver", vq.driver_address)
        await registers.write("device", vq.device_address)
        self.structures.doorbell(vq.index, await registers.read("notify_off"))
        await registers.write("enable", 1)

    def doorbell(self, vq: RingVirtqueue) -> tuple[int, int, int] | None:
        """BAR and offset of the doorbell of a queue, and what names the queue there, once it was rung."""
        registers = self._registers.get(vq.index)
        if not isinstance(registers, CommonQueue) or registers.doorbell is None:
            return None
        return self.structures.places[CapabilityType.NOTIFY].bar, registers.doorbell, registers.name

    async def _queue_reset_ends(self, vq: RingVirtqueue) -> None:
        registers = self._registers[vq.index]
        await self._poll(lambda: registers.read("reset"), f"the reset of queue {vq.index}")
        if await registers.read("enable"):
            raise DeviceError(f"queue {vq.index} is still enabled after its reset")

    # --- the field list ------------------------------------------------------------------------------------

    async def make_field_space(self) -> FieldSpace:
        """The field list of the function, in its BAR."""
        return await find_fields(self.pci)
