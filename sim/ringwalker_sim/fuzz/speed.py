"""How many cases there are in a second: by one process, and by two workers."""

from collections.abc import Sequence
from typing import Any

from ..campaign.runner import Runner, open_runner
from ..campaign.task import Say, Task
from .batch import BATCH, FAST, preparation

__all__ = ["SPEED_DEVICES", "measured_speed"]

SPEED_DEVICES = ("blk:split:transitional", "blk:packed:transitional", "blk:split:legacy")
_CASES = 1000
_TASKS = 4


def _tasks(device: str, name: str) -> list[Task]:
    """Tasks of the same work for each worker."""
    arguments = {"device": device, "seed": 1, "count": _CASES, "kept": [], "model": FAST}
    return [
        Task(BATCH, {**arguments, "first": 0}, f"{name} {number}", (preparation(device, FAST),))
        for number in range(_TASKS)
    ]


def _rate(runner: Runner, device: str, workers: int) -> tuple[float, dict[str, Any]]:
    """Cases in each second in which every worker has a processor, once the models are open; what came of one
    task."""
    runner.run(_tasks(device, f"{device} before"), stop_at_failure=True)
    results = [result.value for result in runner.run(_tasks(device, device), stop_at_failure=True)]
    seconds = sum(value["cpu_s"] for value in results)
    return workers * _CASES * _TASKS / seconds, results[0]


def measured_speed(say: Say, devices: Sequence[str] = SPEED_DEVICES) -> dict[str, Any]:
    """Cases a second of some devices: ``one`` process, ``two`` workers, and their ``ratio``.

    Seconds are those of processors, so what else the machine does hardly matters; that workers share caches
    and memory does.
    """
    rows = []
    for device in devices:
        say(f"measuring {device}")
        with open_runner(1) as runner:
            one, value = _rate(runner, device, 1)
        with open_runner(2) as runner:
            two, _value = _rate(runner, device, 2)
        row = {"device": device, "cases": value["cases"], "cycles": value["cycles"]}
        rows.append({**row, "one": round(one, 1), "two": round(two, 1), "ratio": round(two / one, 3)})
    return {"devices": rows}
