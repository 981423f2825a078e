"""How charts look: as wide as a page, titled, with what they say beside what they show, and few lines."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringwalker.outputs import OutputFile

from ..toolchain import ToolError

__all__ = ["CEILING", "GREY", "WIDTH", "load_matplotlib", "save_figure", "set_title", "styled", "texts_of"]

WIDTH = 7.2
"""Inches: 690 pixels of a browser, so that a page of the documentation shows text at its size."""

CEILING = "#b2182b"
"""The colour of what cannot be passed."""

GREY = "#555555"
"""Of axes and notes."""

_STYLE = {
    "svg.hashsalt": "ringwalker",
    "figure.facecolor": "white",  # not transparent: it is read on a dark page, too
    "font.size": 8.5,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def load_matplotlib() -> Any:
    """matplotlib, for files. Errors: :class:`ToolError` when it is not installed."""
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise ToolError("a chart needs matplotlib: pip install 'ringwalker[plot]'") from None
    matplotlib.use("Agg")
    return matplotlib


@contextmanager
def styled() -> Iterator[Any]:
    """``matplotlib.pyplot``, whose charts look like this meanwhile. Errors: :class:`ToolError`."""
    with load_matplotlib().rc_context(_STYLE):
        yield importlib.import_module("matplotlib.pyplot")


def set_title(figure: Any, title: str, note: str = "") -> None:
    """The title of a figure or a part of one, and under it in grey what else has to be known."""
    figure.suptitle(title + ("\n" if note else ""), x=0.01, ha="left", fontsize=11, fontweight="bold")
    if note:
        # In the room of the second line of the title, whatever the figure's height.
        top = 1 - 0.3 / figure.bbox.height * figure.figure.dpi
        figure.text(0.01, top, note, ha="left", va="top", fontsize=8.5, color=GREY)


def save_figure(figure: Any, path: str | Path) -> None:
    """Write an SVG or a PNG, by its name, and close the figure. Errors: ``OutputError``."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    form = Path(path).suffix[1:]
    try:
        with OutputFile(path) as file:
            options = {"metadata": {"Date": None}} if form == "svg" else {"dpi": 150}
            figure.savefig(file, format=form, **options)
    finally:
        pyplot.close(figure)


def texts_of(path: str | Path) -> list[str]:
    """All texts of an SVG that :func:`save_figure` has written, in the order in which they are drawn."""
    return re.findall("<!-- (.*?) -->", Path(path).read_text(encoding="utf-8"))
