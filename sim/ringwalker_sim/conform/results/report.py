"""What a run of the checks comes to: the report on a device, as JSON, as JUnit XML and as a page."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from xml.etree import ElementTree

from ..clauses import clauses
from ..suite import FAILED, SKIPPED, Outcome
from .outcomes import COUNTS, count, kind_of, outcome_to_json

__all__ = ["Report", "broken", "junit_xml", "page_html", "reports_json"]

_TITLES = {"passed": "passed", "must": "MUST broken", "should": "SHOULD not kept", "skipped": "skipped"}


@dataclass
class Report:
    """What was found of the device called ``device``. ``command`` are the words of the command that tests it
    again, without those that say what is tested."""

    device: str
    command: Sequence[str]
    outcomes: list[Outcome]

    @property
    def seconds(self) -> float:
        """What the checks have taken."""
        return sum(item.seconds for item in self.outcomes)

    def counts(self) -> dict[str, int]:
        """How many outcomes there are of each kind."""
        return count(self.outcomes)

    def of(self, kind: str) -> list[Outcome]:
        """The outcomes of a kind, one of :data:`~.outcomes.COUNTS`."""
        return [item for item in self.outcomes if kind_of(item) == kind]

    def replay(self, outcome: Outcome) -> str:
        """The command that runs a check once more, with the steps that were found to be enough."""
        words = [*self.command, outcome.check.name, "--way", str(outcome.way)]
        if outcome.seed != 1:
            words += ["--seed", str(outcome.seed)]
        if outcome.steps is not None:
            words += ["--steps", json.dumps(outcome.steps, separators=(",", ":"))]
        return shlex.join(words)

    def reasons(self) -> list[tuple[str, int]]:
        """Why checks were skipped, each with how many, most first."""
        return Counter(item.text for item in self.of(SKIPPED)).most_common()


def broken(outcome: Outcome) -> str:
    """The clause that a failure breaks, with its keyword."""
    if not outcome.clause:
        return "no clause"
    return f"{outcome.clause} ({clauses()[outcome.clause].keyword})"


def reports_json(reports: Sequence[Report]) -> dict[str, Any]:
    """All reports as JSON can hold them."""
    devices = []
    for report in reports:
        rows = []
        for outcome in report.outcomes:
            row = outcome_to_json(outcome)
            if outcome.verdict == FAILED:
                row["replay"] = report.replay(outcome)
            rows.append(row)
        devices.append(
            {
                "device": report.device,
                "command": list(report.command),
                "seconds": round(report.seconds, 3),
                **report.counts(),
                "outcomes": rows,
            }
        )
    totals = {name: sum(item[name] for item in devices) for name in COUNTS}
    return {**totals, "devices": devices}


def junit_xml(reports: Sequence[Report]) -> str:
    """All reports as JUnit XML: a test suite for each device."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        counts = report.counts()
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=report.device,
            tests=str(len(report.outcomes)),
            failures=str(counts["must"] + counts["should"]),
            errors="0",
            skipped=str(counts["skipped"]),
            time=f"{report.seconds:.3f}",
        )
        for item in report.outcomes:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{report.device}.{item.way}".replace(" ", "_"),
                name=item.check.name,
                time=f"{item.seconds:.3f}",
            )
            if item.verdict == FAILED:
                failure = ElementTree.SubElement(
                    case, "failure", type=broken(item), message=_printable(item.text)
                )
                lines = [item.check.does, f"Wrong: {item.check.wrong}", item.text, report.replay(item)]
                failure.text = _printable("\n".join(lines))
            elif item.verdict == SKIPPED:
                ElementTree.SubElement(case, "skipped", message=_printable(item.text))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _printable(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


_STYLE = """\
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --line: #d6d9de; --soft: #f3f4f6;
  --passed: #1a7f37; --must: #c21f1f; --should: #a05a00; --skipped: #6a7078; }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --text: #e3e6ea; --line: #353b44;
  --soft: #1e232a; --passed: #57c26e; --must: #ff7b72; --should: #e3a550; --skipped: #969da7; } }
body { background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif;
  margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
th { background: var(--soft); font-weight: 600; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.passed { color: var(--passed); } .must { color: var(--must); font-weight: 600; }
.should { color: var(--should); font-weight: 600; } .skipped { color: var(--skipped); }
details > p { margin: .3rem 0; } summary { cursor: pointer; }
"""


def page_html(reports: Sequence[Report]) -> str:
    """All reports as one page that needs no other file."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Conformance of virtio devices</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>\n{_STYLE}</style></head><body>",
        "<h1>Conformance of virtio devices</h1>",
        "<table><tr><th>Device</th>",
        *(f"<th>{_TITLES[kind]}</th>" for kind in COUNTS),
        "<th>seconds</th></tr>",
    ]
    for number, report in enumerate(reports):
        counts = report.counts()
        cells = "".join(f'<td class="{kind if counts[kind] else ""}">{counts[kind]}</td>' for kind in COUNTS)
        name = f'<a href="#device{number}">{escape(report.device)}</a>'
        parts.append(f"<tr><td>{name}</td>{cells}<td>{report.seconds:.1f}</td></tr>")
    parts.append("</table>")
    for number, report in enumerate(reports):
        parts += _device_html(number, report)
    return "\n".join([*parts, "</body></html>", ""])


def _device_html(number: int, report: Report) -> list[str]:
    parts = [
        f'<h2 id="device{number}">{escape(report.device)}</h2>',
        "<table><tr><th>Check</th><th>Way</th><th>Clauses</th><th>Result</th>",
        "<th>cycles</th><th>seconds</th></tr>",
    ]
    for item in report.outcomes:
        kind = kind_of(item)
        told = [f"<p>{escape(item.check.does)}</p>", f"<p>Wrong: {escape(item.check.wrong)}</p>"]
        shown = f'<span class="{kind}">{_TITLES[kind]}</span>'
        if item.verdict == SKIPPED:
            shown += f": {escape(item.text)}"
        elif item.verdict == FAILED:
            shown += f": {escape(broken(item))}: {escape(item.text)}"
            shown += f"<p><code>{escape(report.replay(item))}</code></p>"
        name = f"<details><summary><code>{item.check.name}</code></summary>{''.join(told)}</details>"
        spent = (f"{item.cycles:,}", f"{item.seconds:.2f}")
        cells = (name, str(item.way), " ".join(item.check.clauses), shown, *spent)
        parts.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return [*parts, "</table>"]
