"""How long it takes until a device runs: nothing built before, everything built, one block changed.

Each case is a process with a cache and a copy of the RTL of its own. Beside the clock, which depends on who
else uses the machine, there are seconds of a processor, of that process and of the programs that it has run.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ringwalker
from ringwalker.config import DeviceConfig

from ..toolchain import ToolError

__all__ = ["BLOCK", "CASES", "Stage", "build_times"]

CASES = ("cold", "changed", "warm")
"""In the order in which they are measured: each has what the one before has left."""

BLOCK = "dma/slots.py"
"""The block that is changed, a file of the RTL."""

_PASSING = ("compiling the model: ", "compiling what all models have")
"""Lines about progress that begin no stage."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a build: seconds on the clock, and of a processor in this process and in programs."""

    name: str
    wall_s: float
    own_cpu_s: float
    programs_cpu_s: float


class _Watch:
    """Notes stages: each ends where the next begins."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._name = "importing"
        self._begin = (0.0, 0.0, 0.0)
        self._begin = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        used = os.times()
        return time.perf_counter(), used.user + used.system, used.children_user + used.children_system

    def __call__(self, name: str) -> None:
        if name.startswith(_PASSING):
            return
        now = self._now()
        self.stages.append(
            Stage(self._name, *(round(b - a, 2) for a, b in zip(self._begin, now, strict=True)))
        )
        self._name, self._begin = name, now


def _measure(text: str) -> dict[str, Any]:
    """The stages of one case, in this process."""
    watch = _Watch()
    from ..engine.native.changes.library import ChangeDriven
    from ..engine.native.compiling import parts_built_meanwhile
    from ..engine.native.engine import NativeEngine
    from ..engine.native.exercise import DeviceExercise
    from ..memory import GuestMemory
    from ..verilog_cache import device_verilog

    config = DeviceConfig.from_dict(tomllib.loads(text))
    # As an engine with at_once does, but for what that builds beside it.
    with parts_built_meanwhile(False, False):
        verilog = device_verilog(config, watch, whole=False)
    model = ChangeDriven(*verilog, DeviceExercise(config), progress=watch)
    watch("opening")
    with NativeEngine(config, GuestMemory(1 << 20), library=model.built() or model.plain) as engine:
        engine.run(1)
    watch("looking for the change-driven model")
    first = len(watch.stages)
    model.build()
    watch("end")
    stages = [dataclasses.asdict(stage) for stage in watch.stages]
    return {"first_cycle": stages[:first], "change_driven": stages[first:]}


def _change(path: Path) -> None:
    """Give the first component of a file one more register."""
    text, line = path.read_text(), "        m: Any = Module()\n"
    if line not in text:
        raise ToolError(f"{path}: no component to change")
    more = "        from amaranth.hdl import Signal as Changed\n\n        changed = Changed(3)\n"
    more += "        m.d.sync += changed.eq(changed + 1)\n"
    path.write_text(text.replace(line, line + more, 1))


@contextlib.contextmanager
def _tree() -> Iterator[tuple[Path, Path]]:
    """A copy of the RTL, and a folder for a cache."""
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        rtl = Path(name) / "rtl" / "ringwalker"
        shutil.copytree(Path(ringwalker.__file__).parent, rtl, ignore=shutil.ignore_patterns("__pycache__"))
        yield rtl, Path(name) / "cache"


def build_times(config: DeviceConfig, block: str, status: Callable[[str], None]) -> dict[str, Any]:
    """Stages of all :data:`CASES` for ``config``, in which ``block``, a file of the RTL, is changed.

    Without ccache. Errors: :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    cases: dict[str, Any] = {}
    with _tree() as (rtl, cache):
        path = os.pathsep.join([str(rtl.parent), *sys.path])
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "RINGWALKER_CACHE": str(cache),
            "CCACHE_DISABLE": "1",
        }
        for case in CASES:
            status(f"building the device: {case}")
            if case == "changed":
                _change(rtl / block)
            done = subprocess.run(
                [sys.executable, "-m", __name__],
                input=config.to_toml(),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                lines = done.stderr.splitlines() or ["no message"]
                raise ToolError(f"the {case} build failed: {lines[-1]}")
            cases[case] = json.loads(done.stdout)
    return cases


if __name__ == "__main__":
    print(json.dumps(_measure(sys.stdin.read())))
