"""``fuzz --docs``: the page of the documentation, and the figures it is made of."""

import argparse
from typing import Any

from .options import UsageError, check_folder
from .report import report_unwritten, status_line, write_figures

__all__ = ["write_docs"]


def write_docs(options: argparse.Namespace) -> int:
    """Run the campaign of the options, measure how fast cases are, write page and figures; the exit code.
    Errors: :class:`.UsageError`, those of the campaign."""
    from ..fuzz.page import FIGURES, PAGE, page, read_figures

    if options.source and not options.docs:
        raise UsageError("--from: it is for --docs")
    check_folder("--docs", options.docs)
    figures = read_figures(options.source) if options.source else _measure(options)
    return report_unwritten(write_figures(figures, None, options.docs, (FIGURES, PAGE), page))


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
