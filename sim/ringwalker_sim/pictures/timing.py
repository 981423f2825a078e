"""A timing diagram as SVG, from WaveJSON as :mod:`.scene` records it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .look import document, text, width

__all__ = ["timing"]

_ROW, _HIGH = 30.0, 18.0
_TOP, _SIDE = 34.0, 14.0
_NAME_SIZE, _WORD_SIZE = 11.0, 10.5
_LEAST, _SLANT, _GAP = 24.0, 3.0, 16.0

_RULES = f"""\
.name{{font-size:{_NAME_SIZE}px}}
.word{{font-size:{_WORD_SIZE}px}}
.cycle{{font-size:9px}}
.grid{{stroke:var(--rule);stroke-width:1;stroke-dasharray:2 3}}
.wave{{stroke:var(--ink);fill:none;stroke-width:1.3}}
.rest{{stroke:var(--rule);stroke-width:1.3}}
.taken{{stroke:var(--queue);fill:var(--queue);fill-opacity:.13;stroke-width:1.2}}
.waits{{stroke:var(--tlp);fill:var(--tlp);fill-opacity:.2;stroke-width:1.2}}
.bare{{stroke:none}}
.hollow{{fill:none}}
.cause{{stroke:var(--function);fill:none;stroke-width:1.3}}
.tip{{fill:var(--function)}}
.why{{font-size:10px;fill:var(--function)}}
.halo{{fill:var(--paper)}}
"""


@dataclass(frozen=True)
class _Box:
    """What a line is from column ``begin`` to before column ``end``. ``item``: where the box that has its
    words begins and ends, which is one for an item that waited and was taken."""

    wave: str
    words: str
    begin: int
    end: int
    item: tuple[int, int] | None = None


def _pieces(line: dict[str, Any]) -> list[_Box]:
    """The line in pieces. A gap goes on with what was before it."""
    found: list[_Box] = []
    data = iter(line.get("data", ()))
    for n, wave in enumerate(line["wave"]):
        if wave in ".|":
            last = found.pop()
            found.append(_Box(last.wave, last.words, last.begin, n + 1))
        else:
            found.append(_Box(wave, next(data) if wave in "=3" else "", n, n + 1))
    return found


def _boxes(line: dict[str, Any]) -> list[_Box]:
    """The pieces of the line, each with its item."""
    pieces = _pieces(line)
    found: list[_Box] = []
    for n, piece in enumerate(pieces):
        begin, end = piece.begin, piece.end
        before = pieces[n - 1] if n else None
        after = pieces[n + 1] if n + 1 < len(pieces) else None
        if piece.wave == "=" and before and before.wave == "3" and before.words == piece.words:
            begin = before.begin
        if piece.wave == "3" and after and after.wave == "=" and after.words == piece.words:
            end = after.end
        found.append(_Box(*(piece.wave, piece.words, piece.begin, piece.end), (begin, end)))
    return found


def _unbroken(pattern: str, begin: int, end: int) -> tuple[int, int]:
    """The longest run of columns from ``begin`` to ``end`` that no gap is in: there words have room."""
    best = at = (begin, begin)
    for n in range(begin, end):
        at = (n + 1, n + 1) if pattern[n] == "|" else (at[0], n + 1)
        best = max(best, at, key=lambda run: run[1] - run[0])
    return best


class _Sheet:
    """Where columns and rows are."""

    def __init__(self, wave: dict[str, Any]):
        lines = wave["signal"]
        self.cycles = lines[0]
        self.lines = [(line, _boxes(line)) for line in lines[1:]]
        self.left = _SIDE + max(width(line["name"], _NAME_SIZE) for line in lines) + 12
        self.widths = self._columns()
        self.at = [self.left]
        for wide in self.widths:
            self.at.append(round(self.at[-1] + wide, 1))
        self.right = self.at[-1]
        self.bottom = _TOP + 22 + _ROW * len(self.lines)

    def _columns(self) -> list[float]:
        """How wide columns are: as wide as the words in them, so cycles without any take less room."""
        pattern = self.cycles["wave"]
        found = [_GAP if mark == "|" else _LEAST for mark in pattern]
        needs: dict[tuple[int, int], float] = {}
        for _line, boxes in self.lines:
            for box in boxes:
                if box.words:
                    run = _unbroken(pattern, *(box.item or (box.begin, box.end)))
                    needs[run] = max(needs.get(run, 0.0), width(box.words, _WORD_SIZE) + 2 * _SLANT + 5)
        for (begin, end), need in sorted(needs.items(), key=lambda item: (item[0][1] - item[0][0], item[0])):
            more = (need - sum(found[begin:end])) / (end - begin)
            for n in range(begin, end):
                found[n] += max(more, 0.0)
        return found

    def row(self, n: int) -> float:
        """The middle of line ``n``."""
        return _TOP + 22 + _ROW * n + _ROW / 2


def _levels(sheet: _Sheet, boxes: list[_Box], y: float) -> Iterator[str]:
    high, low = y - _HIGH / 2 + 1, y + _HIGH / 2 - 1
    path = ""
    for box in boxes:
        level = high if box.wave == "1" else low
        begin, end = sheet.at[box.begin], sheet.at[box.end]
        path += (
            f"L{begin:g} {level:g}L{end:g} {level:g}" if path else f"M{begin:g} {level:g}L{end:g} {level:g}"
        )
    yield f'<path class="wave" d="{path}"/>'


def _items(sheet: _Sheet, boxes: list[_Box], y: float) -> Iterator[str]:
    top, bottom = y - _HIGH / 2, y + _HIGH / 2
    items: dict[tuple[int, int], list[_Box]] = {}
    for box in boxes:
        begin, end = sheet.at[box.begin], sheet.at[box.end]
        if box.wave not in "=3":
            yield f'<path class="rest" d="M{begin:g} {y:g}H{end:g}"/>'
        else:
            items.setdefault(box.item or (box.begin, box.end), []).append(box)
    for (first, last), parts in items.items():
        begin, end = sheet.at[first], sheet.at[last]
        middle = sheet.at[parts[-1].begin]
        shape = (
            f"M{begin:g} {y:g}L{begin + _SLANT:g} {top:g}H{end - _SLANT:g}L{end:g} {y:g}"
            f"L{end - _SLANT:g} {bottom:g}H{begin + _SLANT:g}z"
        )
        yield f'<path class="halo" d="{shape}"/>'
        if len(parts) == 1:
            yield f'<path class="{"taken" if parts[0].wave == "=" else "waits"}" d="{shape}"/>'
        else:
            left = f"M{begin:g} {y:g}L{begin + _SLANT:g} {top:g}H{middle:g}V{bottom:g}H{begin + _SLANT:g}z"
            right = (
                f"M{middle:g} {top:g}H{end - _SLANT:g}L{end:g} {y:g}L{end - _SLANT:g} {bottom:g}H{middle:g}z"
            )
            yield f'<path class="waits bare" d="{left}"/><path class="taken bare" d="{right}"/>'
            yield f'<path class="taken hollow" d="{shape}"/>'
        words = _unbroken(sheet.cycles["wave"], first, last)
        middle = round((sheet.at[words[0]] + sheet.at[words[1]]) / 2, 1)
        yield text(middle, y + 3.6, parts[0].words, "mono word middle")


def _gaps(sheet: _Sheet) -> Iterator[str]:
    """A gap cuts all lines."""
    for n, mark in enumerate(sheet.cycles["wave"]):
        if mark == "|":
            x = sheet.at[n]
            for row in range(len(sheet.lines)):
                y = sheet.row(row)
                yield f'<rect class="halo" x="{x + 3:g}" y="{y - 10:g}" width="10" height="20"/>'
                yield text(x + 8, y + 3, "⋯", "soft middle small")


def _causes(sheet: _Sheet, edges: list[str]) -> Iterator[str]:
    places: dict[str, tuple[float, float]] = {}
    for row, (line, _boxes_of_it) in enumerate(sheet.lines):
        for n, mark in enumerate(line.get("node", "")):
            if mark != ".":
                places[mark] = (sheet.at[n], sheet.row(row))
    labels = []
    for edge in edges:
        ends, _space, says = edge.partition(" ")
        (x0, y0), (x1, y1) = places[ends[0]], places[ends[-1]]
        down = 1 if y1 > y0 else -1
        y0, y1 = y0 + down * (_HIGH / 2), y1 - down * (_HIGH / 2)
        x0, x1 = x0 + 11, x1 + 6
        bend = (y1 - y0) / 2
        curve = f"C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1 - 5 * down:g}"
        yield f'<path class="cause" d="M{x0:g} {y0:g}{curve}"/>'
        yield f'<path class="tip" d="M{x1:g} {y1:g}L{x1 - 3:g} {y1 - 6 * down:g}H{x1 + 3:g}z"/>'
        if says:
            labels.append((round((x0 + x1) / 2, 1), round((y0 + y1) / 2, 1), says))
    for x, y, says in labels:
        wide = width(says, 10)
        yield f'<rect class="halo" x="{x - wide / 2 - 2:g}" y="{y - 7:g}" width="{wide + 4:g}" height="14"/>'
        yield text(x, y + 3.5, says, "why mono middle")


def timing(wave: dict[str, Any]) -> str:
    """The SVG file of ``wave``."""
    sheet = _Sheet(wave)
    title = wave["head"]["text"]
    body = [text(_SIDE, 22, title, "title")]
    cycles = iter(sheet.cycles["data"])
    body.append(text(sheet.left - 12, _TOP + 17, "cycle", "mono cycle soft end"))
    for n, mark in enumerate(sheet.cycles["wave"]):
        if mark != "|":
            x = sheet.at[n]
            body.append(f'<path class="grid" d="M{x:g} {_TOP + 22:g}V{sheet.bottom:g}"/>')
            body.append(
                text(round((x + sheet.at[n + 1]) / 2, 1), _TOP + 17, next(cycles), "mono cycle soft middle")
            )
    body += _causes(sheet, wave.get("edge", []))
    for row, (line, boxes) in enumerate(sheet.lines):
        y = sheet.row(row)
        body.append(text(sheet.left - 12, y + 4, line["name"], "mono name end"))
        draw = _levels if all(box.wave in "01" for box in boxes) else _items
        body += draw(sheet, boxes, y)
    body += _gaps(sheet)
    foot = sheet.bottom + 22
    body += _legend(sheet, _SIDE, foot)
    wide = max(sheet.right + _SIDE, 0.62 * 14 * len(title) + 2 * _SIDE, 360.0)
    return document((wide, foot + 14), title, _RULES, body)


def _legend(sheet: _Sheet, x: float, y: float) -> Iterator[str]:
    waves = {box.wave for _line, boxes in sheet.lines for box in boxes}
    for mark, kind, says in (
        ("=", "taken", "taken in its last cycle"),
        ("3", "waits", "offered, not taken yet"),
    ):
        if mark in waves:
            yield f'<rect class="{kind}" x="{x:g}" y="{y - 9:g}" width="12" height="12" rx="2"/>'
            yield text(x + 17, y + 1, says, "soft small")
            x += 17 + width(says, 10) + 16
