"""What was reached of what there could be: link, data path, tags and chains."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..host.link import LINKS, Link
from ..performance.cases import LARGEST_BATCH
from ..performance.ceiling import blk_cost
from ..timeline.requests import BOUNDARIES
from ..timeline.timeline import DOWN, UP, Timeline
from .material import Material

__all__ = ["Reached", "reached"]


@dataclass(frozen=True)
class Reached:
    """``value`` of at most ``ceiling``, in ``unit``; ``note`` says where the ceiling comes from."""

    name: str
    value: float
    ceiling: float
    unit: str
    note: str

    @property
    def part(self) -> float:
        """Of the ceiling."""
        return self.value / self.ceiling


def config_of(material: Material) -> Mapping[str, Any]:
    """The configuration of the device, as far as it is known."""
    try:
        return tomllib.loads(material.config or "")
    except tomllib.TOMLDecodeError:
        return {}


def busy_span(timeline: Timeline) -> tuple[int, int]:
    """The cycles in which there were requests, without those that the driver does while it sets up."""
    at = timeline.requests["at"]
    if not len(at):
        return 0, timeline.cycles
    # From the first time that half as many are in flight as ever.
    times, values = timeline.requests_in_flight
    first = int(times[np.argmax(values * 2 >= values.max())])
    return first, int(at[:, BOUNDARIES.index("taken")].max())


def _of_block_run(material: Material) -> Iterator[Reached]:
    """Requests a second against what their bytes on the link allow."""
    result, ran = material.result or {}, material.ran or {}
    task = (ran.get("job") or {}).get("task") or {}
    load = task.get("workload")
    link = LINKS.get(ran.get("link") or "")
    phase = next((row for row in result.get("phases", ()) if load and row["name"] == load["kind"]), None)
    if link is None or load is None or phase is None or not phase["cycles"]:
        return
    kind = load["kind"]
    directions = (
        ("read", "write") if kind.endswith("rw") else ("write" if kind.endswith("write") else "read",)
    )
    yield from _rates(material, link, load, phase, directions)


def _rates(
    material: Material, link: Link, load: Mapping[str, Any], phase: Mapping[str, Any], directions: Any
) -> Iterator[Reached]:
    rings = ((material.ran or {}).get("job") or {}).get("rings") or ()
    batch = min(load["queue_depth"], LARGEST_BATCH)
    use = {
        "ring": "packed"
        if "RING_PACKED" in rings and config_of(material).get("ring") != "split"
        else "split",
        "batch": batch,
        "in_order": "IN_ORDER" in rings,
        "suppression": True,
    }
    costs = [blk_cost(link, direction, load["block_size"], **use) for direction in directions]
    cost = costs[0] * (1 / len(costs))
    for other in costs[1:]:
        cost = cost + other * (1 / len(costs))
    rate = phase["requests"] * (material.clock_mhz or 0) * 1e6 / phase["cycles"]
    note = f"what {(material.ran or {})['link']} carries if {batch} requests share a notification"
    yield Reached("requests a second", rate, cost.rate(link), "/s", note)


def _of_row(row: Mapping[str, Any]) -> Iterator[Reached]:
    if row.get("ceiling_per_s"):
        note = f"what {row['link']} carries if {row['batch']} requests share a notification"
        yield Reached("requests a second", row["rate_per_s"], row["ceiling_per_s"], "/s", note)
    for name, title in (("request_beats", "beats to the host"), ("answer_beats", "beats from the host")):
        if name in row and row["cycles"]:
            value = row[name] * row["requests"] / row["cycles"]
            yield Reached(f"port, {title}", value, 1.0, "a cycle", "a beat a cycle")


def _of_timeline(timeline: Timeline, config: Mapping[str, Any]) -> Iterator[Reached]:
    first, last = busy_span(timeline)
    span = max(1, last - first)
    most = float(timeline.about["link_bytes_per_cycle"])
    for name, kinds in (("link, from the device", UP), ("link, to the device", DOWN)):
        tlps = timeline.of(*kinds)
        inside = (tlps["end"] >= first) & (tlps["end"] <= last)
        if most:
            note = "bytes that the link carries, headers counted"
            yield Reached(name, int(tlps["wire"][inside].sum()) / span, most, "bytes a cycle", note)
    requests = timeline.requests
    inside = requests["at"][:, -1] > first
    width = timeline.about["data_width"] // 8
    for name, field in (("data path, out of the host", "readable"), ("data path, into the host", "written")):
        value = int(requests[field][inside].sum()) / span
        if value >= 0.01 * width:
            yield Reached(name, value, width, "bytes a cycle", f"a beat of {8 * width} bits a cycle")
    if not {"read_tags", "ring_tags"} <= config.keys():
        return
    reads = timeline.reads_in_flight[1]
    tags = config["read_tags"] + config["ring_tags"]
    note = f"{config['read_tags']} tags for payload, {config['ring_tags']} for rings"
    yield Reached("reads in flight, at most", int(reads.max(initial=0)), tags, "reads", note)


def reached(material: Material) -> list[Reached]:
    """All that has a ceiling."""
    found: list[Reached] = []
    if material.rows and len(material.rows) == 1:
        found += _of_row(material.rows[0])
    found += _of_block_run(material)
    if material.timeline is not None:
        found += _of_timeline(material.timeline, config_of(material))
    return found
