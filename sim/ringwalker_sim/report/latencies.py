"""How long requests took, and where their cycles went."""

from typing import Any

import numpy as np

from ..timeline.requests import SEGMENTS
from ..timeline.timeline import Timeline
from .figures import PERCENTILES, Cohort, cohorts, percentile
from .html import Html, chart, element, heads, join, scroll, table
from .words import time_of

__all__ = ["ZOOM", "latency_section", "waterfall_section"]

ZOOM = "Drag to zoom in, double-click for all. Click a chart, and the wheel zooms it, too."

_COLUMNS = (50, 99, 100)
"""Percentiles of a waterfall."""


def latency_section(timeline: Timeline) -> Html | None:
    """Histogram, distribution and percentiles."""
    ordered, clock = np.sort(timeline.latencies), timeline.about["clock_mhz"]
    if not len(ordered):
        return None
    named = {"fastest": float(ordered[0]), "mean": float(ordered.mean())}
    named |= {f"p{percent:g}": percentile(ordered, percent) for percent in PERCENTILES[:-1]}
    named["slowest"] = int(ordered[-1])
    rows: list[list[Any]] = [
        [name, f"{cycles:,.1f}" if name == "mean" else f"{cycles:,.0f}", time_of(cycles, clock)]
        for name, cycles in named.items()
    ]
    text = (
        "Cycles from the first event of a request to its last, of all requests of the timeline, those "
        "included with which the driver has set the device up. "
    )
    return join(
        element("p", text, ZOOM),
        chart("Histogram and distribution of latency", "latency-chart"),
        element("h3", "Percentiles"),
        table(["", "cycles", "time"], rows),
    )


def waterfall_section(timeline: Timeline) -> Html | None:
    """Where the cycles of a request went."""
    if not len(timeline.requests):
        return None
    groups = cohorts(timeline)
    text = (
        "What a request waits for, in cycles from its first event to its last. Each segment begins where the "
        "one before it ends."
    )
    if len(groups) == 1:
        return join(element("p", text), _waterfall(groups[0]))
    choices = [
        element(
            "label",
            element("input", type="radio", name="cohort", value=place, checked=place == 0),
            group.name,
        )
        for place, group in enumerate(groups)
    ]
    rules = "".join(
        f"section:has([name=cohort][value='{place}']:checked) #cohort-{place}{{display:block}}"
        for place in range(len(groups))
    )
    tables = [
        element("div", _waterfall(group), class_="cohort", id=f"cohort-{place}")
        for place, group in enumerate(groups)
    ]
    fields = element("fieldset", element("legend", "Which requests"), choices)
    return join(element("p", text), element("style", Html(rules)), fields, tables)


def _waterfall(cohort: Cohort) -> Html:
    count, total, ordered = len(cohort.latencies), cohort.total, np.sort(cohort.segments, axis=0)
    rows, before = [], 0
    for place, (name, cycles) in enumerate(zip(SEGMENTS, cohort.totals, strict=True)):
        style = f"left:{100 * before / max(1, total):.3f}%;width:{100 * cycles / max(1, total):.3f}%"
        step = element("i", class_="at", style=f"{style};--c:var(--s{place})") if cycles else None
        head = element("th", name, scope="row", class_="key", style=f"--c:var(--s{place})")
        box = element("td", element("div", step, class_="bar", aria_hidden="true"), class_="wide")
        rows.append(element("tr", head, box, _numbers(cycles, count, total, ordered[:, place])))
        before += cycles
    last = _numbers(total, count, total, np.sort(cohort.latencies))
    rows.append(element("tr", element("th", "latency", scope="row"), element("td"), last, class_="sum"))
    titles = heads(
        ("waits for", None),
        ("", None),
        ("mean", "n"),
        ("share", "n"),
        *((f"p{percent}" if percent < 100 else "most", "n few") for percent in _COLUMNS),
    )
    note = (
        f"{count:,} requests, {total:,} cycles: the segments of each request add up to its latency, with a "
        f"residue of {cohort.residue} cycles."
    )
    whole = element("table", titles, element("tbody", rows))
    return join(scroll(whole, f"waterfall, {cohort.name}"), element("p", note, class_="soft"))


def _numbers(cycles: int, count: int, total: int, ordered: np.ndarray) -> Html:
    """The cells of a row: ``cycles`` are those of all requests together."""
    return join(
        element("td", f"{cycles / count:,.1f}", class_="n", data_cycles=cycles),
        element("td", f"{100 * cycles / max(1, total):.1f} %", class_="n"),
        [element("td", f"{percentile(ordered, percent):,}", class_="n few") for percent in _COLUMNS],
    )
