"""One chart a measure, with the ring formats beside each other."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from ringwalker.outputs import OutputFile

from ..plot import load_matplotlib
from .cases import FORMS, LOADS, Load, form_of, load_of

__all__ = ["MEASURES", "chart_name", "draw", "values_of"]

Row = Mapping[str, Any]

_COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00")
"""One a form."""


def _loaded(load: Load) -> bool:
    return load.case.depth > 1


def _alone(load: Load) -> bool:
    return not _loaded(load)


def _small(load: Load) -> bool:
    return load.case.size <= 512


@dataclass(frozen=True)
class _Measure:
    """``value`` of each row in ``unit``, for the loads of which ``drawn``."""

    title: str
    unit: str
    value: Callable[[Row], float]
    drawn: Callable[[Load], bool]


@dataclass(frozen=True)
class _Chart:
    """Bars of several kinds beside each other, in each of ``groups``."""

    title: str
    unit: str
    groups: Sequence[str]
    bars: Mapping[str, Sequence[float]]


_MEASURES = {
    "rate": _Measure(
        "Requests a second under load",
        "million a second",
        lambda row: row["rate_per_s"] / 1e6,
        lambda load: _loaded(load) and _small(load),
    ),
    "up": _Measure(
        "Bytes on the wire from the device", "bytes a request", itemgetter("wire_up_bytes"), _small
    ),
    "down": _Measure(
        "Bytes on the wire to the device", "bytes a request", itemgetter("wire_down_bytes"), _small
    ),
    "p50": _Measure(
        "Latency of one request alone, median",
        "cycles",
        lambda row: row["latency_cycles"]["p50"],
        _alone,
    ),
    "p99": _Measure(
        "Latency under load, 99th percentile",
        "cycles",
        lambda row: row["latency_cycles"]["p99"],
        _loaded,
    ),
    "reads": _Measure(
        "Reads one after another before the first byte of payload",
        "reads",
        itemgetter("dependent_reads"),
        _alone,
    ),
}

_AREA = "area"
_CELLS = {"lut": "LUTs", "ff": "flip-flops"}


def chart_name(measure: str) -> str:
    """The file of the chart of a measure."""
    return f"rings-{measure}.svg"


MEASURES = (*_MEASURES, _AREA)
"""What there is a chart of."""


def values_of(rows: Sequence[Row], areas: Sequence[Row]) -> dict[str, _Chart]:
    """What each of :data:`MEASURES` is drawn of."""
    found = {(load_of(row).name, form_of(row).name): row for row in rows}
    charts = {}
    for name, measure in _MEASURES.items():
        loads = [load.name for load in LOADS if measure.drawn(load)]
        bars = {form.name: [measure.value(found[load, form.name]) for load in loads] for form in FORMS}
        charts[name] = _Chart(measure.title, measure.unit, loads, bars)
    counts = {title: [float(area[name]) for area in areas] for name, title in _CELLS.items()}
    charts[_AREA] = _Chart(
        "One lane on ECP5, by the rings it has", "cells", [area["ring"] for area in areas], counts
    )
    return charts


def draw(rows: Sequence[Row], areas: Sequence[Row], folder: Path) -> None:
    """Write the chart of each of :data:`MEASURES` into ``folder``.

    Errors: :class:`~ringwalker_sim.toolchain.ToolError` when matplotlib is not installed, ``OutputError``.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({"svg.hashsalt": "ringwalker", "font.size": 9}):
        for name, chart in values_of(rows, areas).items():
            _draw(folder / chart_name(name), chart)


def _draw(path: Path, chart: _Chart) -> None:
    pyplot = importlib.import_module("matplotlib.pyplot")
    size = (max(6.0, 1.1 * len(chart.groups)), 3.6)
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    width = 0.8 / len(chart.bars)
    for number, (name, values) in enumerate(chart.bars.items()):
        offset = (number - (len(chart.bars) - 1) / 2) * width
        places = [group + offset for group in range(len(chart.groups))]
        axes.bar(places, values, width, label=name, color=_COLOURS[number])
    axes.set_xticks(range(len(chart.groups)), [name.replace(", ", ",\n") for name in chart.groups])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(chart.title)
    axes.set_ylabel(chart.unit)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(chart.bars), fontsize=8)
    try:
        with OutputFile(path) as file:
            figure.savefig(file, format="svg", metadata={"Date": None})
    finally:
        pyplot.close(figure)
