"""Reports on many measurements, and on the checks of devices: tables that can be sorted."""

from collections.abc import Mapping, Sequence
from typing import Any

from .html import Html, bar, element, heads, join, scroll
from .material import Material
from .sections import Section, text_section

__all__ = ["many_sections"]

_WORKLOAD = (
    *("function", "direction", "size", "queues", "depth", "ring", "indirect", "in_order", "face"),
    *("link", "data_width", "clock_mhz", "latency_ns"),
)
"""Settings of a measurement in the order in which they are shown."""

_MEASURED = (
    *("cycles", "batch", "dependent_reads", "requests", "area_lut", "area_ff"),
    *("latency_p50_cycles", "latency_p99_cycles", "latency_max_cycles"),
)
"""Whole numbers that are no settings."""

_KINDS = {"passed": "passed", "must": "break a MUST", "should": "do not keep a SHOULD", "skipped": "skipped"}


def many_sections(material: Material) -> Sequence[Section]:
    """The sections of a report on more than one run; none for a report on one."""
    if material.devices is not None:
        each = [_device(place, item) for place, item in enumerate(material.devices)]
        return [Section("checks", "Checks", _summary(material.devices)), *each]
    if material.rows is None or len(material.rows) < 2:
        return []
    found = [Section("rows", "Measurements", _rows(material.rows))]
    if material.config:
        text = text_section(material.config, "config-text", "The device.")
        found.append(Section("config", "Configuration", text))
    return found


# --- measurements ------------------------------------------------------------------------------------------


def _varied(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of settings in which the rows differ."""
    names = [name for name in rows[0] if isinstance(rows[0][name], str | int) and name not in _MEASURED]
    differ = [name for name in names if len({str(row.get(name)) for row in rows}) > 1]
    return sorted(differ, key=lambda name: _WORKLOAD.index(name) if name in _WORKLOAD else len(_WORKLOAD))


def _cells(row: Mapping[str, Any], varied: Sequence[str]) -> list[Html]:
    settings = [row.get(name, "") for name in varied]
    cells = [
        element("td", str(value), class_="n" if type(value) in (int, float) else None) for value in settings
    ]
    for key, scale, form in (("rate_per_s", 1e3, ",.1f"), ("bytes_per_s", 1e9, ".3f")):
        cells.append(element("td", f"{row[key] / scale:{form}}" if key in row else "", class_="n"))
    part = row.get("efficiency")
    cells.append(element("td", bar(part), class_="some", data_value=part))
    cells.append(element("td", f"{100 * part:.1f}" if part is not None else "", class_="n"))
    for name in ("p50", "p99"):
        value = (row.get("latency_cycles") or {}).get(name, row.get(f"latency_{name}_cycles"))
        cells.append(element("td", f"{value:,}" if value is not None else "", class_="n"))
    return cells


def _rows(rows: Sequence[Mapping[str, Any]]) -> Html:
    varied = _varied(rows)
    numbers = [type(rows[0].get(name)) in (int, float) for name in varied]
    names = [
        (name.replace("_", " "), "n" if number else None)
        for name, number in zip(varied, numbers, strict=True)
    ]
    figures = (("thousand/s", "n"), ("GB/s", "n"), ("of the ceiling", None), ("%", "n"))
    head = heads(*names, *figures, ("p50", "n"), ("p99", "n"))
    body = [element("tr", _cells(row, varied)) for row in rows]
    same = [name for name in _WORKLOAD if name in rows[0] and name not in varied]
    text = ", ".join(f"{name.replace('_', ' ')} {rows[0][name]}" for name in same)
    note = f"The same in all: {text}." if text else ""
    return join(
        element("p", "Latencies are in cycles. A click on a heading sorts. ", note),
        scroll(element("table", head, element("tbody", body), class_="sortable"), "measurements"),
    )


# --- conformance -------------------------------------------------------------------------------------------


def _summary(devices: Sequence[Mapping[str, Any]]) -> Html:
    head = heads(("device", None), *((text, "n") for text in _KINDS.values()), ("seconds", "n"))
    body = [
        element(
            "tr",
            element("th", item["device"], scope="row"),
            *(element("td", f"{item.get(kind, 0):,}", class_="n") for kind in _KINDS),
            element("td", f"{item.get('seconds', 0):.1f}", class_="n"),
        )
        for item in devices
    ]
    return scroll(element("table", head, element("tbody", body)), "devices")


def _device(number: int, item: Mapping[str, Any]) -> Section:
    head = heads(*((text, None) for text in ("check", "way", "outcome", "clause", "")))
    body = [element("tr", _outcome(row)) for row in item["outcomes"]]
    whole = element("table", head, element("tbody", body), class_="sortable")
    return Section(f"device-{number}", item["device"], scroll(whole, item["device"]))


def _outcome(row: Mapping[str, Any]) -> list[Html]:
    again = join(element("br"), element("code", row["replay"])) if row.get("replay") else None
    return [
        element("th", row.get("check"), scope="row"),
        element("td", row.get("way")),
        element("td", row.get("verdict")),
        element("td", row.get("clause")),
        element("td", row.get("text"), again, class_="note"),
    ]
