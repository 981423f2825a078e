"""What happened in a run as tracks of text for its waves: TLPs, requests, and who is in which stage.

Everything is in the scope ``story`` beside the design. The events are those of a timeline
(:mod:`..timeline.requests`).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.spec.tlp import CompletionStatus, RequestKind

from ..errors import noted
from ..timeline.events import EventKind
from ..timeline.requests import SEGMENTS, find_requests
from ..timeline.timeline import DOWN, UP
from ..timeline.tracks import rows_of
from .fst import FstError
from .fst_tracks import Track, add_tracks

__all__ = [
    "LINK",
    "MOST_ROWS",
    "REQUESTS",
    "STAGES",
    "STORY",
    "add_story",
    "stage_name",
    "story_behind",
    "story_tracks",
]

STORY = "story"
LINK, REQUESTS, STAGES = (STORY, "link"), (STORY, "requests"), (STORY, "stages")
"""The scopes of its three parts."""

MOST_ROWS = 16
"""Requests that are shown at once, a row each; of more only the stages tell."""

_NAMED = 3
"""Requests of a stage that are named; of more their number is."""

_PICOSECONDS = 1_000_000
_KINDS = {
    RequestKind.MEMORY_READ: "MRd",
    RequestKind.MEMORY_WRITE: "MWr",
    RequestKind.IO_READ: "IORd",
    RequestKind.IO_WRITE: "IOWr",
    RequestKind.CONFIG_READ_0: "CfgRd0",
    RequestKind.CONFIG_WRITE_0: "CfgWr0",
    RequestKind.CONFIG_READ_1: "CfgRd1",
    RequestKind.CONFIG_WRITE_1: "CfgWr1",
    RequestKind.MESSAGE: "Msg",
    RequestKind.OTHER_NON_POSTED: "other",
}
_STATUSES = {CompletionStatus.UNSUPPORTED_REQUEST: " UR", CompletionStatus.COMPLETER_ABORT: " CA"}
_COMPLETIONS = (EventKind.UP_COMPLETION, EventKind.DOWN_COMPLETION)


def stage_name(segment: str) -> str:
    """The name of the track of a segment of requests."""
    return segment.replace(" ", "_")


def _tlp_text(tlp: np.void) -> str:
    tag, size, number = int(tlp["id"]), int(tlp["bytes"]), int(tlp["number"])
    if tlp["kind"] in _COMPLETIONS:
        status = _STATUSES.get(CompletionStatus(int(tlp["queue"])), "")
        return f"CplD {size}B tag {tag}" if size else f"Cpl tag {tag}{status}"
    if tlp["kind"] == EventKind.UP_MESSAGE:
        if int(tlp["queue"]) == RequestKind.MESSAGE.value:
            return "Assert_INTA" if number else "Deassert_INTA"
        return f"MSI {tag} @{number:#x}"
    kind = RequestKind(int(tlp["queue"]))
    if kind is RequestKind.MESSAGE:
        return "Msg"
    posted = kind is RequestKind.MEMORY_WRITE
    return f"{_KINDS[kind]} {size}B {'' if posted else f'tag {tag} '}@{number:#x}"


def _link(name: str, tlps: np.ndarray, period: int) -> Track:
    """One direction of the link: each TLP while it occupies it, a cycle at least."""
    track = Track(LINK, name)
    free = 0
    order = np.lexsort((tlps["begin"], tlps["end"]))
    waiting: tuple[int, str] | None = None
    for tlp in tlps[order]:
        begin = max(int(tlp["begin"]), free)
        end = max(int(tlp["end"]), int(tlp["begin"]) + 1)
        text = _tlp_text(tlp)
        if waiting is not None and end <= free:
            # It passed with the one before: the link has no limit.
            text = f"{waiting[1]} + {text}"
            begin = waiting[0]
        elif free and begin > free:
            track.add(free * period, "")
        begin = min(begin, end - 1)
        track.add(begin * period, text)
        waiting, free = (begin, text), max(free, end)
    if free:
        track.add(free * period, "")
    return track


def _names(requests: np.ndarray) -> list[str]:
    """How requests are called: by the number that their driver gave them, or by their order."""
    queues = len(np.unique(requests["queue"])) > 1
    return [
        f"{f'q{queue} ' if queues else ''}#{number if number >= 0 else order}"
        for order, (queue, number) in enumerate(
            zip(requests["queue"].tolist(), requests["number"].tolist(), strict=True)
        )
    ]


def _rows(requests: np.ndarray, names: list[str], period: int) -> Iterator[Track]:
    """A row for each request that there is at once: its name, and the stage that it is in."""
    begin, end = requests["at"][:, 0], requests["at"][:, -1]
    order = np.lexsort((end, begin))
    rows = rows_of(begin[order], end[order])
    tracks = [Track(REQUESTS, f"row{row}") for row in range(min(MOST_ROWS, int(rows.max(initial=-1)) + 1))]
    for row, number in zip(rows.tolist(), order.tolist(), strict=True):
        if row >= MOST_ROWS:
            continue
        at = requests["at"][number].tolist()
        for segment, first, last in zip(SEGMENTS, at, at[1:], strict=False):
            if last > first:
                tracks[row].add(first * period, f"{names[number]} {segment}")
        tracks[row].add(at[-1] * period, "")
    yield from tracks


def _marks(requests: np.ndarray, names: list[str], period: int) -> Iterator[Track]:
    """The requests that begin, and those that end, in the cycle in which they do."""
    for name, place in (("start", 0), ("end", -1)):
        track = Track(REQUESTS, name)
        cycles = requests["at"][:, place]
        for cycle in np.unique(cycles).tolist():
            which = np.flatnonzero(cycles == cycle).tolist()
            track.add(cycle * period, _together([names[number] for number in which]))
            track.add((cycle + 1) * period, "")
        yield track


def _together(names: list[str]) -> str:
    if len(names) > _NAMED:
        return f"{len(names)}: {' '.join(names[:_NAMED])} .."
    return " ".join(names)


def _stage(place: int, requests: np.ndarray, names: list[str], period: int) -> Track:
    """Which requests are in a stage."""
    track = Track(STAGES, stage_name(SEGMENTS[place]))
    begin, end = requests["at"][:, place], requests["at"][:, place + 1]
    some = np.flatnonzero(end > begin)
    times = np.append(begin[some], end[some])
    steps = np.repeat([1, 0], len(some))
    inside: dict[int, None] = {}
    before = None
    for at in np.lexsort((steps, times)).tolist():
        time, number = int(times[at]), int(some[at % len(some)])
        if before is not None and time != before:
            track.add(before * period, _together([names[n] for n in inside]))
        before = time
        if steps[at]:
            inside[number] = None
        else:
            inside.pop(number, None)
    if before is not None:
        track.add(before * period, "")
    return track


def story_tracks(events: np.ndarray, period_ps: int) -> list[Track]:
    """The tracks of a run in whose waves a cycle takes ``period_ps``."""
    kinds = events["kind"]
    tracks = [
        _link(name, events[np.isin(kinds, ways)], period_ps)
        for name, ways in (("to_device", DOWN), ("from_device", UP))
    ]
    requests = find_requests(events)
    requests = requests[np.argsort(requests["at"][:, 0], kind="stable")]
    names = _names(requests)
    tracks += [*_marks(requests, names, period_ps), *_rows(requests, names, period_ps)]
    tracks += [_stage(place, requests, names, period_ps) for place in range(len(SEGMENTS))]
    return tracks


def add_story(path: str | Path, events: np.ndarray, clock_mhz: int) -> None:
    """Put the tracks of a run into its waves. Errors: as for :func:`~.fst_tracks.add_tracks`."""
    add_tracks(path, story_tracks(events, _PICOSECONDS // clock_mhz))


@contextmanager
def story_behind(path: str | Path | None, unwritten: list[str]) -> Iterator[list[Any]]:
    """Behind the block the waves ``path`` get the story of the native engine that was put into the value, if
    it is closed by then; ``unwritten`` gets a line if they cannot be written.

    Waves that are not whole are left alone: :func:`~.fst_join.require_whole` says why.
    """
    engines: list[Any] = []
    try:
        yield engines
    finally:
        for engine in engines:
            if path is not None and engine.recording is not None:
                with noted(unwritten), suppress(FstError, OSError):
                    add_story(path, engine.recording.events(), engine.config.clock_mhz)
