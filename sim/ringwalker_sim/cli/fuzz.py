"""The command ``fuzz``: hostile cases on the hardware, as many as there is time for."""

import argparse
from typing import Any

from .campaign_options import add_campaign_options
from .options import add_command, positive

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker fuzz --cases 20k --seed 1
      so many cases on each kind of device
  ringwalker fuzz --device blk:packed:modern --device net:split:legacy --cases 100k --corpus fuzz
      on two devices; what is found, and cases that showed something new, are kept in a folder
  ringwalker fuzz --device blk:packed:modern --device net:split:legacy --cases 1m --corpus fuzz --resume
      go on there
  ringwalker fuzz --cases 1m --workers 8 --json fuzz.json
      in eight processes, with all figures as JSON
  ringwalker fuzz --case fuzz/corpus/blk-packed-modern/00000017.case --waves case.fst
      one case, with waves of it
  ringwalker fuzz --list
      the devices there are

A case is a device that is ready, hostile operations on it, and a reset; number N of a campaign follows from
its seed. Of each finding the operations are made as few as possible; a test and waves of it are written.
docs/fuzz.md says what is checked.
Exit codes: 0 nothing was found, 1 something was, 2 it could not be begun, or an output could not be written,
130 interrupted.
"""


def add_parser(commands: Any) -> None:
    """Add ``fuzz`` to the commands."""
    text = "look for hostile rings, registers and packets that break a rule"
    parser = add_command(commands, "fuzz", text, _EXAMPLES, run)
    text = "function:ring:face, such as blk:split:modern; can be given several times (default: all)"
    parser.add_argument("--device", metavar="DEVICE", action="append", help=text)
    text = "how many, on each device (default 2000)"
    parser.add_argument("--cases", metavar="N", type=positive, default=2000, help=text)
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of all random choices (default 1)")
    parser.add_argument("--list", action="store_true", help="say which devices there are, and do nothing")
    parser.add_argument("--case", metavar="FILE", help="run the cases of this file instead")
    parser.add_argument("--waves", metavar="FILE.fst", help="with --case: waves of it")
    kept = parser.add_argument_group("what is kept")
    text = "a folder for results, cases that showed something new, and findings"
    kept.add_argument("--corpus", metavar="DIR", help=text)
    kept.add_argument("--resume", action="store_true", help="go on with the campaign in that folder")
    kept.add_argument("--json", metavar="FILE", help="write all figures as JSON ('-': standard output)")
    kept.add_argument("--no-shrink", action="store_true", help="leave findings as they are; no waves")
    text = "leave out the model that counts what toggles; nothing is kept for changing"
    kept.add_argument("--no-coverage", action="store_true", help=text)
    text = "measure for the documentation, and write its page and its figures"
    kept.add_argument("--docs", metavar="FOLDER", help=text)
    text = "with --docs: measure only what toggles, and keep the other figures that are there"
    kept.add_argument("--only", choices=["coverage"], help=text)
    text = "with --docs: the page again, of figures that were measured before"
    kept.add_argument("--from", metavar="FILE", dest="source", help=text)
    add_campaign_options(parser, "1", folder=False)


def run(options: argparse.Namespace) -> int:
    """``ringwalker fuzz``."""
    from .fuzz_run import carry_out

    return carry_out(options)
