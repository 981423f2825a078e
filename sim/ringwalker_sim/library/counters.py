"""The counters of a device and its link, as they were at one moment."""

from collections.abc import Iterator, Mapping

from .tables import html_table, page

__all__ = ["Counters"]


class Counters(Mapping[str, int]):
    """Counters by name, and ``cycle``, when they were read. The difference of two has what came between.

    On the native engine they are those of the root complex: ``up_memory_read`` for instance counts packets
    from the device, ``up_bytes`` bytes on the wire, ``up_payload`` data alone. On the golden model, which has
    no link, they are the accesses of the CPU. ``link_bytes_per_cycle`` is what the link carries; 0: no limit.
    """

    def __init__(
        self, values: Mapping[str, int], cycle: int, clock_mhz: int, link_bytes_per_cycle: float = 0.0
    ):
        self._values = dict(values)
        self.cycle = cycle
        self.clock_mhz = clock_mhz
        self.link_bytes_per_cycle = link_bytes_per_cycle

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __sub__(self, earlier: "Counters") -> "Counters":
        values = {name: value - earlier[name] for name, value in self.items()}
        return Counters(values, self.cycle - earlier.cycle, self.clock_mhz, self.link_bytes_per_cycle)

    @property
    def ns(self) -> float:
        """``cycle`` in ns."""
        return self.cycle * 1000 / self.clock_mhz

    def rate(self, name: str) -> float:
        """How much of a counter there was in a second."""
        return self[name] / self.ns * 1e9 if self.cycle else 0.0

    def utilization(self, direction: str = "up") -> float:
        """The part of the link, 0 to 1, that bytes ``"up"`` (from the device) or ``"down"`` took. Errors:
        ``ValueError`` without a link.
        """
        if not self.link_bytes_per_cycle:
            raise ValueError("the device has no link with a rate; open it with link=, on engine native")
        return self[f"{direction}_bytes"] / (self.cycle * self.link_bytes_per_cycle) if self.cycle else 0.0

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {value}" for name, value in self.items() if value)
        return f"Counters({shown or 'all 0'})"

    def _repr_html_(self) -> str:
        """What is not 0; from the device and to it side by side."""
        names = [name.partition("_")[2] for name in self if name.startswith(("up_", "down_"))]
        both = [(n, self.get(f"up_{n}", 0), self.get(f"down_{n}", 0)) for n in dict.fromkeys(names)]
        others = [(n, v) for n, v in self.items() if v and not n.startswith(("up_", "down_"))]
        parts = [html_table([row for row in both if any(row[1:])], ("packets", "up", "down"))] if both else []
        return page(f"counters, {self.cycle:,} cycles", *parts, html_table(others))
