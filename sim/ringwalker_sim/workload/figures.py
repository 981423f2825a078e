"""What is counted while data moves, and how it is summed up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Traffic", "difference", "packets", "percentiles", "result_of_traffic", "summary"]

_MESSAGES = 5


def percentiles(latencies: list[int]) -> dict[str, int]:
    """``p50``, ``p99`` and ``max`` of latencies: the smallest value that so many are not above."""
    if not latencies:
        return {"p50": 0, "p99": 0, "max": 0}
    ordered = sorted(latencies)

    def rank(percent: int) -> int:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    return {"p50": rank(50), "p99": rank(99), "max": ordered[-1]}


@dataclass
class Traffic:
    """What came of one direction. ``cycles`` from the first one sent to the last one received."""

    name: str
    unit: str
    sent: int = 0
    received: int = 0
    bytes: int = 0
    errors: int = 0
    first_cycle: int = -1
    last_cycle: int = 0
    latencies: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def complain(self, message: str, count: int = 1) -> None:
        """Count errors, and keep the first few descriptions."""
        self.errors += count
        if len(self.messages) < _MESSAGES:
            self.messages.append(f"{self.name}: {message}")

    @property
    def cycles(self) -> int:
        """Cycles from the first sent to the last received."""
        return max(0, self.last_cycle - self.first_cycle) if self.first_cycle >= 0 else 0


def difference(got: bytes, wanted: bytes) -> str | None:
    """None when equal, else where the first difference is."""
    if got == wanted:
        return None
    if len(got) != len(wanted):
        return f"{len(got)} bytes came, it must be {len(wanted)}"
    at = next(n for n, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
    return f"byte {at} is {got[at]:#04x}, it must be {wanted[at]:#04x}"


def summary(traffic: Traffic, clock_mhz: int) -> dict[str, Any]:
    """The figures of a direction, as JSON can hold them; rates are at the device's clock."""
    seconds = traffic.cycles / (clock_mhz * 1e6)
    return {
        "name": traffic.name,
        "unit": traffic.unit,
        "sent": traffic.sent,
        "received": traffic.received,
        "bytes": traffic.bytes,
        "errors": traffic.errors,
        "cycles": traffic.cycles,
        "per_second": traffic.received / seconds if seconds else 0.0,
        "bits_per_second": 8 * traffic.bytes / seconds if seconds else 0.0,
        "latency_cycles": percentiles(traffic.latencies),
    }


def result_of_traffic(
    traffic: Sequence[Traffic], ports: Sequence[Any], clock_mhz: int, wall_s: float
) -> dict[str, Any]:
    """The result of a task that moved ``traffic``: a summary of each direction, errors, and what it took.

    ``wall_s`` is the time of the traffic; cycles are all of those of the ports' machines.
    """
    cycles = max(port.now() for port in ports)
    return {
        "clock_mhz": clock_mhz,
        "directions": [summary(item, clock_mhz) for item in traffic],
        "errors": sum(item.errors for item in traffic),
        "messages": [message for item in traffic for message in item.messages],
        "cycles_total": cycles,
        "wall_s": wall_s,
        "cycles_per_second": cycles / wall_s if wall_s else 0.0,
    }


def packets(ports: Sequence[Any]) -> dict[str, int]:
    """Packets on the links of all ports so far, by kind."""
    counts: Counter[str] = Counter()
    for port in ports:
        counts.update(port.tlps())
    return dict(counts)
