"""What to do with a finding: as few operations as are enough, a test of a few lines, and waves."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder, write_file

from ..shrink import resumed, shrinking
from .case import Case
from .executor import Executor
from .operations import Operation
from .outcome import Finding

__all__ = ["MOST_LINES", "Shown", "as_test", "first_finding", "parse_cases", "record", "shown"]

MOST_LINES = 20
"""Of the test of a finding."""

_JOIN = " ; "
_WIDTH = 108
_FRAME_LINES = 9
_TEST = '''\
"""Found by ringwalker fuzz: {rule}."""

from ringwalker_sim.fuzz.findings import first_finding

CASE = """
{text}
"""

def test_{name}() -> None:
    assert first_finding(CASE) is None
'''

Run = Callable[[Sequence[Case]], Finding | None]
"""Runs cases on a new device; the first finding."""


def run_on_new_device(cases: Sequence[Case], waves: Path | None = None) -> Finding | None:
    """The first finding of cases, which are of one device, one after the other on a new one."""
    with Executor(cases[0].device, waves=waves) as executor:
        for case in cases:
            if findings := executor.run(case).findings:
                return findings[0]
    return None


def parse_cases(text: str) -> list[Case]:
    """Cases, each of which begins with its device; several operations may be in one line, joined by ``;``."""
    lines = [line.strip() for row in text.splitlines() for line in row.split(_JOIN.strip())]
    starts = [number for number, line in enumerate(lines) if line.startswith("device ")]
    return [Case.parse("\n".join(lines[begin:end])) for begin, end in pairwise([*starts, len(lines)])]


def first_finding(text: str) -> Finding | None:
    """The first finding of the cases of a text, on a new device. Errors: ``ValueError``."""
    return run_on_new_device(parse_cases(text))


@dataclass(frozen=True)
class Shown:
    """A finding, and the fewest ``cases`` that were found to be enough to show it, the last of which breaks
    ``rule``. Without ``again`` they do not show it on a new device."""

    rule: str
    text: str
    cases: list[Case]
    again: bool

    @property
    def name(self) -> str:
        """Of its files and of its test."""
        words = f"{self.cases[-1].device} {self.rule}"
        return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _fewer_cases(rule: str, cases: list[Case], run: Run) -> list[Case] | None:
    """The last of ``cases`` that are enough; None if all are not."""
    for count in range(1, len(cases) + 1):
        finding = run(cases[-count:])
        if finding is not None and finding.rule == rule:
            return cases[-count:]
    return None


def _fewer_operations(rule: str, cases: list[Case], run: Run) -> list[Case]:
    """The same cases, each with as few operations as are enough."""
    best = list(cases)
    for place in reversed(range(len(best))):
        attempts = shrinking(list(best[place].operations))
        steps: list[Operation] | None = next(attempts, None)
        while steps is not None:
            attempt = [*best[:place], best[place].with_operations(steps), *best[place + 1 :]]
            finding = run(attempt)
            fails = finding is not None and finding.rule == rule
            if fails:
                best = attempt
            steps = resumed(attempts, fails)
    return best


def shown(found: Mapping[str, Any], run: Run = run_on_new_device) -> Shown:
    """A finding of a batch (``rule``, ``text`` and ``cases``), made as small as can be."""
    cases = [Case.parse(text) for text in found["cases"]]
    rule = found["rule"]
    enough = _fewer_cases(rule, cases, run)
    if enough is None:
        return Shown(rule, found["text"], cases, again=False)
    return Shown(rule, found["text"], _fewer_operations(rule, enough, run), again=True)


def as_test(finding: Shown) -> str:
    """A test of at most :data:`MOST_LINES` lines that holds the device to what it has broken, as far as
    operations can be joined into lines."""
    lines = [line for case in finding.cases for line in case.text().splitlines()]
    room = MOST_LINES - _FRAME_LINES
    while len(lines) > room:
        joined = [(len(one) + len(other), number) for number, (one, other) in enumerate(pairwise(lines))]
        length, at = min(joined)
        if length + len(_JOIN) > _WIDTH:
            break
        lines[at : at + 2] = [lines[at] + _JOIN + lines[at + 1]]
    return _TEST.format(rule=finding.rule, text="\n".join(lines), name=finding.name)


def record(finding: Shown, folder: Path, waves: bool = True) -> list[Path]:
    """Write the test of a finding, and its waves, into ``folder``; the files. Errors: ``OutputError``."""
    test = make_folder(folder) / f"test_{finding.name}.py"
    write_file(test, as_test(finding))
    if not waves or not finding.again:
        return [test]
    shown_waves = folder / f"{finding.name}.fst"
    with suppress(AssertionError):
        run_on_new_device(finding.cases, waves=shown_waves)
    return [test, shown_waves]
