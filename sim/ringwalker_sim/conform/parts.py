"""Parts of a test of devices, which share nothing: the tasks of a campaign."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ringwalker.config import DeviceConfig

from ..campaign.task import Call, Say, Task
from .check import Check, Way
from .facing import outcome_differences
from .results.outcomes import outcome_from_json, outcome_to_json
from .session import Session
from .suite import Outcome, all_checks
from .targets.target import OpenTarget

__all__ = ["join_parts", "parts_of", "run_part"]


def parts_of(
    title: str,
    device: Mapping[str, Any],
    chosen: Sequence[Check],
    ways: Sequence[Way],
    *,
    seed: int = 1,
    steps: list[Any] | None = None,
    against: bool = False,
) -> list[Task]:
    """The tasks that run checks on a device: one for each of ``ways``, on the cocotb engine one for all.

    ``device`` is what JSON can hold: ``engine`` and ``config`` of a built-in one, or ``qemu`` and
    ``properties`` of one of QEMU's. ``against``: the golden model is compared with it.
    """
    shared: dict[str, Any] = {"device": dict(device), "checks": [item.name for item in chosen]}
    shared |= {"ways": list(map(str, ways)), "seed": seed, "steps": steps, "against": against}
    engine = device.get("engine")
    model = {"config": device.get("config"), "plain": True}
    prepare = (Call("ringwalker_sim.engine.native.models:build_model", model),) if engine == "native" else ()
    parts = [""] if engine == "cocotb" else list(map(str, ways))
    return [
        Task(f"{__name__}:run_part", {**shared, "way": way}, f"{title}: {way or 'all ways'}", prepare)
        for way in parts
    ]


def run_part(
    say: Say,
    *,
    device: Mapping[str, Any],
    checks: Sequence[str],
    ways: Sequence[str],
    way: str,
    seed: int,
    steps: list[Any] | None,
    against: bool,
) -> dict[str, Any]:
    """Run, of what checks by ``ways`` would be, what is by ``way``, or all of it where that is empty.

    Gives ``outcomes``, and ``differences`` from the model. Errors: those of the target.
    """
    chosen = [item for item in all_checks() if item.name in checks]
    options: dict[str, Any] = {"seed": seed, "steps": steps, "only": Way(way) if way else None}
    wanted = [Way(item) for item in ways]
    outcomes = _outcomes(device, chosen, wanted, say, **options)
    differences: list[str] = []
    if against:
        model = {**device, "engine": "model"}
        differences = outcome_differences(outcomes, _outcomes(model, chosen, wanted, say, **options))
    return {"outcomes": list(map(outcome_to_json, outcomes)), "differences": differences}


def _outcomes(
    device: Mapping[str, Any],
    chosen: Sequence[Check],
    ways: Sequence[Way],
    say: Say,
    *,
    seed: int,
    steps: list[Any] | None,
    only: Way | None,
) -> list[Outcome]:
    if device.get("engine") == "cocotb":
        from .targets.cocotb import run_in_cocotb

        config = DeviceConfig.from_dict(device["config"])
        return run_in_cocotb(config, chosen, ways, seed=seed, steps=steps, status=say)
    with Session(_opener(device, seed, say), seed) as session:
        return session.run(chosen, ways, steps=steps, progress=lambda outcome: say(outcome.id), only=only)


def _opener(device: Mapping[str, Any], seed: int, say: Say) -> OpenTarget:
    if "qemu" in device:
        from .targets.qemu import open_qemu

        return partial(open_qemu, device["qemu"], device["properties"])
    from .targets.local import open_local

    config = DeviceConfig.from_dict(device["config"])
    more = {"plain": True} if device["engine"] == "native" else {}
    return partial(open_local, device["engine"], config, seed=seed, status=say, **more)


def join_parts(chosen: Sequence[Check], found: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """The outcomes of the parts of one device, in the order in which one session gives them."""
    outcomes = [outcome_from_json(item) for part in found for item in part["outcomes"]]
    place = {item.name: number for number, item in enumerate(chosen)}
    return sorted(outcomes, key=lambda item: (place[item.check.name], item.check.ways.index(item.way)))
