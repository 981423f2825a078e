"""Base address registers, and their placement in the address ranges of a machine."""

from dataclasses import dataclass
from typing import Protocol

from ringwalker.spec.pci import HEADER, BarType, Command
from ringwalker.spec.registers import Register

from .errors import BindError, DeviceError
from .port import Port

__all__ = ["Bar", "BarWindows", "size_bar"]


class _Registers(Protocol):
    """Configuration space of a function."""

    @property
    def name(self) -> str:
        """``bus:device.function``."""
        ...

    async def read(self, register: Register, base: int = 0) -> int:
        """Read a register."""
        ...

    async def write(self, register: Register, value: int, base: int = 0) -> None:
        """Write a register."""
        ...

    async def set_command(self, set_bits: int = 0, clear_bits: int = 0) -> None:
        """Change bits of the command register."""
        ...


@dataclass
class Bar:
    """A base address register: ``index`` of its (lower) register, ``size`` in bytes, and its ``address``."""

    index: int
    size: int
    io: bool
    is_64: bool
    prefetchable: bool
    address: int = 0


class BarWindows:
    """Allocates naturally aligned addresses for BARs from the ranges of ``port``."""

    def __init__(self, port: Port):
        self._ranges = {"io": port.io, "mmio32": port.mmio32, "mmio64": port.mmio64}
        self._next = {name: item.start for name, item in self._ranges.items()}

    def take(self, bar: Bar, name: str) -> int:
        """An address for ``bar`` of function ``name``. Errors: :class:`BindError` when its range is full."""
        kind = "io" if bar.io else "mmio64" if bar.is_64 and len(self._ranges["mmio64"]) else "mmio32"
        address = (self._next[kind] + bar.size - 1) & -bar.size
        if address + bar.size > self._ranges[kind].stop:
            raise BindError(f"{name}: no room for BAR {bar.index} of {bar.size} bytes in window {kind}")
        self._next[kind] = address + bar.size
        return address


async def size_bar(function: _Registers, index: int, assign: bool) -> Bar | None:
    """Find the size of a BAR by writing all ones, and restore its value; None if it is not implemented.

    Unless its address is to be assigned, the function does not decode meanwhile. Errors:
    :class:`DeviceError` for a register that says no size.
    """
    register = HEADER[f"bar{index}"]
    original = await function.read(register)
    decode = Command.MEMORY_ENABLE | Command.IO_ENABLE
    command = await function.read(HEADER.command)
    if not assign:
        await function.set_command(clear_bits=decode)
    await function.write(register, 0xFFFF_FFFF)
    mask = await function.read(register)
    io = bool(mask & BarType.IO)
    is_64 = not io and bool(mask & BarType.MEMORY_64)
    low_bits = 0b11 if io else 0b1111
    address = original & ~low_bits
    # An I/O BAR may leave its upper half unimplemented.
    upper = 0xFFFF_FFFF if not io or mask >> 16 else 0xFFFF
    full, all_ones = mask & ~low_bits, upper
    if is_64:
        high = HEADER[f"bar{index + 1}"]
        original_high = await function.read(high)
        await function.write(high, 0xFFFF_FFFF)
        full |= await function.read(high) << 32
        all_ones |= 0xFFFF_FFFF << 32
        address |= original_high << 32
        await function.write(high, original_high)
    await function.write(register, original)
    if not assign:
        await function.write(HEADER.command, command)
    if not full:
        return None
    size = (~full & all_ones) + 1
    if size & (size - 1):
        raise DeviceError(
            f"{function.name}: BAR {index} reads {full:#x} after all ones were written, which is no size"
        )
    return Bar(index, size, io, is_64, bool(not io and mask & BarType.PREFETCHABLE), address)
