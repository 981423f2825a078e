"""The segments of 10,000 requests of each function add up to their latency: figures of docs/timeline.md."""

import numpy as np
import pytest

from ringwalker_sim.errors import DataError
from ringwalker_sim.timeline.events import EventKind
from ringwalker_sim.timeline.residue import REQUESTS, Load, loads, measured_residue, residue
from ringwalker_sim.timeline.timeline import Timeline

from .test_requests import _device, _driver, _events


def _timeline(*rows: tuple) -> Timeline:
    return Timeline(_events(*rows), {})


def test_residue_of_a_request_whose_driver_saw_something_else() -> None:
    """Every cycle between the sum and what the driver saw counts, too many as well as too few."""
    timeline = _timeline(*_driver(90, 92, 190, 5, 1), *_device(100, 5, 1))
    assert residue(timeline) == 0
    for found in (187, 193):
        other = Timeline(timeline.events.copy(), {})
        assert len(other.requests) == 1  # found of what was recorded
        other.events["end"][other.events["kind"] == EventKind.TAKEN] = found
        assert residue(other) == 3


def test_a_request_of_no_driver_has_no_residue() -> None:
    """What nobody has measured is no figure."""
    with pytest.raises(DataError, match="1 of 1 requests are of no driver"):
        residue(_timeline(*_device(100, 5, 1)))


@pytest.mark.campaign
@pytest.mark.parametrize("load", [*loads()], ids=str)
def test_residue_of_10000_requests(load: Load) -> None:
    """Whatever the function and the ring, no cycle of a request is missing, and none counts twice."""
    figures = measured_residue(load)
    print(figures)
    assert figures["requests"] >= REQUESTS
    assert figures["residue_cycles"] == 0
    assert (np.array(list(figures["mean_cycles"].values())) >= 0).all()
