"""A drawing of some requests of a timeline: what each waited for, and how busy the link was meanwhile."""

from collections.abc import Iterator

import numpy as np

from .requests import SEGMENTS
from .timeline import DOWN, UP, Timeline

__all__ = ["COLOURS", "picture"]

COLOURS = dict(
    zip(
        SEGMENTS,
        (
            *("#bdbdbd", "#6baed6", "#3182bd", "#08519c", "#54278f", "#9e9ac8", "#d9d9d9"),
            *("#a1d99b", "#31a354", "#006d2c", "#fd8d3c", "#e6550d", "#737373"),
        ),
        strict=True,
    )
)
"""The colour of each segment."""

_WIDTH, _LEFT, _RIGHT, _TOP = 720, 124, 14, 92
_ROW, _GAP, _LINK = 15, 4, 46
_LEGEND = 5
_WINDOWS = 160


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{text}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _legend() -> Iterator[str]:
    step = (_WIDTH - 2 * _RIGHT) / _LEGEND
    for place, (name, colour) in enumerate(COLOURS.items()):
        x, y = _RIGHT + step * (place % _LEGEND), 30 + 18 * (place // _LEGEND)
        yield _box(x, y, 11, 11, colour)
        yield _text(x + 16, y + 10, name)


def _link(timeline: Timeline, first: int, last: int, top: float) -> Iterator[str]:
    """How many bytes a cycle each direction carries, as a part of what it can."""
    most = timeline.about["link_bytes_per_cycle"]
    window = max(1, (last - first) // _WINDOWS)
    wide = (_WIDTH - _LEFT - _RIGHT) * window / (last - first)
    for row, (name, kinds) in enumerate((("from the device", UP), ("to the device", DOWN))):
        base = top + (row + 1) * _LINK - 6
        yield _text(_LEFT - 8, base - 12, name, "end", 11)
        yield _text(_LEFT - 8, base, "0 to 100 % full", "end", 11)
        moved = timeline.occupancy(kinds, window)[first // window : last // window + 1]
        for place, part in enumerate(np.minimum(1, moved / (window * most)).tolist()):
            if part:
                height = part * (_LINK - 12)
                yield _box(_LEFT + place * wide, base - height, wide, height, "#4d4d4d")
        yield f'<path d="M{_LEFT} {base}H{_WIDTH - _RIGHT}" stroke="#999"/>'


def picture(timeline: Timeline, first_request: int, count: int, title: str) -> str:
    """``count`` requests of ``timeline`` from one on, whose link has a limit, as SVG."""
    requests = timeline.requests[first_request : first_request + count]
    requests = requests[np.argsort(requests["at"][:, 0], kind="stable")]
    at = requests["at"] - requests["at"].min()
    first, last = int(requests["at"].min()), int(requests["at"].max())
    scale = (_WIDTH - _LEFT - _RIGHT) / (last - first)
    height = _TOP + count * (_ROW + _GAP) + 2 * _LINK + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        _box(0, 0, _WIDTH, height, "#ffffff"),
        _text(_RIGHT, 18, title, size=14),
        *_legend(),
    ]
    for row, (request, times) in enumerate(zip(requests, at.tolist(), strict=True)):
        y = _TOP + row * (_ROW + _GAP)
        lines.append(
            _text(
                _LEFT - 8,
                y + 12,
                f"queue {int(request['queue'])}, buffer {int(request['number'])}",
                "end",
                11,
            )
        )
        for name, begin, end in zip(SEGMENTS, times, times[1:], strict=False):
            if end > begin:
                lines.append(_box(_LEFT + begin * scale, y, (end - begin) * scale, _ROW, COLOURS[name]))
    bottom = _TOP + count * (_ROW + _GAP)
    lines += _link(timeline, first, last, bottom)
    for step in range(6):
        cycles = (last - first) * step / 5
        shown = f"{cycles / timeline.about['clock_mhz']:.1f} µs"
        anchor = "start" if step == 0 else "end" if step == 5 else "middle"
        lines.append(_text(_LEFT + cycles * scale, height - 10, shown, anchor, 11))
    return "\n".join([*lines, "</svg>", ""])
