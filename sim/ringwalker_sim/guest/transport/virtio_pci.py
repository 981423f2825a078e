"""The virtio PCI transport, modern face: configuration operations and queues over a PCI function.

Ref: virtio 1.4, 3.1 (initialization), 4.1.4 (structures), 4.1.5 (operation).
"""

from collections.abc import Awaitable, Callable

from ringwalker.spec.features import Feature
from ringwalker.spec.fields import CommonField
from ringwalker.spec.modern import COMMON, NO_VECTOR, CapabilityType, DeviceStatus
from ringwalker.spec.registers import Register, RegisterTable

from ..bus import VirtioDevice
from ..errors import BindError, DeviceError, RequestTimeout
from ..pci import PciDevice
from ..ring_formats import ring_virtqueue
from ..ring_queue import QueueSignals, RingVirtqueue
from ..virtqueue import Virtqueue
from .field_space import Field, FieldSpace
from .queue_registers import QueueRegisters
from .ring_transport import RingTransport
from .virtio_pci_field_list import find_fields
from .virtio_pci_interrupts import PciInterrupts
from .virtio_pci_structures import CommonQueue, VirtioStructures

__all__ = ["VirtioPciTransport"]

_POLLS = 10_000
"""Reads of a register after which a reset counts as hung."""
_POLL_CYCLES = 64


class VirtioPciTransport(RingTransport):
    """Drives one PCI function with virtio capabilities; it is the ``config`` of its :class:`VirtioDevice`.

    ``interrupt`` is ``"msix"`` (vector 0 for configuration changes, the others for the queues, which share
    them when there are too few) or ``"intx"``. ``features`` is the negotiated mask. Errors:
    :class:`BindError` from :meth:`bind` when the function lacks a capability, :class:`DeviceError` when the
    device breaks the rules.
    """

    def __init__(self, pci: PciDevice, interrupt: str = "msix"):
        self.pci = pci
        self.port = pci.port
        self.structures = VirtioStructures(pci)
        self.name = pci.name
        self.vqs: dict[int, RingVirtqueue] = {}
        self.config_changes = 0
        self.device = VirtioDevice(None, pci.id, self)
        self._registers: dict[int, QueueRegisters] = {}
        self._fields: FieldSpace | None = None
        self._changed: Callable[[], None] | None = None
        self._interrupts = PciInterrupts(self.structures, interrupt, self.vqs, self._config_interrupt)

    # --- binding -------------------------------------------------------------------------------------------

    @classmethod
    async def bind(cls, pci: PciDevice, interrupt: str = "msix") -> "VirtioPciTransport":
        """Find the structures, reset the device, enable its interrupts, and set ACKNOWLEDGE and DRIVER."""
        transport = cls(pci, interrupt)
        await transport.structures.find()
        await transport.reset()
        await transport._interrupts.enable()
        return transport

    async def unbind(self) -> None:
        """Reset the device and disable its interrupts."""
        await self._reset_device()
        await self._interrupts.disable()

    async def read_common(self, name: str) -> int:
        """Read a field of the common configuration."""
        return await self.structures.read(CapabilityType.COMMON, COMMON[name])

    async def write_common(self, name: str, value: int) -> None:
        """Write a field of the common configuration."""
        await self.structures.write(CapabilityType.COMMON, COMMON[name], value)

    # --- status and features -------------------------------------------------------------------------------

    async def status(self) -> int:
        """Read the device status byte."""
        return await self.read_common("device_status")

    async def write_status(self, value: int) -> None:
        """Write the device status byte."""
        await self.write_common("device_status", value)

    async def reset(self) -> None:
        """Reset the device, wait for the end of the reset, and set ACKNOWLEDGE and DRIVER.

        All queues become unusable. Errors: :class:`RequestTimeout`.
        """
        await self._reset_device()
        await self._interrupts.set_config_vector()
        await self.add_status(DeviceStatus.ACKNOWLEDGE)
        await self.add_status(DeviceStatus.DRIVER)

    async def _reset_device(self) -> None:
        await self.write_common("device_status", 0)
        await self._poll(lambda: self.read_common("device_status"), "the device")
        self._forget()

    def _forget(self) -> None:
        """After a reset the device has no queues and no negotiated features."""
        self.features = 0
        self._registers.clear()
        for vq in self.vqs.values():
            vq.broken = True

    async def _poll(self, read: Callable[[], Awaitable[int]], what: str) -> None:
        for _ in range(_POLLS):
            if await read() == 0:
                return
            await self.port.sleep(_POLL_CYCLES)
        raise RequestTimeout(f"{self.name}: the reset of {what} does not end")

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

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``, if the device's structure holds it."""
        place = self.structures.places.get(CapabilityType.DEVICE)
        register = table[name]
        if place is None or register.offset + register.size > place.size:
            return None
        return register

    async def get(self, register: Register) -> int:
        """Read a field of device configuration; again if it changed meanwhile."""
        self._check_device_field(register)
        for _ in range(_POLLS):
            before = await self.read_common("config_generation")
            value = await self.structures.read(CapabilityType.DEVICE, register)
            if await self.read_common("config_generation") == before:
                return value
        raise DeviceError(f"{self.name}: {register.name} changes faster than it can be read")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        self._check_device_field(register)
        await self.structures.write(CapabilityType.DEVICE, register, value)

    def _check_device_field(self, register: Register) -> None:
        place = self.structures.places.get(CapabilityType.DEVICE)
        if place is None or register.offset + register.size > place.size:
            raise BindError(f"{self.name}: device configuration has no field {register.name}")

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self._changed = callback

    def _config_interrupt(self) -> None:
        self.config_changes += 1
        if self._changed is not None:
            self._changed()

    # --- queues --------------------------------------------------------------------------------------------

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        return await self.read_common("num_queues")

    async def find_vq(
        self, index: int, callback: Callable[[Virtqueue], bool] | None = None, size: int | None = None
    ) -> RingVirtqueue:
        """Set up queue ``index``, with ``size`` entries or as many as the device offers.

        Errors: :class:`BindError` when there is no such queue, ``ValueError`` for a size that is too large.
        """
        named = bool(self.features >> Feature.NOTIF_CONFIG_DATA & 1)
        return await self.create_vq(index, CommonQueue(self.structures, index, named), callback, size)

    async def create_vq(
        self,
        index: int,
        registers: QueueRegisters,
        callback: Callable[[Virtqueue], bool] | None = None,
        size: int | None = None,
    ) -> RingVirtqueue:
        """Set up queue ``index`` through its ``registers``. Errors: as :meth:`find_vq`."""
        limit = await registers.read("size")
        if limit == 0:
            raise BindError(f"{self.name}: the device has no queue {index}")
        if await registers.read("enable"):
            raise BindError(f"{self.name}: queue {index} is in use")
        if size is not None and size > limit:
            raise ValueError(f"queue {index}: size is {size}; the device allows at most {limit}")
        if index in self.vqs:
            await self.del_vq(self.vqs[index])
        vq = ring_virtqueue(
            self.port.memory,
            size or limit,
            index=index,
            callback=callback,
            control=self,
            vdev=self.device,
            features=self.features,
        )
        self.vqs[index] = vq
        self.device.vqs.append(vq)
        self._registers[index] = registers
        await self.resume(vq)
        return vq

    async def resume(self, vq: RingVirtqueue) -> None:
        """Write the addresses of the rings to the device, and enable the queue."""
        registers = self._registers[vq.index]
        await registers.write("size", vq.size)
        if self._interrupts.vectors:
            vector = self._interrupts.queue_vector(vq.index)
            await registers.write("vector", vector)
            if await registers.read("vector") == NO_VECTOR:
                raise DeviceError(f"{self.name}: no room for vector {vector} in queue {vq.index}")
        await registers.write("desc", vq.desc_address)
        await registers.write("driver", vq.driver_address)
        await registers.write("device", vq.device_address)
        self.structures.doorbell(vq.index, await registers.read("notify_off"))
        await registers.write("enable", 1)

    def signals(self, vq: RingVirtqueue) -> QueueSignals | None:
        """See :meth:`.QueueControl.signals`. The doorbell is known once it was rung."""
        registers, message = self._registers.get(vq.index), self._interrupts.message(vq.index)
        if not isinstance(registers, CommonQueue) or registers.doorbell is None or message is None:
            return None
        bar = self.pci.bars[self.structures.places[CapabilityType.NOTIFY].bar]
        doorbell = bar.address + registers.doorbell
        return None if bar.io else QueueSignals(doorbell, registers.name, self._carries_index, message)

    async def _queue_reset_ends(self, vq: RingVirtqueue) -> None:
        registers = self._registers[vq.index]
        await self._poll(lambda: registers.read("reset"), f"queue {vq.index}")
        if await registers.read("enable"):
            raise DeviceError(f"queue {vq.index} is still enabled after its reset")

    # --- the field list ------------------------------------------------------------------------------------

    async def fields(self) -> FieldSpace:
        """The field list of 2007. Errors: :class:`BindError` when the function has none."""
        if self._fields is None:
            self._fields = await find_fields(self.pci)
            self._fields.on_write = self._field_written
        return self._fields

    def _field_written(self, field: Field, data: bytes) -> None:
        """Keep up with features and status that are written through the field list."""
        if field.type == CommonField.DRIVER_FEATURES:
            self.features = int.from_bytes(data, "little")
        elif field.type == CommonField.STATUS and not any(data):
            self._forget()
