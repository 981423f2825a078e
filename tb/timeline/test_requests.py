"""The life of requests, from events that a walker could have made."""

from typing import Any

import numpy as np

from ringwalker_sim.timeline.events import EventKind, event_type
from ringwalker_sim.timeline.requests import BOUNDARIES, SEGMENTS, UNKNOWN, find_requests, segments
from ringwalker_sim.timeline.words import StageKind


def _events(*rows: tuple[int, Any] | tuple[int, Any, dict[str, int]]) -> np.ndarray:
    """Rows of time, kind, and fields."""
    events = np.zeros(len(rows), event_type)
    for event, (time, kind, *fields) in zip(events, rows, strict=True):
        event["begin"] = event["end"] = time
        event["kind"] = EventKind.STAGE + kind if isinstance(kind, StageKind) else kind
        for name, value in (fields[0] if fields else {}).items():
            event[name] = value
    return events[np.argsort(events["end"], kind="stable")]


def _device(begin: int, head: int, index: int, queue: int = 0, wakes: bool = True) -> list[Any]:
    """What a walker does with one chain whose entry is number ``index - 1``."""
    own = {"queue": queue, "id": head}
    woken = [
        (begin, StageKind.DOORBELL, {"queue": queue}),
        (begin + 1, StageKind.VISIT, {"queue": queue}),
        (begin + 10, StageKind.INDEX, {"queue": queue, "id": index}),
    ]
    return [
        *(woken if wakes else []),
        (begin + 20, StageKind.HEAD, {**own, "number": 2}),
        (begin + 30, StageKind.CHAIN, {**own, "number": 16}),
        (begin + 31, StageKind.DISPATCH, {"queue": queue, "number": 513}),
        (begin + 40, StageKind.PAYLOAD),
        (begin + 60, StageKind.ANSWER),
        (begin + 62, StageKind.COMPLETE, {**own, "number": 513}),
        (begin + 70, StageKind.USED, {"queue": queue, "id": index}),
        (begin + 71, StageKind.LOOK, {"queue": queue, "id": queue + 1}),
        (begin + 80, StageKind.INTERRUPT, {"id": queue + 1}),
    ]


def _driver(added: int, shown: int, taken: int, head: int, number: int, queue: int = 0) -> list[Any]:
    return [
        (added, EventKind.ADDED, {"queue": queue, "id": head, "number": number}),
        (shown, EventKind.SHOWN, {"queue": queue, "number": 1}),
        (taken, EventKind.TAKEN, {"queue": queue, "number": number}),
    ]


def _at(request: np.void) -> dict[str, int]:
    return dict(zip(BOUNDARIES, request["at"].tolist(), strict=True))


def test_one_request() -> None:
    """Each boundary is where its stage says; what lies between two of them is a segment."""
    (request,) = find_requests(_events(*_driver(90, 92, 190, 5, 1), *_device(100, 5, 1)))
    assert (request["id"], request["number"]) == (5, 1)
    assert (request["readable"], request["writable"], request["written"]) == (16, 513, 513)
    assert request["at"].tolist() == [90, 92, 100, 101, 110, 120, 130, 131, 140, 160, 162, 170, 180, 190]
    assert segments(np.array([request])).sum() == 100
    assert len(SEGMENTS) == len(BOUNDARIES) - 1


def test_what_was_passed_earlier_takes_no_time() -> None:
    """Two buffers with one notification, one visit and one index: the second waits for its entry alone."""
    second = [row for row in _device(103, 6, 2, wakes=False) if row[1] is not StageKind.INTERRUPT]
    first = [(time, kind, *rest) for time, kind, *rest in _device(100, 5, 2)]
    events = _events(*_driver(90, 90, 190, 5, 1), *_driver(105, 105, 191, 6, 2), *first, *second)
    one, other = find_requests(events)
    assert _at(one)["used"] == 170
    assert [_at(other)[name] for name in ("shown", "doorbell", "visited")] == [105, 105, 105]
    assert _at(other)["available"] == 110
    assert segments(np.array([one, other])).sum(axis=1).tolist() == [100, 86]


def test_a_guess_that_was_none_is_no_request() -> None:
    """What was begun at a wrong guess does not shift the requests behind it."""
    wrong = [
        (112, StageKind.HEAD, {"id": 9, "number": 3}),
        (115, StageKind.WITHDRAW),
    ]
    (request,) = find_requests(_events(*_driver(90, 90, 190, 5, 1), *_device(100, 5, 1), *wrong))
    assert (request["id"], _at(request)["head"]) == (5, 120)


def test_a_used_index_counts_for_those_that_it_covers() -> None:
    """A chain that ends just before the index of an older batch is written is not used with that."""
    one, other = _device(100, 5, 1), _device(105, 6, 2)
    finds = [*_driver(90, 90, 190, 5, 1), *_driver(91, 91, 190, 6, 2)]
    first, second = find_requests(_events(*finds, *one, *other))
    assert (_at(first)["used"], _at(second)["used"]) == (170, 175)


def test_requests_before_and_behind_a_reset() -> None:
    """A chain that a flush took away is no request; the next life of the queue begins at 0."""
    lost = [row for row in _device(100, 5, 1) if row[1] not in (StageKind.USED, StageKind.COMPLETE)]
    reset = [(500, StageKind.FLUSH), (501, StageKind.CLEAR, {"queue": 0})]
    gone = [(90, EventKind.ADDED, {"id": 5, "number": 1}), (90, EventKind.SHOWN)]
    events = _events(*gone, *lost, *reset, *_driver(900, 900, 1000, 5, 1), *_device(905, 5, 1))
    (request,) = find_requests(events)
    assert (request["at"][0], request["at"][-1]) == (900, 1000)


def test_a_request_that_no_driver_tells_of() -> None:
    """In a virtual machine a request lasts from its notification to that of the device."""
    (request,) = find_requests(_events(*_device(100, 5, 1)))
    assert request["number"] == UNKNOWN
    assert (request["at"][0], request["at"][-1]) == (100, 180)
    assert segments(np.array([request])).sum() == 80


def test_an_interrupt_that_the_driver_did_not_wait_for() -> None:
    """A driver that polls has its buffer before the interrupt comes, which is no part of the request then."""
    (request,) = find_requests(_events(*_driver(90, 90, 175, 5, 1), *_device(100, 5, 1)))
    assert (_at(request)["interrupt"], request["at"][-1]) == (170, 175)


def test_lanes_and_queues_are_apart() -> None:
    """What is in the order of a lane is not mixed with another lane's."""
    other = [
        (time, kind, {**(rest[0] if rest else {}), "lane": 1}) for time, kind, *rest in _device(93, 5, 1, 3)
    ]
    found = find_requests(_events(*_device(100, 5, 1), *other))
    assert [(int(r["lane"]), int(r["queue"]), int(r["at"][-1])) for r in found] == [(1, 3, 173), (0, 0, 180)]
