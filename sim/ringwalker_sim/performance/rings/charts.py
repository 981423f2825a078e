"""One chart a measure, with a panel for each load, in which the ring formats are beside each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..chart_style import CEILING, GREY, WIDTH, save_figure, set_title, styled
from ..report import case_of
from .cases import FORMS, LOADS, Load, form_of, load_of

__all__ = ["MEASURES", "chart_name", "draw", "values_of"]

Row = Mapping[str, Any]

_COLOURS = {
    "split": "#0072b2",
    "split in order": "#7fb8dc",
    "packed": "#c2571a",
    "packed in order": "#eeb184",
    "both": "#777777",
}
"""Lighter in order."""

_BAR = 0.19
"""Inches from bar to bar."""

_COLUMNS = 3


def _loaded(load: Load) -> bool:
    return load.case.depth > 1


def _alone(load: Load) -> bool:
    return not _loaded(load)


def _small(load: Load) -> bool:
    return load.case.size <= 512


@dataclass(frozen=True)
class _Measure:
    """``value`` of each row in ``unit``, for the loads of which ``drawn``.

    ``limit`` is what cannot be passed, and ``note`` says what that is.
    """

    title: str
    unit: str
    value: Callable[[Row], float]
    drawn: Callable[[Load], bool]
    form: str = ",.0f"
    limit: Callable[[Row], float] | None = None
    note: str = ""


@dataclass(frozen=True)
class _Chart:
    """Bars in each of ``panels``, a bar for each of ``forms``; ``limits`` has a line for each bar, if any."""

    title: str
    note: str
    unit: str
    forms: Sequence[str]
    panels: Mapping[str, Sequence[float]]
    limits: Mapping[str, Sequence[float]]
    form: str = ",.0f"

    def labels(self, panel: str) -> list[str]:
        """What is written beside the bars of a panel."""
        return [f"{value:{self.form}}" for value in self.panels[panel]]


_HAS_TO = "Line: what has to be sent, headers counted"

_MEASURES = {
    "rate": _Measure(
        "Requests a second under load",
        "million a second",
        lambda row: row["rate_per_s"] / 1e6,
        lambda load: _loaded(load) and _small(load),
        ",.1f",
        lambda row: row["ceiling_per_s"] / 1e6,
        "Line: what the link allows for such a ring",
    ),
    "up": _Measure(
        "On the wire from the device",
        "bytes a request",
        itemgetter("wire_up_bytes"),
        _small,
        limit=lambda row: case_of(row).cost.up,
        note=_HAS_TO,
    ),
    "down": _Measure(
        "On the wire to the device",
        "bytes a request",
        itemgetter("wire_down_bytes"),
        _small,
        limit=lambda row: case_of(row).cost.down,
        note=_HAS_TO,
    ),
    "p50": _Measure(
        "Latency of one request alone, median",
        "cycles of 4 ns",
        lambda row: row["latency_cycles"]["p50"],
        _alone,
    ),
    "p99": _Measure(
        "Latency under load, 99th percentile",
        "cycles of 4 ns",
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
    names = [form.name for form in FORMS]
    charts = {}
    for name, measure in _MEASURES.items():
        loads = [load.name for load in LOADS if measure.drawn(load)]
        panels = {load: [measure.value(found[load, form]) for form in names] for load in loads}
        limits = {}
        if measure.limit is not None:
            limits = {load: [measure.limit(found[load, form]) for form in names] for load in loads}
        note = measure.note
        charts[name] = _Chart(measure.title, note, measure.unit, names, panels, limits, measure.form)
    counts = {title: [float(area[name]) for area in areas] for name, title in _CELLS.items()}
    rings = [area["ring"] for area in areas]
    charts[_AREA] = _Chart("One lane on ECP5, by the rings that it has", "", "cells", rings, counts, {})
    return charts


def draw(rows: Sequence[Row], areas: Sequence[Row], folder: Path) -> None:
    """Write the chart of each of :data:`MEASURES` into ``folder``.

    Errors: :class:`~ringwalker_sim.toolchain.ToolError` when matplotlib is not installed, ``OutputError``.
    """
    for name, chart in values_of(rows, areas).items():
        _draw(folder / chart_name(name), chart)


def _columns(chart: _Chart) -> int:
    return 2 if len(chart.panels) % _COLUMNS else _COLUMNS


def _draw(path: Path, chart: _Chart) -> None:
    columns = _columns(chart)
    lines = -(-len(chart.panels) // columns)
    high = lines * (len(chart.forms) * _BAR + 0.5) + (0.75 if chart.note else 0.5)
    with styled() as pyplot:
        figure = pyplot.figure(figsize=(WIDTH, high), layout="constrained")
        set_title(figure, chart.title, chart.note)
        axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for number, place in enumerate(axes.flat):
            if number < len(chart.panels):
                _draw_panel(place, chart, list(chart.panels)[number])
                if number + columns >= len(chart.panels):
                    place.set_xlabel(chart.unit)
            else:
                place.set_visible(False)
        save_figure(figure, path)


def _draw_panel(place: Any, chart: _Chart, panel: str) -> None:
    """Bars from the top down, each with its number."""
    values, limits = chart.panels[panel], chart.limits.get(panel, ())
    at = range(len(values))
    place.barh(at, values, 0.72, color=[_COLOURS[form] for form in chart.forms])
    most = max([*values, *limits]) or 1
    for row, text in enumerate(chart.labels(panel)):
        end = max(values[row], limits[row] if limits else 0)
        place.text(end + 0.02 * most, row, text, va="center", fontsize=8, color=GREY)
    for row, limit in enumerate(limits):
        place.plot([limit, limit], [row - 0.45, row + 0.45], color=CEILING, linewidth=1.6)
    place.set_yticks(at, chart.forms)
    place.set_ylim(len(values) - 0.4, -0.6)
    place.set_xlim(0, 1.22 * most)
    place.locator_params(axis="x", nbins=4, integer=True)
    place.grid(axis="y", visible=False)
    place.tick_params(axis="y", length=0)
    place.set_title(panel, loc="left")
