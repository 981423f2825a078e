# amaranth: UnusedElaboratable=no
"""Layouts for viewers: signals that they name are in a trace that Verilator wrote, and states have names."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pywellen
from amaranth.hdl import Module
from amaranth.lib.wiring import connect, flipped

import ringwalker_sim.waves.layout as waves
from ringwalker.component import Component
from ringwalker.function.blk.commander import BlkCommander
from ringwalker.generate import verilog_and_signals
from ringwalker.outputs import OutputError
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.cli import waves as waves_command
from ringwalker_sim.cli.main import main
from ringwalker_sim.timeline.events import EventKind, event_type
from ringwalker_sim.toolchain import build_once, content_hash, verilator_environment
from ringwalker_sim.waves.fst import FstError, FstSignal, read_fst_end, read_fst_signals, read_fst_texts
from ringwalker_sim.waves.fst_join import join_fst
from ringwalker_sim.waves.fst_tracks import Track, add_tracks
from ringwalker_sim.waves.groups import layout
from ringwalker_sim.waves.layout import open_waves, trace_prefix, write_layout
from ringwalker_sim.waves.story import story_tracks

MAIN = """
#include "Vringwalker.h"
#include "verilated_fst_c.h"

int main(int, char** arguments) {
    VerilatedContext context;
    context.traceEverOn(true);
    Vringwalker top{&context};
    VerilatedFstC trace;
    top.trace(&trace, 99);
    trace.open(arguments[1]);
    top.requests_valid = 1;
    top.records_ready = 1;
    for (int time = 0; time < 40; ++time) {
        top.rst = time < 4;
        top.clk = time & 1;
        top.eval();
        trace.dump(time);
    }
    trace.close();
}
"""


class Block(Component):
    """A commander one level down, as blocks of the device are."""

    def __init__(self):
        super().__init__(BlkCommander(1).signature)

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.commander = commander = BlkCommander(1)
        connect(m, flipped(self), commander)
        return m


@pytest.fixture(scope="module")
def traced(tmp_path_factory) -> tuple[Path, dict]:
    """A trace of a small component by Verilator, and the map of its signals."""
    text, signals = verilog_and_signals(Block(), "ringwalker")
    flags = ["--cc", "--exe", "--build", "--trace-fst", "--no-timing", "-Wno-fatal", "-CFLAGS", "-O0"]
    with build_once("waves", content_hash([text, MAIN, *flags])) as (folder, missing):
        if missing:
            (folder / "ringwalker.v").write_text(text)
            (folder / "main.cpp").write_text(MAIN)
            command = ["verilator", *flags, "--top-module", "ringwalker", "-Mdir", "build", "-o", "trace"]
            subprocess.run(
                [*command, "ringwalker.v", "main.cpp"],
                cwd=folder,
                env=verilator_environment(),
                check=True,
                capture_output=True,
            )
        path = tmp_path_factory.mktemp("waves") / "run.fst"
        subprocess.run([folder / "build" / "trace", path], check=True)
    return path, signals


def traced_names(path: Path) -> set[str]:
    return {signal.path + signal.bits for signal in read_fst_signals(path)}


def test_trace_is_found_under_the_usual_prefix(traced):
    path, signals = traced
    assert trace_prefix(read_fst_signals(path), signals["top"]) == waves.DEFAULT_PREFIX
    assert trace_prefix([], "ringwalker") is None


def test_widths_in_the_trace_are_those_of_the_map(traced):
    path, signals = traced
    widths = {signal.path: signal.width for signal in read_fst_signals(path)}
    rows = [row for group in layout(signals) for row in group.rows if not row.outside]
    assert len(rows) >= 15
    for row in rows:
        assert widths[f"{waves.DEFAULT_PREFIX}.{row.path}"] == row.width


def test_gtkwave_file_names_signals_of_the_trace(traced):
    path, signals = traced
    (layout_file,) = write_layout(path, signals, "gtkwave")
    lines = layout_file.read_text().splitlines()
    shown = [line for line in lines if line[0] not in "@-^[*"]
    names = [name for line in shown for name in line.rpartition("} ")[2].split()]
    assert set(names) <= traced_names(path)
    own = [row for group in layout(signals) for row in group.rows if not row.outside]
    assert len(shown) == len(own)
    assert len(names) == sum(2 if row.ready else 1 for row in own)
    titles = [line for line in lines if line.startswith("-")]
    assert titles[::2] == titles[1::2]
    (at,) = [n for n, line in enumerate(lines) if "commander.fsm_state[2:0]" in line]
    assert lines[at] == "+{commander} TOP.ringwalker.device.commander.fsm_state[2:0]"
    assert lines[at - 2] == "@2022"
    table = Path(lines[at - 1].removeprefix("^1 "))
    assert table.read_text().splitlines()[:2] == ["0 WAIT_REQUEST", "1 SEND_RECORD"]


def test_gtkwave_shows_the_whole_run(traced):
    path, signals = traced
    lines = write_layout(path, signals, "gtkwave")[0].read_text().splitlines()
    (zoom,) = [float(line.split()[0].removeprefix("*")) for line in lines if line[0] == "*"]
    assert 700 < read_fst_end(path) / 2**-zoom * 200 < 1200


def test_surfer_file_names_signals_of_the_trace(traced):
    path, signals = traced
    (layout_file,) = write_layout(path, signals, "surfer")
    lines = layout_file.read_text().splitlines()
    shown = [line.split(" ", 1)[1] for line in lines if line.startswith(("divider_add", "variable_add"))]
    names = {name for line in lines if line.startswith("variable_add") for name in [line.split(" ")[1]]}
    assert names <= {signal.path for signal in read_fst_signals(path)}
    at = lines.index(f"item_focus {hex_letters(shown.index('TOP.ringwalker.device.commander.fsm_state'))}_")
    table = lines[at + 1].removeprefix("item_set_format ")
    mapping = (path.parent / ".surfer" / "mappings" / table).read_text().splitlines()
    assert mapping[:3] == [f"Name = {table}", "Bits = 3", "0 WAIT_REQUEST"]
    first_focus = next(n for n, line in enumerate(lines) if line.startswith("item_focus"))
    assert not any(line.startswith("variable_add") for line in lines[first_focus:])


def hex_letters(number: int) -> str:
    return f"{number:x}".translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))


def test_signals_that_are_not_traced_are_left_out(traced):
    path, signals = traced
    more = json.loads(json.dumps(signals))
    more["signals"].append({"scope": ["device"], "name": "idle", "signal": "device.nowhere", "width": 1})
    (layout_file,) = write_layout(path, more, "gtkwave")
    assert "nowhere" not in layout_file.read_text()


def test_unreadable_trace_gets_a_layout_for_the_usual_prefix(traced, tmp_path):
    _path, signals = traced
    broken = tmp_path / "broken.fst"
    broken.write_bytes(b"")
    files = write_layout(broken, signals)
    assert [file.name for file in files] == ["broken.gtkw", "broken.sucl"]
    assert "TOP.ringwalker.device.commander.fsm_state[2:0]" in files[0].read_text()
    (other,) = write_layout(broken, signals, "gtkwave", prefix="bench.dut")
    assert "bench.dut.device.commander.fsm_state[2:0]" in other.read_text()
    with pytest.raises(ValueError, match="viewer is 'x'"):
        write_layout(broken, signals, "x")


def test_waves_of_a_simulation_of_ones_own_are_found_by_the_name_of_the_device(traced, tmp_path, monkeypatch):
    path, signals = traced
    tops: list[str] = []
    monkeypatch.setattr(waves_command, "signal_map", lambda _config: {**signals, "top": "engine"})
    monkeypatch.setattr(waves_command, "write_layout", lambda _fst, used: tops.append(used["top"]) or [])
    for name in ("ringwalker", "elsewhere"):
        (tmp_path / "device.toml").write_text(f'name = "{name}"')
        assert main(["waves", str(path), "--config", str(tmp_path / "device.toml")]) == 0
    assert tops == ["ringwalker", "engine"]


def test_the_way_of_a_request_comes_first_then_details_then_blocks():
    def stream(scope: str, name: str) -> dict:
        place = f"{scope}.{name}"
        fields = {"queue": {"signal": f"{place}__payload__queue", "width": 10}}
        return {
            "scope": scope.split("."),
            "name": name,
            "direction": "output",
            "valid": f"{place}__valid",
            "ready": f"{place}__ready",
            "payload": f"{place}__payload",
            "width": 10,
            "fields": fields,
        }

    port = {"name": "requester_request_valid", "width": 1, "path": "requester_request.valid"}
    streams = [
        stream("device.core.dma", "o"),
        stream("device.core.walker.inner", "chains"),
        stream("device.core.walker", "chains"),
        stream("device.core.notify", "doorbells"),
    ]
    signals = {"top": "ringwalker", "ports": [port], "streams": streams, "fsms": [], "signals": []}
    groups = layout(signals)
    assert [group.title for group in groups][:8] == [
        "Clock",
        "Requests",
        "Link",
        "The way of a request",
        "details: doorbell",
        "details: descriptors",
        "TLP: requester_request",
        "core.dma.o",
    ]
    assert [group.closed for group in groups[:5]] == [True, False, False, False, True]
    way = [row for row in groups[3].rows if row.ready]
    assert [row.path for row in way] == [
        "device.core.notify.doorbells__valid",
        "device.core.walker.chains__valid",
    ]
    assert dict(way[0].values) == {"0": "idle", "1": "idle", "2": "waits", "3": "moves"}


def test_viewer_is_started_only_with_a_display(traced, tmp_path, monkeypatch):
    path, signals = traced
    write_layout(path, signals)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    said = open_waves(path)
    assert f"gtkwave {path} {path.with_suffix('.gtkw')}" in said
    assert f"cd {path.parent} && surfer --command-file ./run.sucl ./run.fst" in said
    viewer = tmp_path / "gtkwave"
    viewer.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/called.tmp; mv {tmp_path}/called.tmp {tmp_path}/called\n'
    )
    viewer.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    assert open_waves(path) == f"gtkwave shows {path}"
    assert started[0].wait(10) == 0
    assert (tmp_path / "called").read_text().split() == [str(path), str(path.with_suffix(".gtkw"))]
    with pytest.raises(FileNotFoundError, match=r"no\.fst: no such file"):
        open_waves(tmp_path / "no.fst")


def test_a_layout_that_cannot_be_written_is_an_error_with_its_name(traced, tmp_path):
    path, signals = traced
    fst = tmp_path / "run.fst"
    fst.write_bytes(path.read_bytes())
    (tmp_path / "run.sucl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"run\.sucl: cannot be written: No space left on device"):
        write_layout(fst, signals)


def test_commands_to_copy_are_quoted(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    path = tmp_path / "it's; a $(run).fst"
    path.touch()
    _title, gtkwave, surfer = open_waves(path).splitlines()
    assert shlex.split(gtkwave) == ["gtkwave", str(path), str(path.with_suffix(".gtkw"))]
    moved, _and, program = surfer.partition(" && ")
    assert shlex.split(moved) == ["cd", str(tmp_path)]
    assert shlex.split(program) == ["surfer", "--command-file", f"./{path.stem}.sucl", f"./{path.name}"]


def test_signals_have_scopes_width_and_bits(traced):
    path, _signals = traced
    found = {signal.path: signal for signal in read_fst_signals(path)}
    clk = found[f"{waves.DEFAULT_PREFIX}.clk"]
    assert (clk.scopes, clk.name, clk.width, clk.bits) == (("TOP", "ringwalker"), "clk", 1, "")
    wide = next(signal for signal in found.values() if signal.width > 1)
    assert wide == FstSignal(wide.scopes, wide.name, wide.width, f"[{wide.width - 1}:0]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a complete FST file: unknown file format"),
        (b"$var today $end", "not a complete FST file"),
        (bytes([0]) + (329).to_bytes(8, "big") + bytes(321), "not a complete FST file"),
    ],
)
def test_files_that_are_no_complete_fst_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.fst"
    path.write_bytes(content)
    with pytest.raises(FstError, match=rf"bad\.fst: {message}"):
        read_fst_signals(path)


def test_a_file_that_was_not_closed_is_refused(traced, tmp_path):
    path = tmp_path / "cut.fst"
    content = traced[0].read_bytes()
    for length in (len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(FstError, match=r"cut\.fst: not a complete FST file"):
            read_fst_signals(path)


TRACKS = [
    Track(("story", "link"), "up", [3, 10, 20], ["MRd 64B tag 5 @0x1000", "", "MWr"]),
    Track(("story", "requests"), "row0", [5], ["#1 doorbell"]),
    Track(("story", "requests"), "row1"),
]


def test_tracks_of_text_stand_beside_the_signals_which_stay_as_they_were(traced, tmp_path):
    path = tmp_path / "run.fst"
    path.write_bytes(traced[0].read_bytes())
    add_tracks(path, TRACKS)
    texts = read_fst_texts(path, ["story.link.up", "story.requests.row0", "story.requests.row1"])
    assert texts == {
        "story.link.up": [(0, ""), (3, "MRd 64B tag 5 @0x1000"), (10, ""), (20, "MWr")],
        "story.requests.row0": [(0, ""), (5, "#1 doorbell")],
        "story.requests.row1": [(0, "")],
    }
    before, after = read_fst_signals(traced[0]), read_fst_signals(path)
    assert after[: len(before)] == before
    opened: Any = pywellen
    variables = [list(opened.Waveform(str(name)).all_vars()) for name in (traced[0], path)]
    for old, new in zip(*variables, strict=False):
        assert list(old.signal) == list(new.signal)


def test_tracks_go_on_over_several_blocks_of_values(traced, tmp_path):
    """What lies behind the last time of a part is in the next, and the last one has all that is left."""
    joined = tmp_path / "joined.fst"
    join_fst([traced[0], traced[0]], joined)
    add_tracks(joined, [Track(("story",), "text", [2, 38, 1000], ["a", "b", "c"])])
    found = [text for _time, text in read_fst_texts(joined, ["story.text"])["story.text"]]
    assert found == ["", "a", "b", "c"]


def test_a_track_keeps_the_last_of_texts_at_one_time_and_no_text_twice():
    track = Track(("story",), "text")
    for time, text in ((1, "a"), (1, "b"), (2, "b"), (3, "c")):
        track.add(time, text)
    assert (track.times, track.texts) == ([1, 3], ["b", "c"])


def test_tlps_are_texts_while_they_occupy_the_link():
    events = np.zeros(4, event_type)
    rows = (
        (EventKind.UP_REQUEST, 0, 10, 12, RequestKind.MEMORY_READ.value, 5, 64, 0x1000),
        (EventKind.DOWN_COMPLETION, 0, 30, 34, 0, 5, 64, 64),
        (EventKind.UP_MESSAGE, 0, 40, 40, RequestKind.MEMORY_WRITE.value, 7, 4, 0xFEE00000),
        (EventKind.UP_REQUEST, 0, 40, 40, RequestKind.MEMORY_WRITE.value, 0, 128, 0x2000),
    )
    for event, (kind, lane, begin, end, queue, tag, size, number) in zip(events, rows, strict=True):
        for name, value in (("kind", kind), ("lane", lane), ("begin", begin), ("end", end), ("queue", queue)):
            event[name] = value
        event["id"], event["bytes"], event["number"] = tag, size, number
    tracks = {track.name: track for track in story_tracks(events, 4000)}
    up, down = tracks["from_device"], tracks["to_device"]
    both = "MSI 7 @0xfee00000 + MWr 128B @0x2000"
    assert (up.times, up.texts) == ([40000, 48000, 160000, 164000], ["MRd 64B tag 5 @0x1000", "", both, ""])
    assert (down.times, down.texts) == ([120000, 136000], ["CplD 64B tag 5", ""])
