"""One device for one family: everything that is said about it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ringwalker.config import DeviceConfig

from .cases import CASES, Case, Option
from .flow import Chip, area, logic, place_and_route, verilog_of
from .targets import TARGETS

__all__ = ["OPTIONS_PART", "goals", "measure", "measure_case", "measure_options", "measure_page", "parts"]

OPTIONS_PART = "faces and options"
"""The part of the page that is about the options of a case."""

_BESIDE = ("options", "before")
"""What is said of a case beside the device itself."""

Progress = Callable[[str], None]


def goals(case: Case, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What ``case`` ought to reach, what it does, and what stands in the way."""
    rows = []
    if case.most_luts is not None:
        largest = sorted(_leaves(result["blocks"]), key=lambda item: -item[1])[:4]
        named = ", ".join(f"{name} ({luts})" for name, luts in largest)
        rows.append(("LUTs", "most", case.most_luts, result["counts"]["lut"], f"largest blocks: {named}"))
    inside = [path for path in result["paths"] if path["registers"]]
    if case.most_levels is not None and inside:
        way = f"the path from {inside[0]['start']} to {inside[0]['end']}"
        rows.append(("levels", "most", case.most_levels, result["luts_on_longest_path"], way))
    if case.seeds and result["routed"]:
        run = min(result["routed"], key=lambda item: item["mhz"])
        way = f"{run['slowest']['steps']} cells and {run['slowest']['routing_ns']} ns of routing, from "
        way += f"{run['slowest']['start']} to {run['slowest']['end']}"
        rows.append(("MHz after routing", "least", case.chip.freq, run["mhz"], way))
    names = ("what", "bound", "goal", "reached", "limit")
    found: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
    for item in found:
        short = item["reached"] - item["goal"]
        item["met"] = short <= 0 if item["bound"] == "most" else short >= 0
    return found


def _leaves(block: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, int]]:
    """Each block with the LUTs that are in none of its parts."""
    here = f"{path}.{block['name']}" if path else block["name"]
    yield here, block["counts"]["lut"] - sum(part["counts"]["lut"] for part in block["parts"])
    for part in block["parts"]:
        yield from _leaves(part, here)


def measure_case(case: Case, progress: Progress | None = None) -> dict[str, Any]:
    """A case of the page: as :func:`measure`, with its name and its goals."""
    result = measure(case.config, case.target, seeds=case.seeds, chip=case.chip, progress=progress)
    return {"name": case.name, **result, "goals": goals(case, result)}


def measure_options(case: Case, progress: Progress | None = None) -> list[dict[str, Any]]:
    """The options of a case, each synthesized as a whole: ``name``, ``settings`` and ``counts``.

    The first has ``blocks`` too: the counts of its blocks, by path, each synthesized by itself.
    """
    return [
        _measure_option(option, case, progress or (lambda _text: None), option is case.options[0])
        for option in case.options
    ]


def _measure_option(option: Option, case: Case, say: Progress, blocks: bool) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        text = verilog_of(option.config(case.config, Path(folder)), say)
    say(f"{option.name}: as a whole")
    counts = logic(text, "", TARGETS[case.target], 0)["counts"]
    found = {"name": option.name, "settings": option.settings, "counts": counts}
    if not blocks:
        return found
    say(f"{option.name}: block by block")
    return {**found, "blocks": dict(_inside(area(text, "", TARGETS[case.target])))}


def _inside(
    block: Mapping[str, Any], path: str = "", levels: int = 4
) -> Iterator[tuple[str, dict[str, int]]]:
    """The blocks in ``block`` down to so many ``levels``, by their path below it."""
    for part in block["parts"] if levels else ():
        yield path + part["name"], part["counts"]
        yield from _inside(part, f"{path}{part['name']}.", levels - 1)


def parts(only: str | None = None) -> list[str]:
    """The parts of the page, each of which can be measured by itself; with ``only`` those that have this text
    in their names."""
    names = [case.name for case in CASES] + [OPTIONS_PART]
    return [name for name in names if only is None or only.lower() in name.lower()]


def measure_page(
    wanted: Sequence[str], kept: Sequence[Mapping[str, Any]], progress: Progress | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Measure the parts ``wanted`` of the page; the others stay as they are in ``kept``.

    After each part, gives all that there is of the page then. The device itself comes before its options.
    """
    found: dict[str, dict[str, Any]] = {item["name"]: dict(item) for item in kept}

    def all_cases() -> list[dict[str, Any]]:
        return [found[case.name] for case in CASES if case.name in found]

    for case in CASES:
        old = found.get(case.name, {})
        if case.name in wanted:
            beside = {key: old[key] for key in _BESIDE if key in old}
            found[case.name] = {**measure_case(case, progress), **beside}
            yield all_cases()
        if case.options and OPTIONS_PART in wanted:
            found[case.name] = {**found[case.name], "options": measure_options(case, progress)}
            yield all_cases()


def measure(
    config: DeviceConfig,
    target: str,
    *,
    block: str = "",
    seeds: int = 0,
    chip: Chip | None = None,
    paths: int = 10,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Area, longest paths and, with ``seeds``, clocks of a device or of the block ``block`` in it.

    ``seeds`` runs of place and route on ``chip``, for ECP5. Errors: :class:`~.flow.BlockError`; ``ToolError``
    when a tool is missing or fails.
    """
    say = progress or (lambda _text: None)
    family = TARGETS[target]
    text = verilog_of(config, say)
    what = block or "device"
    say(f"{what} for {family.family}: as a whole")
    whole = logic(text, block, family, paths)
    say(f"{what} for {family.family}: block by block")
    tree = area(text, block, family)
    routed = []
    for seed in range(1, seeds + 1):
        say(f"{what} for {family.family}: place and route, seed {seed} of {seeds}")
        routed.append(place_and_route(text, block, family, chip or Chip(), seed))
    return {
        "target": target,
        "block": block,
        "config": config.to_toml(),
        "counts": whole["counts"],
        "luts_on_longest_path": max(
            (path["luts"] for path in whole["paths"] if path["registers"]), default=0
        ),
        "paths": whole["paths"],
        "blocks": tree,
        "chip": asdict(chip or Chip()) if routed else None,
        "routed": routed,
        "mhz": min((run["mhz"] for run in routed), default=None),
    }
