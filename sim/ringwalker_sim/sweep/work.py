"""The tasks of a sweep, and the rows that come of them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ringwalker.config import DeviceConfig

from ..campaign.task import Result, Say, Task
from ..performance.cases import Case
from ..performance.measure import measure
from ..performance.tasks import model_of
from .grid import WORKLOAD_KEYS, GridCase

__all__ = ["area_tasks", "measure_area", "measure_case", "rows_of", "tasks_of"]


def tasks_of(cases: Sequence[GridCase]) -> list[Task]:
    """A task for each case; the model of its device is built first, once a machine."""
    return [
        Task(
            f"{__name__}:measure_case",
            {"case": asdict(case)},
            " ".join([shlex.join(case.arguments), *(f"{key}={value}" for key, value in case.device)]),
            (model_of(case.config),),
        )
        for case in cases
    ]


def area_tasks(cases: Sequence[GridCase], target: str) -> list[Task]:
    """A task for each of the devices, which synthesizes it for the family ``target``."""
    devices = {_area_key(case, target): case.config.to_dict() for case in cases}
    return [
        Task(f"{__name__}:measure_area", {"config": config, "target": target}, key)
        for key, config in devices.items()
    ]


def _area_key(case: GridCase, target: str) -> str:
    names = ("function", *(item.name for item in fields(Case) if item.name not in WORKLOAD_KEYS))
    device = {name: getattr(case, name) for name in names} | dict(case.device)
    return f"area on {target}: {' '.join(f'{name}={value}' for name, value in device.items())}"


def measure_case(say: Say, *, case: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`~..performance.measure.measure` says of a case, which is one of the fields of
    :class:`.GridCase`."""
    return measure(_case(case), say)


def _case(values: Mapping[str, Any]) -> GridCase:
    return GridCase(**{**values, "device": tuple((key, value) for key, value in values["device"])})


def measure_area(say: Say, *, config: Mapping[str, Any], target: str) -> dict[str, int]:
    """The cells of a device as a whole, by class."""
    from ..performance.synth.flow import logic, verilog_of
    from ..performance.synth.targets import TARGETS

    text = verilog_of(DeviceConfig.from_dict(config), say)
    say(f"device for {TARGETS[target].family}")
    return logic(text, "", TARGETS[target], 0)["counts"]


def rows_of(
    cases: Sequence[GridCase], found: Sequence[Result], areas: Sequence[Result] = (), target: str = ""
) -> list[dict[str, Any]]:
    """A flat row for each case that has a result: its keys, what was measured, and cells by ``area_`` and
    their class."""
    by_key = {item.key: item.value for item in areas}
    rows = []
    for case, result in zip(cases, found, strict=True):
        if result.error:
            continue
        row = {name: value for name, value in result.value.items() if name != "device"} | dict(case.device)
        latency = row.pop("latency_cycles")
        row |= {f"latency_{name}_cycles": value for name, value in latency.items()}
        area = by_key.get(_area_key(case, target)) or {}
        rows.append(row | {f"area_{name}": value for name, value in area.items()})
    return rows
