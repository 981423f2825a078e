"""docs/conformance.md: every statement is accounted for, and the page is what is generated."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.conform.check import Way
from ringwalker_sim.conform.clauses import Clause, clauses
from ringwalker_sim.conform.results import coverage
from ringwalker_sim.conform.results.findings import FINDINGS, Finding, judge
from ringwalker_sim.conform.results.page import FIGURES, PAGE, page, read_figures
from ringwalker_sim.conform.suite import FAILED, PASSED, Outcome, all_checks, select

DOCS = Path("docs")
CLAUSE = "core-03.01"


def test_every_statement_is_accounted_for() -> None:
    assert coverage.problems() == []


def test_the_page_is_up_to_date() -> None:
    made = page(read_figures(DOCS / FIGURES))
    assert (DOCS / PAGE).read_text() == made, (
        "run ringwalker conform --docs docs --from docs/conformance.json"
    )


def test_what_is_found_of_our_devices_is_nothing() -> None:
    for device in read_figures(DOCS / FIGURES)["devices"]:
        if device["engine"] != "qemu":
            assert device["failures"] == [], device["title"]


def test_what_is_found_of_qemus_devices_is_explained() -> None:
    for device in read_figures(DOCS / FIGURES)["devices"]:
        if device["engine"] == "qemu":
            outcomes = [
                Outcome(select([item["check"]])[0], Way(item["way"]), FAILED, clause=item["clause"])
                for item in device["failures"]
            ]
            unexplained, _missing = judge(device["device"], outcomes)
            assert unexplained == [], device["title"]


def test_findings_are_of_checks_and_of_the_clauses_that_they_name() -> None:
    names = {check.name for check in all_checks()}
    assert [finding.check for finding in FINDINGS if finding.check not in names] == []
    assert [finding.clause for finding in FINDINGS if finding.clause not in clauses()] == []
    assert len({(finding.check, finding.clause) for finding in FINDINGS}) == len(FINDINGS)


def test_a_failure_without_a_reason_and_a_reason_without_a_failure_are_reported() -> None:
    check = select(["reset_clears_status"])[0]
    known = [Finding(check.name, CLAUSE, "why", ["a device"], [Way.PACKED, Way.LEGACY])]
    outcomes = [
        Outcome(check, Way.SPLIT, FAILED, "split is wrong", CLAUSE),
        Outcome(check, Way.PACKED, FAILED, "packed is wrong", CLAUSE),
        Outcome(check, Way.LEGACY, PASSED),
    ]
    unexplained, missing = judge("a device", outcomes, known)
    assert len(unexplained) == 1
    assert "split is wrong" in unexplained[0]
    assert len(missing) == 1
    assert "by legacy" in missing[0]
    others, none = judge("another", outcomes, known)
    assert (len(others), none) == (2, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda clause: replace(clause, says=""), "nothing says what it says"),
        (lambda clause: replace(clause, unchecked="no"), "checks it, and it has a reason why not"),
        (lambda clause: replace(clause, id="core-99.01"), "no check names it"),
    ],
)
def test_what_is_wrong_with_a_statement_is_found(
    change: Callable[[Clause], Clause], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [change(clause) if clause.id == CLAUSE else clause for clause in clauses().values()]
    monkeypatch.setattr(coverage, "clauses", lambda: {clause.id: clause for clause in changed})
    assert any(said in line for line in coverage.problems())


def test_too_few_checks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "MOST_UNCHECKED", 0)
    assert any("at most 0 may" in line for line in coverage.problems())


def test_the_command_makes_the_page_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--from", "x.json"]) == 2
    assert "--from: it is for --docs" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text(json.dumps([]))
    assert main(["conform", "--docs", str(tmp_path), "--from", str(tmp_path / "bad.json")]) == 2
    assert "no figures of conform --docs" in capsys.readouterr().err
    assert main(["conform", "--docs", str(tmp_path), "--from", str(DOCS / FIGURES)]) == 0
    assert (tmp_path / PAGE).read_text() == page(read_figures(DOCS / FIGURES))
