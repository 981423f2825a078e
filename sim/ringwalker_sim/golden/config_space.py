"""Configuration space of the golden model: reads and writes, and what they mean for the function."""

from ringwalker.config import DeviceConfig
from ringwalker.spec.pci import EXPANSION_ROM, HEADER, MSIX_CAPABILITY, Command
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker.spec.registers import RegisterTable

from .config_layout import ConfigLayout

__all__ = ["ConfigSpace", "get_register", "put_register"]


def get_register(content: bytearray, table: RegisterTable, name: str, base: int = 0) -> int:
    """A register of ``table``, which begins at ``base`` of ``content``."""
    row = table[name]
    return int.from_bytes(content[base + row.offset : base + row.offset + row.size], "little")


def put_register(content: bytearray, table: RegisterTable, name: str, value: int, base: int = 0) -> None:
    """Set a register of ``table``, which begins at ``base`` of ``content``."""
    row = table[name]
    content[base + row.offset : base + row.offset + row.size] = value.to_bytes(row.size, "little")


class ConfigSpace:
    """Configuration space of the function of ``config`` as bytes with write masks."""

    def __init__(self, config: DeviceConfig):
        self.layout = layout = ConfigLayout(config)
        self.msix = layout.places["msix"]
        self.bytes, self.writable, self.w1c = bytearray(layout.reset), layout.writable, layout.w1c
        self.bars = {index: bar for index, bar in layout.bars.items() if index != EXPANSION_ROM}

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes; 0 beyond the end."""
        return int.from_bytes(self.bytes[offset : offset + size].ljust(size, b"\0"), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes."""
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.bytes):
                kept = self.bytes[at] & ~self.writable[at] & ~(self.w1c[at] & byte)
                self.bytes[at] = kept | byte & self.writable[at]

    def asks_for_reset(self, offset: int, size: int, value: int) -> bool:
        """Whether a write asks for a function-level reset."""
        at = self.layout.places["pcie"] + PCIE_CAPABILITY.device_control.offset
        if not offset <= at + 1 < offset + size:
            return False
        control = value >> 8 * (at - offset) if at >= offset else value << 8 * (offset - at)
        return bool(control & DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)

    def reset(self) -> None:
        """A function-level reset: all registers but those that it leaves alone."""
        for at, (kept, value) in enumerate(zip(self.layout.kept, self.layout.reset, strict=True)):
            self.bytes[at] = self.bytes[at] & kept | value & ~kept

    def command(self) -> int:
        """The command register."""
        return get_register(self.bytes, HEADER, "command")

    def locate(self, address: int, size: int, io: bool = False) -> tuple[int, int] | None:
        """BAR index and offset of an access to memory or I/O space; None if it is to no BAR."""
        if not self.command() & (Command.IO_ENABLE if io else Command.MEMORY_ENABLE):
            return None
        for bar in self.bars.values():
            start = get_register(self.bytes, HEADER, bar.register) & bar.address_bits
            if bar.is_64:
                start |= get_register(self.bytes, HEADER, f"bar{bar.index + 1}") << 32
            if bar.io == io and start <= address and address + size <= start + bar.size:
                return bar.index, address - start
        return None

    def msix_control(self) -> int:
        """The control register of MSI-X."""
        return get_register(self.bytes, MSIX_CAPABILITY, "control", self.msix)
