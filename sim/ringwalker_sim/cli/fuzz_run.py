"""How ``fuzz`` runs the campaign that its options describe, and shows what came of it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..errors import EXIT_FAILED, noted
from ..fuzz.campaign import Campaign, DeviceResult, Plan
from ..fuzz.coverage import BLOCKS
from ..fuzz.findings import Shown, parse_cases, record, run_on_new_device, shown
from ..fuzz.netlist import MISSING, can_read_netlists
from ..fuzz.results import coverage_figures, device_figures, same_finding
from ..fuzz.target import COUNTED, DEVICES
from .campaign_options import open_campaign
from .options import UsageError, check_output
from .report import progress_of, report_unwritten, status_line, write_json

__all__ = ["campaign_results", "carry_out", "figures_of", "finding_lines"]

_FINDINGS = "findings"
_COUNTED = 250
"""Cases of a batch where all are counted."""


def carry_out(options: argparse.Namespace) -> int:
    """Do what the options describe; the exit code. Errors: :class:`.UsageError`, those of the campaign."""
    if options.list:
        print("\n".join(DEVICES))
        return 0
    if options.docs or options.source or options.only:
        from .fuzz_docs import write_docs

        return write_docs(options)
    if options.waves and not options.case:
        raise UsageError("--waves: they are of the cases of --case")
    if options.case:
        return _run_file(options)
    check_output("--json", options.json)
    plan, results = campaign_results(options)
    figures = figures_of(plan, results)
    if not can_read_netlists() and any(item.toggled for item in results):
        print(f"ringwalker: what has toggled is not shown: {MISSING}", file=sys.stderr)
    elif any(item.toggled for item in results):
        with status_line("counting what has toggled") as say:
            figures["coverage"] = coverage_figures(results, say)
    findings = same_finding([finding for item in results for finding in item.findings])
    recorded = [] if options.no_shrink else _recorded(options, findings)
    return _finish(options, figures, recorded)


def _devices(options: argparse.Namespace) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(options.device or DEVICES))
    for device in chosen:
        if device not in DEVICES:
            raise UsageError(f"--device {device}: there are {', '.join(DEVICES)}")
    return chosen


def _check_folder(options: argparse.Namespace) -> None:
    """See that a campaign that is there is meant to go on."""
    from ..campaign.folder import RESULTS

    if options.resume and not options.corpus:
        raise UsageError("--resume: --corpus names the folder of the campaign")
    there = options.corpus is not None and (Path(options.corpus) / RESULTS).exists()
    if there and not options.resume:
        raise UsageError(f"--corpus {options.corpus}: a campaign is there; --resume goes on with it")
    if options.resume and not there:
        raise UsageError(f"--resume: there is no campaign in {options.corpus}")


def _run_file(options: argparse.Namespace) -> int:
    """The cases of a file."""
    if options.waves and Path(options.waves).suffix != ".fst":
        raise UsageError(f"--waves {options.waves}: the name must end with .fst")
    check_output("--waves", options.waves)
    try:
        cases = parse_cases(Path(options.case).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--case {options.case}: {error}") from None
    if not cases or any(case.device not in (*DEVICES, *COUNTED) for case in cases):
        raise UsageError(f"--case {options.case}: names no device that there is")
    with status_line("running"):
        finding = run_on_new_device(cases, Path(options.waves) if options.waves else None)
    if finding is None:
        print("nothing was found")
        return 0
    print(f"{finding.rule}: {finding.text} (cycle {finding.cycle})")
    return EXIT_FAILED


def campaign_results(
    options: argparse.Namespace, only_coverage: bool = False
) -> tuple[Plan, list[DeviceResult]]:
    """Run the campaign of the options; with ``only_coverage`` every case is counted.
    Errors: :class:`.UsageError`, those of the campaign."""
    devices = _devices(options)
    _check_folder(options)
    plan = Plan(devices, options.cases, options.seed, cover=0 if options.no_coverage else Plan.cover)
    if options.docs:
        plan = replace(plan, loads=True)
    if only_coverage:
        plan = replace(plan, batch=0, cover=_COUNTED)
    options.campaign = options.corpus
    about = {"devices": list(devices), "seed": plan.seed, "batch": plan.batch, "cover": plan.cover}
    with (
        open_campaign(options, "fuzz", about) as (runner, folder),
        progress_of(plan.cases * len(devices)) as progress,
    ):
        return plan, Campaign(plan, runner, folder, progress).run()


def figures_of(plan: Plan, results: Sequence[DeviceResult]) -> dict[str, Any]:
    """The figures of a campaign, without what has toggled."""
    return {
        "seed": plan.seed,
        "cases": sum(item.cases for item in results),
        "devices": [device_figures(item) for item in results],
    }


def _recorded(options: argparse.Namespace, findings: list[dict[str, Any]]) -> list[tuple[Shown, list[Path]]]:
    """Make findings small, and write tests and waves of them."""
    folder = Path(options.corpus or ".") / _FINDINGS
    recorded = []
    for number, found in enumerate(findings):
        with status_line(f"making finding {number + 1} of {len(findings)} smaller"):
            small = shown(found)
            recorded.append((small, record(small, folder)))
    return recorded


def _table(figures: dict[str, Any]) -> Table:
    table = Table()
    table.add_column("device")
    for title in ("cases", "cases a second", "kept", "findings"):
        table.add_column(title, justify="right")
    for item in figures["devices"]:
        rate = f"{item['cases_per_second']:,.0f}" if item["cases_per_second"] else ""
        table.add_row(
            item["device"], f"{item['cases']:,}", rate, str(item["kept"]), str(len(item["findings"]))
        )
    return table


def _coverage_table(coverage: dict[str, Any]) -> Table:
    table = Table(title="bits that have toggled")
    table.add_column("function")
    for block in BLOCKS:
        table.add_column(block, justify="right")
    for name, item in coverage.items():
        table.add_row(name, *(f"{item['blocks'][block]['percent']:.1f} %" for block in BLOCKS))
    return table


def finding_lines(figures: dict[str, Any]) -> Iterator[str]:
    """The first finding of each device and rule, and how many more there are."""
    for item in figures["devices"]:
        by_rule: dict[str, list[dict[str, Any]]] = {}
        for finding in item["findings"]:
            by_rule.setdefault(finding["rule"], []).append(finding)
        for rule, findings in by_rule.items():
            more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
            yield f"{item['device']} case {findings[0]['number']}: {rule}: {findings[0]['text']}{more}"


def _finish(
    options: argparse.Namespace, figures: dict[str, Any], recorded: list[tuple[Shown, list[Path]]]
) -> int:
    """Write and show what came of it; the exit code."""
    unwritten: list[str] = []
    if options.json:
        with noted(unwritten):
            write_json(options.json, figures)
    console = Console(stderr=options.json == "-", highlight=False)
    console.print(_table(figures))
    if "coverage" in figures:
        console.print(_coverage_table(figures["coverage"]))
    for line in finding_lines(figures):
        print(f"ringwalker: {line}", file=sys.stderr)
    for small, files in recorded:
        names = " and ".join(map(str, files))
        note = "" if small.again else " (a new device does not show it)"
        print(f"ringwalker: {small.rule}: see {names}{note}", file=sys.stderr)
    code = report_unwritten(unwritten)
    return EXIT_FAILED if any(item["findings"] for item in figures["devices"]) else code
