"""The legacy header of a device in Python, and the device configuration behind it.

Ref: virtio 1.4, 4.1.4.10, and the legacy notes of 2.2 (feature bits), 2.7 (layout) and 3.1 (initialization).
"""

from collections.abc import Callable

from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_FEATURE_BITS,
    LEGACY_FEATURES,
    LEGACY_MSIX,
    LEGACY_QUEUE_SHIFT,
    legacy_device_config_offset,
    legacy_device_offset,
    legacy_driver_offset,
)
from ringwalker.spec.registers import Access, RegisterTable

from .registers import SharedRegisters

__all__ = ["LegacyFace"]

_BEGINS = ("device_status", "driver_features", "queue_pfn")
"""A driver that writes one of these first, and no status through another face, is a legacy one."""


class LegacyFace:
    """The header as a view of ``registers``, for accesses of any size at any offset.

    ``msix_enabled()``: whether the device configuration begins behind the vectors.
    """

    def __init__(self, registers: SharedRegisters, msix_enabled: Callable[[], bool]):
        self.registers = registers
        self.rings = registers.rings
        self.model = registers.model
        self._msix_enabled = msix_enabled

    def _tables(self) -> tuple[RegisterTable, ...]:
        return (LEGACY, LEGACY_MSIX) if self._msix_enabled() else (LEGACY,)

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes."""
        content = bytearray(size)
        for table in self._tables():
            for row in table:
                low, high = max(offset, row.offset), min(offset + size, row.offset + row.size)
                if low < high:
                    value = self._get(row.name).to_bytes(row.size, "little")
                    content[low - offset : high - offset] = value[low - row.offset : high - row.offset]
        base = legacy_device_config_offset(self._msix_enabled())
        start = max(offset, base)
        part = self.model.read_config()[start - base :][: max(0, offset + size - start)]
        content[start - offset : start - offset + len(part)] = part
        return int.from_bytes(content, "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes, the register at the lowest address first."""
        data = value.to_bytes(size, "little")
        base = legacy_device_config_offset(self._msix_enabled())
        for table in self._tables():
            for row in table:
                low, high = max(offset, row.offset), min(offset + size, row.offset + row.size)
                whole = high - low == row.size or row.name != "queue_pfn"
                if low < high and whole and row.access in (Access.RW, Access.WO):
                    merged = bytearray(self._get(row.name).to_bytes(row.size, "little"))
                    merged[low - row.offset : high - row.offset] = data[low - offset : high - offset]
                    self._set(row.name, int.from_bytes(merged, "little"))
        if offset + size > base:
            start = max(offset, base)
            self.model.write_config(start - base, data[start - offset :])

    def _get(self, name: str) -> int:
        registers, model = self.registers, self.model
        if name == "device_features":
            return (model.offered_features() | LEGACY_FEATURES) & LEGACY_FEATURE_BITS
        if name == "driver_features":
            return model.driver_features & LEGACY_FEATURE_BITS
        if name == "queue_pfn":
            return registers.read_queue("desc") >> LEGACY_QUEUE_SHIFT & 0xFFFF_FFFF
        if name == "queue_size":
            return model.queue_size if registers.read_queue("size") else 0
        if name == "isr_status":
            return registers.take_isr()
        return 0 if name == "queue_notify" else registers.read(name)

    def _set(self, name: str, value: int) -> None:
        registers, model = self.registers, self.model
        if name in _BEGINS and (value or name == "driver_features") and not model.status:
            model.legacy = True
        if name == "driver_features":
            model.accept_word(0, value & self._get("device_features") if model.legacy else value)
        elif name == "queue_pfn":
            self._set_page(value)
        elif name == "queue_notify":
            self.rings.doorbell(value)
        else:
            registers.write(name, value)

    def _set_page(self, page: int) -> None:
        """Enable the selected queue with its rings at ``page``, unless it is enabled; 0 frees it."""
        registers, selected = self.registers, self.registers.queue_select
        if selected >= len(self.rings.queues):
            return
        if not page:
            self.rings.reset_queue(selected)
        elif not registers.read_queue("enable"):
            start, size = page << LEGACY_QUEUE_SHIFT, self.model.queue_size
            registers.write_queue("size", size)
            registers.write_queue("desc", start)
            registers.write_queue("driver", start + legacy_driver_offset(size))
            registers.write_queue("device", start + legacy_device_offset(size))
            registers.write_queue("enable", 1)
