"""Builds the Verilated model that cocotb drives, once for each content, and says how to start it."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import cocotb_tools
from cocotb_tools.runner import get_runner

from ...toolchain import ToolError, build_once, content_hash, verilator_environment

__all__ = ["build_simulator"]

# Only the ports are needed; a model whose every signal can be written compiles and runs several times slower.
_FLAGS = ["--no-public-flat-rw", "--public-depth", "1", "-Wno-fatal", "--x-initial", "fast", "--no-timing"]
_APT = "sudo apt-get install g++ make perl liblz4-dev zlib1g-dev"


def build_simulator(
    verilog: str, top: str, *, waves: bool = False, progress: Callable[[str], None] | None = None
) -> Path:
    """The folder with the simulator for module ``top`` of ``verilog``; with ``waves`` it can write FST.

    Errors: :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    flags = [*_FLAGS, *(["--trace-fst"] if waves else [])]
    version = Path(cocotb_tools.__file__).parent.as_posix()
    name = f"{top}-{content_hash([verilog, top, *flags, version])}"
    with build_once("cocotb", name) as (folder, missing):
        if missing:
            if progress:
                progress("building the model for cocotb")
            runner = get_runner("verilator")
            runner.log.setLevel(logging.CRITICAL)
            os.environ.update(verilator_environment())
            source = folder / f"{top}.v"
            source.write_text(verilog)
            log = folder / "build.log"
            try:
                runner.build(
                    sources=[source],
                    hdl_toplevel=top,
                    build_dir=folder / "build",
                    build_args=flags,
                    always=True,
                    waves=waves,
                    timescale=("1ns", "1ps"),
                    log_file=log,
                )
            except (SystemExit, OSError, RuntimeError, ValueError) as error:
                raise ToolError(
                    f"building the model for cocotb failed ({error}), see {log}; needed on Debian: {_APT}"
                ) from None
    return folder / "build"
