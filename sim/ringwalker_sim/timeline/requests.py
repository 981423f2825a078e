"""The life of each request: when it passed each boundary, and the segments between them.

The chains of a queue go through a walker in order, so the nth item of a stage belongs to the nth chain since
the walker last forgot what it had; where an item names its chain, it must name that one. Segments follow each
other without a gap: a boundary that was passed before the one in front of it (one notification serves many
requests, and a device that is busy polls) ends a segment of 0. So they add up to the latency.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .events import EventKind
from .words import StageKind

__all__ = ["BOUNDARIES", "SEGMENTS", "UNKNOWN", "find_requests", "request_type", "segments"]

BOUNDARIES = (
    "added",
    "shown",
    "doorbell",
    "visited",
    "available",
    "head",
    "walked",
    "dispatched",
    "payload",
    "answered",
    "completed",
    "used",
    "interrupt",
    "taken",
)
"""When the driver added the buffer; it showed that to the device; the doorbell reached the walker; the queue
was visited; the available index, the entry, the descriptors were there; the function took the chain, had all
that it reads, had answered; the last payload had left; the used index was written; the notification left;
the driver found the buffer used."""

SEGMENTS = (
    "show",
    "doorbell",
    "schedule",
    "available index",
    "ring entry",
    "descriptors",
    "dispatch",
    "payload in",
    "function",
    "payload out",
    "used ring",
    "interrupt",
    "driver",
)
"""What a request waited for between one boundary and the next."""

UNKNOWN = -1
"""The number of a request of which no driver has told."""

request_type = np.dtype(
    [
        ("lane", "<u4"),
        ("queue", "<u4"),
        ("id", "<u4"),
        ("number", "<i8"),
        ("readable", "<u4"),
        ("writable", "<u4"),
        ("written", "<u4"),
        ("at", "<i8", (len(BOUNDARIES),)),
    ]
)
"""A request: its chain, the number that the driver gave it or UNKNOWN, bytes, and the cycles of
:data:`BOUNDARIES`, which never fall."""

_MODULUS = 1 << 16


def segments(requests: np.ndarray) -> np.ndarray:
    """The cycles of :data:`SEGMENTS`, a row a request."""
    return np.diff(requests["at"], axis=1)


@dataclass
class _Rows:
    """Items of one stage."""

    rows: np.ndarray

    def of(self, queue: int) -> "_Rows":
        return _Rows(self.rows[self.rows["queue"] == queue])

    @property
    def times(self) -> np.ndarray:
        return self.rows["end"].astype(np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> "_Rows":
        return _Rows(self.rows[:count])


class _Epoch:
    """The events of one lane between two flushes, by kind."""

    def __init__(self, rows: np.ndarray):
        kinds = rows["kind"].astype(np.int64) - EventKind.STAGE
        order = np.argsort(kinds.astype(np.uint8), kind="stable")
        ends = np.cumsum(np.bincount(kinds)).tolist() if len(kinds) else []
        spans = zip([0, *ends], ends, strict=False)
        self._found = {kind: rows.take(order[begin:end]) for kind, (begin, end) in enumerate(spans)}
        self._none = rows[:0]

    def __getitem__(self, kind: StageKind) -> _Rows:
        return _Rows(self._found.get(kind, self._none))

    def heads(self) -> _Rows:
        """The chains that were begun, without the guesses that were none."""
        heads, dropped = self[StageKind.HEAD], self[StageKind.WITHDRAW]
        guesses = np.flatnonzero(heads.rows["number"] & 1)
        if not len(dropped) or not len(guesses):
            return heads
        # The last guess before each withdrawal.
        which = np.searchsorted(heads.times[guesses], dropped.times, side="right") - 1
        keep = np.ones(len(heads), bool)
        keep[guesses[which[which >= 0]]] = False
        return _Rows(heads.rows[keep])


def _last(times: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The last of the ascending ``times`` up to each limit; -1 where there is none."""
    at = np.searchsorted(times, limits, side="right") - 1
    return np.where(at >= 0, np.append(times, -1)[at], -1)


def _next(times: np.ndarray, limits: np.ndarray, never: int) -> np.ndarray:
    """The first of the ascending ``times`` from each limit on; ``never`` where there is none."""
    return np.append(times, never)[np.searchsorted(times, limits, side="left")]


def _unwrapped(values: np.ndarray, base: int) -> np.ndarray:
    """A count from ``base`` on of which ``values`` are the lower 16 bits, and which never falls."""
    steps = np.diff(np.append(base % _MODULUS, values.astype(np.int64))) % _MODULUS
    return base + np.cumsum(np.where(steps < _MODULUS // 2, steps, 0))


def _covering(counts: np.ndarray, times: np.ndarray, places: np.ndarray, never: int) -> np.ndarray:
    """When each of ``places`` was covered by the ascending ``counts``."""
    return np.append(times, never)[np.searchsorted(counts, places, side="left")]


class _Positions:
    """Where the rings of each queue stood when its walker forgot all."""

    def __init__(self) -> None:
        self._base: dict[int, int] = {}

    def clear(self, queues: np.ndarray) -> None:
        for queue in np.unique(queues).tolist():
            self._base[queue] = 0

    def base(self, queue: int) -> int:
        return self._base.get(queue, 0)

    def used(self, queue: int, position: int) -> None:
        self._base[queue] = position


def _epochs(rows: np.ndarray) -> Iterator[np.ndarray]:
    """The events of one lane, cut at flushes."""
    flushes = np.flatnonzero(rows["kind"] == EventKind.STAGE + StageKind.FLUSH)
    begin = 0
    for end in (*flushes.tolist(), len(rows)):
        if end > begin:
            yield rows[begin:end]
        begin = end + 1


def _lane_times(epoch: _Epoch, chains: _Rows) -> dict[str, np.ndarray]:
    """What is in the order of all chains of a lane: by chain, -1 where it has not come."""
    count = len(chains)

    def filled(rows: _Rows, of: np.ndarray, field: str = "end") -> np.ndarray:
        values = np.full(count, -1, np.int64)
        places = np.flatnonzero(of)[: len(rows)]
        values[places] = rows.rows[field][: len(places)]
        return values

    every = np.ones(count, bool)
    dispatched = epoch[StageKind.DISPATCH]
    return {
        "dispatched": filled(dispatched, every),
        "writable": filled(dispatched, every, "number"),
        "payload": filled(epoch[StageKind.PAYLOAD], chains.rows["number"] > 0),
        "answered": filled(epoch[StageKind.ANSWER], every),
    }


def _interrupts(epoch: _Epoch, queue: int) -> np.ndarray:
    """When notifications of ``queue`` left."""
    looks, interrupts = epoch[StageKind.LOOK].of(queue), epoch[StageKind.INTERRUPT]
    vectors = np.unique(looks.rows["id"])
    return interrupts.times[np.isin(interrupts.rows["id"], vectors)]


def _agreeing(heads: _Rows, others: list[_Rows]) -> int:
    """How many chains all stages have seen, as they name them."""
    count = min(len(heads), *map(len, others))
    for rows in others:
        differ = np.flatnonzero(rows.rows["id"][:count] != heads.rows["id"][:count])
        count = int(differ[0]) if len(differ) else count
    return count


def _queue_requests(
    epoch: _Epoch, queue: int, lane: dict[str, np.ndarray], chains: _Rows, positions: _Positions, end: int
) -> np.ndarray:
    """The finished requests of one queue in one epoch, as far as the device knows of them."""
    mine = chains.rows["queue"] == queue
    heads, walked, completed = epoch.heads().of(queue), chains.of(queue), epoch[StageKind.COMPLETE].of(queue)
    count = _agreeing(heads, [walked, completed])
    base, never = positions.base(queue), end + 1
    split, packed = epoch[StageKind.USED].of(queue), epoch[StageKind.USED_PACKED].of(queue)
    used = packed if len(packed) else split
    counts = _unwrapped(used.rows["id"], base)
    spans = heads.rows["number"][:count].astype(np.int64) >> 1
    places = base + (np.cumsum(spans) if len(packed) else np.arange(1, count + 1))
    written = _covering(counts, used.times, places, never)
    count = int(np.searchsorted(written, never, side="left"))
    if len(counts):
        positions.used(queue, int(counts[-1]))
    result = np.zeros(count, request_type)
    heads, walked, completed = heads.first(count), walked.first(count), completed.first(count)
    result["lane"], result["queue"], result["id"] = heads.rows["lane"], queue, heads.rows["id"]
    result["number"], result["readable"] = UNKNOWN, walked.rows["number"]
    result["written"] = completed.rows["number"]
    at = {name: values[mine][:count] for name, values in lane.items()}
    result["writable"] = np.maximum(at.pop("writable"), 0)
    at |= {"head": heads.times, "walked": walked.times, "completed": completed.times, "used": written[:count]}
    if len(packed):
        at["available"] = _last(epoch[StageKind.POLL].of(queue).times, heads.times)
    else:
        known = epoch[StageKind.INDEX].of(queue)
        indices = _unwrapped(known.rows["id"], base)
        at["available"] = np.minimum(_covering(indices, known.times, places[:count], never), heads.times)
    at["visited"] = _last(epoch[StageKind.VISIT].of(queue).times, at["available"])
    at["doorbell"] = _last(epoch[StageKind.DOORBELL].of(queue).times, at["visited"])
    at["interrupt"] = _next(_interrupts(epoch, queue), at["used"], -1)
    for name in ("added", "shown", "taken"):
        at[name] = np.full(count, -1, np.int64)
    result["at"] = np.stack([at[name] for name in BOUNDARIES], axis=1) if count else 0
    return result


def _find_in_device(events: np.ndarray) -> np.ndarray:
    found = [np.zeros(0, request_type)]
    stages = events[events["kind"] >= EventKind.STAGE]
    end = int(events["end"].max()) if len(events) else 0
    for lane in np.unique(stages["lane"]):
        positions = _Positions()
        for rows in _epochs(stages[stages["lane"] == lane]):
            epoch = _Epoch(rows)
            positions.clear(epoch[StageKind.CLEAR].rows["queue"])
            chains = epoch[StageKind.CHAIN]
            times = _lane_times(epoch, chains)
            for queue in np.unique(chains.rows["queue"]).tolist():
                found.append(_queue_requests(epoch, queue, times, chains, positions, end))
    return np.concatenate(found)


def _told(requests: np.ndarray, events: np.ndarray) -> None:
    """What the driver did, into the requests of one queue."""
    added = events[events["kind"] == EventKind.ADDED]
    if not len(added):
        return
    which = _matched(added, requests)
    have = which >= 0
    mine = added[which[have]]
    requests["number"][have] = mine["number"]
    at = requests["at"]
    at[have, BOUNDARIES.index("added")] = mine["end"]
    # In one cycle the order counts: what is added behind a kick is shown by the next.
    kicks = np.flatnonzero(events["kind"] == EventKind.SHOWN)
    places = np.flatnonzero(events["kind"] == EventKind.ADDED)[which[have]]
    at[have, BOUNDARIES.index("shown")] = np.append(events["end"][kicks], -1)[np.searchsorted(kicks, places)]
    taken = events[events["kind"] == EventKind.TAKEN]
    at[have, BOUNDARIES.index("taken")] = _taken(taken, mine)


def _matched(added: np.ndarray, requests: np.ndarray) -> np.ndarray:
    """For each request the buffer that it is: the oldest of that id that was added before; -1 without."""
    count = len(requests)
    heads = requests["at"][:, BOUNDARIES.index("head")]
    alike = count <= len(added) and (added["id"][:count] == requests["id"]).all()
    times = added["end"].astype(np.int64)
    if alike and (times[:count] <= heads).all() and (_again(added)[:count] > heads).all():
        return np.arange(count)
    waiting: dict[int, list[int]] = {}
    for row, number in enumerate(added["id"].tolist()):
        waiting.setdefault(number, []).append(row)
    which, times = np.full(count, -1), added["end"].tolist()
    for row, (number, head) in enumerate(zip(requests["id"].tolist(), heads.tolist(), strict=True)):
        rows = waiting.get(number, [])
        # Of those that were added before, all but the last have gone with a reset.
        while len(rows) > 1 and times[rows[1]] <= head:
            rows.pop(0)
        if rows and times[rows[0]] <= head:
            which[row] = rows.pop(0)
    return which


def _again(added: np.ndarray) -> np.ndarray:
    """When each buffer's id was added the next time."""
    order = np.argsort(added["id"], kind="stable")
    times, ids = added["end"][order].astype(np.int64), added["id"][order]
    never = np.iinfo(np.int64).max
    following = np.where(np.append(ids[1:] == ids[:-1], False), np.append(times[1:], never), never)
    result = np.empty(len(added), np.int64)
    result[order] = following
    return result


def _taken(taken: np.ndarray, added: np.ndarray) -> np.ndarray:
    """When the driver found each of the ``added`` buffers used; -1 where it has not."""
    if len(added) <= len(taken) and (taken["number"][: len(added)] == added["number"]).all():
        return taken["end"][: len(added)].astype(np.int64)
    # The same number again is of another life of the queue: the first that comes after it was added.
    by_number: dict[int, list[int]] = {}
    for number, time in zip(taken["number"].tolist(), taken["end"].tolist(), strict=True):
        by_number.setdefault(number, []).append(time)
    found = []
    for number, time in zip(added["number"].tolist(), added["end"].tolist(), strict=True):
        later = [other for other in by_number.get(number, []) if other >= time]
        found.append(later[0] if later else -1)
    return np.array(found, np.int64)


def _settle(at: np.ndarray) -> None:
    """Let boundaries that are unknown, or were passed earlier, be those in front of them.

    The last that is known ends the request: an interrupt only counts if the driver had not gone on before.
    """
    taken, interrupt = BOUNDARIES.index("taken"), BOUNDARIES.index("interrupt")
    seen = at[:, taken] >= 0
    late = seen & (at[:, interrupt] > at[:, taken])
    at[late, interrupt] = -1
    begun = np.where(at[:, 0] >= 0, at[:, 0], at[:, BOUNDARIES.index("doorbell")])
    at[:, 0] = np.where(begun >= 0, begun, at[:, BOUNDARIES.index("head")])
    np.maximum.accumulate(at, axis=1, out=at)


def find_requests(events: np.ndarray) -> np.ndarray:
    """The finished requests in ``events``, in the order of their ends.

    One of which no driver tells begins with the notification that it was found by, and ends with that of the
    device, if there is one before the device uses more.
    """
    requests = _find_in_device(events)
    drivers = events[events["kind"] <= EventKind.TAKEN]
    for queue in np.unique(requests["queue"]).tolist():
        rows = np.flatnonzero(requests["queue"] == queue)
        mine = requests[rows]
        _told(mine, drivers[drivers["queue"] == queue])
        untold = mine["number"] == UNKNOWN
        _without_driver(mine, untold)
        requests[rows] = mine
    _settle(requests["at"])
    return requests[np.argsort(requests["at"][:, -1], kind="stable")]


def _without_driver(requests: np.ndarray, which: np.ndarray) -> None:
    """A notification that leaves after more was used is not that of these requests."""
    at, used, interrupt = requests["at"], BOUNDARIES.index("used"), BOUNDARIES.index("interrupt")
    times = np.unique(at[:, used])
    following = _next(times, at[:, used] + 1, np.iinfo(np.int64).max)
    late = which & (at[:, interrupt] > following)
    at[late, interrupt] = -1
