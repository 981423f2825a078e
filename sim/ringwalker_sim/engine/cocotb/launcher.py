"""A process of its own for one simulation, so that it can be ended as a whole.

``python -m ringwalker_sim.engine.cocotb.launcher SIMULATOR TOP BUILD_DIR FOLDER WAVES SEED``; WAVES is a file
or empty.
"""

import logging
import sys
from pathlib import Path

from cocotb_tools.runner import get_runner

from .entry_name import FOLDER, MODULE

__all__ = ["main"]


def main() -> None:
    """Run the simulator in ``FOLDER`` until the job is done."""
    simulator, top, build_dir, folder, waves, seed = sys.argv[1:]
    runner = get_runner(simulator)
    runner.log.setLevel(logging.CRITICAL)
    runner.test(
        hdl_toplevel=top,
        test_module=MODULE,
        build_dir=build_dir,
        test_dir=folder,
        hdl_toplevel_lang="verilog",
        results_xml=str(Path(folder) / "results.xml"),
        seed=seed,
        test_args=["--trace", "--trace-file", waves] if waves else [],
        extra_env={FOLDER: folder, "COCOTB_LOG_LEVEL": "WARNING"},
        log_file=Path(folder) / "simulator.log",
    )


if __name__ == "__main__":
    main()
