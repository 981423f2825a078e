"""The command ``bench-rings``: split and packed rings, in order or not, beside each other."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from ringwalker.outputs import write_file

from ..errors import noted
from .options import add_command, check_folder, check_output

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker bench-rings
      the same loads on each kind of ring, and what the rings cost on an FPGA: some ten minutes
  ringwalker bench-rings --json rings.json
      the figures for other programs
  ringwalker bench-rings --docs docs
      docs/rings.json, and docs/rings.md with its charts
  ringwalker bench-rings --from docs/rings.json --docs docs
      the page again, of figures that were measured before
"""


def add_parser(commands: Any) -> None:
    """Add ``bench-rings`` to the commands."""
    text = "compare split and packed rings: bytes on the wire, latency, requests a second, area"
    parser = add_command(commands, "bench-rings", text, _EXAMPLES, run)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    parser.add_argument("--docs", metavar="FOLDER", help="write the page, its figures and its charts")
    parser.add_argument(
        "--from", metavar="FILE", dest="source", help="show figures that were measured before"
    )


def _measure(status: Any) -> dict[str, Any]:
    from ..performance.measure import measure
    from ..performance.rings.area import RINGS, measure_area
    from ..performance.rings.cases import cases

    rows = []
    every = cases()
    for number, case in enumerate(every, 1):
        place = f"{number} of {len(every)}: {shlex.join(case.arguments)}"
        status(place)
        rows.append(measure(case, lambda text, place=place: status(f"{place}: {text}")))
    return {"rows": rows, "area": [measure_area(ring, status) for ring in RINGS]}


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-rings``."""
    from ..performance.plot import load_matplotlib
    from ..performance.report import print_rows
    from ..performance.rings.charts import draw
    from ..performance.rings.page import FIGURES, PAGE, page, read_rings
    from .report import report_unwritten, status_line, write_json

    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    if options.docs:
        load_matplotlib()
    if options.source:
        figures = read_rings(options.source)
    else:
        with status_line("starting") as status:
            figures = _measure(status)
    unwritten: list[str] = []
    if options.json:
        with noted(unwritten):
            write_json(options.json, figures)
    if options.docs:
        folder = Path(options.docs)
        with noted(unwritten):
            write_json(str(folder / FIGURES), figures)
            write_file(folder / PAGE, page(figures))
            draw(figures["rows"], figures["area"], folder)
    print_rows(figures["rows"], on_stderr=options.json == "-")
    return report_unwritten(unwritten)
