"""The command ``sweep``: a grid of configuration, link and workload, on as many processes as there are."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EXIT_FAILED, noted
from .campaign_options import add_campaign_options, every_core, open_campaign
from .options import UsageError, add_command, add_model_option, check_output
from .report import progress_of, report_unwritten, write_json
from .standard_output import write_output

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker sweep --set data_width=64,256 --set ring=split,packed --set link=gen2x4,gen3x8
      eight cases, of four devices
  ringwalker sweep --set depth=1,4,16,64 --set size=512,4k,64k --set latency_ns=300,1200 --plot depth.svg
      24 cases of one device, and charts: rate against depth, a curve for each size
  ringwalker sweep --set read_tags=16,32,64 --set chains=16,64 --area ecp5 --csv tags.csv
      with the LUTs that each device takes, which takes minutes, and which of them are worth it
  ringwalker sweep --set size=512,4k --set queues=1,2,4 --campaign sizes --parquet sizes.parquet
      results go into the folder sizes as they come: the same command again goes on from there
  ringwalker sweep --set queues=1,16 --scheduler 10.0.0.7:8786
      on the workers of a Dask scheduler; docs/sweep.md says how to start one

Keys that are not set are as in the first row of 'ringwalker bench'. Combinations that cannot be are left out,
and counted. The model of each device is built once a machine.
Exit codes: 0 all is measured, 1 a case failed, 2 it could not be begun, or an output could not be written,
130 interrupted.
"""


def add_parser(commands: Any) -> None:
    """Add ``sweep`` to the commands."""
    from ..performance.synth.targets import TARGETS

    text = "measure a grid of configurations, links and workloads"
    parser = add_command(commands, "sweep", text, _EXAMPLES, run)
    text = "values of a key of configuration, link or workload; once for each key"
    parser.add_argument("--set", metavar="KEY=A,B", dest="settings", action="append", default=[], help=text)
    parser.add_argument("--keys", action="store_true", help="say what keys there are, and measure nothing")
    text = "synthesize each device for this family too, for area against speed"
    parser.add_argument("--area", choices=tuple(TARGETS), help=text)
    add_model_option(parser)
    add_campaign_options(parser, "one for every core, if Dask is installed")
    output = parser.add_argument_group("output")
    output.add_argument("--csv", metavar="FILE", help="write a row for each case ('-': standard output)")
    output.add_argument("--parquet", metavar="FILE", help="write the same rows as Parquet")
    output.add_argument("--json", metavar="FILE", help="write grid and rows as JSON ('-': standard output)")
    output.add_argument("--plot", metavar="FILE", help="draw charts (.svg or .png)")
    text = "what charts are drawn against (default: the number with most values)"
    output.add_argument("--x", metavar="KEY", help=text)


def _check(options: argparse.Namespace, varied: Sequence[str]) -> None:
    from ..performance.plot import FORMATS, load_matplotlib
    from ..sweep.table import check_parquet

    for name in ("csv", "parquet", "json", "plot"):
        check_output(f"--{name}", getattr(options, name))
    if options.parquet:
        check_parquet()
    if options.x and not options.plot:
        raise UsageError("--x: it is for --plot")
    if options.plot:
        if Path(options.plot).suffix not in FORMATS:
            raise UsageError(f"--plot {options.plot}: the name must end with {' or '.join(FORMATS)}")
        if not varied:
            raise UsageError("--plot: no key has more than one value")
        if options.x and options.x not in varied:
            raise UsageError(f"--x {options.x}: is none of the keys that vary: {', '.join(varied)}")
        load_matplotlib()


def run(options: argparse.Namespace) -> int:
    """``ringwalker sweep``."""
    from ..sweep.grid import Grid
    from ..sweep.work import area_tasks, rows_of, tasks_of
    from .sweep_report import print_keys, print_rows

    if options.keys:
        print_keys()
        return 0
    if not options.settings:
        raise UsageError("--set: nothing is; 'ringwalker sweep --keys' says what keys there are")
    grid = Grid.of(options.settings)
    _check(options, grid.varied)
    if grid.reasons:
        count = len(grid.cases) + len(grid.reasons)
        text = f"{len(grid.reasons)} of {count} combinations cannot be: {grid.reasons[0]}"
        print(f"ringwalker: {text}", file=sys.stderr)
    tasks = tasks_of(grid.cases)
    areas = area_tasks(grid.cases, options.area) if options.area else []
    description = {"set": {key: list(values) for key, values in grid.values.items()}}
    campaign = open_campaign(options, "sweep", description, every_core())
    with campaign as (runner, folder), progress_of(len(tasks) + len(areas)) as say:
        found = runner.run([*tasks, *areas], folder, progress=say)
    rows = rows_of(grid.cases, found[: len(tasks)], found[len(tasks) :], options.area or "")
    code = _write(options, grid.values, grid.varied, rows)
    print_rows(rows, grid.varied, on_stderr="-" in (options.csv, options.json))
    failed = [result for result in found if result.error]
    for result in failed:
        print(f"{result.trace}ringwalker: {result.key}: {result.error}", file=sys.stderr)
    return EXIT_FAILED if failed else code


def _write(
    options: argparse.Namespace,
    values: Mapping[str, Sequence[Any]],
    varied: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """Write what was asked for; the exit code."""
    from ..sweep.charts import MOST_CHARTS, chart_file, charts_of
    from ..sweep.table import csv_text, parquet_bytes

    unwritten: list[str] = []
    if options.csv:
        with noted(unwritten):
            write_output(options.csv, csv_text(rows))
    if options.parquet:
        with noted(unwritten):
            write_output(options.parquet, parquet_bytes(rows))
    if options.json:
        with noted(unwritten):
            write_json(options.json, {"set": {key: list(of) for key, of in values.items()}, "rows": rows})
    if options.plot and rows:
        charts = charts_of(rows, varied, options.x or "")
        if len(charts) > MOST_CHARTS:
            text = f"{len(charts)} charts would be needed, and the first {MOST_CHARTS} are drawn"
            print(f"ringwalker: --plot: {text}", file=sys.stderr)
        with noted(unwritten):
            write_output(options.plot, chart_file(charts, Path(options.plot).suffix[1:]))
    return report_unwritten(unwritten)
