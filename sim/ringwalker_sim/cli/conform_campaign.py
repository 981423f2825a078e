"""How ``conform`` tests devices on several workers, or goes on with what a folder has."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringwalker.config import DeviceConfig

from ..campaign.task import Task
from ..conform.check import Check, Way
from ..conform.parts import join_parts, parts_of
from ..conform.results.report import Report
from .campaign_options import open_campaign
from .options import UsageError
from .report import progress_of

__all__ = ["is_campaign", "test_in_campaign"]

_Titled = tuple[str, DeviceConfig | None, list[str]]


def is_campaign(options: argparse.Namespace) -> bool:
    """Whether the options ask for one. Errors: :class:`.UsageError` when what they test cannot be one."""
    if not (options.scheduler or options.campaign or (options.workers or 1) > 1):
        return False
    if options.socket:
        raise UsageError("--socket: there is one device, which one process tests")
    if options.waves:
        raise UsageError("--waves: they are of one check, which one process runs")
    return True


def test_in_campaign(
    options: argparse.Namespace,
    titled: Sequence[_Titled],
    chosen: Sequence[Check],
    steps: list[Any] | None,
    properties: Mapping[str, object],
) -> Iterator[tuple[Report, list[str]]]:
    """Test the devices ``titled``: the report on each, and what the golden model does in another way."""
    ways = tuple(Way) if options.way is None else (Way(options.way),)
    more: dict[str, Any] = {"seed": options.seed, "steps": steps, "against": bool(options.against)}
    parts: list[list[Task]] = []
    for title, config, _command in titled:
        device: dict[str, Any] = {"qemu": options.qemu, "properties": dict(properties)}
        if config is not None:
            device = {"engine": options.engine or "native", "config": config.to_dict()}
        parts.append(parts_of(title, device, chosen, ways, **more))
    tasks = [task for of_device in parts for task in of_device]
    description = {"tasks": [[task.key, dict(task.arguments)] for task in tasks]}
    with open_campaign(options, "conform", description) as (runner, folder), progress_of(len(tasks)) as say:
        found = iter(runner.run(tasks, folder, progress=say, stop_at_failure=True))
    for (title, config, command), of_device in zip(titled, parts, strict=True):
        values = [next(found).value for _task in of_device]
        name = config.function if config is not None else title
        differences = [f"{name}: {line}" for value in values for line in value["differences"]]
        yield Report(title, command, join_parts(chosen, values)), differences
