"""What ran, and how far it got: the beginning of a report."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..host.parameters import LatencyShape
from .ceilings import Reached, reached
from .figures import percentile
from .html import Html, bar, element, heads, join, scroll
from .material import Material
from .words import scaled, short, time_of

__all__ = ["ceilings_section", "run_section", "tiles", "title_of"]


def _job(material: Material) -> Mapping[str, Any]:
    return (material.ran or {}).get("job") or {}


def _workload(material: Material) -> Mapping[str, Any]:
    return (_job(material).get("task") or {}).get("workload") or {}


def _row(material: Material) -> Mapping[str, Any]:
    return material.rows[0] if material.rows else {}


def _function(material: Material) -> str:
    if material.timeline is not None:
        return material.timeline.about["function"]
    words = shlex.split((material.ran or {}).get("command", ""))
    by_command = words[2] if words[1:2] == ["run"] and len(words) > 2 else "device"
    return _row(material).get("function", by_command)


def title_of(material: Material) -> str:
    """What ran, in a line."""
    result, row, load = material.result or {}, _row(material), _workload(material)
    function = _function(material)
    if material.devices is not None:
        return f"Conformance of {', '.join(item['device'] for item in material.devices)}"
    if material.rows is not None and len(material.rows) > 1:
        return f"{len(material.rows)} measurements"
    if "direction" in row:
        return f"{function}: {row['requests']:,} times {row['direction']}, {row['size']:,} bytes each"
    if load:
        return f"{function}: {load['requests']:,} times {load['kind']}, {load['block_size']:,} bytes each"
    if result.get("directions"):
        first = result["directions"][0]
        return f"{function}: {first['sent']:,} {first['unit']}"
    if material.timeline is not None:
        return f"{function}: {len(material.timeline.requests):,} requests"
    return function


# --- the figures at the top --------------------------------------------------------------------------------


def _pair(name: str, value: Any, kind: str | None = None) -> Html:
    return element("div", element("dt", name), element("dd", value), class_=kind)


def tiles(material: Material) -> Html | None:
    """The figures that one looks at first."""
    items = [
        _pair(name, join(value, element("small", more)), f"tile {kind}".rstrip())
        for name, value, more, kind in _tiles(material)
    ]
    return element("dl", items, class_="tiles") if items else None


def _tiles(material: Material) -> Iterator[tuple[str, str, str, str]]:
    result, row, clock = material.result or {}, _row(material), material.clock_mhz or 1
    requests, cycles = (result.get(name, row.get(name)) for name in ("requests", "cycles"))
    if requests and cycles:
        moved = result.get("bytes", row.get("size", 0) * requests)
        yield "Throughput", scaled(moved * clock * 1e6 / cycles, "B/s"), f"at {clock} MHz", ""
        rate = scaled(requests * clock * 1e6 / cycles, "/s")
        yield "Requests", rate, f"{requests:,} in {cycles:,} cycles", ""
    for item in result.get("directions", ()):
        unit = "B" if item["unit"] == "bytes" else item["unit"]
        rate = scaled(item["per_second"], f"{unit}/s")
        yield item["name"].capitalize(), rate, f"{item['received']:,} in {item['cycles']:,} cycles", ""
    rates = [item for item in reached(material) if item.unit == "/s"]
    if rates:
        most = f"{scaled(rates[0].ceiling, '/s')} at most"
        yield "Of the ceiling", f"{100 * rates[0].part:.1f} %", most, ""
    latencies = result.get("latency_cycles") or row.get("latency_cycles") or _measured(material)
    if {"p50", "p99", "max"} <= latencies.keys():
        median, most, worst = (latencies[key] for key in ("p50", "p99", "max"))
        yield "Median latency", time_of(median, clock), f"{median:,} cycles", ""
        yield "99 % within", time_of(most, clock), f"{most:,} cycles, worst {worst:,}", ""
    if "errors" in result:
        more, kind = ("see below", "bad") if result["errors"] else ("all data compared", "good")
        yield "Errors", f"{result['errors']:,}", more, kind


def _measured(material: Material) -> Mapping[str, int]:
    """Percentiles of a timeline of which nothing else is known."""
    if material.timeline is None or not len(material.timeline.latencies):
        return {}
    ordered = np.sort(material.timeline.latencies)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": int(ordered[-1])}


# --- what ran ----------------------------------------------------------------------------------------------


def run_section(material: Material) -> Html:
    """What ran, and what was wrong with it."""
    pairs = [_pair(name, value) for name, value in _facts(material) if value not in (None, "")]
    messages = [element("li", message) for message in (material.result or {}).get("messages", ())]
    wrong = join(element("h3", "What was wrong"), element("ul", messages)) if messages else None
    return join(element("dl", pairs, class_="pairs"), wrong)


def _facts(material: Material) -> Iterator[tuple[str, Any]]:
    ran, result, row, job = material.ran or {}, material.result or {}, _row(material), _job(material)
    timeline, load, host = material.timeline, _workload(material), job.get("host") or {}
    about = timeline.about if timeline is not None else {}
    one = {**about, **row, **result}
    yield "Function", _function(material)
    yield "Engine", result.get("engine") or ("native" if timeline is not None or row else None)
    yield "Clock", f"{material.clock_mhz:g} MHz" if material.clock_mhz else None
    yield "Data path", f"{one['data_width']} bits" if one.get("data_width") else None
    yield "Interface, transport", _both(result.get("interface"), result.get("transport"))
    yield "Registers: device, driver", _both(one.get("face"), one.get("driver_face"))
    yield "Rings", row.get("ring") or _rings(job)
    yield "Requests in flight", load.get("queue_depth") or row.get("depth")
    yield "Link", ran.get("link") or row.get("link") or ("without a limit" if job else None)
    yield "Host answers reads after", _latency(host, row, material.clock_mhz)
    payload, read = host.get("max_payload"), host.get("max_read_request")
    yield "Largest payload, read request", _both(payload, read, " bytes")
    yield "Seed", result.get("seed", job.get("seed"))
    yield "Image", result.get("image")
    yield "Simulated", f"{result['cycles_total']:,} cycles" if "cycles_total" in result else None
    yield "Simulation took", f"{result['wall_s']:.2f} s" if "wall_s" in result else None
    versions = (ran.get("versions") or {}).items()
    yield "Versions", ", ".join(f"{name} {number}" for name, number in versions)
    yield "On", ran.get("machine")
    yield "Ended", ran.get("ended", "").replace("T", " ").replace("+00:00", " UTC")


def _rings(job: Mapping[str, Any]) -> str | None:
    """The format of the rings, and what else the driver may use of them."""
    if "rings" not in job:
        return None
    others = [name.lower().replace("_", " ") for name in job["rings"] if name != "RING_PACKED"]
    return ", ".join(["packed" if "RING_PACKED" in job["rings"] else "split", *others])


def _both(first: Any, second: Any, unit: str = "") -> str | None:
    found = [str(value) for value in (first, second) if value not in (None, "")]
    return ", ".join(found) + unit if found else None


def _latency(host: Mapping[str, Any], row: Mapping[str, Any], clock_mhz: float | None) -> str | None:
    if "latency" in host and clock_mhz:
        jitter, tail = host.get("latency_jitter"), host.get("latency_shape") == LatencyShape.LONG_TAIL
        more = f" and {'a mean of' if tail else 'up to'} {jitter} more" if jitter else ""
        return f"{host['latency']} cycles ({1000 * host['latency'] / clock_mhz:.0f} ns){more}"
    return f"{row['latency_ns']} ns" if "latency_ns" in row else None


# --- ceilings ----------------------------------------------------------------------------------------------


def ceilings_section(material: Material) -> Html | None:
    """What was reached of what there can be."""
    found = reached(material)
    if not found:
        return None
    head = heads(
        ("", None),
        ("reached", "n few"),
        ("ceiling", "n few"),
        ("", None),
        ("", None),
        ("where the ceiling comes from", "few"),
    )
    most = max(found, key=lambda item: item.part)
    text = f"Closest to its ceiling: {most.name}, with {100 * most.part:.1f} %."
    whole = element("table", head, element("tbody", list(map(_ceiling, found))))
    return join(element("p", text), scroll(whole, "ceilings"))


def _ceiling(item: Reached) -> Html:
    value, ceiling = short(item.value), f"{short(item.ceiling)} {item.unit}"
    return element(
        "tr",
        # Where there is no room for columns of their own, the numbers stand below the name.
        element("th", item.name, element("small", f"{value} of {ceiling}", class_="narrow"), scope="row"),
        element("td", value, class_="n few"),
        element("td", ceiling, class_="n few"),
        element("td", bar(item.part), class_="wide"),
        element("td", f"{100 * item.part:.1f} %", class_="n"),
        element("td", item.note, class_="note few"),
    )
