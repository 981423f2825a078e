"""The command ``bench``: what the device reaches of what its link allows."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder

from ..errors import noted
from ..report.ran import TIMELINE, ran
from ..report.write import fill_folder
from .campaign_options import add_campaign_options, every_core, open_campaign
from .capture_options import add_capture_options, captures_of, check_captures
from .options import (
    UsageError,
    add_command,
    add_model_option,
    add_report_option,
    add_timeline_option,
    byte_count,
    check_folder,
    check_output,
    check_report,
    check_timeline,
    positive,
)
from .report import progress_of, report_unwritten, write_json

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker bench --quick
      eight rows in less than two minutes
  ringwalker bench --json figures.json --plot figures.svg
      all rows, and charts of them
  ringwalker bench --direction write --size 4k --depth 32 --latency-ns 1200
      one row; what is not given is as in the first row of all
  ringwalker bench --function net --direction tx --size 64
      frames instead of block requests
  ringwalker bench --direction read --requests 1000 --timeline read.pftrace
      one row, and where each of its requests was when; open it at ui.perfetto.dev
  ringwalker bench --direction read --requests 1000 --report read-row
      all that a report needs of one row, and read-row/report.html; of many rows it is a table
  ringwalker bench --docs docs
      all rows, into docs/performance.json and docs/performance.md with its charts
  ringwalker bench --quick --workers 1
      one row after another, in one process
  ringwalker bench --campaign rows --json figures.json
      rows go into the folder as they come: the same command again goes on from there
  ringwalker bench --from docs/performance.json --plot figures.png
      charts of figures that were measured before
"""

_TEXTS = {
    "function": "what the device is for",
    "direction": "read or write; of net: tx or rx",
    "size": "bytes a request",
    "queues": "queues in use",
    "depth": "requests in flight",
    "indirect": "block requests as indirect tables",
    "notification_data": "notifications carry the available index",
    "ring": "split or packed",
    "in_order": "the device uses requests in order",
    "face": "registers that the device has: modern, legacy or transitional",
    "driver_face": "registers that the driver uses",
    "link": "the link",
    "data_width": "bits a beat",
    "clock_mhz": "the device's clock",
    "latency_ns": "ns that the host takes to answer a read",
    "requests": "how many requests",
    "device_queues": "queues that the device has",
    "queue_size": "entries of a queue",
    "read_tags": "reads of payload that the device can have in flight",
    "ring_tags": "reads of descriptors that it can have in flight",
    "chains": "chains that it can walk at once",
}


def add_parser(commands: Any) -> None:
    """Add ``bench`` to the commands."""
    from ringwalker.config import USUAL

    from ..performance.cases import Case
    from ..performance.report import FIGURES

    text = "measure what the device reaches of what its link allows"
    parser = add_command(commands, "bench", text, _EXAMPLES, run)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="a few rows only")
    which.add_argument("--from", metavar="FILE", dest="source", help="show figures that --json has written")
    add_model_option(parser)
    add_campaign_options(parser, "one for every core, if Dask is installed")
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    add_report_option(output, "the rows")
    output.add_argument("--plot", metavar="FILE", help="draw rate against size and latency (.svg or .png)")
    output.add_argument(
        "--docs", metavar="FOLDER", help=f"write {FIGURES}, the page made of it, and its charts"
    )
    row = parser.add_argument_group("one row instead of all")
    add_timeline_option(row, " of the row")
    add_capture_options(row, " of the row")
    for item in fields(Case):
        if isinstance(item.default, bool):
            name = item.name.replace("_", "-")
            row.add_argument(f"--{name}", action="store_true", default=None, help=_TEXTS[item.name])
            continue
        kind = {"size": byte_count}.get(item.name, str if isinstance(item.default, str) else positive)
        name = item.name.replace("_", "-")
        default = "by function" if item.default == USUAL else item.default
        help_text = f"{_TEXTS[item.name]} (default {default})"
        row.add_argument(f"--{name}", metavar="N" if kind is not str else "NAME", type=kind, help=help_text)


def _check(options: argparse.Namespace, chosen: dict[str, Any]) -> None:
    from ..performance.plot import FORMATS
    from ..performance.synth.report import FIGURES, read_devices

    if chosen and (options.quick or options.source or options.docs):
        name = next(iter(chosen)).replace("_", "-")
        raise UsageError(f"--{name} measures one row; --quick, --from and --docs are about many")
    if options.docs and options.quick:
        raise UsageError("--docs: the page has all rows, --quick measures a few")
    if options.timeline and not chosen:
        raise UsageError("--timeline is of one row: say which, such as --direction read")
    if captures_of(options) and not chosen:
        raise UsageError("--pcap and --tlp-pcap are of one row: say which, such as --direction read")
    check_timeline(options.timeline)
    check_report(options.report)
    for option in ("json", "plot"):
        check_output(f"--{option}", getattr(options, option))
    if options.plot and Path(options.plot).suffix not in FORMATS:
        raise UsageError(f"--plot {options.plot}: the name must end with {' or '.join(FORMATS)}")
    check_folder("--docs", options.docs)
    if options.docs and (synthesis := Path(options.docs) / FIGURES).exists():
        # The page has a summary of it. To find out after all has been measured would be late.
        read_devices(synthesis)


def _measure(
    options: argparse.Namespace, chosen: dict[str, Any], timeline: str | None
) -> list[dict[str, Any]]:
    from ..performance.cases import CHECK, FULL, QUICK, Case
    from ..performance.tasks import tasks_of

    captures = captures_of(options)
    if chosen:
        try:
            cases: tuple[Case, ...] = (Case(**chosen),)
            assert cases[0].config
        except ValueError as error:
            raise UsageError(str(error)) from None
        check_captures(captures, cases[0].config)
    else:
        cases = QUICK if options.quick else (*FULL, *CHECK)
    tasks = tasks_of(cases, timeline, captures)
    description = {"tasks": [task.key for task in tasks]}
    campaign = open_campaign(options, "bench", description, min(every_core(), len(tasks)))
    with campaign as (runner, folder), progress_of(len(tasks)) as say:
        found = runner.run(tasks, folder, progress=say, stop_at_failure=True)
    return [result.value for result in found]


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench``."""
    from ..performance.cases import Case
    from ..performance.plot import draw_docs, load_matplotlib, plot
    from ..performance.report import FIGURES, print_rows, read_rows, write_page

    chosen = {name: getattr(options, name) for name in _TEXTS if getattr(options, name) is not None}
    _check(options, chosen)
    if options.docs:
        load_matplotlib()
    timeline = options.timeline
    if options.report:
        folder = make_folder(options.report)
        timeline = timeline or (str(folder / TIMELINE) if chosen else None)
    rows = read_rows(options.source) if options.source else _measure(options, chosen, timeline)
    unwritten: list[str] = [line for row in rows for line in row.pop("unwritten", ())]
    figures = {"rows": rows, "ran": ran(options.words, None)}
    if options.json:
        with noted(unwritten):
            write_json(options.json, figures)
    if options.report:
        with noted(unwritten):
            device = ("native", Case(**chosen).config) if chosen else None
            fill_folder(options.report, figures, device, timeline)
    if options.plot:
        with noted(unwritten):
            plot(rows, options.plot)
    if options.docs:
        with noted(unwritten):
            write_json(str(Path(options.docs) / FIGURES), {"rows": rows})
            write_page(Path(options.docs))
            draw_docs(rows, Path(options.docs))
    print_rows(rows, on_stderr=options.json == "-")
    return report_unwritten(unwritten)
