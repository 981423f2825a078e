"""A recorded run: its requests with their segments, its TLPs, and how busy link, reads and queues were."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ringwalker.spec.tlp import RequestKind

from .events import EventKind
from .requests import find_requests, segments

__all__ = ["DOWN", "UP", "Timeline"]

UP = (EventKind.UP_REQUEST, EventKind.UP_COMPLETION, EventKind.UP_MESSAGE)
"""TLPs that the device sends."""

DOWN = (EventKind.DOWN_REQUEST, EventKind.DOWN_COMPLETION)
"""TLPs that the host sends."""

_TLPS = max(*UP, *DOWN)


def _counted(times: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What ``steps`` at ``times`` add up to: ascending times without repeats, and the sum from each on."""
    order = np.argsort(times, kind="stable")
    times, sums = times[order], np.cumsum(steps[order])
    last = np.append(times[1:] != times[:-1], True) if len(times) else np.zeros(0, bool)
    return times[last], sums[last]


@dataclass(frozen=True)
class Timeline:
    """``events`` of a run (rows of :data:`.event_type`, in the order of their ends) and what is known of it.

    ``about`` has ``clock_mhz``, ``link_bytes_per_cycle`` (0: no limit), ``function``, ``data_width``, the
    ``config`` of the device as TOML, and ``complete``, False when the recording was cut after
    ``most_events`` of the engine.
    """

    events: np.ndarray
    about: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether all of the run is in it."""
        return self.about.get("complete", True)

    @property
    def recorded_cycles(self) -> int:
        """Until when the engine has recorded. Drivers in Python say what they do to the end of the run."""
        drivers = (EventKind.ADDED, EventKind.SHOWN, EventKind.TAKEN)
        ends = self.events["end"][~np.isin(self.events["kind"], drivers)]
        return int(ends.max()) if len(ends) else 0

    @property
    def cut(self) -> str:
        """What a person should know of a recording that is not complete."""
        return (
            f"the recording ended at cycle {self.recorded_cycles:,}, after {self.about['most_events']:,} "
            f"events; what came later is not in it: record a shorter run"
        )

    @cached_property
    def requests(self) -> np.ndarray:
        """The finished requests: rows of :data:`.request_type`, in the order of their ends."""
        return find_requests(self.events)

    @property
    def segments(self) -> np.ndarray:
        """Cycles of each of :data:`.SEGMENTS`, a row a request; a row adds up to its latency."""
        return segments(self.requests)

    @property
    def latencies(self) -> np.ndarray:
        """Cycles from the first event of each request to its last."""
        at = self.requests["at"]
        return at[:, -1] - at[:, 0]

    @property
    def tlps(self) -> np.ndarray:
        """The events that are TLPs."""
        kinds = self.events["kind"]
        return self.events[(kinds >= EventKind.UP_REQUEST) & (kinds <= _TLPS)]

    @property
    def cycles(self) -> int:
        """When the last event was."""
        return int(self.events["end"].max()) if len(self.events) else 0

    def of(self, *kinds: int) -> np.ndarray:
        """The events of these kinds."""
        order, first = self._by_kind
        rows = [order[first[kind] : first[kind + 1]] for kind in kinds]
        return self.events.take(rows[0] if len(rows) == 1 else np.sort(np.concatenate(rows)))

    @cached_property
    def _by_kind(self) -> tuple[np.ndarray, np.ndarray]:
        """The events' numbers, sorted by kind, and where each kind begins among them."""
        # Of so narrow numbers numpy sorts many times as fast.
        kinds = self.events["kind"].astype(np.uint8)
        counts = np.bincount(kinds, minlength=256)
        return np.argsort(kinds, kind="stable"), np.append(0, np.cumsum(counts))

    def occupancy(self, kinds: tuple[EventKind, ...], window: int) -> np.ndarray:
        """Bytes of TLPs of ``kinds`` (:data:`UP` or :data:`DOWN`) on the link, in windows of so many cycles.

        The bytes of a TLP count where it ends.
        """
        tlps = self.of(*kinds)
        at = tlps["end"].astype(np.int64) // window
        return np.bincount(at, tlps["wire"], minlength=self.cycles // window + 1)

    @cached_property
    def reads_in_flight(self) -> tuple[np.ndarray, np.ndarray]:
        """How many reads the host has not answered wholly: times, and the number from each on."""
        asked = self.of(EventKind.UP_REQUEST)
        asked = asked[asked["queue"] == RequestKind.MEMORY_READ.value]["end"].astype(np.int64)
        answers = self.of(EventKind.DOWN_COMPLETION)
        given = answers["bytes"].astype(np.int64) - answers["lane"] % 4
        final = (answers["queue"] != 0) | (given >= answers["number"].astype(np.int64))
        ended = answers[final]["end"].astype(np.int64)
        steps = np.repeat([1, -1], [len(asked), len(ended)])
        return _counted(np.append(asked, ended), steps)

    @cached_property
    def requests_in_flight(self) -> tuple[np.ndarray, np.ndarray]:
        """As :attr:`reads_in_flight`, of requests."""
        at = self.requests["at"]
        steps = np.repeat([1, -1], len(at))
        return _counted(np.append(at[:, 0], at[:, -1]), steps)
