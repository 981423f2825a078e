"""What ``conform`` shows on the terminal: a row for each check, its failures, and why checks were skipped."""

from collections.abc import Callable, Hashable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from ..conform.check import Check, Way
from ..conform.results.outcomes import kind_of
from ..conform.results.report import Report, broken
from ..conform.suite import SKIPPED, Outcome

__all__ = ["print_checks", "print_reports"]

_WORDS = {
    "passed": ("pass", "green"),
    "must": ("FAIL", "bold red"),
    "should": ("should", "yellow"),
    "skipped": ("skip", "dim"),
}
"""What a row says of each kind of outcome, and its style."""


def print_checks(chosen: Sequence[Check]) -> None:
    """What checks there are."""
    console = Console(highlight=False, soft_wrap=True)
    for check in chosen:
        console.print(f"[bold]{check.name}[/bold]  {' '.join(check.clauses)}  ({', '.join(check.ways)})")
        console.print(f"    {escape(check.does)}")
        console.print(f"    Wrong: {escape(check.wrong)}")
    console.print(f"{len(chosen)} checks")


def print_reports(reports: Sequence[Report], on_stderr: bool = False) -> None:
    """A row for each check of all devices, then all that failed, then the sums."""
    console = Console(stderr=on_stderr, highlight=False, soft_wrap=True)
    for report in reports:
        console.print(f"[bold]{escape(report.device)}[/bold]")
        for line in _rows(report.outcomes):
            console.print(line)
        console.print()
    for report in reports:
        for line in _failures(report):
            console.print(line)
    for report in reports:
        counts = report.counts()
        console.print(
            f"{escape(report.device)}: {counts['passed']} passed, {counts['must']} break a MUST, "
            f"{counts['should']} do not keep a SHOULD, {counts['skipped']} skipped; {report.seconds:.1f} s"
        )


def _grouped(outcomes: Sequence[Outcome], key: Callable[[Outcome], Hashable]) -> list[list[Outcome]]:
    """Outcomes with the same key together, in the order of the first of each."""
    groups: dict[Hashable, list[Outcome]] = {}
    for item in outcomes:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _rows(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each check: its name, what came of it by each way, and why it was skipped."""
    ways = [way for way in Way if any(item.way is way for item in outcomes)]
    width = max([len(item.check.name) for item in outcomes], default=0)
    yield f"[dim]{'check':{width}}  {'  '.join(f'{way:6}' for way in ways)}  skipped because[/dim]"
    for items in _grouped(outcomes, lambda item: item.check.name):
        by_way = {item.way: kind_of(item) for item in items}
        cells = "  ".join(_cell(by_way.get(way)) for way in ways)
        reasons = dict.fromkeys(item.text for item in items if item.verdict == SKIPPED)
        yield f"{items[0].check.name:{width}}  {cells}  {escape('; '.join(reasons))}".rstrip()


def _cell(kind: str | None) -> str:
    if kind is None:
        return " " * 6
    word, style = _WORDS[kind]
    return f"[{style}]{word}[/]" + " " * (6 - len(word))


def _failures(report: Report) -> Iterator[str]:
    """Some lines for each failure; what fails in the same way by several ways is one."""
    for kind, title in (("must", "breaks a MUST"), ("should", "does not keep a SHOULD")):
        word, style = _WORDS[kind]
        failures = _grouped(report.of(kind), lambda item: (item.check.name, item.clause, item.text))
        for items in failures:
            first, ways = items[0], ", ".join(item.way for item in items)
            yield f"[{style}]{word}[/] {escape(report.device)}: {first.check.name} ({ways}) {title}"
            yield f"    {broken(first)}: {escape(first.text)}"
            yield f"    {escape(first.check.does)}"
            yield f"    {escape(report.replay(first))}"
            yield ""
