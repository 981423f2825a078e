"""What is in flight on a cluster, on one that is played: machines, preparations, and workers that die."""

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import KilledWorker

from ringwalker_sim.campaign.flights import ClusterError, Flights, Prepared
from ringwalker_sim.campaign.task import Call, Result, Task

MODEL = Call("build", {"model": 1})


class Played:
    """A cluster of ``machines``: calls end, the oldest first, when the number of them is asked for.

    ``ends(call, host, beside)`` is what comes of a call on a host with so many others in flight: fields of a
    result, or an exception.
    """

    def __init__(self, machines: dict[str, int], ends: Callable[[Call, str, int], Any]):
        self.machines = machines
        self.ends = ends
        self.begun: list[tuple[str, tuple[str, ...]]] = []
        self.most = 0
        self.status = "finished"
        self.prepared: Prepared = {}
        self._open: list[tuple[Any, Call, str]] = []

    def now(self) -> dict[str, int]:
        if self._open:
            future, call, host = self._open.pop(0)
            future.found = self.ends(call, host, len(self._open))
            future.status = self.status
            future.callback(future)
        return self.machines

    def submit(self, call: Call, key: str, hosts: Sequence[str]) -> Any:
        name = call.key if isinstance(call, Task) else call.function
        self.begun.append((name, tuple(hosts)))
        future = SimpleNamespace(key=key, status="pending")
        future.exception = lambda: future.found if isinstance(future.found, Exception) else None
        future.result = lambda: future.found
        future.add_done_callback = lambda callback: setattr(future, "callback", callback)
        self._open.append((future, call, hosts[0] if hosts else ""))
        self.most = max(self.most, len(self._open))
        return future

    def run(self, tasks: Sequence[Task]) -> dict[str, Result]:
        flights = Flights(tasks, self.now, self.submit, lambda _text: None, self.prepared)
        return {item.key: item for item in flights.results()}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwalker_sim.campaign.flights._POLL_SECONDS", 0.001)


def tasks(*names: str, prepare: tuple[Call, ...] = ()) -> list[Task]:
    return [Task("work", {}, name, prepare) for name in names]


def good(*_what: Any) -> Any:
    return {"value": 1}


def died(allowed: int = 0) -> KilledWorker:
    worker: Any = SimpleNamespace(address="tcp://there")
    return KilledWorker("key", worker, allowed)


def test_no_more_are_in_flight_than_there_are_places():
    cluster = Played({"a": 2, "b": 1}, good)
    assert len(cluster.run(tasks(*"123456789"))) == 9
    assert cluster.most == 3
    assert [name for name, _hosts in cluster.begun] == list("123456789")


def test_a_preparation_is_made_once_on_each_machine_and_kept():
    cluster = Played({"a": 1, "b": 1}, good)
    cluster.run(tasks("1", "2", prepare=(MODEL,)))
    cluster.run(tasks("3", prepare=(MODEL,)))
    assert [hosts for name, hosts in cluster.begun if name == "build"] == [("a",), ("b",)]


def test_tasks_stay_away_from_a_machine_that_cannot_be_prepared():
    def ends(call: Call, host: str, _beside: int) -> Any:
        return {"error": "no compiler"} if call is MODEL and host == "a" else {"value": host}

    cluster = Played({"a": 1, "b": 1}, ends)
    found = cluster.run(tasks(*"1234", prepare=(MODEL,)))
    assert [item.value for item in found.values()] == ["b"] * 4


def test_where_no_machine_can_be_prepared_the_tasks_that_need_it_fail():
    cluster = Played({"a": 1, "b": 1}, lambda call, *_: {"error": "no g++"} if call is MODEL else good())
    found = cluster.run([*tasks("1", "2", prepare=(MODEL,)), *tasks("3")])
    assert {key: item.error for key, item in found.items()} == {"1": "no g++", "2": "no g++", "3": ""}


def test_a_machine_that_comes_later_is_prepared_too():
    cluster = Played({}, good)

    def now() -> dict[str, int]:
        cluster.machines = {"a": 1} if len(cluster.begun) < 4 else {"a": 1, "late": 1}
        return Played.now(cluster)

    flights = Flights(
        tasks(*"123456", prepare=(MODEL,)), now, cluster.submit, lambda _text: None, cluster.prepared
    )
    assert len(list(flights.results())) == 6
    assert ("build", ("late",)) in cluster.begun
    assert cluster.begun[-1][1] == ("a", "late")


@pytest.mark.parametrize("allowed", [0, 3])
def test_a_task_that_kills_is_found_among_those_that_died_with_it(allowed: int):
    runs: Counter[str] = Counter()

    def ends(call: Call, _host: str, beside: int) -> Any:
        assert isinstance(call, Task)
        runs[call.key] += 1
        # Whatever is beside it dies of it, too.
        return died(allowed) if call.key == "kills" or (beside and runs[call.key] < 3) else good()

    found = Played({"a": 3}, ends).run(tasks("1", "kills", "2", "3"))
    assert {key: item.kills for key, item in found.items()} == {
        "1": False,
        "2": False,
        "3": False,
        "kills": True,
    }
    assert found["kills"].error == f"it kills workers: {runs['kills'] * (allowed + 1)} died of it"
    assert runs["kills"] <= 3


def test_a_preparation_whose_worker_died_is_made_again_but_not_for_ever():
    runs: Counter[bool] = Counter()

    def ends(call: Call, _host: str, _beside: int) -> Any:
        runs[call is MODEL] += 1
        return died() if call is MODEL and runs[True] < deaths + 1 else good()

    deaths = 2
    assert Played({"a": 1}, ends).run(tasks("1", prepare=(MODEL,)))["1"].value == 1
    runs.clear()
    deaths = 5
    found = Played({"a": 1}, ends).run(tasks("1", prepare=(MODEL,)))["1"]
    assert found.error == "it kills workers: 3 died of it"


def test_an_error_of_the_cluster_is_that_of_the_task():
    found = Played({"a": 1}, lambda *_: ModuleNotFoundError("No module named 'x'")).run(tasks("1"))
    assert found["1"].error == "ModuleNotFoundError: No module named 'x'"


def test_a_scheduler_that_has_forgotten_ends_the_run():
    cluster = Played({"a": 1}, good)
    cluster.status = "cancelled"
    with pytest.raises(ClusterError, match="the scheduler has gone"):
        cluster.run(tasks("1"))
