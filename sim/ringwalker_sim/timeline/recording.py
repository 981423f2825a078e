"""Collects the events of a run: those of the engine in blocks, and those of a driver in Python."""

from collections.abc import Callable, Sequence

import numpy as np

from .events import EventKind, event_type

__all__ = ["MOST_EVENTS", "Recording"]

MOST_EVENTS = 8 << 20
"""Events of the engine that a timeline has at most: 400 MB. It ends there."""

_BLOCK = 1 << 14
"""Events that are worth taking."""

_ROWS = 1 << 14


class Recording:
    """Events of a run whose time is ``now()``, in cycles.

    ``waiting()`` says how many events the engine has, and ``take(array)`` moves them to an array of so many
    rows. The engine records ``most`` events, and no more. A driver in Python calls :meth:`added`,
    :meth:`shown` and :meth:`taken`, or those for many buffers.
    """

    def __init__(
        self,
        now: Callable[[], int],
        waiting: Callable[[], int],
        take: Callable[[np.ndarray], None],
        most: int = MOST_EVENTS,
    ):
        self.most = most
        self._recorded = 0
        self._now = now
        self._waiting = waiting
        self._take = take
        self._blocks: list[np.ndarray] = []
        self._rows: list[tuple[int, ...]] = []

    # --- the engine ----------------------------------------------------------------------------------------

    def collect(self, least: int = _BLOCK) -> None:
        """Take what the engine has, if that is ``least`` events or more."""
        count = self._waiting()
        if count >= max(1, least):
            block = np.empty(count, event_type)
            self._take(block)
            self._blocks.append(block)
            self._recorded += count

    def end(self) -> None:
        """Take the rest; the engine is closed."""
        self.collect(0)
        self._waiting = lambda: 0

    def events(self) -> np.ndarray:
        """All events so far, in the order of their ends."""
        self.collect(0)
        self._keep_rows()
        events = np.concatenate([np.empty(0, event_type), *self._blocks])
        # Of rows like these numpy takes many five times as fast as it indexes them.
        return events.take(np.argsort(events["end"], kind="stable"))

    def complete(self) -> bool:
        """Whether the engine has recorded all that has happened so far."""
        self.collect(0)
        return self._recorded < self.most

    # --- a driver in Python --------------------------------------------------------------------------------

    def added(self, queue: int, head: int, number: int, length: int) -> None:
        """The driver has added buffer ``number`` of ``queue``, which the device knows as ``head``."""
        now = self._now()
        self._row(now, now, number, EventKind.ADDED, queue, head, length)

    def shown(self, queue: int, rings: bool) -> None:
        """The driver shows the device what was added to ``queue``, and ``rings`` the doorbell or not."""
        now = self._now()
        self._row(now, now, int(rings), EventKind.SHOWN, queue, 0, 0)

    def taken(self, queue: int, number: int, length: int) -> None:
        """The driver has found that buffer ``number`` of ``queue`` is used, with ``length`` bytes."""
        now = self._now()
        self._row(now, now, number, EventKind.TAKEN, queue, 0, length)

    def added_many(self, queue: int, heads: Sequence[int], first: int, lengths: np.ndarray) -> None:
        """As :meth:`added`, for buffers with numbers from ``first`` on."""
        numbers = np.arange(first, first + len(heads))
        self._many(EventKind.ADDED, queue, numbers, lengths, heads)

    def taken_many(self, queue: int, numbers: Sequence[int], lengths: np.ndarray) -> None:
        """As :meth:`taken`, for many buffers."""
        self._many(EventKind.TAKEN, queue, np.asarray(numbers), lengths, 0)

    def _row(self, *row: int) -> None:
        self._rows.append((*row, 0, 0))
        if len(self._rows) >= _ROWS:
            self._keep_rows()

    def _keep_rows(self) -> None:
        if self._rows:
            self._blocks.append(np.array(self._rows, event_type))
            self._rows = []

    def _many(
        self,
        kind: EventKind,
        queue: int,
        numbers: np.ndarray,
        lengths: np.ndarray,
        heads: Sequence[int] | int,
    ) -> None:
        self._keep_rows()
        block = np.zeros(len(numbers), event_type)
        block["begin"] = block["end"] = self._now()
        block["kind"], block["queue"], block["id"] = kind, queue, heads
        block["number"], block["bytes"] = numbers, lengths
        self._blocks.append(block)
