"""Numbers of a timeline for a report: where cycles went, how busy what was when, what was on the link."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..timeline.events import EventKind
from ..timeline.requests import BOUNDARIES, SEGMENTS
from ..timeline.timeline import DOWN, UP, Timeline
from ..timeline.tracks import tlp_names
from ..timeline.words import StageKind

__all__ = [
    "PERCENTILES",
    "Cohort",
    "Lane",
    "Packets",
    "boundary_times",
    "cohorts",
    "detail",
    "lanes",
    "packets",
    "percentile",
    "slowest",
]

PERCENTILES = (50, 90, 99, 99.9, 100)
"""Those that a report has; of all, 100 is the largest."""

_WINDOWS = 4096
_MOST_REQUESTS = 4000
_MOST_TLPS = 30_000


def percentile(ordered: np.ndarray, percent: float) -> int:
    """The smallest of the ascending values that so many are not above, as all figures here are counted."""
    return int(ordered[max(0, int(np.ceil(len(ordered) * percent / 100 - 1e-9)) - 1)])


# --- where the cycles went ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cohort:
    """Requests that are looked at together: ``which`` of all. ``totals`` are the cycles of each segment of
    all of them; ``total`` is that of their latencies, which is the same sum."""

    name: str
    which: np.ndarray
    segments: np.ndarray
    latencies: np.ndarray

    @property
    def totals(self) -> list[int]:
        """Cycles of each segment."""
        return [int(total) for total in self.segments.sum(axis=0)]

    @property
    def total(self) -> int:
        """Cycles of the latencies."""
        return int(self.latencies.sum())

    @property
    def residue(self) -> int:
        """How many cycles at most the segments of a request and its latency differ by."""
        return int(np.abs(self.segments.sum(axis=1) - self.latencies).max(initial=0))


def cohorts(timeline: Timeline) -> list[Cohort]:
    """All requests, and, if they are many, the faster half and the slowest hundredth of them."""
    latencies, segments = timeline.latencies, timeline.segments
    order = np.argsort(latencies, kind="stable")
    count = len(order)
    groups = {"All requests": order}
    if count >= 20:
        groups["Faster half"] = order[: count // 2]
        groups["Slowest 1 %" if count >= 100 else "Slowest 5 %"] = order[
            count - max(1, count // (100 if count >= 100 else 20)) :
        ]
    return [Cohort(name, which, segments[which], latencies[which]) for name, which in groups.items()]


def slowest(timeline: Timeline, count: int) -> np.ndarray:
    """The places of the ``count`` slowest requests, the slowest first."""
    return np.argsort(-timeline.latencies, kind="stable")[:count]


# --- over time ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lane:
    """How busy something was. ``values`` are sums of a window, which ``scale`` makes to ``unit`` when they
    are divided by the cycles of it; ``full`` is the most that there can be, 0 if nobody can say.
    """

    group: str
    name: str
    unit: str
    values: np.ndarray
    scale: float = 1.0
    full: float = 0.0
    segment: int | None = None


def _intervals(begin: np.ndarray, end: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """How many cycles up to a time are inside of intervals, each counted by itself."""
    sums = []
    for times in (begin, end):
        times = np.sort(times.astype(np.int64))
        sums.append((times, np.append(0, np.cumsum(times))))

    def until(at: np.ndarray) -> np.ndarray:
        (begins, before), (ends, behind) = sums
        begun, ended = np.searchsorted(begins, at), np.searchsorted(ends, at)
        return begun * at - before[begun] - (ended * at - behind[ended])

    return until


def _steps(times: np.ndarray, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The integral of a number that changes at ``times``."""
    knots = np.append(0, times).astype(np.float64)
    sums = np.append(0, np.cumsum(np.append(0, values)[: len(times)] * np.diff(knots)))
    last = int(values[-1]) if len(values) else 0

    def until(at: np.ndarray) -> np.ndarray:
        return np.interp(at, knots, sums) + last * np.maximum(0, at - knots[-1])

    return until


def _moved(begin: np.ndarray, end: np.ndarray, size: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Bytes that have passed up to a time, evenly while a packet passes; packets follow each other."""
    order = np.lexsort((begin, end))
    begin, end, size = (values[order].astype(np.float64) for values in (begin, end, size))
    # What has no duration passes in the cycle in which it ends.
    begin = np.maximum(np.minimum(begin, end - 1), np.append(0, end[:-1]))
    knots = np.append(0, np.stack([begin, end], axis=1).ravel())
    sums = np.cumsum(np.stack([np.zeros(len(size)), size], axis=1).ravel())
    return lambda at: np.interp(at, knots, np.append(0, sums))


def _counted(times: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    ordered = np.sort(times)
    return lambda at: np.searchsorted(ordered, at, side="right")


_OUTSIDE = (
    (EventKind.STORAGE, "Storage", "commands"),
    (EventKind.FRAME_OUT, "MAC", "frames out"),
    (EventKind.FRAME_IN, "MAC", "frames in"),
)
_BYTES = ((EventKind.BYTES_OUT, "Terminal", "bytes out"), (EventKind.BYTES_IN, "Terminal", "bytes in"))
_COUNTS = (("notifications", StageKind.DOORBELL), ("interrupts", StageKind.INTERRUPT))


def lanes(timeline: Timeline) -> tuple[int, list[Lane]]:
    """Cycles of a window, and how busy each stage and each port was in each of them."""
    window = max(1, -(-timeline.cycles // _WINDOWS))
    knots = np.arange(timeline.cycles // window + 2) * window
    found: list[Lane] = []

    def add(group: str, name: str, unit: str, until: Callable[[np.ndarray], np.ndarray], **more: Any) -> None:
        values = np.diff(until(knots))
        if values.any():
            found.append(Lane(group, name, unit, values, **more))

    at = timeline.requests["at"]
    add("Requests", "in flight", "requests", _intervals(at[:, 0], at[:, -1]))
    for place, name in enumerate(SEGMENTS):
        until = _intervals(at[:, place], at[:, place + 1])
        add("Stages, requests in each", name, "requests", until, segment=place)
    most = float(timeline.about["link_bytes_per_cycle"])
    unit, scale, full = ("%", 100 / most, 100.0) if most else ("bytes a cycle", 1.0, 0.0)
    for name, kinds in (("from the device", UP), ("to the device", DOWN)):
        tlps = timeline.of(*kinds)
        if len(tlps):
            until = _moved(tlps["begin"], tlps["end"], tlps["wire"])
            add("Link", name, unit, until, scale=scale, full=full)
    add("Link", "reads in flight", "reads", _steps(*timeline.reads_in_flight))
    for kind, group, name in _OUTSIDE:
        events = timeline.of(kind)
        add(group, name, name.split()[0], _intervals(events["begin"], events["end"]))
    for kind, group, name in _BYTES:
        group = "Noise" if timeline.about["function"] == "rng" else group
        events = timeline.of(kind)
        until = _moved(events["begin"], events["end"], events["bytes"])
        add(group, name, "bytes a cycle", until)
    for name, stage in _COUNTS:
        times = timeline.of(EventKind.STAGE + stage)["end"]
        add("Notifications", name, "in 1,000 cycles", _counted(times), scale=1000.0)
    return window, found


# --- the link ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packets:
    """TLPs of one kind in one direction."""

    direction: str
    kind: str
    count: int
    payload: int
    wire: int


def _carried(tlps: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Bytes of payload: a request to read carries none."""
    reads = np.char.find(names, "read") >= 0
    return np.where(reads, 0, tlps["bytes"].astype(np.int64))


def packets(timeline: Timeline) -> list[Packets]:
    """How many TLPs of each kind there were, most bytes first in each direction."""
    found = []
    for direction, kinds in (("from the device", UP), ("to the device", DOWN)):
        tlps = timeline.of(*kinds)
        names = tlp_names(tlps)
        payload, rows = _carried(tlps, names), []
        for name in np.unique(names).tolist():
            mine = names == name
            sums = (int(mine.sum()), int(payload[mine].sum()), int(tlps["wire"][mine].sum()))
            rows.append(Packets(direction, name, *sums))
        found += sorted(rows, key=lambda row: -row.wire)
    return found


@dataclass(frozen=True)
class Detail:
    """The part of a run of which a report has every request and every TLP: cycles ``first`` to ``last``."""

    first: int
    last: int
    requests: np.ndarray
    tlps: np.ndarray
    whole: bool


def detail(timeline: Timeline) -> Detail:
    """Everything, or what is around the slowest request, if that is too much for a page."""
    requests, tlps = timeline.requests, timeline.tlps
    places = np.arange(len(requests))
    begin, end = requests["at"][:, 0], requests["at"][:, -1]
    times = tlps["end"].astype(np.int64)
    first, last = 0, timeline.cycles
    if len(requests) > _MOST_REQUESTS or len(tlps) > _MOST_TLPS:
        worst = int(slowest(timeline, 1)[0]) if len(requests) else 0
        middle = int(begin[worst] + end[worst]) // 2 if len(requests) else last // 2
        near = [
            np.sort(np.abs(values - middle))[most - 1]
            for values, most in ((begin, _MOST_REQUESTS), (times, _MOST_TLPS))
            if len(values) > most
        ]
        first, last = max(first, middle - int(min(near))), min(last, middle + int(min(near)))
    inside = (end >= first) & (begin <= last)
    kept = (times >= first) & (times <= last)
    return Detail(first, last, places[inside], tlps[kept], bool(inside.all() and kept.all()))


def boundary_times(request: Any) -> Sequence[tuple[str, int]]:
    """The names and cycles of what a request has passed."""
    return list(zip(BOUNDARIES, request["at"].tolist(), strict=True))
