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
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder, write_file

from .fst import FstError, FstSignal, read_fst_end, read_fst_signals, read_fst_texts
from .groups import Group, Row, layout
from .story import REQUESTS

__all__ = [
    "DEFAULT_PREFIX",
    "open_waves",
    "trace_prefix",
    "write_layout",
]


DEFAULT_PREFIX = "TOP.ringwalker"
"""Where the design is in a trace by Verilator, for files whose names cannot be read."""


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
