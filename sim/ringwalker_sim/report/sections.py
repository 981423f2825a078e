"""The sections of a report on one run, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from .figures import Detail
from .html import Html, element, join
from .latencies import latency_section, waterfall_section
from .material import Material
from .overview import ceilings_section, run_section
from .traffic import slowest_section, time_section, tlps_section

__all__ = ["Section", "sections", "text_section"]


@dataclass(frozen=True)
class Section:
    """A part of the page with its own heading, which ``id`` leads to."""

    id: str
    title: str
    content: Html

    def html(self) -> Html:
        """The whole section."""
        heading = element("h2", self.title, id=f"{self.id}-title")
        return element("section", heading, self.content, id=self.id, aria_labelledby=f"{self.id}-title")


def text_section(text: str, name: str, about: str) -> Html:
    """A text as it is, which can be copied."""
    copy = element("button", "Copy", data_copy=name, hidden=True)
    head = element("div", element("p", about, class_="soft"), copy, class_="head")
    return join(head, element("pre", text.rstrip("\n"), id=name, tabindex="0"))


def sections(material: Material, window: int, part: Detail | None) -> Sequence[Section]:
    """Those that there is something for; ``window`` and ``part`` are those of its timeline."""
    timeline = material.timeline
    made: list[tuple[str, str, Html | None]] = [
        ("run", "What ran", run_section(material)),
        ("ceilings", "Figures against their ceilings", ceilings_section(material)),
    ]
    if timeline is not None and part is not None:
        made += [
            ("latency", "Latency", latency_section(timeline)),
            ("waterfall", "Where the cycles went", waterfall_section(timeline)),
            ("time", "Over time", time_section(timeline, window, part)),
            ("tlps", "TLPs", tlps_section(timeline)),
            ("slowest", "The slowest requests", slowest_section(timeline)),
        ]
    if material.lspci:
        about = "What a guest finds on the bus, in the manner of lspci -vvv."
        made.append(("lspci", "lspci", text_section(material.lspci, "lspci-text", about)))
    if material.config:
        about = "The device, as --config reads it."
        made.append(("config", "Configuration", text_section(material.config, "config-text", about)))
    return [Section(name, title, content) for name, title, content in made if content is not None]
