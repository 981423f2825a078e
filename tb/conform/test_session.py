"""Checks on a target that dies, hangs or cannot be reset; steps made fewer; what the command shows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from ringwalker_sim.conform.check import ONCE, Check, Nonconformance, NotApplicable, Way
from ringwalker_sim.conform.results.outcomes import outcome_from_json, outcome_to_json
from ringwalker_sim.conform.results.report import Report, junit_xml, page_html, reports_json
from ringwalker_sim.conform.session import Session
from ringwalker_sim.conform.suite import FAILED, PASSED, SKIPPED, Outcome, all_checks
from ringwalker_sim.conform.targets.local import open_local
from ringwalker_sim.conform.targets.target import Target
from ringwalker_sim.errors import ParameterError
from ringwalker_sim.shrink import resumed, shrinking
from ringwalker_sim.testing.devices import SMALL_RNG
from ringwalker_sim.vm.qtest import QtestError

CLAUSE = "core-03.01"


def made(name: str, run: Any, steps: Any = None) -> Check:
    return Check(name, (CLAUSE,), ONCE, (), "Does.", "Wrong.", run, steps)


async def passes(_subject: Any) -> None:
    pass


async def fails(_subject: Any) -> None:
    raise Nonconformance(CLAUSE, "wrong")


async def dies(_subject: Any) -> None:
    raise QtestError("QEMU has closed its test socket")


async def does_not_apply(_subject: Any) -> None:
    raise NotApplicable("not here")


async def fails_with_three_and_five(_subject: Any, steps: list[int]) -> None:
    if {3, 5} <= set(steps):
        raise Nonconformance(CLAUSE, f"{steps} are wrong")


class Opener:
    """Opens a model; counts how often. From opening ``last`` on there is none."""

    def __init__(self, last: int = 100, own: bool = True):
        self.opened = 0
        self.last = last
        self.own = own

    @contextmanager
    def __call__(self) -> Iterator[Target]:
        if self.opened == self.last:
            raise ParameterError("nobody answers")
        self.opened += 1
        with open_local("model", SMALL_RNG) as target:
            yield replace(target, own=self.own)


def verdicts(outcomes: list[Outcome]) -> list[str]:
    return [item.verdict for item in outcomes]


def test_a_target_that_dies_fails_one_check_and_is_opened_for_the_next() -> None:
    opener = Opener()
    with Session(opener) as session:
        found = session.run([made("a", passes), made("b", dies), made("c", passes)])
    assert verdicts(found) == [PASSED, FAILED, PASSED]
    assert found[1].text == "the check was broken off: QEMU has closed its test socket"
    assert opener.opened == 2


def test_what_cannot_be_opened_again_leaves_the_rest_out_and_says_so() -> None:
    with Session(Opener(last=1)) as session:
        found = session.run([made("b", dies), made("c", passes)])
    assert verdicts(found) == [FAILED, SKIPPED]
    assert found[1].text == "the device could not be opened again: nobody answers"


def test_a_device_of_others_is_opened_again_only_when_it_cannot_be_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opener = Opener(own=False)
    with Session(opener) as session:
        assert verdicts(session.run([made("a", fails), made("b", passes)])) == [FAILED, PASSED]
        assert opener.opened == 1

        async def never(_device: Any) -> bool:
            return False

        monkeypatch.setattr("ringwalker_sim.conform.suite.Device.sound", never)
        session.run([made("a", fails)])
        assert opener.opened == 2


def test_a_device_made_for_the_checks_is_a_fresh_one_after_each_failure() -> None:
    opener = Opener()
    with Session(opener) as session:
        session.run([made("a", fails), made("b", fails), made("c", does_not_apply)])
    assert opener.opened == 3


def test_a_failure_is_not_hidden_by_a_device_that_cannot_be_reset_after_it() -> None:
    async def breaks(subject: Any) -> None:
        async def never() -> int:
            return 0xFF

        subject.transport.status = never
        subject.timing.patience = 0
        raise Nonconformance("core-01.01", "the first fault")

    with Session(Opener()) as session:
        (found,) = session.run([made("a", breaks)])
    assert (found.clause, found.text) == ("core-01.01", "the first fault")


def test_random_steps_become_as_few_as_are_needed() -> None:
    check = made("random", fails_with_three_and_five, lambda _random: list(range(40)))
    with Session(Opener()) as session:
        (found,) = session.run([check])
        assert found.steps == [3, 5]
        (again,) = session.run([check], steps=[3, 5])
        assert (again.verdict, again.steps) == (FAILED, [3, 5])
        assert verdicts(session.run([check], steps=[3])) == [PASSED]


def test_shrinking_ends_with_steps_of_which_none_can_be_left_out() -> None:
    attempts = shrinking(list(range(20)))
    best, steps = list(range(20)), next(attempts)
    while steps is not None:
        fails = {2, 11, 17} <= set(steps)
        best = steps if fails else best
        steps = resumed(attempts, fails)
    assert best == [2, 11, 17]


def test_only_the_ways_that_are_asked_for_are_taken() -> None:
    both = replace(made("a", passes), ways=(Way.SPLIT, Way.PACKED))
    with Session(Opener()) as session:
        assert [item.way for item in session.run([both])] == [Way.SPLIT, Way.PACKED]
        assert [item.way for item in session.run([both], [Way.PACKED])] == [Way.PACKED]
        assert session.run([both], [Way.LEGACY]) == []
        (none,) = session.run([replace(both, ways=(Way.LEGACY,))])
        assert (none.verdict, session.count([both])) == (SKIPPED, 2)


@pytest.fixture
def report() -> Report:
    first, second = all_checks()[:2]
    outcomes = [
        Outcome(first, Way.SPLIT, PASSED, cycles=7, seconds=0.5),
        Outcome(first, Way.PACKED, FAILED, 'a <b> & "\x01"', CLAUSE, seed=4, steps=[[1, "x"]]),
        Outcome(second, Way.SPLIT, FAILED, "soft", "core-01.02"),
        Outcome(second, Way.PACKED, SKIPPED, "not here"),
    ]
    return Report("a device", ["ringwalker", "conform", "--socket", "a b"], outcomes)


def test_must_and_should_are_told_apart(report: Report) -> None:
    assert report.counts() == {"passed": 1, "must": 1, "should": 1, "skipped": 1}
    assert report.reasons() == [("not here", 1)]


def test_a_failure_comes_with_the_command_that_shows_it_again(report: Report) -> None:
    name = report.outcomes[1].check.name
    assert report.replay(report.outcomes[1]) == (
        f"ringwalker conform --socket 'a b' {name} --way packed --seed 4 --steps '[[1,\"x\"]]'"
    )


def test_json_has_all_outcomes_and_gives_them_back(report: Report) -> None:
    content = json.loads(json.dumps(reports_json([report])))
    assert (content["must"], content["should"], content["passed"], content["skipped"]) == (1, 1, 1, 1)
    (device,) = content["devices"]
    assert device["outcomes"][1]["replay"].endswith("""--steps '[[1,"x"]]'""")
    for outcome in report.outcomes:
        assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome)))) == outcome


def test_junit_has_a_case_for_each_outcome(report: Report) -> None:
    (suite,) = ElementTree.fromstring(junit_xml([report]))
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "1",
    }
    passed, must, should, skipped = suite
    assert len(passed) == 0
    assert must[0].get("type") == f"{CLAUSE} (MUST)"
    assert "a <b> &" in str(must[0].text)
    assert str(should[0].get("type")).endswith("(SHOULD)")
    assert skipped[0].get("message") == "not here"


def test_the_page_is_whole_and_escaped(report: Report) -> None:
    page = page_html([report])
    assert "a &lt;b&gt; &amp;" in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page


def test_a_device_without_split_rings_is_tested_by_packed_ones() -> None:
    config = replace(SMALL_RNG, ring="packed")
    rings = replace(made("b", passes), ways=(Way.SPLIT, Way.LEGACY))
    with Session(lambda: open_local("model", config)) as session:
        assert session.device.ways == (Way.PACKED,)
        once, split = session.run([replace(made("a", passes), once=True), rings])
        assert (once.way, once.verdict) == (Way.PACKED, PASSED)
        assert split.verdict == SKIPPED
    with Session(Opener()) as session:
        assert session.device.ways == (Way.SPLIT, Way.PACKED)
