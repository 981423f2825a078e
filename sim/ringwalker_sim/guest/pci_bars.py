"""Base address registers, and their placement in the address ranges of a machine."""

from dataclasses import dataclass

from .errors import BindError
from .port import Port

__all__ = ["Bar", "BarWindows"]


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
