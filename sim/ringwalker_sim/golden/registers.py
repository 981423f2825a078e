"""The registers of a device in Python that its register faces are views of, beside those of its queues."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.modern import NO_VECTOR

from .ring_server import RingServer

__all__ = ["SharedRegisters"]


class SharedRegisters:
    """Selection, vectors and interrupt status of the device behind ``rings``, which has ``vectors`` vectors.

    ``isr_changed()`` and ``forgotten()``, which runs when the device is reset, are set by the owner.
    """

    def __init__(self, rings: RingServer, vectors: int):
        self.rings = rings
        self.model: Any = rings.model
        self.vectors = vectors
        self.isr_changed: Callable[[], None] = lambda: None
        self.forgotten: Callable[[], None] = lambda: None
        self._forget()

    def _forget(self) -> None:
        self.isr = 0
        self.queue_select = self.device_feature_select = self.driver_feature_select = 0
        self.config_msix_vector = NO_VECTOR

    def take_isr(self) -> int:
        """The interrupt status, which this clears."""
        value, self.isr = self.isr, 0
        self.isr_changed()
        return value

    def note(self, causes: int) -> None:
        """Set bits of the interrupt status."""
        self.isr |= causes
        self.isr_changed()

    def write_status(self, value: int) -> None:
        """Write the device status; 0 resets everything."""
        self.model.write_status(value)
        if value == 0:
            self._forget()
            self.forgotten()
            self.isr_changed()

    def set_config_vector(self, vector: int) -> None:
        """Set the vector of configuration changes."""
        self.config_msix_vector = self._existing(vector)

    def set_queue_vector(self, queue: int, vector: int) -> None:
        """Set the vector of a queue."""
        if queue < len(self.rings.queues):
            self.rings.queues[queue].vector = self._existing(vector)

    def write(self, name: str, value: int) -> bool:
        """Write a register that every face shows in the same way; whether ``name`` is one of them."""
        if name == "device_status":
            self.write_status(value)
        elif name == "config_msix_vector":
            self.set_config_vector(value)
        elif name == "queue_msix_vector":
            self.set_queue_vector(self.queue_select, value)
        else:
            return False
        return True

    def _existing(self, vector: int) -> int:
        return vector if vector < self.vectors else NO_VECTOR

    def read_queue(self, name: str) -> int:
        """A register of the selected queue; 0 if there is no such queue."""
        if self.queue_select >= len(self.rings.queues):
            return 0
        return self.rings.register_read(self.queue_select, name)

    def write_queue(self, name: str, value: int) -> None:
        """Write a register of the selected queue."""
        if self.queue_select < len(self.rings.queues):
            self.rings.register_write(self.queue_select, name, value)
