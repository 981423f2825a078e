"""Builds the simulator that cocotb drives, once for each content, and says how to start it.

The build is a process of its own, in which this module is the main one: cocotb's runner starts make and
compilers that would otherwise outlive an interruption.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cocotb_tools
from cocotb_tools.runner import get_runner

from ...toolchain import ToolError, build_once, content_hash, run_program, verilator_environment

__all__ = ["SIMULATORS", "build_simulator"]

# Only the ports are needed; a model whose every signal can be written compiles and runs several times slower.
_PORTS_ONLY = ("--no-public-flat-rw", "--public-depth", "1")

SIMULATORS = {
    "verilator": (*_PORTS_ONLY, "-Wno-fatal", "--x-initial", "fast", "--no-timing"),
    "icarus": ("-g2005",),
}
"""What can simulate the device, and the options that it is built with."""

_PACKAGES = {"verilator": "g++ make perl liblz4-dev zlib1g-dev", "icarus": "iverilog"}
_BUILD = "build"


def build_simulator(
    verilog: str,
    top: str,
    *,
    simulator: str = "verilator",
    waves: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """The folder with the simulator for module ``top`` of ``verilog``; with ``waves`` it can write FST.

    ``simulator`` is one of :data:`SIMULATORS`; only Verilator has waves here. Errors:
    :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    say = progress or (lambda _text: None)
    version = Path(cocotb_tools.__file__).parent.as_posix()
    name = f"{top}-{content_hash([verilog, top, *_flags(simulator, waves), version])}"
    wait = "another process is building the model; waiting for it"
    product = f"{_BUILD}/{top if simulator == 'verilator' else 'sim.vvp'}"
    with build_once("cocotb", name, (product,), lambda: say(wait)) as (folder, missing):
        if missing:
            say("building the model for cocotb")
            (folder / f"{top}.v").write_text(verilog)
            environment = {**verilator_environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
            command = [sys.executable, "-m", __name__, str(folder), top, simulator]
            command += ["waves"] if waves else []
            done = run_program(command, folder, environment)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
                raise ToolError(
                    f"building the model for cocotb failed ({reason}), see {folder / 'build.log'}; "
                    f"needed on Debian: sudo apt-get install {_PACKAGES[simulator]}"
                )
    return folder / _BUILD


def _flags(simulator: str, waves: bool) -> list[str]:
    return [*SIMULATORS[simulator], *(["--trace-fst"] if waves else [])]


def _build(folder: Path, top: str, simulator: str, waves: bool) -> None:
    runner = get_runner(simulator)
    runner.log.setLevel(logging.CRITICAL)
    runner.build(
        sources=[folder / f"{top}.v"],
        hdl_toplevel=top,
        build_dir=folder / _BUILD,
        build_args=_flags(simulator, waves),
        always=True,
        waves=waves,
        timescale=("1ns", "1ps"),
        log_file=folder / "build.log",
    )


if __name__ == "__main__":
    try:
        _build(Path(sys.argv[1]), sys.argv[2], sys.argv[3], "waves" in sys.argv[4:])
    except (SystemExit, OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
