"""The data behind the charts: what a page has as JSON, and long columns of numbers beside it, compressed."""

import base64
import json
import zlib
from typing import Any

import numpy as np

from ringwalker.spec.tlp import RequestKind

from ..timeline.events import EventKind
from ..timeline.requests import BOUNDARIES, SEGMENTS
from ..timeline.timeline import UP, Timeline
from ..timeline.tracks import tlp_names
from .figures import Detail, Lane

__all__ = ["chart_data"]

_SAMPLES = 100_000
"""Latencies of a chart; of more, as many that are evenly spread in their order."""


class _Columns:
    """Columns that the page's script finds by their names."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.index: dict[str, list[Any]] = {}

    def add(self, name: str, values: np.ndarray) -> None:
        """Whole numbers as they fit, others as floats."""
        values = np.asarray(values)
        largest = int(values.max(initial=0)) if values.dtype.kind in "iu" else None
        if largest is None or largest >= 1 << 32 or int(values.min(initial=0)) < 0:
            kind, dtype = "Float64Array", "<f8"
        else:
            sizes = (("Uint8Array", "u1", 8), ("Uint16Array", "<u2", 16), ("Uint32Array", "<u4", 32))
            kind, dtype = next((kind, dtype) for kind, dtype, bits in sizes if largest < 1 << bits)
        data = np.ascontiguousarray(values, dtype).tobytes()
        self.index[name] = [kind, self._size, values.size]
        padded = data + bytes(-len(data) % 8)
        self._parts.append(padded)
        self._size += len(padded)

    def text(self) -> str:
        """All of them, for a ``DecompressionStream`` of kind ``deflate``."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), 9)).decode()


def chart_data(
    timeline: Timeline, window: int, lanes: list[Lane], part: Detail, slow: np.ndarray
) -> tuple[str, str]:
    """JSON, and the columns to which it refers."""
    columns = _Columns()
    latencies = np.sort(timeline.latencies)
    if len(latencies) > _SAMPLES:
        latencies = latencies[np.linspace(0, len(latencies) - 1, _SAMPLES).astype(np.int64)]
    columns.add("latencies", latencies)
    described = []
    for number, lane in enumerate(lanes):
        values = np.rint(lane.values) if not np.any(np.mod(lane.values, 1)) else lane.values
        columns.add(f"lane{number}", values.astype(np.int64) if values is not lane.values else lane.values)
        described.append(
            {
                "group": lane.group,
                "name": lane.name,
                "unit": lane.unit,
                "scale": lane.scale,
                "full": lane.full,
                "segment": lane.segment,
            }
        )
    kept = np.unique(np.concatenate([part.requests, slow]))
    requests = timeline.requests[kept]
    columns.add("request", kept)
    columns.add("queue", requests["queue"])
    columns.add("readable", requests["readable"])
    columns.add("written", requests["written"])
    columns.add("at", requests["at"].ravel())
    tlps = part.tlps
    names = tlp_names(tlps)
    kinds, which = np.unique(names, return_inverse=True)
    ended = tlps["end"].astype(np.int64)
    columns.add("tlpBegin", np.minimum(tlps["begin"].astype(np.int64), ended - 1).clip(0))
    columns.add("tlpEnd", ended)
    columns.add("tlpKind", which)
    columns.add("tlpUp", np.isin(tlps["kind"], UP).astype(np.uint8))
    columns.add("tlpTag", tlps["id"])
    columns.add("tlpBytes", tlps["bytes"])
    columns.add("tlpWire", tlps["wire"])
    address = np.where(_has_address(tlps), tlps["number"], 0)
    columns.add("tlpHigh", address >> np.uint64(32))
    columns.add("tlpLow", address & np.uint64(0xFFFFFFFF))
    columns.add("tlpHas", _has_address(tlps).astype(np.uint8))
    about = {
        "clock": timeline.about["clock_mhz"],
        "cycles": timeline.cycles,
        "window": window,
        "segments": list(SEGMENTS),
        "boundaries": list(BOUNDARIES),
        "lanes": described,
        "kinds": kinds.tolist(),
        "first": part.first,
        "last": part.last,
        "columns": columns.index,
    }
    return json.dumps(about, separators=(",", ":")).replace("<", "\\u003c"), columns.text()


def _has_address(tlps: np.ndarray) -> np.ndarray:
    requests = np.isin(tlps["kind"], (EventKind.UP_REQUEST, EventKind.DOWN_REQUEST))
    configuration = np.isin(tlps["queue"], [kind.value for kind in RequestKind if "CONFIG" in kind.name])
    return requests & ~configuration | (tlps["kind"] == EventKind.UP_MESSAGE)
