"""The tasks of a sweep, and the rows that come of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ringwalker.config import DeviceConfig

from ..campaign.task import Call, Result, Say, Task
from ..performance.measure import measure
from .grid import GridCase

__all__ = ["area_tasks", "measure_area", "measure_case", "rows_of", "tasks_of"]

_BUILD = "ringwalker_sim.engine.native.models:build_model"


def tasks_of(cases: Sequence[GridCase]) -> list[Task]:
    """A task for each case; the model of its device is built first, once a machine."""
    return [
        Task(
            f"{__name__}:measure_case",
            {"case": asdict(case)},
            " ".join(case.arguments),
            (Call(_BUILD, {"config": case.config.to_dict()}),),
        )
        for case in cases
    ]


def area_tasks(cases: Sequence[GridCase], target: str) -> list[Task]:
    """A task for each of the devices, which synthesizes it for the family ``target``."""
    devices = {case.config.to_toml(): case.config for case in cases}
    return [
        Task(f"{__name__}:measure_area", {"config": config.to_dict(), "target": target}, _key(text, target))
        for text, config in devices.items()
    ]


def _key(device: str, target: str) -> str:
    return f"area on {target}: {' '.join(device.split())}"


def measure_case(say: Say, *, case: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`~..performance.measure.measure` says of a case, which is one of the fields of
    :class:`.GridCase`."""
    return measure(_case(case), say)


def _case(fields: Mapping[str, Any]) -> GridCase:
    return GridCase(**{**fields, "device": tuple((key, value) for key, value in fields["device"])})


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
        area = by_key.get(_key(case.config.to_toml(), target)) or {}
        rows.append(row | {f"area_{name}": value for name, value in area.items()})
    return rows
