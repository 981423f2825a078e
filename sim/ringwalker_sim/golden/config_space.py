"""Configuration space of a device in Python, made from the tables that the hardware's is made from."""

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci import HEADER, MSIX_CAPABILITY, Command
from ringwalker.spec.registers import RegisterTable

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
        described = layout(config)
        self.msix = described["msix"].offset

        def join(name: str) -> bytearray:
            return bytearray(b"".join(getattr(word, name).to_bytes(4, "little") for word in described.dwords))

        self.bytes, self.writable, self.w1c = join("reset"), join("writable"), join("w1c")
        self.bars = {bar.index: bar for bar in described.bars}

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes; 0 beyond the end."""
        return int.from_bytes(self.bytes[offset : offset + size].ljust(size, b"\0"), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes."""
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.bytes):
                kept = self.bytes[at] & ~self.writable[at] & ~(self.w1c[at] & byte)
                self.bytes[at] = kept | byte & self.writable[at]

    def command(self) -> int:
        """The command register."""
        return get_register(self.bytes, HEADER, "command")

    def locate(self, address: int, size: int, io: bool = False) -> tuple[int, int] | None:
        """BAR index and offset of an access to memory or I/O space; None if it is to no BAR."""
        if not self.command() & (Command.IO_ENABLE if io else Command.MEMORY_ENABLE):
            return None
        for bar in self.bars.values():
            start = get_register(self.bytes, HEADER, f"bar{bar.index}") & bar.writable
            if bar.is_64:
                start |= get_register(self.bytes, HEADER, f"bar{bar.index + 1}") << 32
            if bar.io == io and start <= address and address + size <= start + bar.size:
                return bar.index, address - start
        return None

    def msix_control(self) -> int:
        """The control register of MSI-X."""
        return get_register(self.bytes, MSIX_CAPABILITY, "control", self.msix)
