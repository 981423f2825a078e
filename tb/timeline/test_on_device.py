"""Timelines of the device: each stage is seen, and the segments of a request are what its driver measured."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker_sim.engine.engines import run_here
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.timeline.events import EventKind
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.picture import picture
from ringwalker_sim.timeline.requests import SEGMENTS, UNKNOWN
from ringwalker_sim.timeline.timeline import Timeline
from ringwalker_sim.timeline.words import StageKind
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job

pytestmark = pytest.mark.slow

CONFIG = replace(SMALL_BLK, ring="both")
LINK = HostParameters(link_bytes_per_cycle=4.0, latency=125)
JOB = Job(BlockTask(Workload("randread", 512, 8, 64, seed=3)), host=LINK, memory_bytes=4 << 20)
TITLE = "Sixteen reads of 512 bytes, eight at a time: what each waits for"
PICTURE = Path("docs/timeline.svg")

_ONLY_PACKED = {StageKind.POLL, StageKind.USED_PACKED}
_ONLY_SPLIT = {StageKind.INDEX, StageKind.USED, StageKind.CONFIRM}
_OF_BOTH = set(StageKind) - _ONLY_PACKED - _ONLY_SPLIT - {StageKind.WITHDRAW}


@pytest.fixture(scope="module", params=["split", "packed"])
def ring(request: pytest.FixtureRequest) -> str:
    """The ring of the run."""
    return request.param


@pytest.fixture(scope="module")
def run(ring: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Timeline]:
    """The result of a short run, and its timeline."""
    file = tmp_path_factory.mktemp("timeline") / "run.pftrace"
    job = replace(JOB, rings=("RING_PACKED",) if ring == "packed" else ())

    def counted(port: Any, run: Any) -> dict:
        return {**run(), "tlps": port.tlps()}  # of all, the end included

    result = run_here("native", CONFIG, job, None, None, None, False, counted, timeline=file)
    return result, load(file)


def test_every_stage_is_seen(run: tuple[dict, Timeline], ring: str) -> None:
    """A stage whose stream has another name is missed here."""
    kinds = run[1].events["kind"]
    seen = {StageKind(kind - EventKind.STAGE) for kind in np.unique(kinds[kinds >= EventKind.STAGE]).tolist()}
    assert seen >= _OF_BOTH | (_ONLY_PACKED if ring == "packed" else {StageKind.INDEX, StageKind.USED})
    assert not seen & (_ONLY_SPLIT if ring == "packed" else _ONLY_PACKED)


def test_segments_are_what_the_driver_measured(run: tuple[dict, Timeline]) -> None:
    """From the cycle in which a buffer is shown to the device the segments are the latency of the run."""
    result, timeline = run
    assert result["errors"] == 0
    requests, segments = timeline.requests, timeline.segments
    assert (requests["number"] != UNKNOWN).all()
    assert (segments.sum(axis=1) == timeline.latencies).all()
    assert (segments >= 0).all()
    # The first request is the driver's own: it reads the serial number.
    shown = segments[1:, 1:].sum(axis=1)
    assert shown.max() == result["latency_cycles"]["max"]
    assert int(np.percentile(shown, 50, method="inverted_cdf")) == result["latency_cycles"]["p50"]
    assert (segments[:, SEGMENTS.index("function")] > 0).all()


def test_tlps_are_those_that_the_host_counted(run: tuple[dict, Timeline]) -> None:
    """No packet is missing, and none is there twice."""
    result, timeline = run
    kinds = timeline.tlps["kind"]
    tlps = result["tlps"]
    up = sum(value for name, value in tlps.items() if name.startswith("up_"))
    down = sum(value for name, value in tlps.items() if name.startswith("down_"))
    assert (kinds <= EventKind.UP_MESSAGE).sum() == up
    assert (kinds > EventKind.UP_MESSAGE).sum() == down


def test_picture_of_the_docs(run: tuple[dict, Timeline], ring: str) -> None:
    """The picture is that of this run. With RINGWALKER_WRITE_DOCS it is written."""
    if ring == "packed":
        pytest.skip("the picture is of a split ring")
    drawn = picture(run[1], 1, 16, TITLE)  # behind that of the serial number
    if os.environ.get("RINGWALKER_WRITE_DOCS"):
        PICTURE.write_text(drawn)
    assert PICTURE.read_text() == drawn
