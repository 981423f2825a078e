"""The command ``bench-timeline``: whether the segments of requests add up, and what a timeline costs."""

import argparse
from pathlib import Path
from typing import Any

from ringwalker.outputs import write_file

from ..errors import EXIT_FAILED, noted
from .options import UsageError, add_command, check_folder, check_output
from .report import report_unwritten, status_line, write_json

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker bench-timeline
      10,000 requests of each function with each ring, and five pairs of runs with a timeline and without
  ringwalker bench-timeline --json timeline.json
      the figures for other programs
  ringwalker bench-timeline --docs docs
      docs/timeline.json, and the tables in docs/timeline.md
  ringwalker bench-timeline --from docs/timeline.json --docs docs
      the tables again, of figures that were measured before
"""


def add_parser(commands: Any) -> None:
    """Add ``bench-timeline`` to the commands."""
    text = "measure timelines: whether the segments of requests add up, and what recording costs"
    parser = add_command(commands, "bench-timeline", text, _EXAMPLES, run)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    parser.add_argument("--docs", metavar="FOLDER", help="write the figures, and the tables of the page")
    parser.add_argument(
        "--from", metavar="FILE", dest="source", help="show figures that were measured before"
    )


def _measure() -> dict[str, Any]:
    from ..performance.engine_speed import machine
    from ..timeline.cost import CASES, measured_cost
    from ..timeline.residue import loads, measured_residue

    with status_line("starting") as say:
        residue = []
        for load in loads():
            say(f"residue of {load}")
            residue.append(measured_residue(load))
        cost = [measured_cost(case, say) for case in CASES]
    return {"machine": machine(), "residue": residue, "cost": cost}


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-timeline``."""
    from ..timeline.page import FIGURES, PAGE, page, read_figures, section

    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    if options.docs and not (Path(options.docs) / PAGE).is_file():
        raise UsageError(f"--docs {options.docs}: there is no {PAGE} in it, whose tables would be written")
    figures = read_figures(options.source) if options.source else _measure()
    unwritten: list[str] = []
    if options.docs:
        place = Path(options.docs) / PAGE
        with noted(unwritten):
            text = page(place.read_text(encoding="utf-8"), figures)
            write_json(str(place.with_name(FIGURES)), figures)
            write_file(place, text)
    if options.json:
        with noted(unwritten):
            write_json(options.json, figures)
    if options.json != "-":
        print(section(figures).strip())
    wrong = any(row["residue_cycles"] for row in figures["residue"])
    return report_unwritten(unwritten) or (EXIT_FAILED if wrong else 0)
