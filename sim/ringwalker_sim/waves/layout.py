"""Layouts for waveform viewers: which signals to show first, in what groups, and states by their names.

From the map that the generator makes of a device's signals (``ringwalker.generate.signals``) come a save
file for GTKWave and a command file for Surfer, beside the FST file, and tables that turn numbers into names.
"""

import hashlib
import math
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder, write_file

from .fst import FstError, FstSignal, read_fst_end, read_fst_signals, read_fst_texts
from .story import LINK, MOST_ROWS, REQUESTS, STAGES, stage_name

__all__ = [
    "DEFAULT_PREFIX",
    "HANDSHAKE",
    "STEPS",
    "Group",
    "Row",
    "Step",
    "layout",
    "open_waves",
    "trace_prefix",
    "write_layout",
]


@dataclass(frozen=True)
class Step:
    """A part of a request's way: its name, the segment of requests that it is, and the stream that ends it.

    A stream with a dot in front may be one of several ports.

    ``colour`` is one of GTKWave's: red, orange, yellow, green; blue is hard to see on black.
    """

    name: str
    segment: str
    stream: str | None
    colour: int


STEPS = (
    Step("driver adds and shows", "show", None, 2),
    Step("doorbell", "doorbell", "doorbells", 3),
    Step("visit of the queue", "schedule", "visits", 3),
    Step("available index", "available index", "snapshots", 4),
    Step("ring entry", "ring entry", "heads", 4),
    Step("descriptors", "descriptors", "chains", 4),
    Step("dispatch", "dispatch", "function.chains", 3),
    Step("payload in", "payload in", "function.readable", 3),
    Step("function", "function", ".replies", 3),
    Step("payload out", "payload out", "completed", 3),
    Step("used ring", "used ring", "used", 2),
    Step("interrupt", "interrupt", "interrupts", 1),
    Step("driver takes", "driver", None, 2),
)
"""The way of a request, in order."""

TLP_STREAMS = ("completer_request", "completer_completion", "requester_request", "requester_completion")

STORAGE_STREAMS = ("storage.commands", "storage.write_data", "storage.read_data", "storage.results")

DEFAULT_PREFIX = "TOP.ringwalker"
"""Where the design is in a trace by Verilator, for files whose names cannot be read."""

_DEEPEST_SCOPE = 4
"""Instances below the top down to which streams are shown; what is deeper is inside a block."""


@dataclass(frozen=True)
class Row:
    """A signal to show: its path below the top, joined by dots, its width, and names of its values.

    ``name`` is how it is called, if not by its path. With ``ready`` it is the valid of a stream, and both are
    one line. ``outside``: the path begins outside the design. ``decimal``: it is a count or a position.
    """

    path: str
    width: int
    values: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    ready: str | None = None
    colour: int = 0
    outside: bool = False
    decimal: bool = False


@dataclass(frozen=True)
class Group:
    """Rows under a title; ``closed`` if they are details."""

    title: str
    rows: tuple[Row, ...]
    closed: bool = False


HANDSHAKE = {"0": "idle", "1": "idle", "2": "waits", "3": "moves"}
"""Valid and ready of a stream as one number: nothing there, something that is not taken, something taken."""

_DECIMAL = {
    "queue",
    "idx",
    "id",
    "at",
    "next",
    "span",
    "readable",
    "writable",
    "written",
    "count",
    "length",
    "total",
}
_WORDS = {
    "idx": "index",
    "id": "head descriptor",
    "at": "position in the ring",
    "next": "index that it carries",
    "carried": "carries an index",
    "span": "descriptors of it",
    "guess": "is a guess",
    "readable": "bytes to read",
    "writable": "bytes to write",
    "written": "bytes written",
}


def _handshake(stream: Mapping[str, Any], name: str, colour: int = 0) -> Row:
    return Row(stream["valid"], 1, HANDSHAKE, name, stream["ready"], colour)


def _stream_rows(stream: Mapping[str, Any], of: str, colour: int = 0) -> Iterator[Row]:
    """Handshake first, then names, then numbers, wide data last."""
    yield _handshake(stream, of, colour)
    fields = [
        Row(
            entry["signal"],
            entry["width"],
            entry.get("values", {}),
            f"{of}: {_WORDS.get(name, name.replace('_', ' '))}",
            decimal=name in _DECIMAL,
        )
        for name, entry in stream["fields"].items()
    ]
    if not fields and "payload" in stream:
        fields = [Row(stream["payload"], stream["width"], {}, f"{of}: value")]
    yield from sorted(fields, key=lambda row: (not row.values, row.width > 64, row.path))


def _port_rows(signals: Mapping[str, Any], stream: str) -> Iterator[Row]:
    for port in signals["ports"]:
        if port["path"].startswith(f"{stream}."):
            name = port["name"].removeprefix(f"{stream.replace('.', '_')}_").replace("_", " ")
            yield Row(port["name"], port["width"], port.get("values", {}), name)


def _order(row: Row) -> tuple[bool, bool, bool]:
    return (not row.path.endswith(("_valid", "_ready")), not row.values, row.width > 64)


def _told(scope: tuple[str, ...], track: str, name: str, colour: int = 0) -> Row:
    """A track of the story (:mod:`.story`)."""
    return Row(".".join((*scope, track)), 1, {}, name, colour=colour, outside=True)


def _steps(sources: list[Mapping[str, Any]]) -> Iterator[tuple[Step, list[Mapping[str, Any]]]]:
    """Each step with its streams: where a block hands on that of one inside the outermost, in each lane."""
    for step in STEPS:
        same = [
            stream
            for stream in sources
            if step.stream is not None
            and len(stream["scope"]) > 1
            and f".{stream['name']}".endswith(step.stream)
            and (step.stream.startswith(".") or stream["name"] == step.stream)
        ]
        least = min((len(stream["scope"]) for stream in same), default=0)
        yield step, [stream for stream in same if len(stream["scope"]) == least]


def _way(sources: list[Mapping[str, Any]]) -> tuple[Group, list[Group]]:
    """A line for who is in each step and one for its stream, and their details, a group a step."""
    rows, details = [], []
    for step, streams in _steps(sources):
        name = step.name
        rows.append(_told(STAGES, stage_name(step.segment), name, step.colour))
        for number, stream in enumerate(streams):
            called = f"{name} {number}" if len(streams) > 1 else name
            rows.append(_handshake(stream, f"    {called}: stream"))
            details.append(Group(f"details: {called}", tuple(_stream_rows(stream, called)), True))
    return Group("The way of a request", tuple(rows)), details


def layout(signals: Mapping[str, Any]) -> list[Group]:
    """The groups in the order in which they are shown.

    Requests, TLPs, and a request's way from doorbell to interrupt; then, closed, the details: of each step,
    TLPs, storage, the streams of each block, states.
    """
    sources = [stream for stream in signals["streams"] if stream["direction"] == "output"]

    def title(stream: Mapping[str, Any]) -> str:
        return ".".join((*stream["scope"][1:], stream["name"]))

    way, details = _way(sources)
    rows = tuple(_told(REQUESTS, f"row{row}", f"request, row {row}", 3) for row in range(MOST_ROWS))
    groups = [
        Group("Clock", (Row("clk", 1), Row("rst", 1)), True),
        Group("Requests", (_told(REQUESTS, "start", "begins", 4), _told(REQUESTS, "end", "ends", 1), *rows)),
        Group(
            "Link",
            (
                _told(LINK, "to_device", "TLPs to the device", 2),
                _told(LINK, "from_device", "TLPs from the device", 3),
            ),
        ),
        way,
        *details,
    ]
    for kind, names in (("TLP", TLP_STREAMS), ("storage", STORAGE_STREAMS)):
        for name in names:
            rows = tuple(sorted(_port_rows(signals, name), key=_order))
            if rows:
                groups.append(Group(f"{kind}: {name}", rows, True))
    for stream in sources:
        if 1 < len(stream["scope"]) <= _DEEPEST_SCOPE:
            groups.append(Group(title(stream), tuple(_stream_rows(stream, stream["name"])), True))
    states = tuple(
        Row(fsm["signal"], fsm["width"], fsm["states"], ".".join(fsm["scope"][1:])) for fsm in signals["fsms"]
    )
    if states:
        groups.append(Group("states", states, True))
    others = tuple(Row(s["signal"], s["width"], s.get("values", {})) for s in signals["signals"])
    if others:
        groups.append(Group("idle and others", others, True))
    return groups


def trace_prefix(traced: Iterable[FstSignal], top: str) -> str | None:
    """The scopes of module ``top`` in a trace, joined by dots; None if it is not there."""
    found = {signal.scopes for signal in traced if signal.scopes and signal.scopes[-1] == top}
    return ".".join(min(found, key=len)) if found else None


def _table_name(row: Row) -> str:
    """A name for a table of values, the same for the same table."""
    content = repr((row.width, sorted(row.values.items())))
    return f"ringwalker-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class _Trace:
    """Names in the trace for paths below the top."""

    def __init__(self, fst: Path, top: str, prefix: str | None):
        try:
            traced = read_fst_signals(fst)
        except (OSError, FstError):
            traced = []
        self.prefix = prefix or trace_prefix(traced, top) or DEFAULT_PREFIX
        self._traced = {signal.path: signal for signal in traced}

    def name(self, row: Row) -> str | None:
        """The full name; None for a signal that the trace does not have, if that is known."""
        return self._place(row.path, row.outside)

    def ready(self, row: Row) -> str | None:
        """The full name of the other half of a stream's handshake."""
        return None if row.ready is None else self._place(row.ready, False)

    def _place(self, path: str, outside: bool) -> str | None:
        if outside:
            return path if path in self._traced else None
        places = [f"{self.prefix}.{path}"]
        if path.startswith("device."):
            # With probes around it the device is one level down.
            places.insert(0, f"{self.prefix}.device.{path}")
        if not self._traced:
            return places[-1]
        return next((place for place in places if place in self._traced), None)

    def bits(self, row: Row) -> str:
        signal = self._traced.get(self.name(row) or "")
        if signal is not None:
            return signal.bits
        return f"[{row.width - 1}:0]" if row.width > 1 else ""


def _shown(groups: Iterable[Group], trace: _Trace) -> Iterator[tuple[Group, list[tuple[str, Row]]]]:
    for group in groups:
        rows = [(name, row) for row in group.rows if (name := trace.name(row))]
        if rows:
            yield group, rows


_MARKED = 3
"""Requests with markers at begin and end."""

_GTKWAVE_FRAME = 200
"""Pixels of what GTKWave counts its zoom in."""

_GTKWAVE_PIXELS = 1100
"""About as wide as the waves are in a window of the size that the layout asks for."""

_GTKWAVE_HEX, _GTKWAVE_DECIMAL, _GTKWAVE_BINARY, _GTKWAVE_NAMES = "@22", "@24", "@28", "@2022"
_GTKWAVE_OPEN = ("@800200", "@1000200")
_GTKWAVE_CLOSED = ("@c00200", "@1401200")
"""Flags of the first and the last line of a group."""


def _gtkwave_zoom(fst: Path) -> list[str]:
    """The line that shows the whole run: minus the binary logarithm of time units a frame, and no marker."""
    try:
        end = read_fst_end(fst)
    except (OSError, FstError):
        return []
    zoom = -math.log2(max(1, end) * _GTKWAVE_FRAME / _GTKWAVE_PIXELS)
    marks = _first_requests(fst)
    times = " ".join(str(time) for time, _text in marks)
    names = [f"[markername] {chr(ord('A') + place)}{text}" for place, (_time, text) in enumerate(marks)]
    return [f"*{zoom:.6f} -1 {times}".rstrip(), *names]


def _first_requests(fst: Path) -> list[tuple[int, str]]:
    """When the first requests begin and end, for markers."""
    marks = []
    for verb, track in (("begins", "start"), ("ends", "end")):
        name = ".".join((*REQUESTS, track))
        changes = [change for change in read_fst_texts(fst, [name]).get(name, ()) if change[1]]
        marks += [(time, f"{text} {verb}") for time, text in changes[:_MARKED]]
    # What is marked at one time is read as one.
    return [
        (time, ", ".join(text for at, text in sorted(marks) if at == time)) for time in sorted(dict(marks))
    ]


def _gtkwave_row(name: str, row: Row, trace: _Trace) -> str:
    """A line with a signal, with the name by which it is shown in front."""
    ready = trace.ready(row)
    if ready is not None:
        return f"#{{{row.name}}} {name} {ready}"
    alias = f"+{{{row.name}}} " if row.name else ""
    return alias + name + trace.bits(row)


def _write_gtkwave(fst: Path, groups: Iterable[Group], trace: _Trace) -> Path:
    """A save file; numbers with names go through filter files, which have a line for each value in hex.

    Ref: GTKWave, src/savefile.c and src/analyzer.h (the bits of the flags after ``@``).
    """
    tables = fst.with_suffix(".names")
    lines = [
        f'[dumpfile] "{fst}"',
        "[timestart] 0",
        "[size] 1600 1000",
        "[sst_expanded] 0",
        "[signals_width] 300",
    ]
    lines += _gtkwave_zoom(fst)
    for group, rows in _shown(groups, trace):
        begin, end = _GTKWAVE_CLOSED if group.closed else _GTKWAVE_OPEN
        lines += [begin, f"-{group.title}"]
        for name, row in rows:
            if row.values:
                make_folder(tables)
                table = tables / f"{_table_name(row)}.txt"
                digits = 1 if row.ready else -(-row.width // 4)
                entries = [f"{int(value):0{digits}x} {text}\n" for value, text in row.values.items()]
                write_file(table, "".join(entries))
                lines += [_GTKWAVE_NAMES, f"^1 {table}"]
            elif row.decimal:
                lines.append(_GTKWAVE_DECIMAL)
            else:
                lines.append(_GTKWAVE_HEX if row.width > 1 or row.outside else _GTKWAVE_BINARY)
            if row.colour:
                lines.append(f"[color] {row.colour}")
            lines.append(_gtkwave_row(name, row, trace))
        lines += [end, f"-{group.title}"]
    path = fst.with_suffix(".gtkw")
    write_file(path, "\n".join(lines) + "\n")
    return path


def _surfer_index(number: int) -> str:
    """How Surfer's commands name the row of that number: hexadecimal with the digits a to p."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in f"{number:x}")


def _write_surfer(fst: Path, groups: Iterable[Group], trace: _Trace) -> Path:
    """A command file; names come from mapping files, which Surfer finds in ``.surfer`` where it is started.

    Ref: Surfer, docs/commands and docs/plugins/mapping.md.
    """
    mappings = fst.parent / ".surfer" / "mappings"
    commands, formats, count = [], [], 0
    for group, rows in _shown(groups, trace):
        # Surfer takes one word.
        commands.append(f"divider_add {group.title.replace(' ', '_')}")
        count += 1
        for name, row in rows:
            commands.append(f"variable_add {name}")
            if (ready := trace.ready(row)) is not None:
                commands.append(f"variable_add {ready}")
                count += 1
            elif row.values:
                make_folder(mappings)
                table = _table_name(row)
                entries = [f"{value} {text}\n" for value, text in row.values.items()]
                write_file(mappings / table, f"Name = {table}\nBits = {row.width}\n" + "".join(entries))
                formats += [f"item_focus {_surfer_index(count)}_", f"item_set_format {table}"]
            count += 1
    path = fst.with_suffix(".sucl")
    write_file(path, "\n".join([*commands, *formats, "item_unfocus", "zoom_fit"]) + "\n")
    return path


def write_layout(
    fst: str | Path, signals: Mapping[str, Any], viewer: str = "all", prefix: str | None = None
) -> list[Path]:
    """Write the layout for ``viewer`` (``"gtkwave"``, ``"surfer"`` or ``"all"``) beside the FST file.

    ``signals`` is the generator's map of the device. ``prefix`` is where its top module is in the trace;
    without it the place is read from the file. Signals that the file does not have are left out. Returns
    the save file and the command file that were written. Errors: ``ValueError`` for another viewer,
    ``OutputError``.
    """
    writers = {"gtkwave": _write_gtkwave, "surfer": _write_surfer}
    if viewer != "all" and viewer not in writers:
        raise ValueError(f'viewer is {viewer!r}; it must be "gtkwave", "surfer" or "all"')
    fst = Path(fst).resolve()
    trace = _Trace(fst, signals["top"], prefix)
    groups = layout(signals)
    return [write(fst, groups, trace) for name, write in writers.items() if viewer in (name, "all")]


def open_waves(fst: str | Path) -> str:
    """Start a viewer on the file with the layout beside it; says what was started, or how to do it.

    GTKWave comes before Surfer; neither is tried without a display. Errors: ``FileNotFoundError`` when there
    is no such file.
    """
    fst = Path(fst).resolve()
    if not fst.is_file():
        raise FileNotFoundError(f"{fst}: no such file")
    commands = {
        "gtkwave": ["gtkwave", str(fst), str(fst.with_suffix(".gtkw"))],
        "surfer": ["surfer", "--command-file", str(fst.with_suffix(".sucl")), str(fst)],
    }
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        for name, command in commands.items():
            if program := shutil.which(name):
                subprocess.Popen(
                    [program, *command[1:]],
                    cwd=fst.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                return f"{name} shows {fst}"
    gtkwave = shlex.join(commands["gtkwave"])
    # What a layout calls by a name Surfer finds beside it, if it is started there.
    surfer = shlex.join(["surfer", "--command-file", f"./{fst.stem}.sucl", f"./{fst.name}"])
    surfer = f"cd {shlex.quote(str(fst.parent))} && {surfer}"
    return f"No viewer was started. To look at the waves:\n  {gtkwave}\n  {surfer}"
