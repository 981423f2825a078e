"""Charts of figures: payload against size and against the host's latency, each with its ceiling."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from .chart_style import CEILING, GREY, WIDTH, load_matplotlib, save_figure, set_title, styled

__all__ = ["DOCS_CHARTS", "FORMATS", "Panel", "draw_docs", "load_matplotlib", "panels_of", "plot"]

FORMATS = (".svg", ".png")
"""What a chart can be written as."""

_COLOURS = {"blk": "#0072b2", "net": "#007a5a"}
_OTHER = "#6a3d9a"
_SAME = ("depth", "link", "data_width", "clock_mhz", "device_queues", "queue_size")
_NAMES = {"blk": "Disk", "net": "Network"}
_UNITS = {"net": "frames"}
_WORDS = {"read": "read", "write": "written", "tx": "sent", "rx": "received"}
_HIGH = 1.85
"""Inches of a row of panels."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Axis:
    """``key`` of a row is what is varied, ``fixed`` what is as in most rows meanwhile."""

    key: str
    fixed: str
    title: str
    label: str
    log: bool


_AXES = (
    _Axis("size", "latency_ns", "by size", "bytes a request", True),
    _Axis("latency_ns", "size", "by how long the host takes to answer a read", "ns", False),
)

DOCS_CHARTS = {"throughput.svg": _AXES[0], "throughput-latency.svg": _AXES[1]}
"""The charts in the documentation: one queue, all directions."""


@dataclass(frozen=True)
class Panel:
    """Rows that differ in ``axis`` alone, in ascending order."""

    title: str
    axis: _Axis
    rows: Sequence[Row]

    @property
    def points(self) -> list[tuple[float, float, float]]:
        """Place on the axis, Gb/s of payload, and those of the ceiling."""
        found = []
        for row in self.rows:
            ceiling = row["ceiling_per_s"] * row["size"]
            found.append((row[self.axis.key], row["bytes_per_s"] * 8e-9, ceiling * 8e-9))
        return found


def _usual(rows: Sequence[Row]) -> list[Row]:
    """The rows that agree in all that is not drawn with most of the others."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in _SAME), []).append(row)
    return max(groups.values(), key=len)


def panels_of(rows: Iterable[Row], axis: _Axis) -> list[Panel]:
    """A panel for each way to use the device of one function. One with a single point is left out, if there
    are others."""
    rows = _usual(list(rows))
    values = [row[axis.fixed] for row in rows]
    usual = max(values, key=values.count)
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row[axis.fixed] == usual:
            queues = f", {row['queues']} queue{'s' * (row['queues'] != 1)}"
            title = f"{_WORDS[row['direction']]}{queues}{', indirect' * row['indirect']}"
            found.setdefault(title, []).append(row)
    most = min(2, max(map(len, found.values())))
    return [
        Panel(title, axis, sorted(row, key=lambda row: row[axis.key]))
        for title, row in found.items()
        if len(row) >= most
    ]


def _by_function(rows: Iterable[Row]) -> dict[str, list[Row]]:
    functions: dict[str, list[Row]] = {}
    for row in rows:
        functions.setdefault(row["function"], []).append(row)
    return functions


def plot(rows: Sequence[Row], path: str | Path) -> None:
    """Write the charts of ``rows`` to ``path``, an SVG or a PNG by its name.

    Errors: :class:`ToolError` when matplotlib is not installed, :class:`ParameterError` for another suffix,
    ``OutputError``.
    """
    if Path(path).suffix not in FORMATS:
        raise ParameterError(f"{path}: a chart is written as {' or '.join(FORMATS)}")
    parts = [
        (f"{_NAMES.get(function, function)}, {axis.title}", panels_of(of_function, axis))
        for function, of_function in _by_function(rows).items()
        for axis in _AXES
    ]
    with styled() as pyplot:
        rows_of = [-(-len(panels) // _columns(panels)) for _title, panels in parts]
        heights = [_HIGH * count + 0.75 for count in rows_of]
        figure = pyplot.figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        shares = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, (title, panels) in zip(shares, parts, strict=True):
            _draw_part(part, title, panels, _columns(panels))
        save_figure(figure, path)


def _columns(panels: Sequence[Panel]) -> int:
    return 2 if len(panels) <= 2 else 3


def draw_docs(rows: Sequence[Row], folder: Path) -> None:
    """Write those of :data:`DOCS_CHARTS` into ``folder`` that there are rows for. Errors: as :func:`plot`."""
    for name, axis in DOCS_CHARTS.items():
        if not (panels := _docs_panels(rows, axis)):
            continue
        with styled() as pyplot:
            figure = pyplot.figure(figsize=(WIDTH, 2 * _HIGH + 0.75), layout="constrained")
            _draw_part(figure, f"What the device moves, {axis.title}", panels, 2)
            save_figure(figure, folder / name)


def _docs_panels(rows: Sequence[Row], axis: _Axis) -> list[Panel]:
    found = []
    for function, of_function in _by_function(rows).items():
        for panel in panels_of(of_function, axis):
            if panel.rows[0]["queues"] == 1 and not panel.rows[0]["indirect"]:
                size = "" if axis.key == "size" else f"{panel.rows[0]['size']:,} bytes "
                what = {"blk": "disk, ", "net": "frames, "}.get(function, "")
                title = f"{what}{size}{panel.title.partition(',')[0]}"
                found.append(Panel(title, axis, panel.rows))
    return found


def _draw_part(part: Any, title: str, panels: Sequence[Panel], columns: int) -> None:
    """Panels of one scale under a title."""
    row = panels[0].rows[0]
    link = f"{row['link']}, {row['data_width']} bits at {row['clock_mhz']} MHz"
    depths = {panel.rows[0]["function"]: panel.rows[0]["depth"] for panel in panels}
    depth = " or ".join(f"{count:,} {_UNITS.get(name, 'requests')}" for name, count in depths.items())
    set_title(part, title, f"{link}; {depth} in flight; percent of what the link allows")
    lines = -(-len(panels) // columns)
    axes = part.subplots(lines, columns, sharey=True, squeeze=False)
    axes[0, 0].set_ylim(0, 1.22 * max(max(point[1:]) for panel in panels for point in panel.points))
    for number, chart in enumerate(axes.flat):
        if number >= len(panels):
            chart.set_visible(False)
            continue
        _draw(chart, panels[number])
        if number % columns == 0:
            chart.set_ylabel("Gb/s of payload")
        if number + columns >= len(panels):
            chart.set_xlabel(panels[number].axis.label)
    place, _reached, ceiling = panels[0].points[-1]
    note = {"ha": "right" if len(panels[0].points) > 1 else "center", "fontsize": 8, "color": CEILING}
    axes[0, 0].annotate("what the link allows", (place, ceiling), (0, 5), textcoords="offset points", **note)


def _short(value: float) -> str:
    return f"{value / 1024:.0f}k" if value >= 4096 else f"{value:g}"


def _draw(chart: Any, panel: Panel) -> None:
    at, reached, ceiling = zip(*panel.points, strict=True)
    colour = _COLOURS.get(panel.rows[0]["function"], _OTHER)
    chart.plot(at, ceiling, "-", color=CEILING, linewidth=1.2)
    chart.plot(at, reached, "o-", color=colour, markersize=3.5, linewidth=1.6)
    for row, (place, value, _most) in zip(panel.rows, panel.points, strict=True):
        share = f"{100 * row['efficiency']:.0f} %"
        chart.annotate(
            share, (place, value), (0, -11), textcoords="offset points", ha="center", fontsize=8, color=GREY
        )
    if panel.axis.log:
        chart.set_xscale("log", base=2)
        chart.set_xticks(at, map(_short, at))
        chart.minorticks_off()
    else:
        chart.set_xticks(at, map(str, at))
    chart.set_title(panel.title, loc="left")
    chart.margins(x=0.12)
