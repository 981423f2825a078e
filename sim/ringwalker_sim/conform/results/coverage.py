"""Which checks each statement has, and what is wrong with the list of statements."""

from collections import defaultdict
from collections.abc import Mapping

from ..check import Check
from ..clauses import CHAPTERS, Clause, clauses
from ..suite import all_checks

__all__ = ["MOST_UNCHECKED", "STATEMENTS", "checks_of", "is_listed", "problems"]

MOST_UNCHECKED = 60
"""So many statements may have a reason in place of a check."""

STATEMENTS = 374
"""Normative statements for devices in the tables of the chapters."""


def is_listed(clause: Clause) -> bool:
    """Whether a statement is one of a chapter's devices' statements, and not a further one."""
    return clause.id.partition("-")[0] in CHAPTERS


def checks_of() -> Mapping[str, list[Check]]:
    """The checks that name each statement, by id."""
    found: dict[str, list[Check]] = defaultdict(list)
    for check in all_checks():
        for clause in check.clauses:
            found[clause].append(check)
    return found


def problems() -> list[str]:
    """What is wrong: statements that nothing accounts for, or too many without a check."""
    named = checks_of()
    wrong = []
    for clause in clauses().values():
        if not clause.says:
            wrong.append(f"{clause.id}: nothing says what it says")
        if clause.unchecked and clause.id in named:
            wrong.append(f"{clause.id}: {named[clause.id][0].name} checks it, and it has a reason why not")
        if not clause.unchecked and clause.id not in named:
            wrong.append(f"{clause.id}: no check names it, and nothing says why")
    listed = [clause for clause in clauses().values() if is_listed(clause)]
    if len(listed) != STATEMENTS:
        wrong.append(f"there are {len(listed)} statements, not {STATEMENTS}")
    unchecked = [clause for clause in listed if clause.unchecked]
    if len(unchecked) > MOST_UNCHECKED:
        wrong.append(f"{len(unchecked)} statements have no check; at most {MOST_UNCHECKED} may")
    return wrong
