"""How many cases there are in a second: by one process, and by two workers."""

import time
from typing import Any

from ..campaign.runner import Runner, open_runner
from ..campaign.task import Say, Task
from .batch import BATCH, FAST, preparation

__all__ = ["SPEED_DEVICES", "measured_speed"]

SPEED_DEVICES = ("blk:split:modern", "blk:packed:modern", "net:split:modern", "rng:split:modern")
_CASES = 1000
_TASKS = 4


def _tasks(device: str, name: str) -> list[Task]:
    """Tasks of the same work for each worker."""
    arguments = {"device": device, "seed": 1, "count": _CASES, "kept": [], "model": FAST}
    return [
        Task(BATCH, {**arguments, "first": 0}, f"{name} {number}", (preparation(device, FAST),))
        for number in range(_TASKS)
    ]


def _seconds(runner: Runner, device: str, name: str) -> tuple[float, dict[str, Any]]:
    """Seconds on the clock of all tasks, once the models are open, and what came of one."""
    runner.run(_tasks(device, f"{name} before"), stop_at_failure=True)
    began = time.perf_counter()
    results = runner.run(_tasks(device, name), stop_at_failure=True)
    return time.perf_counter() - began, results[0].value


def measured_speed(say: Say) -> dict[str, Any]:
    """Cases a second of some devices: ``one`` process, ``two`` workers, and their ``ratio``."""
    rows = []
    for device in SPEED_DEVICES:
        say(f"measuring {device}")
        with open_runner(1) as runner:
            one, value = _seconds(runner, device, device)
        with open_runner(2) as runner:
            two, _value = _seconds(runner, device, device)
        cases = _CASES * _TASKS
        row = {"device": device, "cases": value["cases"], "cycles": value["cycles"]}
        rows.append(
            {**row, "one": round(cases / one, 1), "two": round(cases / two, 1), "ratio": round(one / two, 3)}
        )
    return {"devices": rows}
