"""What came of a campaign, as JSON can hold it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..engine.native.coverage import read_layout
from ..verilog_cache import device_verilog
from .batch import coverage_model
from .campaign import DeviceResult
from .coverage import BLOCKS, Point, check, joined, points_of
from .explained import judge
from .explanations import EXPLAINED
from .fixed import Fixed
from .netlist import read_netlist
from .target import counted, target

__all__ = ["coverage_figures", "device_figures", "same_finding"]


def _rate(cases: int, seconds: float) -> float:
    return round(cases / seconds, 1) if seconds else 0.0


def coverage_figures(
    results: Iterable[DeviceResult], say: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """What has toggled, by function: the devices of a function have one model with counters."""
    texts: dict[str, list[str]] = {}
    devices: dict[str, str] = {}
    ran: dict[str, dict[str, int]] = {}
    for result in results:
        if result.toggled:
            function = result.device.partition(":")[0]
            texts.setdefault(function, []).extend(result.toggled)
            devices[function] = result.device
            counts = {"cases": result.cases - result.fast_cases}
            counts |= {f"load_{name}": number for name, number in result.load.items()}
            sums = ran.setdefault(function, {})
            for name, number in counts.items():
                sums[name] = sums.get(name, 0) + number
    return {
        function: {**ran[function], **_coverage(devices[function], found, say)}
        for function, found in texts.items()
    }


def _coverage(device: str, texts: list[str], say: Callable[[str], None]) -> dict[str, Any]:
    layout = read_layout(coverage_model(device, say))
    toggled = joined(texts, layout.counters)
    netlist = read_netlist(device_verilog(target(counted(device)).config, say)[0], say)
    free = Fixed(netlist)
    found = points_of(layout, netlist, free)
    check(found, toggled)
    blocks = {}
    for block in BLOCKS:
        inside = [point for point in found.points if point.block == block]
        covered = sum(sum(point.toggled(toggled)) for point in inside)
        percent = round(100 * covered / (2 * len(inside)), 2)
        blocks[block] = {"points": 2 * len(inside), "covered": covered, "percent": percent}
        blocks[block] |= {"bits": found.names[block], "constant": found.constant[block]}
    judged = judge(found.points, toggled, netlist, free, EXPLAINED)
    rows = [
        {**dataclasses.asdict(item), "points": direct, "following": following}
        for item, direct, following in zip(EXPLAINED, judged.direct, judged.following, strict=True)
    ]
    return {
        "blocks": blocks,
        "explained": rows,
        "rows": judged.rows,
        "wrong": judged.wrong,
        "holes": _holes(judged.open),
    }


def _holes(open_points: Iterable[tuple[Point, int]]) -> list[dict[str, Any]]:
    """Points by signal, with the bits of it."""
    found: dict[str, dict[str, Any]] = {}
    for point, missing in open_points:
        place, bit = point.places[0]
        hole = found.setdefault(place, {"place": place, "block": point.block, "bits": [], "points": 0})
        hole["bits"].append(bit)
        hole["points"] += missing
    return [{**hole, "bits": _ranges(hole["bits"])} for hole in found.values()]


def _ranges(bits: Iterable[int]) -> str:
    """``0-3 7``."""
    parts: list[list[int]] = []
    for bit in sorted(bits):
        if parts and parts[-1][1] + 1 == bit:
            parts[-1][1] = bit
        else:
            parts.append([bit, bit])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def device_figures(result: DeviceResult) -> dict[str, Any]:
    """The figures of a device, without what has toggled."""
    return {
        "device": result.device,
        "cases": result.cases,
        "cycles": result.cycles,
        "cpu_seconds": round(result.cpu_s),
        "cases_per_second": _rate(result.fast_cases, result.fast_cpu_s),
        "kept": len(result.kept),
        "states": len(result.states),
        "hardware": dict(result.hardware),
        "findings": [
            {name: finding[name] for name in ("number", "rule", "text", "cycle")}
            for finding in result.findings
        ],
    }


def same_finding(findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One of each kind: by device and rule."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for finding in findings:
        device = finding["cases"][-1].splitlines()[0]
        first.setdefault((device, finding["rule"]), dict(finding))
    return list(first.values())
