"""Builds virtio_disk.v with Icarus Verilog, sound or with a planted fault, and runs its testbench.

python run.py [index_early | wrong_length | lost_interrupt]

The exit code is 0 if the sound design passes, or the one with a fault does not.
"""

import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent
FAULTS = ("index_early", "wrong_length", "lost_interrupt")


def main(fault: str = "") -> int:
    """Build and run; the exit code."""
    if fault and fault not in FAULTS:
        sys.exit(f"fault is {fault!r}; it must be one of {', '.join(FAULTS)}")
    build = Path("build") / (fault or "sound")
    runner = get_runner("icarus")
    runner.build(
        sources=[HERE / "virtio_disk.v"],
        hdl_toplevel="virtio_disk",
        build_dir=build,
        defines={f"FAULT_{fault.upper()}": 1} if fault else {},
    )
    results = runner.test(
        test_module="virtio_disk_bench",
        hdl_toplevel="virtio_disk",
        build_dir=build,
        test_dir=build,
        extra_env={"PYTHONPATH": f"{HERE}:{':'.join(sys.path)}"},
    )
    _tests, failed = get_results(results)
    return int(bool(failed) != bool(fault))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
