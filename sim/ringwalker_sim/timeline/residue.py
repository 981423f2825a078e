"""Whether the segments of requests add up to what their drivers saw, over many requests of each function."""

import dataclasses
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..engine.engines import run_on_engine
from ..errors import DataError
from ..host import HostParameters
from ..testing.devices import SMALL_BLK, SMALL_CONSOLE, SMALL_NET, SMALL_RNG
from ..workload.block_task import BlockTask, Workload
from ..workload.console_task import ConsoleTask
from ..workload.frame_traffic import random_frames
from ..workload.job import DeviceTask, Job
from ..workload.net_task import NetTask
from ..workload.rng_task import RngTask
from .events import EventKind
from .file import load
from .requests import SEGMENTS, UNKNOWN
from .timeline import Timeline

__all__ = ["REQUESTS", "RING_FORMATS", "Load", "loads", "measured_residue", "residue"]

REQUESTS = 10_000
"""At least so many of each load."""

RING_FORMATS = ("split", "packed")

_SEED = 3
_LINK = HostParameters(link_bytes_per_cycle=7.877 * 4, latency=125, latency_jitter=30)
_CONSOLE_BYTES, _NOISE_BYTES = 256, 4096
"""Of a request: what the drivers have for buffers. A byte of the console goes in and comes out."""


@dataclass(frozen=True)
class Load:
    """Requests of a function on one kind of ring: of a small device, and of a host that answers unevenly."""

    config: DeviceConfig
    ring: str
    requests: int

    def __str__(self) -> str:
        return f"{self.config.function}-{self.ring}"

    @property
    def job(self) -> Job:
        """What is done."""
        rings = ("RING_PACKED",) if self.ring == "packed" else ()
        return Job(self._task(), host=_LINK, seed=_SEED, rings=rings, memory_bytes=64 << 20)

    def _task(self) -> DeviceTask:
        count = self.requests
        if self.config.function == "blk":
            return BlockTask(Workload("randrw", 512, 32, count, seed=_SEED))
        if self.config.function == "net":
            address = SMALL_NET.settings.address
            return NetTask(tuple(random_frames(count, (60, 1514), address, bytes(6), _SEED)))
        if self.config.function == "console":
            return ConsoleTask(random.Random(_SEED).randbytes(count * _CONSOLE_BYTES // 2))
        return RngTask(count * _NOISE_BYTES)


def loads(requests: int = REQUESTS) -> Iterator[Load]:
    """Each function with each ring."""
    for config in (SMALL_BLK, SMALL_NET, SMALL_CONSOLE, SMALL_RNG):
        for ring in RING_FORMATS:
            yield Load(dataclasses.replace(config, ring="both"), ring, requests)


def residue(timeline: Timeline) -> int:
    """Cycles by which sums of segments differ from what drivers saw, from adding a buffer to finding it used:
    the sum over all requests. Errors: :class:`DataError` for a request that no driver knows.
    """
    requests = timeline.requests
    if (unknown := int((requests["number"] == UNKNOWN).sum())) or (timeline.segments < 0).any():
        raise DataError(f"{unknown} of {len(requests)} requests are of no driver, or a segment is negative")
    events = timeline.of(EventKind.ADDED), timeline.of(EventKind.TAKEN)
    added, taken = ({(r["queue"], r["number"]): int(r["end"]) for r in rows} for rows in events)
    seen = [taken[key] - added[key] for key in zip(requests["queue"], requests["number"], strict=True)]
    return int(np.abs(timeline.segments.sum(axis=1) - np.array(seen)).sum())


def measured_residue(load_: Load) -> dict[str, Any]:
    """Do ``load_``: ``function``, ``ring``, ``requests``, ``events``, ``file_bytes``, ``residue_cycles``, and
    ``mean_cycles`` of each segment. Errors: :class:`DataError`, those of the run.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
        file = Path(folder) / "run.pftrace"
        result = run_on_engine("native", load_.config, load_.job, at_once=False, timeline=file)
        if result["errors"] or result.get("unwritten"):
            raise DataError("; ".join([*result.get("messages", ()), *result.get("unwritten", ())]))
        timeline, size = load(file), file.stat().st_size
    means = timeline.segments.mean(axis=0).round(1).tolist()
    return {
        "function": load_.config.function,
        "ring": load_.ring,
        "requests": len(timeline.requests),
        "events": len(timeline.events),
        "file_bytes": size,
        "residue_cycles": residue(timeline),
        "mean_cycles": dict(zip(SEGMENTS, means, strict=True)),
    }
