"""The command ``report``: a run as one HTML file."""

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import Any

from .options import UsageError, add_command, check_output

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker run blk --requests 1000 --report blk-run
      a run with all that a report needs in the folder blk-run, the report itself included
  ringwalker report blk-run -o blk.html --open
      the report once more, into a file of another name, and in a browser
  ringwalker run blk --json run.json --timeline run.pftrace && ringwalker report run.json run.pftrace
      the same from files of their own; a report has the sections that there are data for
  ringwalker bench --quick --json figures.json && ringwalker report figures.json -o figures.html
      rows against what the link allows
  ringwalker serve --image disk.img --timeline run.pftrace
  ringwalker report run.pftrace
      what a virtual machine has done

The file needs no network and no server: everything is in it.
"""


def add_parser(commands: Any) -> None:
    """Add ``report`` to the commands."""
    text = "make one HTML file of a run: figures, latencies, where the cycles went, TLPs"
    parser = add_command(commands, "report", text, _EXAMPLES, run)
    text = "a folder of --report, or files of --json and --timeline of the same run"
    parser.add_argument("inputs", metavar="RUN", nargs="+", help=text)
    text = "the file to write (default: report.html in the folder, or RUN with .html for its ending)"
    parser.add_argument("-o", "--output", metavar="FILE.html", help=text)
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def run(options: argparse.Namespace) -> int:
    """``ringwalker report``."""
    from ..report.ran import PAGE
    from ..report.write import write_report

    first = Path(options.inputs[0])
    output = options.output or str(first / PAGE if first.is_dir() else first.with_suffix(".html"))
    if output == "-":
        raise UsageError("-o -: a report is written to a file")
    check_output("-o", output)
    for name in options.inputs:
        if Path(name).exists() and Path(output).exists() and Path(name).samefile(output):
            raise UsageError(f"-o {output}: is what the report is made of; give another name")
    write_report(options.inputs, output)
    print(output)
    if options.open and not webbrowser.open(Path(output).resolve().as_uri()):
        print(f"ringwalker: no browser was found; open {output} with one", file=sys.stderr)
    return 0
