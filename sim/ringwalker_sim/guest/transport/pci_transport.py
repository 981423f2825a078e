"""What a driver finds on every register face of a virtio PCI function: interrupts, queues, resets."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Self

from ringwalker.spec.features import Feature
from ringwalker.spec.fields import CommonField
from ringwalker.spec.modern import NO_VECTOR, DeviceStatus
from ringwalker.spec.registers import Register, RegisterTable

from ...timeline.recording import Recording
from ..bus import VirtioDevice
from ..errors import BindError, DeviceError, RequestTimeout
from ..pci import PciDevice
from ..recorder import Recorder
from ..ring_queue import QueueSignals, RingVirtqueue
from .field_space import Field, FieldSpace
from .pci_interrupts import PciInterrupts
from .queue_registers import QueueRegisters
from .ring_transport import RingTransport

__all__ = ["POLLS", "PciTransport"]

POLLS = 10_000
"""Reads of a register after which what it is to say counts as never coming."""
_POLL_CYCLES = 64


class PciTransport(RingTransport):
    """Drives one PCI function through one of its register faces; it is the ``config`` of its
    :class:`VirtioDevice`.

    ``interrupt`` is one of :data:`~.pci_interrupts.INTERRUPTS`. ``features`` is the negotiated mask. Errors:
    :class:`BindError` from :meth:`bind` when the function lacks the face or the interrupts,
    :class:`DeviceError` when the device breaks the rules.
    """

    face: str
    """The name of the face."""
    register_bar: int
    """The BAR with its registers."""

    def __init__(self, pci: PciDevice, interrupt: str = "msix"):
        self.pci = pci
        self.port = pci.port
        self.memory = pci.port.memory
        self.name = pci.name
        self.vqs: dict[int, RingVirtqueue] = {}
        self.config_changes = 0
        self.device = VirtioDevice(None, pci.id, self)
        self._registers: dict[int, QueueRegisters] = {}
        self._fields: FieldSpace | None = None
        self._changed: Callable[[], None] | None = None
        self._interrupts = PciInterrupts(self, interrupt, self.vqs, self._config_interrupt)

    @property
    def recorder(self) -> Recorder | None:
        """See :class:`QueueControl`."""
        return self.port.recorder

    @property
    def timeline(self) -> Recording | None:
        """See :class:`QueueControl`."""
        return self.port.timeline

    # --- what faces do -------------------------------------------------------------------------------------

    @abstractmethod
    async def find_face(self) -> None:
        """Find the registers. Errors: :class:`BindError` when the function does not have them."""

    @abstractmethod
    async def num_queues(self) -> int:
        """Number of queues of the device."""

    @abstractmethod
    async def read_isr(self) -> int:
        """Read the ISR status, which clears it."""

    @abstractmethod
    async def set_config_vector(self, vector: int) -> int:
        """Write the vector of configuration changes; what it then reads."""

    @abstractmethod
    async def start_queue(self, vq: RingVirtqueue, registers: QueueRegisters) -> None:
        """Write the place of the rings to the device and enable the queue; its vector is written."""

    @abstractmethod
    async def read_device_field(self, register: Register) -> int:
        """Read a field of device configuration that is there: one consistent value."""

    @abstractmethod
    async def write_device_field(self, register: Register, value: int) -> None:
        """Write a field of device configuration that is there."""

    @abstractmethod
    async def make_field_space(self) -> FieldSpace:
        """The field list of 2007. Errors: :class:`BindError` when the function has none."""

    @abstractmethod
    def has_device_field(self, register: Register) -> bool:
        """Whether the device configuration of the face is long enough for a field."""

    # --- binding -------------------------------------------------------------------------------------------

    @classmethod
    async def bind(cls, pci: PciDevice, interrupt: str = "msix") -> Self:
        """Find the face, reset the device, enable its interrupts, and set ACKNOWLEDGE and DRIVER."""
        transport = cls(pci, interrupt)
        await transport.find_face()
        await transport.reset()
        await transport._interrupts.enable()
        return transport

    async def unbind(self) -> None:
        """Reset the device and disable its interrupts."""
        await self._reset_device()
        await self._interrupts.disable()

    def use_vectors(self, count: int) -> None:
        """So many MSI-X vectors are in use, which the caller has enabled; 0: MSI-X is disabled."""
        self._interrupts.vectors = count

    # --- reset ---------------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Reset the device, wait for the end of the reset, and set ACKNOWLEDGE and DRIVER.

        All queues become unusable. Errors: :class:`RequestTimeout`.
        """
        await self._reset_device()
        await self._interrupts.set_config_vector()
        await self.add_status(DeviceStatus.ACKNOWLEDGE)
        await self.add_status(DeviceStatus.DRIVER)

    async def _reset_device(self) -> None:
        await self.write_status(0)
        await self._poll(self.status, "the reset of the device")
        self._forget()

    # --- suspension ----------------------------------------------------------------------------------------

    async def suspend_device(self) -> None:
        """Let the device finish the buffers that it has taken, and rest: until :meth:`resume_device` it
        accesses no queue and sends no notification, and the driver must not kick a queue.

        Errors: :class:`BindError` without VIRTIO_F_SUSPEND, :class:`DeviceError` when the device fails,
        :class:`RequestTimeout`. Ref: virtio 1.4, 3.4.
        """
        if not self.features >> Feature.SUSPEND & 1:
            raise BindError(
                f"{self.name}: the device cannot be suspended: VIRTIO_F_SUSPEND is not negotiated"
            )
        await self.add_status(DeviceStatus.SUSPEND)
        await self._poll(lambda: self._differs(DeviceStatus.SUSPEND), "the suspension of the device")

    async def resume_device(self) -> None:
        """Let a device that is suspended go on. Errors: as :meth:`suspend_device`."""
        await self.add_status(DeviceStatus.DRIVER_OK)
        await self._poll(lambda: self._differs(DeviceStatus.DRIVER_OK), "the resumption of the device")

    async def _differs(self, wanted: DeviceStatus) -> int:
        """What of SUSPEND and DRIVER_OK is not as ``wanted``."""
        status = await self.status()
        if status & DeviceStatus.DEVICE_NEEDS_RESET:
            raise DeviceError(f"{self.name}: the device sets DEVICE_NEEDS_RESET instead of {wanted.name}")
        return (status ^ wanted) & (DeviceStatus.SUSPEND | DeviceStatus.DRIVER_OK)

    async def _poll(self, read: Callable[[], Awaitable[int]], what: str) -> None:
        for _ in range(POLLS):
            if await read() == 0:
                return
            await self.port.sleep(_POLL_CYCLES)
        raise RequestTimeout(f"{self.name}: {what} does not end")

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``, if the device configuration holds it."""
        register = table[name]
        return register if self.has_device_field(register) else None

    async def get(self, register: Register) -> int:
        """Read a field of device configuration; again if it changed meanwhile."""
        self._check_device_field(register)
        return await self.read_device_field(register)

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        self._check_device_field(register)
        await self.write_device_field(register, value)

    def _check_device_field(self, register: Register) -> None:
        if not self.has_device_field(register):
            raise BindError(f"{self.name}: device configuration has no field {register.name}")

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self._changed = callback

    def _config_interrupt(self) -> None:
        self.config_changes += 1
        if self._changed is not None:
            self._changed()

    # --- queues --------------------------------------------------------------------------------------------

    async def resume(self, vq: RingVirtqueue) -> None:
        """Write size, vector and rings of a queue to the device, and enable it."""
        registers = self._registers[vq.index]
        await registers.write("size", vq.size)
        if self._interrupts.vectors:
            vector = self._interrupts.queue_vector(vq.index)
            await registers.write("vector", vector)
            if await registers.read("vector") == NO_VECTOR:
                raise DeviceError(f"{self.name}: no room for vector {vector} in queue {vq.index}")
        await self.start_queue(vq, registers)

    def doorbell(self, vq: RingVirtqueue) -> tuple[int, int, int] | None:
        """BAR and offset of the doorbell of a queue, and what names the queue there; None if not known."""
        return None

    def signals(self, vq: RingVirtqueue) -> QueueSignals | None:
        """See :meth:`.QueueControl.signals`. The doorbell is known once it was rung."""
        place, message = self.doorbell(vq), self._interrupts.message(vq.index)
        if place is None or message is None:
            return None
        bar, offset, name = self.pci.bars[place[0]], place[1], place[2]
        return None if bar.io else QueueSignals(bar.address + offset, name, self._carries_index, message)

    # --- the field list ------------------------------------------------------------------------------------

    async def fields(self) -> FieldSpace:
        """The field list of 2007. Errors: :class:`BindError` when the function has none."""
        if self._fields is None:
            self._fields = await self.make_field_space()
            self._fields.on_write = self._field_written
        return self._fields

    def _field_written(self, field: Field, data: bytes) -> None:
        """Keep up with features and status that are written through the field list."""
        if field.type == CommonField.DRIVER_FEATURES:
            self.features = int.from_bytes(data, "little")
        elif field.type == CommonField.STATUS and not any(data):
            self._forget()
