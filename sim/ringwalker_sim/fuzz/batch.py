"""A batch of cases on one device: what a task of a campaign is."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..campaign.task import Call, Say
from ..engine.native.coverage import coverage_library, read_layout
from ..toolchain import content_hash
from ..verilog_cache import device_verilog
from .case import Case
from .coverage import Coverage, packed_bits
from .executor import Executor
from .generate import CaseMaker, Parent
from .outcome import Finding
from .target import counted, target

__all__ = [
    "BATCH",
    "COVER",
    "FAST",
    "Watch",
    "coverage_model",
    "found_in",
    "preparation",
    "prepare_device",
    "run_batch",
]

BATCH = "ringwalker_sim.fuzz.batch:run_batch"
"""What the tasks of a campaign call."""

_PREPARE = "ringwalker_sim.fuzz.batch:prepare_device"

FAST, COVER = "fast", "cover"
"""As a batch's ``model``: the usual one, and the one that counts what toggles."""

_PREDECESSORS = 4
"""Cases before one with a finding that are kept with it."""

_NAME_DIGITS = 10
"""Of the hardware's name in results."""


def coverage_model(device: str, say: Say) -> Path:
    """The library of the model with counters for a device, built if need be."""
    text, ports = device_verilog(target(counted(device)).config, say)
    return coverage_library(text, ports, progress=say)


def prepare_device(say: Say, device: str, model: str) -> None:
    """Build a device's model, on a machine that will run batches of it."""
    if model == COVER:
        coverage_model(device, say)
    else:
        with Executor(device, progress=say):
            pass


def preparation(device: str, model: str) -> Call:
    """The call of :func:`prepare_device`."""
    return Call(_PREPARE, {"device": device, "model": model})


def found_in(finding: Finding, number: int, cases: Sequence[Case]) -> dict[str, Any]:
    """A finding as a result has it."""
    return {
        "rule": finding.rule,
        "text": finding.text,
        "cycle": finding.cycle,
        "number": number,
        "cases": [case.text() for case in cases],
    }


class Watch:
    """What cases have moved, on a model with counters."""

    def __init__(self, executor: Executor, library: Path):
        engine = executor.engine
        self._coverage = Coverage(engine.library, engine.handle(), read_layout(library))
        self._seen: set[int] = set()
        self.states: dict[str, list[int]] = {}

    def look(self, number: int) -> None:
        """Note what case ``number`` was the first to show."""
        new = [state for state in self._coverage.take_states() if state not in self._seen]
        if new:
            self._seen.update(new)
            self.states[str(number)] = new

    def toggled(self) -> str:
        """What has toggled, as text."""
        return packed_bits(self._coverage.toggled())


def run_batch(
    say: Say, device: str, seed: int, first: int, count: int, kept: Sequence[Sequence[int]], model: str
) -> dict[str, Any]:
    """Run cases ``first`` and so on of the campaign with ``seed``, for which ``kept`` are worth changing.

    Gives how many cases, cycles and seconds of a processor it took, ``hardware``, a name of the device's
    Verilog, and ``findings``; with the model :data:`COVER` also ``states``, what each case was the first of
    the batch to show, and ``toggled``.
    The same arguments give the same result.
    """
    where = counted(device) if model == COVER else device
    found = target(where)
    scenes = {name: found.setup(name).scene for name in found.setups}
    parents: list[Parent] = [(number, before) for number, before in kept]
    library = coverage_model(device, say) if model == COVER else None
    hardware = content_hash(device_verilog(target(device).config, say)[:1])[:_NAME_DIGITS]
    findings: list[dict[str, Any]] = []
    cycles = 0
    with Executor(where, library=library, progress=say) as executor:
        watch = Watch(executor, library) if library is not None else None
        began = time.process_time()
        maker = CaseMaker(device, where, scenes, seed, parents)
        cases = [maker.case(number) for number in range(first, first + count)]
        for place, case in enumerate(cases):
            following = cases[place + 1].setup if place + 1 < count else case.setup
            outcome = executor.run(case, following)
            cycles += outcome.cycles
            if watch is not None:
                watch.look(first + place)
            if outcome.findings:
                before = cases[max(0, place - _PREDECESSORS) : place + 1]
                findings.append(found_in(outcome.findings[0], first + place, before))
        seconds = time.process_time() - began
        result: dict[str, Any] = {"device": device, "model": model, "first": first, "cases": count}
        result |= {"hardware": hardware, "cycles": cycles, "cpu_s": round(seconds, 4), "findings": findings}
        if watch is not None:
            result |= {"states": watch.states, "toggled": watch.toggled()}
    return result
