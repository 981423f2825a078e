"""Puts a report together: one HTML file with its style, its script and its data, and nothing from outside."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.outputs import write_file, writing

from .columns import chart_data
from .figures import detail, lanes, slowest
from .html import Html, element, join
from .material import Material, read_material
from .overview import tiles, title_of
from .ran import PAGE, RUN, TIMELINE, save_device
from .sections import Section, sections
from .tables import many_sections
from .traffic import SLOWEST

__all__ = ["fill_folder", "page", "write_report"]

_HERE = Path(__file__).parent
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Browsers are told that there is nothing to load."""


def _missing(material: Material) -> Html | None:
    """What brings the sections that are not there."""
    if material.devices is not None or (material.rows is not None and len(material.rows) > 1):
        return None
    lacks = []
    if material.timeline is None:
        lacks.append(
            "latency, where the cycles went, stages, TLPs and the slowest requests need a timeline: "
            "--timeline FILE with the same command, and FILE beside this one"
        )
    if material.result is None and material.rows is None:
        lacks.append("what ran and its figures need what --json FILE has written, beside the timeline")
    if material.lspci is None:
        lacks.append("lspci needs the text of 'ringwalker lspci', in a file that ends in .txt")
    if not lacks:
        return None
    text = "run and bench with --report FOLDER write all of it at once."
    items = element("ul", [element("li", line[0].upper() + line[1:] + ".") for line in lacks])
    return element(
        "section",
        element("h2", "What is not here", id="missing-title"),
        items,
        element("p", text),
        id="missing",
        class_="notice",
        aria_labelledby="missing-title",
    )


def _navigation(found: Sequence[Section]) -> Html:
    links = [element("a", item.title, href=f"#{item.id}") for item in found]
    button = element("button", "Theme", id="theme", type="button", hidden=True)
    return element("nav", element("b", "Ringwalker"), links, button, aria_label="Sections")


def page(material: Material) -> str:
    """The whole file."""
    window, part, data = 1, None, None
    if material.timeline is not None:
        window, busy = lanes(material.timeline)
        part = detail(material.timeline)
        numbers, packed = chart_data(
            material.timeline, window, busy, part, slowest(material.timeline, SLOWEST)
        )
        data = join(
            element("script", Html(numbers), id="data", type="application/json"),
            element("script", Html(packed), id="columns", type="text/plain"),
        )
    found = many_sections(material) or sections(material, window, part)
    title = title_of(material)
    command = (material.ran or {}).get("command")
    shown = None
    if command:
        copy = element("button", "Copy", data_copy="command", hidden=True)
        words = [join(element("span", word), " ") for word in command.split(" ")]
        shown = element("div", element("code", words, id="command"), copy, class_="command")
    body = join(
        element("a", "To the report", href="#report", class_="skip"),
        element(
            "div",
            _navigation(found),
            element(
                "main",
                element("header", element("h1", title), shown),
                tiles(material) if material.devices is None and len(material.rows or [0]) == 1 else None,
                _missing(material),
                [item.html() for item in found],
                element("footer", f"Made by ringwalker report of {', '.join(map(_name, material.names))}."),
                id="report",
            ),
            class_="page",
        ),
        element("div", id="tip", role="tooltip", hidden=True),
        element("svg", id="blank", width="0", height="0", aria_hidden="true", style="position:absolute"),
        data,
        element("script", Html((_HERE / "page.js").read_text(encoding="utf-8"))),
    )
    head = join(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} - Ringwalker"),
        element("style", Html((_HERE / "page.css").read_text(encoding="utf-8"))),
    )
    whole = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{whole}\n"


def _name(path: str) -> str:
    return Path(path).name


def write_report(paths: Sequence[str | Path], output: str | Path) -> None:
    """Make a report of what is in folders or files. Errors: :class:`~.material.ReportError`,
    ``OutputError``."""
    write_file(output, page(read_material(paths)))


def fill_folder(
    name: str | Path,
    figures: Mapping[str, Any],
    device: tuple[str, DeviceConfig] | None,
    timeline: str | Path | None,
) -> None:
    """Put all of a run into a folder that there is, and a report of it.

    ``figures`` are what ``--json`` writes; ``device`` is what ran, as engine and configuration, if it was
    one; ``timeline`` the file with one, which may be in the folder already. Errors: ``OutputError``.
    """
    folder = Path(name)
    write_file(folder / RUN, json.dumps(figures, indent=2) + "\n")
    if device is not None:
        save_device(folder, *device, timeline is not None)
    if timeline is not None and Path(timeline).exists():
        there = folder / TIMELINE
        if not (there.exists() and there.samefile(timeline)):
            with writing(there):
                shutil.copyfile(timeline, there)
    write_report([folder], folder / PAGE)
