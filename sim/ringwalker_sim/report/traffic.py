"""What was when: stages and ports over time, TLPs, and the slowest requests each by itself."""

from collections import Counter

import numpy as np

from ..timeline.requests import SEGMENTS
from ..timeline.timeline import Timeline
from .figures import Detail, boundary_times, packets, slowest
from .html import Html, bar, chart, element, heads, join, scroll, table
from .latencies import ZOOM
from .words import time_of

__all__ = ["SLOWEST", "slowest_section", "time_section", "tlps_section"]

SLOWEST = 12
"""Requests that are shown each by itself."""

_COLOURS = {
    "memory read": "var(--t-read)",
    "memory write": "var(--t-write)",
    "completion": "var(--t-completion)",
    "interrupt": "var(--t-interrupt)",
}


def _keys() -> Html:
    items = [
        element("li", name, class_="key", style=f"--c:var(--s{place})") for place, name in enumerate(SEGMENTS)
    ]
    return element("ul", items, class_="keys")


def time_section(timeline: Timeline, window: int, part: Detail) -> Html:
    """How busy each stage and port was."""
    text = (
        f"Means of windows of {window:,} cycles; the number at the right is the height of a row. The TLPs "
        "below show the same part. "
    )
    note = (
        f"Each request and each TLP is here from cycle {part.first:,} to {part.last:,} of "
        f"{timeline.cycles:,}, around the slowest request. The timeline itself has all, for ui.perfetto.dev."
    )
    return join(
        element("p", text, ZOOM),
        None if part.whole else element("p", note),
        _keys(),
        chart("Stages and ports over time", "time-chart"),
    )


def tlps_section(timeline: Timeline) -> Html | None:
    """TLPs: how many, and each."""
    found = packets(timeline)
    if not found:
        return None
    totals: Counter[str] = Counter()
    for item in found:
        totals[item.direction] += item.wire
    rows = []
    for item in found:
        colour = _COLOURS.get(item.kind, "var(--t-other)")
        cells = (
            element("th", item.kind, scope="row", class_="kind", style=f"--c:{colour}"),
            element("td", item.direction),
            element("td", f"{item.count:,}", class_="n"),
            element("td", f"{item.payload:,}", class_="n few"),
            element("td", f"{item.wire:,}", class_="n"),
            element("td", bar(item.wire / max(1, totals[item.direction]), colour), class_="wide few"),
        )
        rows.append(element("tr", *cells))
    head = heads(
        ("TLP", None),
        ("direction", None),
        ("count", "n"),
        ("payload bytes", "n few"),
        ("bytes on the wire", "n"),
        ("of its direction", "few"),
    )
    listed = heads(
        ("cycle", "n"),
        ("direction", None),
        ("TLP", None),
        ("tag", "n"),
        ("address", None),
        ("bytes", "n"),
        ("on the wire", "n"),
    )
    text = "One box a TLP, as long as it occupies the link. The charts above show the same part."
    return join(
        scroll(element("table", head, element("tbody", rows)), "TLPs by kind"),
        element("h3", "On the link"),
        element("p", text, class_="soft"),
        chart("TLPs on the link", "tlp-chart"),
        element("p", id="tlp-count", class_="soft", aria_live="polite"),
        scroll(element("table", listed, element("tbody"), id="tlp-list"), "TLPs in view", "list"),
    )


def slowest_section(timeline: Timeline) -> Html | None:
    """The slowest requests, each with its timeline."""
    which = slowest(timeline, SLOWEST)
    if not len(which):
        return None
    longest = max(1, int(timeline.latencies[which[0]]))
    rows = [_request(timeline, place, longest, rank == 0) for rank, place in enumerate(which.tolist())]
    text = f"The {len(rows)} slowest of {len(timeline.requests):,} requests, in the colours of the segments."
    return join(element("p", text), _keys(), rows)


def _request(timeline: Timeline, place: int, longest: int, shown: bool) -> Html:
    """A request with its segments as a bar, of which the one of the ``longest`` is full."""
    request, mine = timeline.requests[place], timeline.segments[place]
    latency, most = int(mine.sum()), int(np.argmax(mine))
    pieces = [
        element("i", style=f"width:{100 * cycles / longest:.3f}%;--c:var(--s{segment})")
        for segment, cycles in enumerate(mine.tolist())
        if cycles
    ]
    took = f"{latency:,} cycles, {time_of(latency, timeline.about['clock_mhz'])}"
    summary = element(
        "summary",
        element("span", f"request {place}"),
        element("span", f"{SEGMENTS[most]} {100 * mine[most] / max(1, latency):.0f} %", class_="soft of"),
        element("span", pieces, class_="bar", aria_hidden="true"),
        element("span", took, class_="n"),
    )
    facts = (
        f"Queue {request['queue']}, chain {request['id']}; {request['readable']:,} bytes for the device to "
        f"read, {request['written']:,} of {request['writable']:,} written. "
    )
    begin = int(request["at"][0])
    times = [
        [name, f"{at:,}", f"{at - begin:,}", f"{step:,}"]
        for (name, at), step in zip(boundary_times(request), (0, *mine.tolist()), strict=True)
    ]
    inner = join(
        element("p", facts, element("button", "Show in the charts above", hidden=True)),
        chart(f"Timeline of request {place}"),
        element("h3", "Boundaries"),
        table(["passed", "at cycle", "since the first", "took"], times),
    )
    whole = element("div", inner, class_="inner")
    return element("details", summary, whole, class_="slow", data_request=place, open=shown)
