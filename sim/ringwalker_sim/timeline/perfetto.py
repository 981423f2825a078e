"""A Perfetto trace: tracks in groups, slices with arrows between them, instants and counters.

A packet is some 60 bytes before it is compressed, and is made by numpy, thousands at a time. As text, which
the browser opens too, a slice is some 200 bytes, and takes Python longer than the simulation.
Ref: perfetto.dev, ``protos/perfetto/trace/trace_packet.proto`` and ``track_event/``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .packets import Part, field, fill, fixed, message, number, width

__all__ = ["TracePackets"]

_TIMESTAMP, _SEQUENCE, _EVENT, _INTERNED, _FLAGS, _DESCRIPTOR = 8, 10, 11, 12, 13, 60
_TYPE, _UUID, _NAME, _FLOW, _NOTE, _COUNTER = 9, 11, 10, 47, 4, 30
_BEGIN, _END, _INSTANT, _COUNT = 1, 2, 3, 4
_CLEARED, _NEEDS = 1, 2
_TRACE_PACKET = 1

_IN_ORDER = 3
"""Tracks below stand in the order in which they say."""


class TracePackets:
    """Makes a trace of events at cycles of ``period_ns``, which is rounded to whole nanoseconds at the end.

    ``notes`` are the names of numbers that slices may have. ``pieces`` gives the trace so far.
    """

    def __init__(self, period_ns: float, notes: tuple[str, ...]):
        self._period = period_ns
        self._pieces: list[bytes] = []
        self._tracks = 0
        self._names: dict[str, int] = {}
        self._ranks: dict[int, int] = {}
        rows = [message(3, field(1, n), field(2, note)) for n, note in enumerate(notes, 1)]
        self._keys = {note: n for n, note in enumerate(notes, 1)}
        self._packet(field(_FLAGS, _CLEARED | _NEEDS), message(_INTERNED, *rows))

    def pieces(self) -> Iterator[bytes]:
        """The trace, in pieces."""
        return iter(self._pieces)

    # --- tracks --------------------------------------------------------------------------------------------

    def group(self, name: str, parent: int = 0) -> int:
        """A group of tracks, in the order in which they come; its number."""
        return self._track(name, parent, field(11, _IN_ORDER))

    def counter(self, name: str, parent: int, unit: str) -> int:
        """A track of a number."""
        return self._track(name, parent, message(8, field(6, unit)))

    def track(self, name: str, parent: int) -> int:
        """A track of slices, one at a time, and instants."""
        return self._track(name, parent)

    def _track(self, name: str, parent: int, *more: list[Part]) -> int:
        self._tracks += 1
        rank = self._ranks[parent] = self._ranks.get(parent, 0) + 1
        above = [field(5, parent)] if parent else []
        rows = [field(1, self._tracks), field(2, name), *above, field(12, rank), *more]
        self._packet(message(_DESCRIPTOR, *rows))
        return self._tracks

    def _packet(self, *fields: list[Part]) -> None:
        self._pieces.append(b"".join(_whole(message(_TRACE_PACKET, field(_SEQUENCE, 1), *fields))))

    def names(self, names: np.ndarray | list[str]) -> np.ndarray:
        """The numbers of names of slices."""
        words = np.asarray(names)
        found, places = np.unique(words, return_inverse=True)
        for name in found.tolist():
            if name not in self._names:
                self._names[name] = len(self._names) + 1
                row = message(2, field(1, self._names[name]), field(2, name))
                self._packet(field(_FLAGS, _NEEDS), message(_INTERNED, row))
        return np.array([self._names[name] for name in found.tolist()], np.int64)[places]

    # --- events --------------------------------------------------------------------------------------------

    def _times(self, cycles: Any) -> np.ndarray:
        return np.rint(np.asarray(cycles).astype(np.float64) * self._period).astype(np.int64)

    def _event(self, kind: int, time: str, columns: Mapping[str, Any], *more: list[Part]) -> list[Part]:
        event = message(_EVENT, field(_TYPE, kind), _number(_UUID, "track", columns), *more)
        head = [_number(_TIMESTAMP, time, columns), field(_SEQUENCE, 1), field(_FLAGS, _NEEDS)]
        return message(_TRACE_PACKET, *head, event)

    def _named(self, notes: Iterable[str], columns: Mapping[str, Any]) -> list[list[Part]]:
        rows = [message(_NOTE, field(1, self._keys[note]), _number(3, note, columns)) for note in notes]
        return [_number(_NAME, "name", columns), *rows]

    def slices(
        self, tracks: Any, names: Any, begin: Any, end: Any, notes: Mapping[str, Any], flows: Any = None
    ) -> None:
        """Slices, each with its track, its name (a number of :meth:`names`), cycles, ``notes`` and flow.

        Those of one track come in the order of time, and do not overlap. Slices with the same of ``flows``
        are joined by arrows.
        """
        columns = {**notes, "track": tracks, "name": names, "flow": flows}
        columns |= {"begin": self._times(begin), "end": self._times(end)}
        named = self._named(notes, columns)
        if flows is not None:
            named.append(fixed(_FLOW, "flow"))
        parts = [*self._event(_BEGIN, "begin", columns, *named), *self._event(_END, "end", columns)]
        self._pieces.append(fill(parts, len(begin), columns).tobytes())

    def instants(self, tracks: Any, names: Any, times: Any, notes: Mapping[str, Any]) -> None:
        """Events without a duration."""
        columns = {**notes, "track": tracks, "name": names, "begin": self._times(times)}
        parts = self._event(_INSTANT, "begin", columns, *self._named(notes, columns))
        self._pieces.append(fill(parts, len(times), columns).tobytes())

    def counts(self, track: int, times: Any, values: Any) -> None:
        """What a counter is from each of ``times`` on."""
        columns = {"track": track, "begin": self._times(times), "value": values}
        parts = self._event(_COUNT, "begin", columns, _number(_COUNTER, "value", columns))
        self._pieces.append(fill(parts, len(times), columns).tobytes())


def _number(key: int, slot: str, columns: Mapping[str, Any]) -> list[Part]:
    return number(key, slot, width(columns[slot]))


def _whole(parts: list[Part]) -> list[bytes]:
    """Parts without slots."""
    return [part for part in parts if isinstance(part, bytes)]
