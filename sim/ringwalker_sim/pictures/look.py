"""How the pictures look: colours for light and dark, and how wide text is."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

__all__ = ["MONO", "ROOMS", "document", "room_class", "text", "width"]

MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

_MONO_EM = 0.61
"""A character of the widest usual monospaced font, by its size."""

ROOMS = {
    "pci": ("#0969da", "#58a6ff"),
    "transport": ("#8250df", "#bc8cff"),
    "queue": ("#1a7f37", "#3fb950"),
    "dma": ("#bc4c00", "#f0883e"),
    "tlp": ("#9a6700", "#d29922"),
    "function": ("#bf3989", "#f778ba"),
    "shim": ("#116e78", "#39c5cf"),
}
"""The folders of ``rtl/ringwalker`` that have a colour, in light and in dark."""

_LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "line": "#57606a", "rule": "#d1d9e0"}
_DARK = {"paper": "#0d1117", "ink": "#e6edf3", "soft": "#9198a1", "line": "#9ea7b3", "rule": "#30363d"}

_RULES = f"""\
text{{font-family:{_SANS};fill:var(--ink);font-size:12px}}
.mono{{font-family:{MONO}}}
.soft{{fill:var(--soft)}}
.title{{font-size:14px;font-weight:600}}
.small{{font-size:11px}}
.middle{{text-anchor:middle}}
.end{{text-anchor:end}}
.paper{{fill:var(--paper);stroke:none}}
"""


def _variables(colours: dict[str, str], room: int) -> str:
    named = {**colours, **{name: pair[room] for name, pair in ROOMS.items()}}
    return ";".join(f"--{name}:{colour}" for name, colour in named.items())


def room_class(room: str) -> str:
    """The class of what stands in the folder ``room``."""
    first = room.split("/")[0]
    return first if first in ROOMS else "rest"


def width(words: str, size: float) -> float:
    """How wide ``words`` are in a monospaced font of ``size``, at most."""
    return len(words) * _MONO_EM * size


def text(x: float, y: float, words: str, classes: str = "", more: str = "") -> str:
    """A line of text that begins at ``x`` and stands on ``y``."""
    kind = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}{more}>{escape(words)}</text>'


def document(size: tuple[float, float], title: str, rules: str, body: Iterable[str]) -> str:
    """The SVG file: its own paper, so it can be read on any page; light or dark as the reader has it."""
    wide, high = (round(side) for side in size)
    style = f":root{{{_variables(_LIGHT, 0)}}}\n"
    style += f"@media (prefers-color-scheme:dark){{:root{{{_variables(_DARK, 1)}}}}}\n{_RULES}{rules}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    )
    lines = [
        f'{head} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{style}</style>",
        f'<rect class="paper" width="{wide}" height="{high}" rx="6"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
