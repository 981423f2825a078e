"""Outcomes as JSON can hold them, and what they add up to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..check import Way
from ..clauses import clauses
from ..suite import FAILED, PASSED, Outcome, all_checks

__all__ = ["COUNTS", "count", "kind_of", "outcome_from_json", "outcome_to_json"]

COUNTS = ("passed", "must", "should", "skipped")
"""What :func:`kind_of` says: a failure is one of a MUST or one of a SHOULD."""


def kind_of(outcome: Outcome) -> str:
    """``passed``, ``must``, ``should`` or ``skipped``."""
    if outcome.verdict != FAILED:
        return outcome.verdict
    return "must" if outcome.binding else "should"


def count(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many outcomes there are of each kind."""
    found = Counter(kind_of(item) for item in outcomes)
    return {name: found[name] for name in COUNTS}


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome, without what was noted for a comparison."""
    content: dict[str, Any] = {
        "check": outcome.check.name,
        "way": str(outcome.way),
        "verdict": outcome.verdict,
        "clauses": list(outcome.check.clauses),
        "cycles": outcome.cycles,
        "seconds": round(outcome.seconds, 6),
        "seed": outcome.seed,
    }
    if outcome.verdict != PASSED:
        content["text"] = outcome.text
    if outcome.verdict == FAILED:
        content |= {
            "clause": outcome.clause,
            "keyword": clauses()[outcome.clause].keyword if outcome.clause else "",
            "steps": outcome.steps,
        }
    return content


def outcome_from_json(content: Mapping[str, Any]) -> Outcome:
    """The outcome that :func:`outcome_to_json` described."""
    (check,) = [item for item in all_checks() if item.name == content["check"]]
    names = ("text", "clause", "cycles", "seconds", "seed", "steps")
    found = {name: content[name] for name in names if name in content}
    return Outcome(check, Way(content["way"]), content["verdict"], **found)
