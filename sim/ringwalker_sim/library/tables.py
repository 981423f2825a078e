"""Tables and pictures of the library's objects, as HTML for notebooks. Text is escaped; nothing is loaded."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["bars_svg", "html_table", "page"]

_WIDTH, _HEIGHT, _MARGIN = 420, 120, 18


def html_table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Rows of cells; numbers stand at the right."""
    lines = ["<table>"]
    if header:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>")
    for row in rows:
        cells = []
        for cell in row:
            number = isinstance(cell, int | float) and not isinstance(cell, bool)
            text = f"{cell:,}" if number else escape(str(cell))
            cells.append(f'<td style="text-align:{"right" if number else "left"}">{text}</td>')
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "".join([*lines, "</table>"])


def page(title: str, *parts: str) -> str:
    """A title and what is below it."""
    return f"<div><b>{escape(title)}</b>{''.join(parts)}</div>"


def bars_svg(counts: Sequence[int], low: float, high: float, unit: str) -> str:
    """A histogram as inline SVG: ``counts`` of equal parts of the range from ``low`` to ``high``."""
    most = max([*counts, 1])
    step = _WIDTH / max(1, len(counts))
    bars = []
    for number, count in enumerate(counts):
        tall = count / most * (_HEIGHT - 2 * _MARGIN)
        left, width = low + (high - low) * number / len(counts), (high - low) / len(counts)
        title = f"{left:,.0f} to {left + width:,.0f} {escape(unit)}: {count:,}"
        bars.append(
            f'<rect x="{number * step:.1f}" y="{_HEIGHT - _MARGIN - tall:.1f}" width="{step * 0.9:.1f}" '
            f'height="{tall:.1f}"><title>{title}</title></rect>'
        )
    base = _HEIGHT - _MARGIN
    texts = (
        f'<text x="0" y="{_HEIGHT - 4}">{low:,.0f}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{high:,.0f} {escape(unit)}</text>'
        f'<text x="0" y="{_MARGIN - 6}">{most:,}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="11" font-family="sans-serif">'
        f'<g fill="#4878a8">{"".join(bars)}</g>'
        f'<line x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}" stroke="currentColor"/>'
        f'<g fill="currentColor">{texts}</g></svg>'
    )
