"""What came of a campaign, as JSON can hold it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..engine.native.coverage import read_layout
from .batch import coverage_model
from .campaign import DeviceResult
from .coverage import by_block, holes, joined

__all__ = ["coverage_figures", "device_figures", "same_finding"]


def _rate(cases: int, seconds: float) -> float:
    return round(cases / seconds, 1) if seconds else 0.0


def coverage_figures(
    results: Iterable[DeviceResult], say: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """What has toggled, by function: the devices of a function have one model with counters."""
    texts: dict[str, list[str]] = {}
    devices: dict[str, str] = {}
    for result in results:
        if result.toggled:
            function = result.device.partition(":")[0]
            texts.setdefault(function, []).extend(result.toggled)
            devices[function] = result.device
    return {function: _coverage(devices[function], found, say) for function, found in texts.items()}


def _coverage(device: str, texts: list[str], say: Callable[[str], None]) -> dict[str, Any]:
    layout = read_layout(coverage_model(device, say))
    toggled = joined(texts, layout.counters)
    blocks = {
        name: {"points": block.points, "covered": block.covered, "percent": round(block.percent, 2)}
        for name, block in by_block(layout, toggled).items()
    }
    missing = [
        {"place": hole.place, "block": hole.block, "lowest": min(hole.bits), "highest": max(hole.bits)}
        | {"points": hole.points}
        for hole in holes(layout, toggled)
    ]
    return {"blocks": blocks, "holes": missing}


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
