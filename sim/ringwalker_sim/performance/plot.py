"""Charts of figures: rate against size and against the host's latency, with the ceiling drawn."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ringwalker.outputs import OutputFile

from ..errors import ParameterError
from ..toolchain import ToolError

__all__ = ["FORMATS", "load_matplotlib", "plot"]

FORMATS = (".svg", ".png")
"""What a chart can be written as."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c564b", "#7f7f7f")
_SAME = ("depth", "link", "data_width", "clock_mhz", "device_queues", "queue_size")

Row = Mapping[str, Any]


def _usual(rows: Sequence[Row]) -> list[Row]:
    """The rows that agree in all that is not drawn with most of the others."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in _SAME), []).append(row)
    return max(groups.values(), key=len)


def _curves(rows: Iterable[Row], x: str, fixed: str) -> dict[str, list[Row]]:
    """Rows that differ in ``x`` alone, by the name of their curve; ``fixed`` is as in most rows."""
    rows = list(rows)
    values = [row[fixed] for row in rows]
    usual = max(values, key=values.count)
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row[fixed] == usual:
            kind = f"{row['function']} {row['direction']}{' indirect' * row['indirect']}"
            name = f"{kind}, {row['queues']} queue(s)"
            curves.setdefault(name, []).append(row)
    return {name: sorted(curve, key=lambda row: row[x]) for name, curve in curves.items()}


def load_matplotlib() -> Any:
    """matplotlib, for files. Errors: :class:`ToolError` when it is not installed."""
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise ToolError("a chart needs matplotlib: pip install 'ringwalker[plot]'") from None
    matplotlib.use("Agg")
    return matplotlib


def plot(rows: Sequence[Row], path: str | Path) -> None:
    """Write the charts of ``rows`` to ``path``, an SVG or a PNG by its name.

    Errors: :class:`ToolError` when matplotlib is not installed, :class:`ParameterError` for another suffix,
    ``OutputError``.
    """
    if Path(path).suffix not in FORMATS:
        raise ParameterError(f"{path}: a chart is written as {' or '.join(FORMATS)}")
    matplotlib = load_matplotlib()
    pyplot = importlib.import_module("matplotlib.pyplot")
    functions: dict[str, list[Row]] = {}
    for row in rows:
        functions.setdefault(row["function"], []).append(row)
    with matplotlib.rc_context({"svg.hashsalt": "ringwalker", "font.size": 9}):
        size = (11, 4.2 * len(functions))
        figure, axes = pyplot.subplots(len(functions), 2, figsize=size, layout="constrained", squeeze=False)
        for charts, of_function in zip(axes, functions.values(), strict=True):
            _draw_function(charts, _usual(of_function))
        form = Path(path).suffix[1:]
        try:
            with OutputFile(path) as file:
                figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
        finally:
            pyplot.close(figure)


def _draw_function(charts: Any, rows: Sequence[Row]) -> None:
    """Against size in the first chart, against the host's latency in the second."""
    for chart, (x, fixed, label) in zip(
        charts,
        (("size", "latency_ns", "bytes a request"), ("latency_ns", "size", "ns the host takes to answer")),
        strict=True,
    ):
        _draw(chart, _curves(rows, x, fixed), x)
        chart.set_xlabel(label)
        chart.set_ylabel("GB/s of payload")
        chart.margins(y=0.1)
        chart.set_ylim(bottom=0)
        chart.grid(alpha=0.3)
        chart.legend(fontsize=7)
    charts[0].set_xscale("log", base=2)


def _draw(chart: Any, curves: Mapping[str, list[Row]], x: str) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        at = [row[x] for row in curve]
        chart.plot(at, [row["bytes_per_s"] / 1e9 for row in curve], "o-", color=colour, label=name)
        ceiling = [row["ceiling_per_s"] * row["size"] / 1e9 for row in curve]
        chart.plot(at, ceiling, "--", color=colour, label=f"ceiling of {name}", linewidth=1)
