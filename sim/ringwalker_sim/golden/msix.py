"""MSI-X of the golden model: table, pending bits, messages. Ref: PCI 3.0, 6.8.2 and 6.8.3."""

from collections.abc import Callable

from ringwalker.config import DeviceConfig
from ringwalker.spec.pci import (
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    Command,
    MsixControl,
    MsixVectorControl,
)

from .config_layout import pending_offset
from .config_space import ConfigSpace, get_register, put_register

__all__ = ["GoldenMsix"]

_READ_AS_ZERO = {"address_low": 0b11, "vector_control": ~int(MsixVectorControl.MASK) & 0xFFFF_FFFF}


class GoldenMsix:
    """The table of the function of ``config`` with configuration space ``space``; ``send(address, data)``
    writes a message.

    A vector that is masked, by itself or with all others, or that must not be sent since bus mastering is
    disabled, is pending until that ends.
    """

    def __init__(self, config: DeviceConfig, space: ConfigSpace, send: Callable[[int, int], None]):
        self.space = space
        self.send = send
        self.vectors = config.vectors
        self._pending_at = pending_offset(config)
        self.clear()

    def clear(self) -> None:
        """As after power-up: all vectors are masked."""
        self.table = bytearray(self.vectors * MSIX_ENTRY_BYTES)
        for vector in range(self.vectors):
            put_register(self.table, MSIX_TABLE_ENTRY, "vector_control", 1, vector * MSIX_ENTRY_BYTES)
        self.forget()

    def forget(self) -> None:
        """No vector is pending."""
        self.pending = 0

    @property
    def enabled(self) -> bool:
        """Whether MSI-X is enabled."""
        return bool(self.space.msix_control() & MsixControl.ENABLE)

    def read(self, offset: int, size: int) -> int:
        """Read the BAR of the table."""
        if offset >= self._pending_at:
            shift = 8 * (offset - self._pending_at)
            return self.pending >> shift & (1 << 8 * size) - 1
        return int.from_bytes(self.table[offset : offset + size].ljust(size, b"\0"), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the BAR of the table."""
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.table):
                self.table[at] = byte
        base = offset - offset % MSIX_ENTRY_BYTES
        if base < len(self.table):
            for name, zero in _READ_AS_ZERO.items():
                kept = get_register(self.table, MSIX_TABLE_ENTRY, name, base) & ~zero
                put_register(self.table, MSIX_TABLE_ENTRY, name, kept, base)
        self.update()

    def set(self, vector: int) -> None:
        """Something has happened for which ``vector`` stands."""
        if vector < self.vectors:
            self.pending |= 1 << vector
            self.update()

    def update(self) -> None:
        """Send what is pending and not masked."""
        control = self.space.msix_control()
        if not self.enabled or control & MsixControl.FUNCTION_MASK:
            return
        if not self.space.command() & Command.BUS_MASTER_ENABLE:
            return
        for vector in range(self.vectors):
            base = vector * MSIX_ENTRY_BYTES
            if self.pending >> vector & 1 and not self._get("vector_control", base):
                self.pending &= ~(1 << vector)
                self.send(
                    self._get("address_low", base) | self._get("address_high", base) << 32,
                    self._get("data", base),
                )

    def _get(self, name: str, base: int) -> int:
        return get_register(self.table, MSIX_TABLE_ENTRY, name, base)
