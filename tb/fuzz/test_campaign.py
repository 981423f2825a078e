"""Campaigns: rounds that follow from the plan, what is kept and changed, and going on in a folder."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.campaign.folder import CampaignFolder
from ringwalker_sim.campaign.runner import Runner
from ringwalker_sim.campaign.task import Result, Say, Task
from ringwalker_sim.fuzz.batch import COVER, FAST
from ringwalker_sim.fuzz.campaign import Campaign, DeviceResult, Plan, corpus_folder
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.results import device_figures, same_finding
from ringwalker_sim.fuzz.target import counted

DEVICES = ("blk:split:modern", "rng:packed:modern")


class Played(Runner):
    """Gives results that ``answer`` makes, in another order than that of the tasks."""

    def __init__(self, answer: Any):
        self.answer = answer
        self.tasks: list[Task] = []

    def results(self, tasks: Sequence[Task], say: Say) -> Generator[Result]:
        for task in reversed(tasks):
            self.tasks.append(task)
            yield Result(task.key, self.answer(**task.arguments))


def answer(device: str, first: int, count: int, model: str, **_others: Any) -> dict[str, Any]:
    value = {"device": device, "model": model, "first": first, "cases": count, "cycles": 7 * count}
    value |= {"hardware": "one", "cpu_s": 0.5, "findings": []}
    if model == COVER:
        # Each round shows two things, one of them for the first time.
        value["states"] = {str(first): [1], str(first + 1): [1, 2 + first]}
        value["toggled"] = ""
    return value


def plan(cases: int = 700) -> Plan:
    return Plan(DEVICES, cases, batch=50, cover=10)


def test_rounds_are_contiguous_and_begin_with_the_model_that_counts() -> None:
    rounds = list(plan().rounds())
    batches = [batch for batches in rounds for batch in batches]
    ends = [first + count for first, count, _model in batches]
    assert [first for first, _count, _model in batches] == [0, *ends[:-1]]
    assert ends[-1] == 700
    assert all(
        [model for *_, model in batches] == [COVER, *[FAST] * (len(batches) - 1)] for batches in rounds
    )
    uncounted = Plan(DEVICES, 700, cover=0).rounds()
    assert {model for batches in uncounted for *_, model in batches} == {FAST}


def test_every_case_is_run_once_on_each_device() -> None:
    runner = Played(answer)
    results = Campaign(plan(), runner).run()
    assert [item.cases for item in results] == [700, 700]
    assert [item.cycles for item in results] == [4900, 4900]
    assert len({task.key for task in runner.tasks}) == len(runner.tasks)


def test_what_shows_something_new_is_changed_from_the_next_round_on() -> None:
    runner = Played(answer)
    results = Campaign(plan(), runner).run()
    assert results[0].kept == [(0, 0), (1, 0), (411, 2)]
    by_first = {task.arguments["first"]: task.arguments["kept"] for task in runner.tasks}
    assert by_first[0] == by_first[360] == []
    assert by_first[410] == by_first[670] == [[0, 0], [1, 0]]


def test_results_do_not_depend_on_the_order_in_which_they_come() -> None:
    class Straight(Played):
        def results(self, tasks: Sequence[Task], say: Say) -> Generator[Result]:
            yield from super().results(tasks[::-1], say)

    assert Campaign(plan(), Played(answer)).run() == Campaign(plan(), Straight(answer)).run()


def test_a_campaign_goes_on_in_its_folder_and_keeps_the_text_of_cases(tmp_path: Path) -> None:
    def open_folder() -> CampaignFolder:
        return CampaignFolder(tmp_path, "fuzz", {})

    with open_folder() as folder:
        before = Campaign(plan(), Played(answer), folder).run()
    runner = Played(answer)
    with open_folder() as folder:
        again = Campaign(plan(), runner, folder).run()
    assert again == before
    assert runner.tasks == []
    kept = sorted(corpus_folder(tmp_path, DEVICES[0]).iterdir())
    assert [path.name for path in kept] == ["00000000.case", "00000001.case", "00000411.case"]
    assert Case.parse(kept[0].read_text()).device == counted(DEVICES[0])


def test_progress_counts_cases() -> None:
    seen: list[int] = []
    Campaign(plan(), Played(answer), progress=lambda done, _text: seen.append(done)).run()
    assert seen == sorted(seen)
    assert seen[-1] == 1400


def test_findings_are_in_the_figures_and_one_of_a_kind_is_made_small() -> None:
    found = {"rule": "grant", "text": "a", "cycle": 3, "number": 5, "cases": ["device x\nsetup y"]}
    result = DeviceResult(DEVICES[0], findings=[found, {**found, "number": 9}, {**found, "rule": "reset"}])
    assert [item["number"] for item in device_figures(result)["findings"]] == [5, 9, 5]
    assert [item["rule"] for item in same_finding(result.findings)] == ["grant", "reset"]


@pytest.mark.parametrize("stop", [False, True])
def test_a_finding_ends_a_campaign_if_that_is_asked_for(stop: bool) -> None:
    found = {"rule": "grant", "text": "a", "cycle": 3, "number": 5, "cases": ["device x\nsetup y"]}

    def bad(**arguments: Any) -> dict[str, Any]:
        return {**answer(**arguments), "findings": [found] if arguments["first"] == 0 else []}

    results = Campaign(plan(), Played(bad)).run(stop_at_finding=stop)
    assert [item.cases for item in results] == ([410, 410] if stop else [700, 700])
