"""Which address of the machine is what."""

from dataclasses import dataclass
from typing import Any

from .tables import html_table, page

__all__ = ["MemoryMap", "Place"]


@dataclass(frozen=True)
class Place:
    """Addresses from ``start`` on: ``size`` in bytes, ``space`` (memory or I/O), and ``what`` is there."""

    start: int
    size: int
    space: str
    what: str

    @property
    def end(self) -> int:
        """The last address."""
        return self.start + self.size - 1


class MemoryMap(tuple[Place, ...]):
    """The places of a machine in ascending order, I/O space last."""

    __slots__ = ()

    @classmethod
    def of(cls, port: Any, bars: dict[int, Any]) -> "MemoryMap":
        """Those of the machine of ``port`` and of the BARs of its device."""
        memory = port.memory
        places = [Place(memory.base, memory.size, "memory", "guest RAM")]
        for bar in bars.values():
            places.append(Place(bar.address, bar.size, "I/O" if bar.io else "memory", f"BAR {bar.index}"))
        window = getattr(getattr(getattr(port, "engine", None), "host", None), "msi_window", None)
        if window is not None:
            places.append(Place(window[0], window[1] - window[0] + 1, "memory", "messages of MSI and MSI-X"))
        return cls(sorted(places, key=lambda place: (place.space == "I/O", place.start)))

    def find(self, address: int) -> Place | None:
        """The place in memory space that an address is in."""
        return next((p for p in self if p.space == "memory" and p.start <= address <= p.end), None)

    def __repr__(self) -> str:
        return "\n".join(f"{p.start:#014x} to {p.end:#014x} {p.space:6} {p.what}" for p in self)

    def _repr_html_(self) -> str:
        rows = [(f"{p.start:#x}", f"{p.end:#x}", p.size, p.space, p.what) for p in self]
        return page("memory map", html_table(rows, ("from", "to", "bytes", "space", "what")))
