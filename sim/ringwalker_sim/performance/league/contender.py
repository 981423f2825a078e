"""What takes part in the league, and what is measured of it."""

import resource
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...toolchain import ToolError
from .recording import Recording

__all__ = ["Contender", "Status", "Timing", "run_measured"]

Status = Callable[[str], None]


@dataclass(frozen=True)
class Timing:
    """``cycles`` took ``cpu_s`` of a processor and ``wall_s`` on the clock; after ``different`` of all cycles
    of the recording outputs were not what was recorded."""

    cycles: int
    cpu_s: float
    wall_s: float
    different: int

    def seconds(self, cores: int) -> float:
        """Of a processor; on the clock for what has several cores to itself."""
        return self.cpu_s if cores == 1 else self.wall_s


@dataclass(frozen=True)
class Contender:
    """A simulator. ``missing`` says how it is installed, if it is not. ``build`` makes what simulates the
    device of a recording, and that replays the first ``most_cycles`` of it. ``cores`` are those that it uses.
    """

    name: str
    build: Callable[[Recording, Status], Callable[[Recording], Timing]]
    missing: Callable[[], str | None] = lambda: None
    most_cycles: int = 1_000_000
    cores: int = 1


def run_measured(command: Sequence[str], folder: Path) -> tuple[str, float]:
    """What a program prints, and the seconds of a processor that it takes. Errors: ``ToolError``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolError(f"{command[0]}: {error.strerror}") from None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ToolError(f"{Path(command[0]).name}: {reason}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
