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

from .fst import FstError, FstSignal, read_fst_end, read_fst_signals

__all__ = ["DEFAULT_PREFIX", "Group", "Row", "layout", "open_waves", "trace_prefix", "write_layout"]

RING_STREAMS = ("doorbells", "visits", "snapshots", "heads", "chains", "completed", "used", "interrupts")
"""The way of a chain through the walker, in order: the streams by these names come first."""

TLP_STREAMS = ("completer_request", "completer_completion", "requester_request", "requester_completion")

STORAGE_STREAMS = ("storage.commands", "storage.write_data", "storage.read_data", "storage.results")

DEFAULT_PREFIX = "TOP.ringwalker"
"""Where the design is in a trace by Verilator, for files whose names cannot be read."""

_DEEPEST_SCOPE = 4
"""Instances below the top down to which streams are shown; what is deeper is inside a block."""


@dataclass(frozen=True)
class Row:
    """A signal to show: its path below the top, joined by dots, its width, and names of its values."""

    path: str
    width: int
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Rows under a title."""

    title: str
    rows: tuple[Row, ...]


def _stream_rows(stream: Mapping[str, Any]) -> Iterator[Row]:
    """Handshake first, then names, then numbers, wide data last."""
    yield Row(stream["valid"], 1)
    yield Row(stream["ready"], 1)
    fields = [Row(f["signal"], f["width"], f.get("values", {})) for f in stream["fields"].values()]
    if not fields and "payload" in stream:
        fields = [Row(stream["payload"], stream["width"])]
    yield from sorted(fields, key=lambda row: (not row.values, row.width > 64, row.path))


def _port_rows(signals: Mapping[str, Any], stream: str) -> Iterator[Row]:
    for port in signals["ports"]:
        if port["path"].startswith(f"{stream}."):
            yield Row(port["name"], port["width"], port.get("values", {}))


def _order(row: Row) -> tuple[bool, bool, bool]:
    return (not row.path.endswith(("_valid", "_ready")), not row.values, row.width > 64)


def layout(signals: Mapping[str, Any]) -> list[Group]:
    """The groups in the order in which they are shown.

    Clock, rings from the doorbell on, TLPs, storage, the streams of each block, states.
    """
    groups = [Group("clock", (Row("clk", 1), Row("rst", 1)))]
    sources = [stream for stream in signals["streams"] if stream["direction"] == "output"]

    def title(stream: Mapping[str, Any]) -> str:
        return ".".join((*stream["scope"][1:], stream["name"]))

    for name in RING_STREAMS:
        same = [stream for stream in sources if stream["name"] == name and len(stream["scope"]) > 1]
        # A block hands on the stream of a block inside it: the outermost is enough.
        for stream in sorted(same, key=lambda stream: len(stream["scope"]))[:1]:
            groups.append(Group(f"rings: {title(stream)}", tuple(_stream_rows(stream))))
    for kind, names in (("TLP", TLP_STREAMS), ("storage", STORAGE_STREAMS)):
        for name in names:
            rows = tuple(sorted(_port_rows(signals, name), key=_order))
            if rows:
                groups.append(Group(f"{kind}: {name}", rows))
    for stream in sources:
        if 1 < len(stream["scope"]) <= _DEEPEST_SCOPE:
            groups.append(Group(title(stream), tuple(_stream_rows(stream))))
    states = tuple(Row(fsm["signal"], fsm["width"], fsm["states"]) for fsm in signals["fsms"])
    if states:
        groups.append(Group("states", states))
    others = tuple(Row(s["signal"], s["width"], s.get("values", {})) for s in signals["signals"])
    if others:
        groups.append(Group("idle and others", others))
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
        path = f"{self.prefix}.{row.path}"
        return path if not self._traced or path in self._traced else None

    def bits(self, row: Row) -> str:
        signal = self._traced.get(f"{self.prefix}.{row.path}")
        if signal is not None:
            return signal.bits
        return f"[{row.width - 1}:0]" if row.width > 1 else ""


def _shown(groups: Iterable[Group], trace: _Trace) -> Iterator[tuple[str, list[tuple[str, Row]]]]:
    for group in groups:
        rows = [(name, row) for row in group.rows if (name := trace.name(row))]
        if rows:
            yield group.title, rows


_GTKWAVE_FRAME = 200
"""Pixels of what GTKWave counts its zoom in."""

_GTKWAVE_PIXELS = 850
"""About as wide as the waves are in a window of the size that the layout asks for."""

_GTKWAVE_HEX, _GTKWAVE_BINARY, _GTKWAVE_NAMES = "@22", "@28", "@2022"
_GTKWAVE_GROUP_BEGIN, _GTKWAVE_GROUP_END = "@800200", "@1000200"


def _gtkwave_zoom(fst: Path) -> list[str]:
    """The line that shows the whole run: minus the binary logarithm of time units a frame, and no marker."""
    try:
        end = read_fst_end(fst)
    except (OSError, FstError):
        return []
    return [f"*{-math.log2(max(1, end) * _GTKWAVE_FRAME / _GTKWAVE_PIXELS):.6f} -1"]


def _write_gtkwave(fst: Path, groups: Iterable[Group], trace: _Trace) -> Path:
    """A save file; numbers with names go through filter files, which have a line for each value in hex.

    Ref: GTKWave, src/savefile.c and src/analyzer.h (the bits of the flags after ``@``).
    """
    tables = fst.with_suffix(".names")
    lines = [f'[dumpfile] "{fst}"', "[timestart] 0", "[size] 1600 900", "[signals_width] 420"]
    lines += _gtkwave_zoom(fst)
    for title, rows in _shown(groups, trace):
        lines += [_GTKWAVE_GROUP_BEGIN, f"-{title}"]
        for name, row in rows:
            if row.values:
                make_folder(tables)
                table = tables / f"{_table_name(row)}.txt"
                digits = -(-row.width // 4)
                entries = [f"{int(value):0{digits}x} {text}\n" for value, text in row.values.items()]
                write_file(table, "".join(entries))
                lines += [_GTKWAVE_NAMES, f"^1 {table}"]
            else:
                lines.append(_GTKWAVE_HEX if row.width > 1 else _GTKWAVE_BINARY)
            lines.append(name + trace.bits(row))
        lines += [_GTKWAVE_GROUP_END, f"-{title}"]
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
    for title, rows in _shown(groups, trace):
        commands.append(f"divider_add {title}")
        count += 1
        for name, row in rows:
            commands.append(f"variable_add {name}")
            if row.values:
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
