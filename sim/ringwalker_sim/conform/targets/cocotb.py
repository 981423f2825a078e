"""The device on the cocotb engine: the checks run inside the simulator, as the task of a job."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.config import DeviceConfig

from ...engine.cocotb.run import run_cocotb
from ...errors import ParameterError
from ...function.simulation import simulation_of
from ...workload.job import Job, Progress, Task
from ..check import Check, Way
from ..results.outcomes import outcome_from_json, outcome_to_json
from ..suite import FAILED, Outcome, all_checks
from .local import MEMORY_BYTES, fill_disk, medium_of
from .target import Target

__all__ = ["ConformTask", "run_in_cocotb"]


@dataclass(frozen=True)
class ConformTask(Task):
    """Runs the checks of these names by ``ways``. ``steps``: those of the one check, as JSON, or nothing.

    The result has ``outcomes``.
    """

    names: tuple[str, ...]
    ways: tuple[str, ...]
    seed: int = 1
    steps: str = ""

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Run them; nothing is opened again when one fails."""
        if port.disk is not None:
            fill_disk(port.disk)
        device = await Target(port, medium_of(port)).device(self.seed)
        steps = json.loads(self.steps) if self.steps else None
        runs = [
            (item, way)
            for item in all_checks()
            if item.name in self.names
            for way in device.ways_of(item, [Way(way) for way in self.ways])
        ]
        outcomes = []
        for done, (item, way) in enumerate(runs):
            outcome = await device.run(item, way, steps)
            if outcome.verdict == FAILED and outcome.steps and steps is None:
                outcome = await device.shrink(outcome)
            outcomes.append(outcome_to_json(outcome))
            if progress is not None:
                progress(item.name, done + 1, len(runs))
        return {"outcomes": outcomes}


def run_in_cocotb(
    config: DeviceConfig,
    chosen: Sequence[Check],
    ways: Sequence[Way] = tuple(Way),
    *,
    seed: int = 1,
    steps: list[Any] | None = None,
    status: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Outcome]:
    """Run checks on the device of ``config`` behind cocotbext-pcie.

    Errors: those of :func:`~ringwalker_sim.engine.cocotb.run.run_cocotb`, and
    :class:`~ringwalker_sim.errors.ParameterError` for a function that is not for that engine.
    """
    command = simulation_of(config.function).run
    if command is not None and "cocotb" not in command.engines:
        raise ParameterError(
            f"engine is 'cocotb', which cannot have a device with function {config.function}"
        )
    task = ConformTask(
        tuple(item.name for item in chosen), tuple(ways), seed, "" if steps is None else json.dumps(steps)
    )
    job = Job(task, seed=seed, memory_bytes=MEMORY_BYTES)
    result = run_cocotb(config, job, progress=status, on_progress=progress)
    return [outcome_from_json(item) for item in result["outcomes"]]
