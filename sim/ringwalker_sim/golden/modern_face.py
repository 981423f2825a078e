"""The virtio structures of the golden model, and the field list of 2007. Ref: virtio 1.4, 4.1.4."""

from ringwalker.spec.fields import FIELDS_BASE
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    ISR,
    ISR_BASE,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    PAGE,
)

from .field_image import FieldImage
from .registers import SharedRegisters

__all__ = ["ModernFace"]


class ModernFace:
    """The structures, and behind them the field list if ``has_fields``, as a view of ``registers``.

    What lies between them reads 0, and ignores writes.
    """

    def __init__(self, registers: SharedRegisters, has_fields: bool = True):
        self.registers = registers
        self.rings = registers.rings
        self.model = registers.model
        self.has_fields = has_fields
        self.fields = FieldImage(
            self.model,
            self.rings.register_read,
            self.rings.register_write,
            lambda: registers.config_msix_vector,
            registers.set_config_vector,
            lambda value: registers.write_status(value),
        )

    def read(self, offset: int, size: int) -> int:
        """Read the register BAR."""
        if offset >= FIELDS_BASE:
            place = offset - FIELDS_BASE
            return int.from_bytes(self.fields.read(place, size), "little") if self.has_fields else 0
        base, place = offset // PAGE * PAGE, offset % PAGE
        if base == DEVICE_BASE:
            return int.from_bytes(self.read_config(place, size), "little")
        if base == ISR_BASE:
            return self.registers.take_isr() if place == ISR.isr_status.offset else 0
        return self.read_common(place, size) if base == COMMON_BASE else 0

    def read_config(self, offset: int, size: int) -> bytes:
        """Bytes of the device configuration; 0 beyond its end."""
        return self.model.read_config()[offset:][:size].ljust(size, b"\0")

    def read_common(self, offset: int, size: int) -> int:
        """Bytes of the common configuration."""
        value = 0
        for row in COMMON:
            if row.offset < offset + size and offset < row.offset + row.size:
                value |= self.common(row.name) << 8 * row.offset >> 8 * offset
        return value & (1 << 8 * size) - 1

    def common(self, name: str) -> int:
        """A register of the common configuration."""
        return self.registers.read(name)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register BAR."""
        if offset >= FIELDS_BASE:
            if self.has_fields:
                self.fields.write(offset - FIELDS_BASE, value.to_bytes(size, "little"))
            return
        base, place = offset // PAGE * PAGE, offset % PAGE
        if base == NOTIFY_BASE:
            self.notify(place)
        elif base == DEVICE_BASE:
            self.model.write_config(place, value.to_bytes(size, "little"))
        elif base == COMMON_BASE:
            self.write_common(place, size, value)

    def notify(self, offset: int) -> None:
        """A write to the notification structure; what is written does not matter, as all is read anew."""
        queue, rest = divmod(offset, NOTIFY_MULTIPLIER)
        if not rest and self.model.running:
            self.rings.doorbell(queue)

    def write_common(self, offset: int, size: int, value: int) -> None:
        """Write bytes of the common configuration, the register at the lowest address first."""
        data = value.to_bytes(size, "little")
        for row in COMMON:
            low, high = max(offset, row.offset), min(offset + size, row.offset + row.size)
            if low < high:
                kept = bytearray((self.common(row.name) & (1 << row.width) - 1).to_bytes(row.size, "little"))
                kept[low - row.offset : high - row.offset] = data[low - offset : high - offset]
                self.registers.write(row.name, int.from_bytes(kept, "little"))
