"""A block diagram as SVG, and what can be read in one."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from .drawing import TIMES, Box, Drawing, Line
from .layout import lay_out
from .look import ROOMS, document, room_class, text, width

__all__ = ["diagram", "read_diagram"]

_KIND_SIZE, _PATH_SIZE, _LABEL_SIZE = 12.0, 10.5, 10.5
_MARGIN = 14.0
_TOP = 40.0
_SVG = "{http://www.w3.org/2000/svg}"

_RULES = f"""\
.label{{font-size:{_LABEL_SIZE}px}}
.path{{font-size:{_PATH_SIZE}px}}
.halo{{fill:var(--paper)}}
.box{{stroke:var(--soft);fill:var(--soft);fill-opacity:.1;stroke-width:1.3}}
.port{{stroke:var(--line);fill:var(--paper);stroke-width:1}}
.line{{stroke:var(--line);fill:none;stroke-width:1.3}}
.tip{{fill:var(--line)}}
.signals .line{{stroke-dasharray:4 3;stroke-width:1}}
.group{{fill:none;stroke:var(--rule);stroke-width:1}}
""" + "".join(f".{room} .box{{stroke:var(--{room});fill:var(--{room})}}\n" for room in ROOMS)

_OPTIONS = {
    "elk.algorithm": "layered",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.edgeLabels.inline": "true",
    "elk.layered.spacing.nodeNodeBetweenLayers": "20",
    "elk.layered.spacing.edgeNodeBetweenLayers": "14",
    "elk.layered.spacing.edgeEdgeBetweenLayers": "10",
    "elk.spacing.nodeNode": "22",
    "elk.spacing.edgeNode": "14",
    "elk.spacing.edgeEdge": "12",
    "elk.spacing.edgeLabel": "3",
    "elk.spacing.componentComponent": "24",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.nodePlacement.favorStraightEdges": "true",
    "elk.layered.thoroughness": "40",
    "elk.randomSeed": "1",
    "elk.padding": "[top=0,left=0,bottom=0,right=0]",
}


def _is_port(box: Box) -> bool:
    return not box.kind


def _size(box: Box) -> tuple[float, float]:
    if _is_port(box):
        return width(box.path[1:], _LABEL_SIZE) + 20, 22.0
    return max(width(box.kind, _KIND_SIZE), width(_shown_path(box), _PATH_SIZE), 70) + 18, 42.0


def _shown_path(box: Box) -> str:
    """Where it is. Blocks that are drawn as one have no place."""
    count, _times, kind = box.path.partition(TIMES)
    return f"{count} of them" if kind else box.path


def _label(line: Line) -> list[str]:
    """The label in lines: what it is, and how wide."""
    words, _space, bits = line.label.rpartition(" ")
    return [words, f"{bits} bits"] if bits.isdigit() else [line.label]


def _label_size(line: Line) -> dict[str, float]:
    rows = _label(line)
    return {"width": max(width(row, _LABEL_SIZE) for row in rows) + 6, "height": 13.0 * len(rows) + 1}


def _elk(drawing: Drawing, direction: str) -> dict[str, Any]:
    children = [
        {"id": box.path, "width": size[0], "height": size[1]}
        for box in drawing.boxes
        for size in [_size(box)]
    ]
    edges = [
        {
            "id": str(n),
            "sources": [line.source],
            "targets": [line.sink],
            "labels": [{"id": f"{n}t", "text": line.label, **_label_size(line)}],
        }
        for n, line in enumerate(drawing.lines)
    ]
    return {
        "id": "whole",
        "layoutOptions": {**_OPTIONS, "elk.direction": direction},
        "children": children,
        "edges": edges,
    }


def _route(points: list[tuple[float, float]], radius: float = 4.0) -> str:
    """A path along ``points`` with round corners."""
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        corner = []
        for end in (before, after):
            dx, dy = end[0] - at[0], end[1] - at[1]
            length = max(abs(dx), abs(dy)) or 1.0
            step = min(radius, length / 2)
            corner.append((at[0] + dx / length * step, at[1] + dy / length * step))
        parts.append(
            f"L{corner[0][0]:g} {corner[0][1]:g}Q{at[0]:g} {at[1]:g} {corner[1][0]:g} {corner[1][1]:g}"
        )
    return "".join([*parts, f"L{points[-1][0]:g} {points[-1][1]:g}"])


def _tip(before: tuple[float, float], at: tuple[float, float]) -> str:
    dx, dy = at[0] - before[0], at[1] - before[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    dx, dy = dx / length, dy / length
    back = (at[0] - 7 * dx, at[1] - 7 * dy)
    corners = [at, (back[0] - 3.2 * dy, back[1] + 3.2 * dx), (back[0] + 3.2 * dy, back[1] - 3.2 * dx)]
    return '<path class="tip" d="M' + "L".join(f"{x:g} {y:g}" for x, y in corners) + 'z"/>'


def _rounded(value: float) -> float:
    return round(value, 1)


def _draw_line(line: Line, placed: dict[str, Any], dx: float, dy: float) -> Iterator[str]:
    kind = "edge" if line.stream else "edge signals"
    names = " ".join(
        f"data-{name}={quoteattr(value)}"
        for name, value in (("source", line.source), ("sink", line.sink), ("label", line.label))
    )
    yield f'<g class="{kind}" {names}>'
    for section in placed["sections"]:
        stops = [section["startPoint"], *section.get("bendPoints", []), section["endPoint"]]
        points = [(_rounded(stop["x"] + dx), _rounded(stop["y"] + dy)) for stop in stops]
        yield f'<path class="line" d="{_route(points)}"/>'
        yield _tip(points[-2], points[-1])
    yield "</g>"


def _draw_label(line: Line, placed: dict[str, Any], dx: float, dy: float) -> Iterator[str]:
    for label in placed["labels"]:
        x, y = _rounded(label["x"] + dx), _rounded(label["y"] + dy)
        wide, high = _rounded(label["width"]), _rounded(label["height"])
        yield f'<rect class="halo" x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"/>'
        for n, row in enumerate(_label(line)):
            yield text(_rounded(x + wide / 2), _rounded(y + 10.6 + 13 * n), row, "mono label soft middle")


def _draw_box(box: Box, place: dict[str, Any], dx: float, dy: float) -> Iterator[str]:
    x, y = _rounded(place["x"] + dx), _rounded(place["y"] + dy)
    wide, high = _rounded(place["width"]), _rounded(place["height"])
    middle = _rounded(x + wide / 2)
    rect = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"'
    names = " ".join(
        f"data-{name}={quoteattr(value)}"
        for name, value in (("path", box.path), ("kind", box.kind), ("room", box.room))
    )
    if _is_port(box):
        yield f'<g class="outside" {names}><rect class="port" {rect} rx="11"/>'
        yield text(middle, y + 15, box.path[1:], "mono label middle") + "</g>"
        return
    yield f'<g class="block {room_class(box.room)}" {names}><rect class="halo" {rect} rx="4"/>'
    yield f'<rect class="box" {rect} rx="4"/>'
    yield text(middle, y + 18, box.kind, "mono middle", ' font-weight="600"')
    yield text(middle, y + 33, _shown_path(box), "mono path soft middle") + "</g>"


def _legend(drawing: Drawing, x: float, y: float) -> Iterator[str]:
    for room in dict.fromkeys(room_class(box.room) for box in drawing.boxes if not _is_port(box)):
        name = f"{room}/" if room in ROOMS else "others"
        square = f'<rect class="box" x="{x:g}" y="{y - 9:g}" width="12" height="12" rx="2"/>'
        yield f'<g class="{room}">{square}</g>'
        yield text(x + 17, y + 1, name, "mono label soft")
        x += 17 + width(name, _LABEL_SIZE) + 14


def diagram(drawing: Drawing, title: str, direction: str = "DOWN") -> str:
    """The SVG file. ``direction`` is where data mostly goes: ``DOWN`` or ``RIGHT``.

    Errors: ``ToolError`` if it cannot be laid out.
    """
    placed = lay_out(_elk(drawing, direction))
    places = {one["id"]: one for one in placed["children"]}
    dx, dy = _MARGIN, _TOP
    body = [text(_MARGIN, 22, title, "title")]
    for line, route in zip(drawing.lines, placed["edges"], strict=True):
        body += _draw_line(line, route, dx, dy)
    for line, route in zip(drawing.lines, placed["edges"], strict=True):
        body += _draw_label(line, route, dx, dy)
    for box in drawing.boxes:
        body += _draw_box(box, places[box.path], dx, dy)
    foot = dy + placed["height"] + 26
    body += _legend(drawing, _MARGIN, foot)
    wide = max(placed["width"] + 2 * _MARGIN, 10 * len(title) * 0.85 + 2 * _MARGIN)
    return document((wide, foot + 14), title, _RULES, body)


def read_diagram(svg: str) -> Drawing:
    """What can be read in a diagram: every box and line that is drawn, with the words in it."""
    boxes, lines = [], []
    for group in ElementTree.fromstring(svg).iter(f"{_SVG}g"):
        kinds = group.get("class", "").split()
        if "edge" in kinds and group.find(f"{_SVG}path") is not None:
            lines.append(
                Line(
                    group.get("data-source", ""),
                    group.get("data-sink", ""),
                    group.get("data-label", ""),
                    "signals" not in kinds,
                )
            )
        elif {"block", "outside"} & set(kinds):
            words = [one.text or "" for one in group.iter(f"{_SVG}text")]
            kind = "" if "outside" in kinds else words[0]
            path = f":{words[0]}" if "outside" in kinds else words[1]
            path = path.replace(" of them", f"{TIMES}{kind}")
            boxes.append(Box(path, kind, group.get("data-room", "")))
    return Drawing(tuple(sorted(boxes)), tuple(sorted(lines)))
