"""The command ``bench-rings``: split and packed rings, in order or not, beside each other."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import noted
from .campaign_options import add_campaign_options, every_core, open_campaign
from .options import add_command, check_folder, check_output
from .report import progress_of, report_unwritten, write_figures

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
    add_campaign_options(parser, "one for every core, if Dask is installed")


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from ..performance.rings.area import area_tasks
    from ..performance.rings.cases import cases
    from ..performance.tasks import tasks_of

    rows = tasks_of(cases())
    tasks = [*rows, *area_tasks()]
    description = {"tasks": [task.key for task in tasks]}
    campaign = open_campaign(options, "bench-rings", description, every_core())
    with campaign as (runner, folder), progress_of(len(tasks)) as say:
        found = runner.run(tasks, folder, progress=say, stop_at_failure=True)
    values = [result.value for result in found]
    return {"rows": values[: len(rows)], "area": values[len(rows) :]}


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-rings``."""
    from ..performance.plot import load_matplotlib
    from ..performance.report import print_rows
    from ..performance.rings.charts import draw
    from ..performance.rings.page import FIGURES, PAGE, page, read_rings

    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    if options.docs:
        load_matplotlib()
    figures = read_rings(options.source) if options.source else _measure(options)
    unwritten = write_figures(figures, options.json, options.docs, (FIGURES, PAGE), page)
    if options.docs:
        with noted(unwritten):
            draw(figures["rows"], figures["area"], Path(options.docs))
    print_rows(figures["rows"], on_stderr=options.json == "-")
    return report_unwritten(unwritten)
