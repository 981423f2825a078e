"""The figures of timelines in their page of the documentation: what adds up, and what it costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..markdown import markdown_table
from ..performance.figures import FiguresError, read_all_figures

__all__ = ["BEGIN", "END", "FIGURES", "PAGE", "page", "read_figures", "section"]

PAGE = "timeline.md"
"""The page. What is between :data:`BEGIN` and :data:`END` in it is made of the figures."""

FIGURES = "timeline.json"
"""The figures beside it."""

BEGIN = "<!-- figures: ringwalker bench-timeline --docs docs -->\n"
END = "<!-- end of figures -->\n"

_RESIDUE = """
Requests of a small device, from a host that answers unevenly. The segments of each are added up and compared
with what its driver saw, from adding the buffer to finding it used; *residue* is the sum of the differences
over all requests.

{residue}
"""

_COST = """
Seconds of a processor for the same requests with a timeline and without: driver, simulation, and writing the
file; models were built before. Each was done {pairs} times in turn, on a machine with {machine}. *Times as
long* is the median of the pairs, in brackets the least and the largest.

{cost}
"""


def _residue(row: Mapping[str, Any]) -> list[str]:
    return [
        row["function"],
        row["ring"],
        f"{row['requests']:,}",
        f"{row['events']:,}",
        f"{sum(row['mean_cycles'].values()):,.0f}",
        f"**{row['residue_cycles']}**",
    ]


def _cost(row: Mapping[str, Any]) -> list[str]:
    ratio, pairs = row["ratio"], row["pairs"]
    off, on = (sorted(pair[name] for pair in pairs)[len(pairs) // 2] for name in ("off_s", "on_s"))
    return [
        f"{row['function']} {row['direction']} {row['size']}",
        f"{row['requests']:,}",
        f"{off:.2f}",
        f"{on:.2f}",
        f"**{ratio['median']:.2f}** ({ratio['least']:.2f} to {ratio['largest']:.2f})",
        f"{row['file_bytes'] / 1e6:.1f}",
    ]


def section(figures: Mapping[str, Any]) -> str:
    """What stands between the marks. What was not measured is left out."""
    titles = ("function", "ring", "requests", "events", "mean cycles a request", "residue, cycles")
    cost = ("requests", "number", "seconds without", "seconds with", "times as long", "MB of file")
    text = _RESIDUE.format(residue="\n".join(markdown_table(titles, map(_residue, figures["residue"]))))
    if figures.get("cost"):
        text += _COST.format(
            cost="\n".join(markdown_table(cost, map(_cost, figures["cost"]))),
            pairs=len(figures["cost"][0]["pairs"]),
            machine=figures["machine"],
        )
    return text + "\n"


def page(text: str, figures: Mapping[str, Any]) -> str:
    """The page ``text`` with other figures. Errors: :class:`FiguresError` for one without the marks."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise FiguresError(f"{PAGE}: there is no place for figures in it, {BEGIN.strip()} to {END.strip()}")
    return "".join([before, begin, section(figures), end, after])


def read_figures(path: str | Path) -> dict[str, Any]:
    """What ``bench-timeline`` has written. Errors: :class:`FiguresError`."""
    figures = read_all_figures(path, "residue", "bench-timeline")
    try:
        section(figures)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise FiguresError(f"{path}: is not what 'ringwalker bench-timeline' has written") from None
    return figures
