"""Findings: which cases are needed, fewest operations, and the test that is written."""

from collections.abc import Sequence

from ringwalker_sim.fuzz import findings
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.findings import MOST_LINES, as_test, parse_cases, shown
from ringwalker_sim.fuzz.operations import Operation, fault, memory, notify, wait
from ringwalker_sim.fuzz.outcome import Finding

DEVICE = "rng:split:modern"
BAD = notify(0, 77)
ALSO = fault(3, 1)


def case(*operations: Operation) -> Case:
    return Case(DEVICE, "msix", operations)


def run(cases: Sequence[Case]) -> Finding | None:
    """A device that cannot bear one operation after another, in any cases."""
    done = [operation for item in cases for operation in item.operations]
    if ALSO in done and BAD in done[done.index(ALSO) :]:
        return Finding("grant", "it is broken", 5, 0)
    return None


def found(*cases: Case) -> dict:
    return {"rule": "grant", "text": "it was broken", "cases": [item.text() for item in cases]}


NOISE = [operation for n in range(12) for operation in (wait(n), memory(n, b"abc"))]


def test_operations_that_are_not_needed_are_left_out() -> None:
    small = shown(found(case(*NOISE), case(*NOISE, ALSO, *NOISE, BAD, *NOISE)), run)
    assert small.again
    assert [item.operations for item in small.cases] == [(ALSO, BAD)]


def test_cases_before_it_stay_where_they_are_needed() -> None:
    small = shown(found(case(*NOISE), case(*NOISE, ALSO), case(wait(3)), case(*NOISE, BAD)), run)
    assert small.again
    assert [item.operations for item in small.cases] == [(ALSO,), (), (BAD,)]


def test_what_a_new_device_does_not_show_stays_whole() -> None:
    small = shown(found(case(BAD), case(ALSO)), run)
    assert not small.again
    assert [item.operations for item in small.cases] == [(BAD,), (ALSO,)]


def test_another_rule_is_another_finding() -> None:
    def other(cases: Sequence[Case]) -> Finding | None:
        result = run(cases)
        few = sum(len(item.operations) for item in cases) < 4
        return Finding("reset", "", 0, 0) if result and few else result

    small = shown(found(case(*NOISE, ALSO, BAD)), other)
    assert len(small.cases[0].operations) == 4


def test_the_test_of_a_finding_is_short_and_has_the_case() -> None:
    small = shown(found(case(*NOISE, ALSO), case(*NOISE, BAD)), run)
    text = as_test(small)
    assert len(text.splitlines()) <= MOST_LINES
    scope: dict = {}
    exec(compile(text, "test", "exec"), scope)
    assert parse_cases(scope["CASE"]) == small.cases
    assert "test_rng_split_modern_grant" in scope


def test_many_operations_are_joined_into_lines() -> None:
    many = findings.Shown("grant", "", [case(*NOISE)], True)
    text = as_test(many)
    assert len(text.splitlines()) <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 110
    assert parse_cases(text.split('"""')[3]) == many.cases
