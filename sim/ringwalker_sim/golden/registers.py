"""The registers of the golden model that its faces are views of: those of the common configuration."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR
from ringwalker.spec.registers import Access

from .ring_server import RingServer

__all__ = ["SharedRegisters"]

_SELECTS = ("device_feature_select", "driver_feature_select", "queue_select")


class SharedRegisters:
    """Selection, vectors and interrupt status of the device behind ``rings``, which has ``vectors`` vectors.

    ``isr_changed(raised)`` is set by the owner; ``raised`` are the bits that were set and were not before.
    ``forgotten()`` is called at each reset.

    Ref: virtio 1.4, 4.1.4.3, 4.1.5.1.2
    """

    def __init__(self, rings: RingServer, vectors: int):
        self.rings = rings
        self.model: Any = rings.model
        self.model.strict = True
        self.model.required |= 1 << Feature.VERSION_1
        self.vectors = rings.vectors = vectors
        self.isr_changed: Callable[[int], None] = lambda _raised: None
        self.forgotten: Callable[[], None] = lambda: None
        self.isr = 0
        self.forget()

    def forget(self) -> None:
        """The values after a reset."""
        self.isr = 0
        self.queue_select = self.device_feature_select = self.driver_feature_select = 0
        self.config_msix_vector = NO_VECTOR

    # --- interrupt status ----------------------------------------------------------------------------------

    def take_isr(self) -> int:
        """The interrupt status, which this clears."""
        value, self.isr = self.isr, 0
        self.isr_changed(0)
        return value

    def note(self, causes: int) -> None:
        """Set bits of the interrupt status."""
        raised = causes & ~self.isr
        self.isr |= causes
        self.isr_changed(raised)

    # --- the common configuration --------------------------------------------------------------------------

    def read(self, name: str) -> int:
        """A register of the common configuration, by name."""
        model = self.model
        if name == "device_feature":
            return model.offered_features() >> 32 * self.device_feature_select & 0xFFFF_FFFF
        if name == "driver_feature":
            return model.driver_features >> 32 * self.driver_feature_select & 0xFFFF_FFFF
        if name == "device_status":
            return model.read_status()
        if name in ("num_queues", "admin_queue_index"):
            first = len(self.rings.queues) - model.admin_queues
            return first if name == "num_queues" or model.admin_queues else 0
        if name == "admin_queue_num":
            return model.admin_queues
        if name == "config_generation":
            return model.generation
        if name.startswith("queue_") and name != "queue_select":
            return self.read_queue("vector" if name == "queue_msix_vector" else name.removeprefix("queue_"))
        return getattr(self, name, 0)

    def write(self, name: str, value: int) -> None:
        """Write a register of the common configuration; a read-only one keeps its value."""
        if name == "device_status":
            self.write_status(value)
        elif name == "driver_feature":
            self.model.accept_word(self.driver_feature_select, value)
        elif name == "config_msix_vector":
            self.set_config_vector(value)
        elif name in _SELECTS:
            setattr(self, name, value)
        elif name.startswith("queue_") and COMMON[name].access is Access.RW:
            self.write_queue("vector" if name == "queue_msix_vector" else name.removeprefix("queue_"), value)

    def write_status(self, value: int) -> None:
        """Write the device status; 0 resets everything."""
        self.model.write_status(value)
        if value == 0:
            self.forget()
            self.forgotten()
            self.isr_changed(0)

    def set_config_vector(self, vector: int) -> None:
        """Set the vector of configuration changes."""
        self.config_msix_vector = vector if vector < self.vectors else NO_VECTOR

    def set_queue_vector(self, queue: int, vector: int) -> None:
        """Set the vector of a queue."""
        if queue < len(self.rings.queues):
            self.rings.register_write(queue, "vector", vector)

    def read_queue(self, name: str) -> int:
        """A register of the selected queue; 0 if there is no such queue."""
        if self.queue_select >= len(self.rings.queues):
            return 0
        return self.rings.register_read(self.queue_select, name)

    def write_queue(self, name: str, value: int) -> None:
        """Write a register of the selected queue."""
        if self.queue_select < len(self.rings.queues):
            self.rings.register_write(self.queue_select, name, value)
