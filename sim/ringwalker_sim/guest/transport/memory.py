"""The memory transport: rings shared with a device in Python, and calls in place of registers.

It corresponds to hypervisor calls: there is no bus and no interrupt controller.
"""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.fields import CommonField
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.registers import Register, RegisterTable

from ...golden.field_image import FieldImage
from ...golden.ring_server import RingServer
from ..bus import VirtioDevice, VirtioDeviceId
from ..ring_queue import RingVirtqueue
from .field_space import BytesSpace, Field, FieldSpace
from .queue_registers import QueueRegisters
from .ring_transport import RingTransport

__all__ = ["MemoryTransport"]

_INTERRUPT_CYCLES = 1


class _ServerQueue(QueueRegisters):
    """The registers of a queue of a :class:`RingServer`."""

    def __init__(self, rings: RingServer, index: int):
        self._rings = rings
        self._index = index

    async def read(self, name: str) -> int:
        there = self._index < len(self._rings.queues)
        return self._rings.register_read(self._index, name) if there else 0

    async def write(self, name: str, value: int) -> None:
        self._rings.register_write(self._index, name, value)

    async def ring(self, index: int, shown: int | None = None) -> None:
        self._rings.doorbell(index)


class MemoryTransport(RingTransport):
    """Configuration operations and queues on the model behind ``rings``, with the id ``identity``."""

    def __init__(self, rings: RingServer, identity: VirtioDeviceId):
        self.rings = rings
        self.memory = rings.memory
        self.model = rings.model
        self.name = f"memory device {identity.device:#x}"
        self.vqs: dict[int, RingVirtqueue] = {}
        self.device = VirtioDevice(None, identity, self)
        self._registers: dict[int, QueueRegisters] = {}
        image = FieldImage(self.model, rings.register_read, rings.register_write)
        self._space = BytesSpace(image.size, image.read, image.write)
        self._space.on_write = self._field_written
        rings.notify = self._interrupt

    def _interrupt(self, index: int) -> None:
        def arrived() -> None:
            if index in self.vqs:
                self.vqs[index].interrupt()

        self.model.schedule(_INTERRUPT_CYCLES, arrived)

    # --- status and features -------------------------------------------------------------------------------

    async def status(self) -> int:
        """Read the device status byte."""
        return self.model.read_status()

    async def write_status(self, value: int) -> None:
        """Write the device status byte."""
        self.model.write_status(value)

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        return self.model.features

    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts, as a mask."""
        self.model.driver_features = features

    async def reset(self) -> None:
        """Reset the device and set ACKNOWLEDGE and DRIVER. All queues become unusable."""
        self.model.write_status(0)
        self._forget()
        self.model.write_status(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)

    async def unbind(self) -> None:
        """Reset the device."""
        self.model.write_status(0)
        self._forget()

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``, if the model has it."""
        register = table[name]
        return register if register.offset + register.size <= len(self.model.config_bytes()) else None

    async def get(self, register: Register) -> int:
        """Read a field of device configuration."""
        content = self.model.config_bytes()
        return int.from_bytes(content[register.offset : register.offset + register.size], "little")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        self.model.write_config(register.offset, value.to_bytes(register.size, "little"))

    def on_change(self, callback: Callable[[], Any] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self.model.change = callback or (lambda: None)

    async def fields(self) -> FieldSpace:
        """The field list of 2007, in a string of bytes."""
        return self._space

    def _field_written(self, field: Field, data: bytes) -> None:
        if field.type == CommonField.DRIVER_FEATURES:
            self.features = self.model.driver_features
        elif field.type == CommonField.STATUS and not any(data):
            self._forget()

    # --- queues --------------------------------------------------------------------------------------------

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        return len(self.rings.queues)

    def queue_registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``, by calls."""
        return _ServerQueue(self.rings, index)
