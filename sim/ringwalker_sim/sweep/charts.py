"""Charts of a sweep: speed against one key, a curve for each value of another, and speed against area."""

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..performance.plot import load_matplotlib
from .table import Row, front_of, groups_of

__all__ = ["MOST_CHARTS", "MOST_CURVES", "Chart", "chart_file", "charts_of"]

MOST_CURVES = 6
"""Of a chart."""

MOST_CHARTS = 12
"""Of a file."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_LABELS = {
    "size": "bytes a request",
    "depth": "requests in flight",
    "latency_ns": "ns that the host takes to answer",
    "queues": "queues in use",
    "data_width": "bits a beat",
}


@dataclass(frozen=True)
class Chart:
    """Rows against the key ``x``, or against area where that is empty: a curve for each name."""

    title: str
    x: str
    curves: Mapping[str, Sequence[Row]]


def _named(names: Sequence[str], row: Row) -> str:
    return ", ".join(f"{name} {row[name]}" for name in names)


def charts_of(rows: Sequence[Row], varied: Sequence[str], x: str = "") -> list[Chart]:
    """The charts of rows of which the keys ``varied`` differ. ``x`` is one of them; by itself that number
    which has most values.
    """

    def values(key: str) -> list[Any]:
        return list(dict.fromkeys(row[key] for row in rows))

    numbers = [key for key in varied if all(isinstance(value, int) for value in values(key))]
    names = [key for key in numbers if not isinstance(values(key)[0], bool)] or list(varied)
    if not names:
        return []
    x = x or max(names, key=lambda key: len(values(key)))
    others = [key for key in varied if key != x]
    few = [key for key in others if len(values(key)) <= MOST_CURVES]
    curve = max(few, key=lambda key: len(values(key)), default="")
    facets = [key for key in others if key != curve]
    charts: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        chart = charts.setdefault(_named(facets, row) or f"speed against {x}", {})
        chart.setdefault(_named([curve], row) if curve else "measured", []).append(row)
    found = [
        Chart(title, x, {name: _sorted(curve, x) for name, curve in curves.items()})
        for title, curves in charts.items()
    ]
    return found + _area_charts(rows, varied)


def _sorted(rows: Sequence[Row], x: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[x]) if isinstance(rows[0][x], int) else list(rows)


def _area_charts(rows: Sequence[Row], varied: Sequence[str]) -> list[Chart]:
    """The fronts of area and speed."""
    names = [key for key in varied if key in rows[0]]
    groups = [group for group in groups_of(rows, varied).values() if len(front_of(group)) > 1]
    shown = [key for key in names if len({group[0][key] for group in groups}) > 1]
    found = []
    for first in range(0, len(groups), MOST_CURVES):
        part = groups[first : first + MOST_CURVES]
        curves = {_named(shown, group[0]) or "devices": front_of(group) for group in part}
        found.append(Chart("no smaller device is as fast", "", curves))
    return found


def chart_file(charts: Sequence[Chart], form: str) -> bytes:
    """An SVG or PNG file with the first :data:`MOST_CHARTS` of the charts.

    Errors: ``ToolError`` when matplotlib is not installed.
    """
    matplotlib = load_matplotlib()
    pyplot = importlib.import_module("matplotlib.pyplot")
    charts = charts[:MOST_CHARTS]
    columns = min(3, len(charts))
    lines = -(-len(charts) // columns)
    with matplotlib.rc_context({"svg.hashsalt": "ringwalker", "font.size": 9}):
        size = (4.8 * columns, 3.6 * lines)
        figure, axes = pyplot.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)
        places = [place for line in axes for place in line]
        for place, chart in zip(places, charts, strict=False):
            _draw(place, chart)
        for place in places[len(charts) :]:
            place.set_visible(False)
        figure.suptitle("GB/s of payload; dashed: what the link allows")
        file = io.BytesIO()
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
        pyplot.close(figure)
    return file.getvalue()


def _draw(place: Any, chart: Chart) -> None:
    place.set_title(chart.title)
    place.set_xlabel(_LABELS.get(chart.x, chart.x) if chart.x else "LUTs")
    place.set_ylabel("GB/s of payload")
    numbers: set[float] = set()
    for colour, (name, rows) in zip(_COLOURS * 2, chart.curves.items(), strict=False):
        at = [row[chart.x or "area_lut"] for row in rows]
        if all(isinstance(value, int) and not isinstance(value, bool) for value in at):
            numbers |= set(at)
        else:
            at = list(map(str, at))
        place.plot(at, [row["bytes_per_s"] / 1e9 for row in rows], "o-", color=colour, label=name)
        if chart.x:
            ceiling = [row["ceiling_per_s"] * row["size"] / 1e9 for row in rows]
            place.plot(at, ceiling, "--", color=colour, linewidth=1)
    if chart.x and numbers and max(numbers) >= 8 * max(min(numbers), 1):
        place.set_xscale("log", base=2)
        place.set_xticks(sorted(numbers), map(str, sorted(numbers)))
        place.minorticks_off()
    place.margins(y=0.1)
    place.set_ylim(bottom=0)
    place.grid(alpha=0.3)
    if len(chart.curves) > 1:
        place.legend(fontsize=7)
