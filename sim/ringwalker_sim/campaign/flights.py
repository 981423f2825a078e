"""The tasks of one run on a cluster: which wait, which are in flight, and what their machines need first."""

import queue
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import KilledWorker

from ..errors import EXIT_FAILED, RingwalkerError
from .task import Call, Result, Say, Task

__all__ = ["ClusterError", "Flights", "LostClusterError", "Prepared"]

_POLL_SECONDS = 0.5

_DEATHS = 2
"""Workers that may die of a task before it is run with nothing beside it."""

Prepared = dict[tuple[str, str], Mapping[str, Any] | None]
"""By host and words of a preparation: what came of it, or None while it is in flight."""


class ClusterError(RingwalkerError):
    """The scheduler cannot be reached; the message says why."""


class LostClusterError(ClusterError):
    """The scheduler that had the tasks is gone."""

    exit_code = EXIT_FAILED


@dataclass(frozen=True)
class _Flight:
    """A ``call`` in flight: of a task, or one that prepares ``host``; ``alone``: with nothing beside it."""

    future: Any
    call: Call
    host: str = ""
    alone: bool = False


class Flights:
    """Carries out ``tasks``: no more in flight than there are places, each where its preparations are made.

    ``machines()`` gives the hosts that have workers, and how many tasks each can do at once;
    ``submit(call, key, hosts)`` begins a call on one of ``hosts``, or on any where there are none, and gives
    its future. ``prepared`` is kept from one run to the next.

    A worker that dies is a suspicion against all that it had, so a task of which workers died is run again,
    in the end with nothing beside it: then it is known that it kills.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        machines: Callable[[], Mapping[str, int]],
        submit: Callable[[Call, str, Sequence[str]], Any],
        say: Say,
        prepared: "Prepared",
    ):
        self._machines = machines
        self._submit = submit
        self._say = say
        self._waiting = list(reversed(tasks))
        self._suspects: list[Task] = []
        self._deaths: Counter[str] = Counter()
        self._flights: dict[str, _Flight] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._preparations = {call.words: call for task in tasks for call in task.prepare}
        self._prepared = prepared

    def give_up(self) -> list[Any]:
        """The futures of all calls in flight; nobody waits for them any more."""
        for place in [place for place, found in self._prepared.items() if found is None]:
            del self._prepared[place]
        return [flight.future for flight in self._flights.values()]

    def results(self) -> Iterator[Result]:
        """What comes of the tasks, in the order in which they end. Errors: :class:`LostClusterError`."""
        while self._waiting or self._suspects or self._flights:
            yield from self._start()
            try:
                future = self._ended.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            flight = self._flights.pop(future.key)
            found = self._outcome(flight)
            if isinstance(flight.call, Task):
                if found is not None:
                    yield Result(flight.call.key, **found)
            elif found is None:
                del self._prepared[flight.host, flight.call.words]
            else:
                self._prepared[flight.host, flight.call.words] = found

    def _start(self) -> Generator[Result]:
        """Begin what can begin; the results of tasks for which no machine can be prepared."""
        machines = self._machines()
        if not machines:
            self._say("no workers are there; waiting for one")
            return
        for host in machines:
            for words, call in self._preparations.items():
                if (host, words) not in self._prepared:
                    self._prepared[host, words] = None
                    self._begin(call, f"preparing machine {host}", [host], host)
        running = [flight for flight in self._flights.values() if isinstance(flight.call, Task)]
        if self._suspects and not self._waiting and not running:  # It has nothing beside it.
            task = self._suspects.pop()
            self._begin(task, task.key, self._hosts_for(task, machines), alone=True)
            return
        places = sum(machines.values()) - len(self._flights)
        for number in range(len(self._waiting) - 1, -1, -1):
            if places <= 0:
                break
            task = self._waiting[number]
            hosts = self._hosts_for(task, machines)
            if hosts or not task.prepare:
                del self._waiting[number]
                self._begin(task, task.key, hosts)
                places -= 1
            elif failure := self._unprepared(task, machines):
                del self._waiting[number]
                yield Result(task.key, **failure)

    def _begin(self, call: Call, key: str, hosts: Sequence[str], host: str = "", alone: bool = False) -> None:
        future = self._submit(call, f"{key}-{uuid.uuid4().hex[:12]}", hosts)
        self._flights[future.key] = _Flight(future, call, host, alone)
        future.add_done_callback(self._ended.put)
        self._say(key)

    def _hosts_for(self, task: Task, machines: Mapping[str, int]) -> list[str]:
        """The machines on which all is prepared for a task that needs it."""

        def ready(host: str) -> bool:
            found = [self._prepared.get((host, call.words)) for call in task.prepare]
            return all(item is not None and not item.get("error") for item in found)

        return [host for host in machines if ready(host)] if task.prepare else []

    def _unprepared(self, task: Task, machines: Mapping[str, int]) -> dict[str, Any]:
        """Why no machine can be prepared for a task; nothing while one may."""
        failure: dict[str, Any] = {}
        for host in machines:
            found = [self._prepared.get((host, call.words)) for call in task.prepare]
            failures = [item for item in found if item is not None and item.get("error")]
            if not failures:
                return {}
            failure = failure or dict(failures[0])
        return failure

    def _outcome(self, flight: _Flight) -> dict[str, Any] | None:
        """What came of a call that has ended; None if it is to be run again."""
        if flight.future.status in ("cancelled", "lost"):
            raise LostClusterError("the scheduler has gone, or has forgotten what it was given")
        error = flight.future.exception()
        if error is None:
            return flight.future.result()
        if not isinstance(error, KilledWorker):
            return {"error": f"{type(error).__name__}: {error}", "exit_code": EXIT_FAILED}
        name = flight.call.key if isinstance(flight.call, Task) else f"{flight.host} {flight.call.words}"
        deaths = self._deaths[name] = self._deaths[name] + error.allowed_failures + 1
        if flight.alone or (deaths > _DEATHS and not isinstance(flight.call, Task)):
            text = f"it kills workers: {deaths} died of it"
            return {"error": text, "exit_code": EXIT_FAILED, "kills": True}
        if isinstance(flight.call, Task):
            (self._suspects if deaths >= _DEATHS else self._waiting).append(flight.call)
        return None
