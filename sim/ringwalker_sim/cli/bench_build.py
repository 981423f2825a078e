"""The command ``bench-build``: how long it takes until a device runs."""

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from ..errors import noted
from .options import add_command, add_device_options, check_output, device_config
from .report import report_unwritten, status_line, write_json

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker bench-build
  ringwalker bench-build --data-width 64 --block function/blk/write_buffer.py --json -
"""

_PARTS = {"first_cycle": "until the first cycle", "change_driven": "until the change-driven model"}


def add_parser(commands: Any) -> None:
    """Add ``bench-build`` to the commands."""
    from ..performance.build_time import BLOCK

    text = "measure how long it takes until a device runs: cold, with one block changed, warm"
    parser = add_command(commands, "bench-build", text, _EXAMPLES, run)
    add_device_options(parser)
    text = f"the file of the RTL in which a register is added (default {BLOCK})"
    parser.add_argument("--block", metavar="FILE", default=BLOCK, help=text)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def _show(cases: dict[str, Any], on_stderr: bool) -> None:
    console = Console(stderr=on_stderr, highlight=False)
    for case, parts in cases.items():
        table = Table(title=f"{case} build, seconds", min_width=60)
        table.add_column("")
        for name in ("clock", "processor, Python", "processor, programs"):
            table.add_column(name, justify="right")
        for part, title in _PARTS.items():
            rows = [
                [stage[key] for key in ("wall_s", "own_cpu_s", "programs_cpu_s")] for stage in parts[part]
            ]
            for stage, row in zip(parts[part], rows, strict=True):
                table.add_row(stage["name"], *(f"{value:.2f}" for value in row))
            sums = (f"{sum(column):.2f}" for column in zip(*rows, strict=True))
            table.add_row(title, *sums, style="bold", end_section=True)
        console.print(table)


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-build``."""
    from ..performance.build_time import build_times

    config = device_config(options)
    check_output("--json", options.json)
    with status_line("starting") as status:
        cases = build_times(config, options.block, status)
    unwritten: list[str] = []
    if options.json:
        with noted(unwritten):
            write_json(options.json, {"config": config.to_dict(), "block": options.block, "cases": cases})
    _show(cases, options.json == "-")
    return report_unwritten(unwritten)
