"""The segments of 10,000 requests of each function add up to their latency: figures of docs/timeline.md."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.engine.engines import run_on_engine
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.devices import SMALL_BLK, SMALL_CONSOLE, SMALL_NET, SMALL_RNG
from ringwalker_sim.timeline.events import EventKind
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.requests import BOUNDARIES, SEGMENTS, UNKNOWN
from ringwalker_sim.timeline.timeline import Timeline
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.console_task import ConsoleTask
from ringwalker_sim.workload.frame_traffic import random_frames
from ringwalker_sim.workload.job import Job
from ringwalker_sim.workload.net_task import NetTask
from ringwalker_sim.workload.rng_task import RngTask

REQUESTS = int(os.environ.get("RINGWALKER_RESIDUE", "10000"))
LINK = HostParameters(link_bytes_per_cycle=7.877 * 4, latency=125, latency_jitter=30)


def _job(function: str) -> Job:
    if function == "blk":
        task = BlockTask(Workload("randrw", 512, 32, REQUESTS, seed=3))
    elif function == "net":
        address = SMALL_NET.settings.address
        task = NetTask(tuple(random_frames(REQUESTS, (60, 1514), address, bytes(6), 3)))
    elif function == "console":
        task = ConsoleTask(os.urandom(8) * (REQUESTS * 4))
    else:
        task = RngTask(REQUESTS * 64)
    return Job(task, host=LINK, seed=3, memory_bytes=64 << 20)


def residue(timeline: Timeline) -> int:
    """The sum over all requests of how far the sum of segments is from what the driver saw."""
    requests = timeline.requests
    assert (requests["number"] != UNKNOWN).all()
    events = timeline.of(EventKind.ADDED), timeline.of(EventKind.TAKEN)
    added, taken = ({(r["queue"], r["number"]): int(r["end"]) for r in rows} for rows in events)
    seen = [taken[key] - added[key] for key in zip(requests["queue"], requests["number"], strict=True)]
    return int(np.abs(timeline.segments.sum(axis=1) - np.array(seen)).sum())


@pytest.mark.campaign
@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("config", [SMALL_BLK, SMALL_NET, SMALL_CONSOLE, SMALL_RNG], ids=lambda c: c.function)
def test_residue_of_10000_requests(config: DeviceConfig, packed: bool, tmp_path: Path) -> None:
    """Whatever the function and the ring, no cycle of a request is missing, and none counts twice."""
    job = replace(_job(config.function), rings=("RING_PACKED",) if packed else ())
    config = replace(config, ring="both")
    file = tmp_path / "run.pftrace"
    result = run_on_engine("native", config, job, timeline=file)
    assert result["errors"] == 0
    timeline = load(file)
    segments = timeline.segments
    assert len(timeline.requests) >= REQUESTS
    assert (segments >= 0).all()
    means = dict(zip(SEGMENTS, segments.mean(axis=0).round(1).tolist(), strict=True))
    figures = {"function": config.function, "requests": len(segments), "residue": residue(timeline)}
    print(json.dumps({**figures, "packed": packed, "mean_cycles": means}))
    assert figures["residue"] == 0
    at = timeline.requests["at"]
    assert (at[:, BOUNDARIES.index("head")] > at[:, BOUNDARIES.index("doorbell")]).all() or packed
