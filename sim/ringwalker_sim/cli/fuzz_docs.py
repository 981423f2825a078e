"""``fuzz --docs``: the page of the documentation, and the figures it is made of."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import EXIT_FAILED
from ..toolchain import ToolError
from .options import UsageError, check_folder
from .report import report_unwritten, status_line, write_figures

__all__ = ["write_docs"]


def write_docs(options: argparse.Namespace) -> int:
    """Run the campaign of the options, measure how fast cases are, write page and figures; the exit code.

    With ``--only coverage`` all cases are counted, and the other figures are those that are there.
    What such cases find is shown, and is exit code 1: the page has no place for it. Errors:
    :class:`.UsageError`, those of the campaign.
    """
    from ..fuzz.netlist import MISSING, can_read_netlists
    from ..fuzz.page import FIGURES, PAGE, page, read_figures

    if options.source and not options.docs:
        raise UsageError("--from: it is for --docs")
    if options.only and (options.source or not options.docs):
        raise UsageError("--only is about what --docs measures")
    if options.only and options.no_coverage:
        raise UsageError("--only coverage: --no-coverage leaves that out")
    check_folder("--docs", options.docs)
    if not options.source and not can_read_netlists():
        raise ToolError(MISSING)
    found = False
    if options.source:
        figures = read_figures(options.source)
    elif options.only:
        kept = read_figures(Path(options.docs) / FIGURES)
        coverage, found = _only_coverage(options)
        figures = {**kept, "coverage": {**kept.get("coverage", {}), **coverage}}
    else:
        figures = _measure(options)
    code = report_unwritten(write_figures(figures, None, options.docs, (FIGURES, PAGE), page))
    return EXIT_FAILED if found else code


def _only_coverage(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from ..fuzz.results import coverage_figures
    from .fuzz_run import campaign_results, figures_of, finding_lines

    plan, results = campaign_results(options, only_coverage=True)
    lines = list(finding_lines(figures_of(plan, results)))
    for line in lines:
        print(f"ringwalker: {line}", file=sys.stderr)
    with status_line("counting what has toggled") as say:
        return coverage_figures(results, say), bool(lines)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from ..fuzz.results import coverage_figures
    from ..fuzz.speed import measured_speed
    from .fuzz_run import campaign_results, figures_of

    plan, results = campaign_results(options)
    figures = figures_of(plan, results)
    with status_line("measuring how fast cases are") as say:
        coverage = coverage_figures(results, say)
        speed = measured_speed(say)
    return {**figures, "speed": speed, "coverage": coverage}
