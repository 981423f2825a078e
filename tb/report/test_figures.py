"""The numbers of a report against those of the timeline that they come from."""

from pathlib import Path

import numpy as np
import pytest

from ringwalker_sim.report import figures
from ringwalker_sim.report.figures import cohorts, detail, lanes, packets, percentile
from ringwalker_sim.timeline.events import EventKind
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.timeline import DOWN, UP, Timeline
from ringwalker_sim.timeline.words import StageKind
from ringwalker_sim.workload.figures import percentiles

RUN = Path(__file__).parent / "blk-run"


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    """A recorded run of 200 reads."""
    return load(RUN / "run.pftrace")


def test_segments_of_each_cohort_add_up_to_its_latencies(timeline: Timeline) -> None:
    """Exactly: the mean of the waterfall is the mean latency."""
    groups = cohorts(timeline)
    assert [group.name for group in groups] == ["All requests", "Faster half", "Slowest 1 %"]
    assert [len(group.which) for group in groups] == [201, 100, 2]
    for group in groups:
        assert sum(group.totals) == group.total == timeline.latencies[group.which].sum()
        assert group.residue == 0
    assert groups[2].latencies.min() >= groups[0].latencies.mean() >= groups[1].latencies.mean()


def test_percentiles_are_counted_as_those_of_a_run() -> None:
    """So that a report does not say another number than the command."""
    values = np.sort(np.random.default_rng(1).integers(0, 1000, 333))
    assert {
        "p50": percentile(values, 50),
        "p99": percentile(values, 99),
        "max": percentile(values, 100),
    } == percentiles(values.tolist())


def test_lanes_add_up_to_the_cycles_that_requests_spent(timeline: Timeline) -> None:
    """What a stage's lane holds is the sum of its segment; all stages together are the requests in flight."""
    window, found = lanes(timeline)
    assert window * figures._WINDOWS >= timeline.cycles
    segments = timeline.segments.sum(axis=0)
    stages = {lane.segment: lane.values for lane in found if lane.segment is not None}
    for place, values in stages.items():
        assert values.sum() == segments[place]
    in_flight = next(lane.values for lane in found if lane.name == "in flight")
    assert (np.sum(list(stages.values()), axis=0) == in_flight).all()


def test_lanes_of_the_link_hold_all_bytes(timeline: Timeline) -> None:
    """In per cent of what the link carries, never more than all of it."""
    window, found = lanes(timeline)
    link = {lane.name: lane for lane in found if lane.group == "Link"}
    for name, kinds in (("from the device", UP), ("to the device", DOWN)):
        lane = link[name]
        assert lane.values.sum() == pytest.approx(timeline.of(*kinds)["wire"].sum())
        assert lane.full == 100
        assert (lane.values / window * lane.scale).max() < 110
    times, values = timeline.reads_in_flight
    spent = (np.diff(times) * values[:-1]).sum() + values[-1] * (timeline.cycles - times[-1])
    assert link["reads in flight"].values.sum() == pytest.approx(spent, rel=0.01)


def test_lanes_count_notifications(timeline: Timeline) -> None:
    """As many as there were events."""
    found = {lane.name: lane.values.sum() for lane in lanes(timeline)[1]}
    for name, kind in (("notifications", StageKind.DOORBELL), ("interrupts", StageKind.INTERRUPT)):
        assert found[name] == len(timeline.of(EventKind.STAGE + kind))


def test_packets(timeline: Timeline) -> None:
    """Each TLP is counted once, and a read carries no payload."""
    found = packets(timeline)
    assert sum(item.count for item in found) == len(timeline.tlps)
    assert sum(item.wire for item in found) == timeline.tlps["wire"].sum()
    assert all(item.payload == 0 for item in found if "read" in item.kind)
    written = next(
        item for item in found if (item.direction, item.kind) == ("from the device", "memory write")
    )
    assert written.payload > 200 * 4096


def test_detail_of_a_long_run_is_around_the_slowest_request(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as there is room for, and the slowest request is in it."""
    assert detail(timeline).whole
    monkeypatch.setattr(figures, "_MOST_TLPS", 600)
    part = detail(timeline)
    assert not part.whole
    assert 500 <= len(part.tlps) <= 600
    slowest = timeline.requests[int(np.argmax(timeline.latencies))]["at"]
    assert part.first < slowest[-1]
    assert part.last > slowest[0]
    assert int(np.argmax(timeline.latencies)) in part.requests
