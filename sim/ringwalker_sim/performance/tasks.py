"""The measurements of this folder as tasks of a campaign."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ringwalker.config import DeviceConfig

from ..campaign.task import Call, Say, Task
from ..captures.captures import NO_CAPTURES, Captures
from .cases import Case
from .measure import measure

__all__ = ["measure_row", "model_of", "tasks_of"]


def model_of(config: DeviceConfig) -> Call:
    """What builds the model of a device, once a machine."""
    return Call("ringwalker_sim.engine.native.models:build_model", {"config": config.to_dict()})


def tasks_of(
    cases: Sequence[Case], timeline: str | None = None, captures: Captures = NO_CAPTURES
) -> list[Task]:
    """A task for each case, whose value is its row. ``timeline`` and ``captures``: files of the only one."""
    return [
        Task(
            f"{__name__}:measure_row",
            {"case": asdict(case), "timeline": timeline, "captures": asdict(captures)},
            shlex.join(case.arguments),
            (model_of(case.config),),
        )
        for case in cases
    ]


def measure_row(
    say: Say, *, case: Mapping[str, Any], timeline: str | None, captures: Mapping[str, Any]
) -> dict[str, Any]:
    """What :func:`.measure` says of a case with these fields."""
    return measure(Case(**case), say, timeline=timeline, captures=Captures(**captures))
