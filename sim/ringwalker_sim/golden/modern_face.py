"""The virtio structures of a device in Python. Ref: virtio 1.4, 4.1.4."""

from ringwalker.spec.fields import FIELDS_BASE
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    ISR_BASE,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
)
from ringwalker.spec.registers import Access

from .field_image import FieldImage
from .registers import SharedRegisters

__all__ = ["ModernFace"]


class ModernFace:
    """The structures, and the field list of 2007 behind them, as a view of ``registers``."""

    def __init__(self, registers: SharedRegisters):
        self.registers = registers
        self.rings = registers.rings
        self.model = registers.model
        self.fields = FieldImage(
            self.model,
            self.rings.register_read,
            self._write_field_queue,
            lambda: registers.config_msix_vector,
            registers.set_config_vector,
        )

    def _write_field_queue(self, index: int, name: str, value: int) -> None:
        """Write a register of a queue that is in the field list."""
        if name == "vector":
            self.registers.set_queue_vector(index, value)
        else:
            self.rings.register_write(index, name, value)

    def read(self, offset: int, size: int) -> int:
        """Read the register BAR."""
        if offset >= FIELDS_BASE:
            return int.from_bytes(self.fields.read(offset - FIELDS_BASE, size), "little")
        if offset >= NOTIFY_BASE:
            return 0
        if offset >= DEVICE_BASE:
            content = self.model.read_config()
            return int.from_bytes(content[offset - DEVICE_BASE :][:size].ljust(size, b"\0"), "little")
        if offset >= ISR_BASE:
            return self.registers.take_isr()
        for row in COMMON:
            if row.offset <= offset - COMMON_BASE < row.offset + row.size:
                value = self.common(row.name) >> 8 * (offset - COMMON_BASE - row.offset)
                return value & (1 << 8 * size) - 1
        return 0

    def common(self, name: str) -> int:
        """A register of the common configuration."""
        registers, model = self.registers, self.model
        if name == "device_feature":
            select = registers.device_feature_select
            return model.features >> 32 * select if select < 4 else 0
        if name == "driver_feature":
            select = registers.driver_feature_select
            return model.driver_features >> 32 * select & 0xFFFF_FFFF if select < 2 else 0
        if name == "device_status":
            return model.read_status()
        if name == "config_generation":
            return model.generation
        if name == "num_queues":
            return len(self.rings.queues) - model.admin_queues
        if name == "admin_queue_index":
            return len(self.rings.queues) - model.admin_queues if model.admin_queues else 0
        if name == "admin_queue_num":
            return model.admin_queues
        if not name.startswith("queue_") or name == "queue_select":
            return getattr(registers, name, 0)
        return registers.read_queue("vector" if name == "queue_msix_vector" else name.removeprefix("queue_"))

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register BAR."""
        if offset >= FIELDS_BASE:
            self.fields.write(offset - FIELDS_BASE, value.to_bytes(size, "little"))
            return
        if offset >= NOTIFY_BASE:
            if self.model.running:
                self.rings.doorbell((offset - NOTIFY_BASE) // NOTIFY_MULTIPLIER)
            return
        if offset >= DEVICE_BASE:
            self.model.write_config(offset - DEVICE_BASE, value.to_bytes(size, "little"))
            return
        for row in COMMON if offset < ISR_BASE else ():
            if row.offset <= offset - COMMON_BASE < row.offset + row.size:
                shift = 8 * (offset - COMMON_BASE - row.offset)
                mask = ((1 << 8 * size) - 1) << shift
                self._set_common(row.name, self.common(row.name) & ~mask | value << shift & mask)

    def _set_common(self, name: str, value: int) -> None:
        registers = self.registers
        if registers.write(name, value):
            return
        if name == "driver_feature":
            self.model.accept_word(registers.driver_feature_select, value)
        elif COMMON[name].access is not Access.RW:
            return
        elif not name.startswith("queue_") or name == "queue_select":
            setattr(registers, name, value)
        else:
            registers.write_queue(name.removeprefix("queue_"), value)
