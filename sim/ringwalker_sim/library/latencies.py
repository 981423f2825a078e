"""How long operations took, in time of the simulation."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .tables import bars_svg, html_table, page

__all__ = ["Latencies"]

_PARTS = 30
_MOST = 1 << 20
"""Times kept of each operation; those after them are not."""


class Latencies(Mapping[str, np.ndarray]):
    """Times in ns, shape (n,), of each operation that has ended well, by its name, in order.

    Of many requests in flight each counts from its own beginning. ``clock_mhz`` is the device's clock.
    """

    def __init__(self, clock_mhz: int):
        self._clock_mhz = clock_mhz
        self._cycles: dict[str, list[int]] = {}

    def note(self, name: str, *cycles: int) -> None:
        """Add times, in cycles."""
        self.extend(name, cycles)

    def extend(self, name: str, cycles: Iterable[int]) -> None:
        """Add times, in cycles."""
        kept = self._cycles.setdefault(name, [])
        kept += list(cycles)[: max(0, _MOST - len(kept))]

    def clear(self) -> None:
        """Forget all of them."""
        self._cycles.clear()

    def __getitem__(self, name: str) -> np.ndarray:
        return np.array(self._cycles[name], np.float64) * (1000 / self._clock_mhz)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cycles)

    def __len__(self) -> int:
        return len(self._cycles)

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (name, len(ns), *(round(float(np.percentile(ns, part))) for part in (0, 50, 99, 100)))
            for name, ns in self.items()
        ]

    def __repr__(self) -> str:
        lines = [
            f"{name}: {count} times, p50 {p50} ns, p99 {p99} ns"
            for name, count, _, p50, p99, _ in self._rows()
        ]
        return "\n".join(lines) or "no operation yet"

    def _repr_html_(self) -> str:
        """A table, and a histogram of what was done most often."""
        table = html_table(self._rows(), ("operation", "times", "least ns", "p50 ns", "p99 ns", "most ns"))
        if not self._cycles:
            return page("no operation yet")
        name = max(self._cycles, key=lambda item: len(self._cycles[item]))
        ns = self[name]
        counts, edges = np.histogram(ns, bins=min(_PARTS, max(1, len(ns))))
        return page(
            "latency", table, page(name, "<br/>", bars_svg(counts.tolist(), edges[0], edges[-1], "ns"))
        )
