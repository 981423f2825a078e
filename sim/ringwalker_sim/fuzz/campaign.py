"""A campaign: rounds of batches on several devices; what shows anything new is kept, and changed later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder, write_file

from ..campaign.folder import CampaignFolder
from ..campaign.runner import Runner
from ..campaign.task import Result, Task
from .batch import BATCH, COVER, FAST, preparation
from .generate import CaseMaker, Parent
from .load import LOAD
from .target import counted, target

__all__ = ["Campaign", "DeviceResult", "Plan", "corpus_folder"]

_ROUND_BATCHES = 8
_MOST_KEPT = 400


@dataclass(frozen=True)
class Plan:
    """What a campaign does: ``cases`` on each of ``devices``, with ``seed``.

    A round is a batch of ``cover`` cases on the model with counters, and then :data:`_ROUND_BATCHES` of
    ``batch`` cases on the fast one. What a round has kept is changed from the next one on. Without ``cover``
    nothing is kept, and every case is a new one; without ``batch`` all cases are counted.
    """

    devices: tuple[str, ...]
    cases: int
    seed: int = 1
    batch: int = 500
    cover: int = 100
    loads: bool = False
    """Also a long load on each device that counts what toggles."""

    def rounds(self) -> Iterator[list[tuple[int, int, str]]]:
        """For each round its batches: the first case, how many, and the model."""
        first = 0
        while first < self.cases:
            batches = []
            sizes = [(self.cover, COVER)] if self.cover else []
            fast = [(self.batch, FAST)] * _ROUND_BATCHES if self.batch else []
            for size, model in [*sizes, *fast]:
                count = min(size, self.cases - first)
                if count > 0:
                    batches.append((first, count, model))
                first += count
            yield batches


@dataclass
class DeviceResult:
    """What has come of a device so far."""

    device: str
    cases: int = 0
    cycles: int = 0
    cpu_s: float = 0.0
    fast_cases: int = 0
    fast_cpu_s: float = 0.0
    kept: list[Parent] = field(default_factory=list)
    states: set[int] = field(default_factory=set)
    toggled: list[str] = field(default_factory=list)
    load: dict[str, int] = field(default_factory=dict)
    """How many stretches, chains and cycles the long load had."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    hardware: dict[str, int] = field(default_factory=dict)
    """How many cases ran on which Verilog."""

    def take(self, value: Mapping[str, Any]) -> list[Parent]:
        """Add the result of a batch; the cases that are kept from now on."""
        self.cases += value["cases"]
        self.cycles += value["cycles"]
        self.cpu_s += value["cpu_s"]
        self.findings += value["findings"]
        hardware = value["hardware"]
        self.hardware[hardware] = self.hardware.get(hardware, 0) + value["cases"]
        if value["model"] == FAST:
            self.fast_cases += value["cases"]
            self.fast_cpu_s += value["cpu_s"]
        new: list[Parent] = []
        before = len(self.kept)
        for number, states in value.get("states", {}).items():
            if self.states.issuperset(states) or before + len(new) >= _MOST_KEPT:
                continue
            self.states.update(states)
            new.append((int(number), before))
        if value.get("toggled"):
            self.toggled.append(value["toggled"])
        return new


class Campaign:
    """Runs ``plan`` with ``runner``; ``folder`` keeps what was done, and cases that were kept as text.

    ``progress`` takes how many cases are done, and what is being done. Errors: those of the runner.
    """

    def __init__(
        self,
        plan: Plan,
        runner: Runner,
        folder: CampaignFolder | None = None,
        progress: Callable[[int, str], None] = lambda _done, _text: None,
    ):
        self.plan = plan
        self.results = {device: DeviceResult(device) for device in plan.devices}
        self._runner = runner
        self._folder = folder
        self._progress = progress
        self._done = 0

    def run(self, stop_at_finding: bool = False) -> list[DeviceResult]:
        """All rounds; what has come of each device. A finding ends it after its round, if that is asked."""
        for batches in self.plan.rounds():
            self._round(batches)
            if stop_at_finding and any(item.findings for item in self.results.values()):
                break
        if self.plan.loads:
            self._load()
        return list(self.results.values())

    def _task(self, device: str, first: int, count: int, model: str) -> Task:
        kept = [list(parent) for parent in self.results[device].kept]
        arguments = {
            "device": device,
            "seed": self.plan.seed,
            "first": first,
            "count": count,
            "kept": kept,
            "model": model,
        }
        key = f"{device.replace(':', '-')}-{first}-{count}"
        return Task(BATCH, arguments, key, (preparation(device, model),))

    def _load(self) -> None:
        """The long load of each device that counts."""
        where = {counted(device): device for device in reversed(self.plan.devices)}
        tasks = [
            Task(
                LOAD,
                {"device": device, "seed": self.plan.seed},
                f"load of {key}",
                (preparation(device, COVER),),
            )
            for key, device in sorted(where.items())
        ]
        results = self._runner.run(tasks, self._folder, stop_at_failure=True)
        for task, result in zip(tasks, results, strict=True):
            found = self.results[task.arguments["device"]]
            found.toggled.append(result.value["toggled"])
            found.findings += result.value["findings"]
            found.load = {name: result.value[name] for name in ("stretches", "chains", "cycles")}

    def _round(self, batches: Sequence[tuple[int, int, str]]) -> None:
        tasks = [self._task(device, *batch) for device in self.plan.devices for batch in batches]
        sizes = {task.key: int(task.arguments["count"]) for task in tasks}
        done, before = set[str](), self._done

        def progress(_count: int, text: str) -> None:
            if text in sizes:
                done.add(text)
            self._progress(before + sum(sizes[key] for key in done), text)

        results = self._runner.run(tasks, self._folder, progress=progress, stop_at_failure=True)
        self._done = before + sum(sizes.values())
        for task, result in zip(tasks, results, strict=True):
            self._take(task, result)

    def _take(self, task: Task, result: Result) -> None:
        found = self.results[task.arguments["device"]]
        new = found.take(result.value)
        if self._folder is not None and new:
            self._write(found, new)
        found.kept += new

    def _write(self, found: DeviceResult, new: Sequence[Parent]) -> None:
        """Keep the text of cases, for people and for other campaigns."""
        assert self._folder is not None
        folder = make_folder(corpus_folder(self._folder.path, found.device))
        where = counted(found.device)
        device = target(where)
        scenes = {name: device.setup(name).scene for name in device.setups}
        maker = CaseMaker(found.device, where, scenes, self.plan.seed, found.kept)
        for number, _before in new:
            write_file(folder / f"{number:08}.case", maker.case(number).text())


def corpus_folder(folder: Path, device: str) -> Path:
    """Where the cases of a device that were kept are, in the folder of a campaign."""
    return folder / "corpus" / device.replace(":", "-")
