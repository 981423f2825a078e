"""The tracks of a timeline: who did what when, and what of it belongs to one request."""

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from ringwalker.spec.tlp import RequestKind
from ringwalker.streams import StorageOp

from .events import EventKind
from .perfetto import TracePackets
from .requests import SEGMENTS
from .timeline import DOWN, UP, Timeline
from .words import StageKind

__all__ = ["draw", "rows_of", "tlp_names"]

_NOTES = ("request", "queue", "buffer", "bytes", "address", "tag", "id")

_GROUPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Doorbells", ("doorbell",)),
    ("Ring walker", ("schedule", "available index", "ring entry", "descriptors", "dispatch")),
    ("Function", ("payload in", "function", "payload out")),
    ("Used ring", ("used ring",)),
    ("Interrupts", ("interrupt",)),
)
"""Groups of tracks, and the segments of requests in each."""

_INSTANTS = {
    "Doorbells": (StageKind.DOORBELL,),
    "Ring walker": (StageKind.VISIT, StageKind.FLUSH),
    "Used ring": (StageKind.USED, StageKind.USED_PACKED),
    "Interrupts": (StageKind.INTERRUPT,),
}
"""Stages that are shown as instants, beside the segments."""

_WINDOWS = 20_000
"""Windows of occupancy at most."""

_LEAST_WINDOW = 64

_OUTSIDE = {
    EventKind.STORAGE: ("Storage", "command"),
    EventKind.FRAME_OUT: ("MAC", "sent"),
    EventKind.FRAME_IN: ("MAC", "received"),
    EventKind.BYTES_OUT: ("Terminal", "bytes out"),
    EventKind.BYTES_IN: ("Terminal or noise", "bytes in"),
}


def rows_of(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A row for each interval, so that those of a row do not overlap; the intervals ascend by ``begin``."""
    count = len(begin)
    if (end[1:] >= end[:-1]).all():
        # First in, first out: as many rows as are open at once, in turn.
        active = np.arange(1, count + 1) - np.searchsorted(end, begin, side="right")
        return np.arange(count) % max(1, int(active.max(initial=1)))
    rows, free, busy = np.zeros(count, np.int64), list[int](), list[tuple[int, int]]()
    used = 0
    for n, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        while busy and busy[0][0] <= first:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            row = heapq.heappop(free)
        else:
            row, used = used, used + 1
        rows[n] = row
        heapq.heappush(busy, (last, row))
    return rows


class _Drawing:
    def __init__(self, timeline: Timeline):
        self.timeline = timeline
        self.trace = TracePackets(1000 / timeline.about["clock_mhz"], _NOTES)

    def slices(
        self,
        group: int,
        name: str,
        names: Any,
        begin: np.ndarray,
        end: np.ndarray,
        notes: dict[str, Any],
        flows: Any = None,
    ) -> None:
        """Slices that may overlap, on as many tracks as that takes."""
        order = np.lexsort((end, begin))
        begin, end = begin[order].astype(np.int64), end[order].astype(np.int64)
        rows = rows_of(begin, end)
        several = len(rows) and rows.max() > 0
        tracks = np.array(
            [self.trace.track(name, group) for _ in range(int(rows.max(initial=0)) + 1 if several else 1)]
        )
        notes = {key: np.asarray(value)[order] for key, value in notes.items()}
        numbers = self.trace.names(names)
        numbers = numbers[order] if len(numbers) == len(begin) else np.repeat(numbers, len(begin))
        self.trace.slices(
            tracks[rows], numbers, begin, end, notes, None if flows is None else np.asarray(flows)[order]
        )

    def cut(self) -> None:
        track = self.trace.track("Recording", self.trace.group("Recording ends early"))
        at = np.array([self.timeline.recorded_cycles])
        self.trace.instants(track, self.trace.names([self.timeline.cut]), at, {})

    # --- requests ------------------------------------------------------------------------------------------

    def driver(self) -> None:
        requests, latencies = self.timeline.requests, self.timeline.segments
        if not len(requests):
            return
        group = self.trace.group("Guest driver")
        times, values = self.timeline.requests_in_flight
        self.trace.counts(self.trace.counter("requests in flight", group, "requests"), times, values)
        for queue in np.unique(requests["queue"]).tolist():
            mine = np.flatnonzero(requests["queue"] == queue)
            at = requests["at"][mine]
            self.slices(
                group,
                f"queue {queue}: requests",
                ["request"],
                at[:, 0],
                at[:, -1],
                self._notes(mine),
            )
            for name, place in (("show", 0), ("driver", len(SEGMENTS) - 1)):
                self.segment(group, f"queue {queue}: {name}", mine[latencies[mine, place] > 0], place)

    def _notes(self, which: np.ndarray) -> dict[str, Any]:
        requests = self.timeline.requests[which]
        return {
            "request": which,
            "queue": requests["queue"],
            "buffer": np.maximum(requests["number"], 0),
            "bytes": requests["readable"].astype(np.int64) + requests["writable"],
        }

    def segment(self, group: int, name: str, which: np.ndarray, place: int) -> None:
        """One segment of some requests."""
        if len(which):
            at = self.timeline.requests["at"][which]
            notes = {"request": which, "queue": self.timeline.requests["queue"][which]}
            self.slices(group, name, [SEGMENTS[place]], at[:, place], at[:, place + 1], notes, which + 1)

    def stages(self) -> None:
        requests, latencies = self.timeline.requests, self.timeline.segments
        lanes = np.unique(self.timeline.events[self.timeline.events["kind"] >= EventKind.STAGE]["lane"])
        for title, names in _GROUPS:
            group = self.trace.group(title)
            for lane in lanes.tolist():
                of = f"lane {lane}: " if len(lanes) > 1 else ""
                for kind in _INSTANTS.get(title, ()):
                    self.instants(group, f"{of}{kind.name.lower().replace('_', ' ')}", kind, lane)
                for name in names:
                    place = SEGMENTS.index(name)
                    mine = np.flatnonzero((requests["lane"] == lane) & (latencies[:, place] > 0))
                    self.segment(group, f"{of}{name}", mine, place)

    def instants(self, group: int, name: str, kind: StageKind, lane: int) -> None:
        events = self.timeline.of(EventKind.STAGE + kind)
        events = events[events["lane"] == lane]
        if len(events):
            number = self.trace.names([name.rpartition(": ")[2]])[0]
            notes = {"queue": events["queue"], "id": events["id"]}
            self.trace.instants(self.trace.track(name, group), number, events["end"], notes)

    # --- link ----------------------------------------------------------------------------------------------

    def link(self, title: str, kinds: tuple[EventKind, ...], reads: bool) -> None:
        tlps = self.timeline.of(*kinds)
        if not len(tlps):
            return
        group = self.trace.group(title)
        self._occupancy(group, kinds)
        if reads:
            times, values = self.timeline.reads_in_flight
            self.trace.counts(self.trace.counter("reads in flight", group, "reads"), times, values)
        # A TLP that gets the link in the cycle in which the one before ends is drawn behind it.
        order = np.lexsort((tlps["begin"], tlps["end"]))
        tlps = tlps.take(order)
        end = tlps["end"].astype(np.int64)
        begin = np.maximum(tlps["begin"].astype(np.int64), np.append(0, end[:-1]))
        notes = {"bytes": tlps["bytes"], "tag": tlps["id"], "address": tlps["number"]}
        track = self.trace.track("TLPs", group)
        used, places = np.unique(_tlp_words(tlps), return_inverse=True)
        self.trace.slices(track, self.trace.names(_TLP_WORDS[used])[places], begin, end, notes)

    def _occupancy(self, group: int, kinds: tuple[EventKind, ...]) -> None:
        most = self.timeline.about["link_bytes_per_cycle"]
        window = max(_LEAST_WINDOW, -(-self.timeline.cycles // _WINDOWS))
        moved = self.timeline.occupancy(kinds, window)
        unit, values = ("%", np.minimum(100, 100 * moved / (most * window))) if most else ("bytes", moved)
        changes = np.flatnonzero(np.diff(np.append(0, np.rint(values))))
        track = self.trace.counter("occupancy", group, unit)
        self.trace.counts(track, changes * window, np.rint(values)[changes])

    # --- behind the device ---------------------------------------------------------------------------------

    def outside(self) -> None:
        for kind, (title, name) in _OUTSIDE.items():
            events = self.timeline.of(kind)
            if not len(events):
                continue
            group = self.trace.group(title)
            notes = {"bytes": events["bytes"]}
            if kind in (EventKind.BYTES_OUT, EventKind.BYTES_IN):
                number = self.trace.names([name])[0]
                self.trace.instants(self.trace.track(name, group), number, events["end"], notes)
                continue
            names: Any = [name]
            if kind is EventKind.STORAGE:
                words = np.array([op.name.lower() for op in StorageOp])
                names, notes = words[events["id"]], {**notes, "address": events["number"]}
            self.slices(group, name, names, events["begin"], events["end"], notes)


_TLP_WORDS = np.array(
    [
        *(
            kind.name.lower().replace("_", " ")
            for kind in sorted(RequestKind, key=lambda kind: int(kind.value))
        ),
        "completion",
        "interrupt",
    ]
)
"""Requests by their kinds, then what else a TLP can be."""


def _tlp_words(tlps: np.ndarray) -> np.ndarray:
    """The place of each TLP among :data:`_TLP_WORDS`: of so many, numbers are compared faster than texts."""
    last = len(_TLP_WORDS) - 1
    words = np.minimum(tlps["queue"], last - 2).astype(np.int64)
    kinds = tlps["kind"]
    words[(kinds == EventKind.UP_COMPLETION) | (kinds == EventKind.DOWN_COMPLETION)] = last - 1
    words[kinds == EventKind.UP_MESSAGE] = last
    return words


def tlp_names(tlps: np.ndarray) -> np.ndarray:
    """What each TLP is, in words."""
    return _TLP_WORDS[_tlp_words(tlps)]


def draw(timeline: Timeline) -> TracePackets:
    """All tracks of a timeline. One that was cut has a track that says so, first of all."""
    drawing = _Drawing(timeline)
    if not timeline.complete:
        drawing.cut()
    drawing.driver()
    drawing.stages()
    drawing.outside()
    drawing.link("Link from the device", UP, True)
    drawing.link("Link to the device", DOWN, False)
    return drawing.trace
