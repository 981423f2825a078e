"""What the project wants to reach, and whether the figures do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..host.link import LINKS

__all__ = ["GOALS", "Goal", "cells_of", "limit_of", "link_load", "port_load"]

Row = Mapping[str, Any]

_LIMIT = 0.97
"""From here on a direction of the link counts as full."""

_CROWDED = 0.8
"""From here on the beats at the device's port count as what limits."""


def link_load(row: Row) -> tuple[float, float]:
    """How much of each direction of the link is in use, from the device and to it."""
    most = LINKS[row["link"]].bytes_per_second
    up, down = (row[f"wire_{way}_bytes"] * row["rate_per_s"] / most for way in ("up", "down"))
    return up, down


def port_load(row: Row) -> tuple[float, float]:
    """In how many cycles of all the device's port has a request, and in how many an answer to its reads."""
    beats = row["requests"] / row["cycles"]
    return row["request_beats"] * beats, row["answer_beats"] * beats


@dataclass(frozen=True)
class Goal:
    """``name`` is reached by a row of ``wanted`` when ``value`` is at least ``least``; ``unit`` is shown."""

    name: str
    wanted: Callable[[Row], bool]
    value: Callable[[Row, Sequence[Row]], float]
    least: float
    unit: str


def _like(**values: Any) -> Callable[[Row], bool]:
    """Rows of one queue with these values, and else as usual, but with many requests in flight."""
    usual = {"link": "gen3x8", "data_width": 256, "clock_mhz": 250, "latency_ns": 550, "queues": 1}
    wanted = {**usual, "indirect": False, **values}

    def check(row: Row) -> bool:
        return row["depth"] > 1 and all(row[name] == value for name, value in wanted.items())

    return check


def _million(row: Row, _rows: Sequence[Row]) -> float:
    return row["rate_per_s"] / 1e6


def _gigabits(row: Row, _rows: Sequence[Row]) -> float:
    return row["bytes_per_s"] * 8 / 1e9


def _efficiency(row: Row, _rows: Sequence[Row]) -> float:
    return 100 * row["efficiency"]


def _against_300(row: Row, rows: Sequence[Row]) -> float:
    near = _like(function="net", direction="tx", size=64, latency_ns=300)
    return 100 * row["rate_per_s"] / next(other["rate_per_s"] for other in rows if near(other))


def _against_one_queue(row: Row, rows: Sequence[Row]) -> float:
    one = _like(**{name: row[name] for name in ("function", "direction", "size")})
    return 100 * row["rate_per_s"] / next(other["rate_per_s"] for other in rows if one(other))


def _slowest(row: Row, _rows: Sequence[Row]) -> float:
    return 100 * row["slowest_queue"]


def _many_queues() -> Iterator[Goal]:
    for size in (512, 4096):
        for direction in ("read", "write"):
            name = f"blk {direction} {size} on 256 queues"
            many = {"queues": 256, "device_queues": 256, "depth": 512}
            wanted = _like(function="blk", direction=direction, size=size, **many)
            yield Goal(f"{name}, of the rate of one queue", wanted, _against_one_queue, 90, "%")
            yield Goal(f"{name}, the slowest queue, of the mean", wanted, _slowest, 50, "%")


def _goals() -> list[Goal]:
    goals = []
    for what, value, least, unit in (
        (("net", "tx", 64), _million, 57.0, "million/s"),
        (("net", "rx", 64), _million, 57.0, "million/s"),
        (("blk", "read", 4096), _million, 1.42, "million/s"),
        (("blk", "write", 4096), _million, 1.42, "million/s"),
        (("net", "tx", 1514), _gigabits, 47.0, "Gb/s"),
    ):
        wanted = dict(zip(("function", "direction", "size"), what, strict=True))
        name = " ".join(map(str, what))
        goals.append(Goal(f"{name} on Gen3 x8", _like(**wanted), value, least, unit))
        goals.append(Goal(f"{name} on Gen3 x8, of its ceiling", _like(**wanted), _efficiency, 90, "%"))
        for link, width, clock, part in (
            ("gen3x16", 512, 250, 85),
            ("gen2x4", 64, 250, 90),
            ("gen2x4", 128, 125, 90),
        ):
            place = f"{name} on {link}, {width} bits at {clock} MHz, of its ceiling"
            other = _like(**wanted, link=link, data_width=width, clock_mhz=clock)
            goals.append(Goal(place, other, _efficiency, part, "%"))
    far = _like(function="net", direction="tx", size=64, latency_ns=1200)
    goals.append(Goal("net tx 64 at 1,200 ns, of the rate at 300 ns", far, _against_300, 90, "%"))
    goals += _many_queues()
    return goals


GOALS = tuple(_goals())
"""All goals of throughput."""


def cells_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Each goal that there is a row for: its name, what is wanted, what is reached, whether that is met."""
    cells = []
    for goal in GOALS:
        row = next((row for row in rows if goal.wanted(row)), None)
        if row is None:
            continue
        value = goal.value(row, rows)
        met = value >= goal.least
        verdict = "yes" if met else f"no: {limit_of(row)}"
        cells.append((goal.name, f"{goal.least:g} {goal.unit}", f"{value:.4g} {goal.unit}", verdict))
    return cells


def limit_of(row: Row) -> str:
    """What keeps a row from more, as a sentence."""
    up, down = link_load(row)
    loads = f"the link is {100 * up:.0f} % full from the device and {100 * down:.0f} % to it"
    if max(up, down) >= _LIMIT:
        return f"{loads}, with more bytes a request than the ceiling counts"
    port = max(port_load(row))
    if port >= _CROWDED:
        most = 100 * row["efficiency"] / port
        return (
            f"{loads}; the port has a beat in {100 * port:.0f} % of the cycles, and since each TLP begins a "
            f"beat of its own it could not reach more than {most:.0f} %"
        )
    held = row["depth"] / (row["rate_per_s"] * row["latency_cycles"]["p50"] / row["clock_mhz"] / 1e6)
    if held < 1.1:
        return f"{loads}; the queue is empty, all {row['depth']} requests are with the device"
    return f"{loads}; the device itself takes no more"
