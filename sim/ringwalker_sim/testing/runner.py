"""Runs cocotb tests on one component: Amaranth to Verilog, a simulator's build, then the tests of a module.

Icarus Verilog builds a small design in a second, Verilator in five to ten; a large one simulates much faster
with Verilator. ``docs/testing.md`` has the figures.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import cocotb_tools
from amaranth.lib import wiring
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from ..toolchain import build_once, content_hash, verilator_environment
from ..verilog_cache import component_verilog
from .bench_top import BenchPorts, bench_verilog, initialised
from .cycles import PORTS

__all__ = ["SIMULATOR", "parameters", "run_bench"]

SIMULATOR = "RINGWALKER_BENCH_SIMULATOR"
"""The environment variable that says which simulator runs the benches: ``icarus``, ``verilator``, or
``other`` for the one that would not be taken by itself."""

_PARAMETERS = "RINGWALKER_BENCH_PARAMETERS"
# Only the ports are needed; a model whose every signal can be written compiles and runs several times slower.
_PORTS_ONLY = ["--no-public-flat-rw", "--public-depth", "1"]
_FLAGS = {
    "verilator": [*_PORTS_ONLY, "-Wno-fatal", "--x-initial", "fast", "--no-timing"],
    "icarus": ["-g2005"],
}
_OPTIMIZATION = {"verilator": ["OPT_FAST=-O1", "OPT_SLOW=-O0"], "icarus": []}
"""For Verilator's makefile: half of the code runs once; it is not optimised where it has files of its own."""
_SMALL = 40_000
"""Characters of Verilog up to which a design is built by Icarus Verilog."""
_LARGE = 150_000
"""Characters of Verilog above which a design is too slow with Icarus Verilog: ``other`` leaves it out."""


def _simulator(size: int) -> str:
    """The simulator for a design with ``size`` characters of Verilog."""
    wanted = os.environ.get(SIMULATOR, "")
    if wanted in _FLAGS:
        return wanted
    usual = "icarus" if size <= _SMALL and shutil.which("iverilog") else "verilator"
    if wanted == "other":
        if size > _LARGE:
            raise SkipTest(f"{size} characters of Verilog are for Verilator only")
        return next(name for name in _FLAGS if name != usual)
    if wanted:
        raise ValueError(f"{SIMULATOR} is {wanted!r}, but must be icarus, verilator or other")
    return usual


def parameters() -> dict[str, Any]:
    """Inside a cocotb test: the ``parameters`` that were given to :func:`run_bench`."""
    return json.loads(os.environ.get(_PARAMETERS, "{}"))


@contextlib.contextmanager
def _make_variables(variables: Sequence[str]) -> Iterator[None]:
    """A makefile that is used in the block gets ``variables``, beside those that it gets anyway."""
    flags = os.environ["MAKEFLAGS"]
    os.environ["MAKEFLAGS"] = " ".join([flags, *variables])
    try:
        yield
    finally:
        os.environ["MAKEFLAGS"] = flags


def run_bench(
    component: wiring.Component,
    module: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    tests: str | None = None,
    seed: int = 1,
    root: Path | None = None,
) -> None:
    """Build ``component`` and run the cocotb tests of ``module`` (a dotted name below ``root``).

    ``parameters`` (JSON values) reach the tests through :func:`parameters`; ``tests`` is a regular
    expression on their names. The seed of all random numbers is ``seed`` unless COCOTB_RANDOM_SEED is
    set. RINGWALKER_BENCH_KEEP names a folder that keeps the simulator's output. Errors: an
    ``AssertionError`` with the end of the log when a test fails or none ran; ``unittest.SkipTest`` where the
    other simulator is asked for and the design is too large for it.
    """
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(component).__name__).lstrip("_")
    top = f"{name}_bench"
    text, ports = component_verilog(component, name)
    simulator = _simulator(len(text))
    two_states = simulator == "verilator"
    text = text if two_states else initialised(text)
    text += bench_verilog(ports, top, name, variables=not two_states)
    root = root or Path.cwd()
    # The simulator's Python gets this one's path, and must find the tests.
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    version = Path(cocotb_tools.__file__).parent.as_posix()
    key = content_hash([text, simulator, *_FLAGS[simulator], *_OPTIMIZATION[simulator], version])
    with build_once("bench", f"{name}-{key}") as (folder, missing):
        build_dir = folder / "build"
        runner = get_runner(simulator)
        runner.log.setLevel(logging.ERROR)
        source = folder / f"{top}.v"
        os.environ.update(verilator_environment())
        if missing:
            source.write_text(text)
            with _make_variables(_OPTIMIZATION[simulator]):
                runner.build(
                    sources=[source],
                    hdl_toplevel=top,
                    build_dir=build_dir,
                    build_args=_FLAGS[simulator],
                    always=True,
                    timescale=("1ns", "1ps"),
                    log_file=folder / "build.log",
                )
        else:
            runner.build_dir = build_dir
    keep = os.environ.get("RINGWALKER_BENCH_KEEP")
    with contextlib.ExitStack() as stack:
        work = Path(keep) if keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        log = work / "run.log"
        try:
            results = runner.test(
                hdl_toplevel=top,
                test_module=module,
                build_dir=build_dir,
                test_dir=work,
                test_filter=tests,
                hdl_toplevel_lang="verilog",
                results_xml=str(work / "results.xml"),
                extra_env={
                    _PARAMETERS: json.dumps(dict(parameters or {})),
                    PORTS: json.dumps(BenchPorts.of(ports).to_json()),
                    "COCOTB_RANDOM_SEED": os.environ.get("COCOTB_RANDOM_SEED", str(seed)),
                },
                log_file=log,
            )
            count, failed = get_results(results)
        except (SystemExit, RuntimeError) as error:
            count, failed = 0, str(error)
        if failed or not count:
            tail = "\n".join(log.read_text().splitlines()[-60:]) if log.exists() else "(no log)"
            raise AssertionError(f"{module}: {count} cocotb tests ran, failed: {failed}\n{tail}")
