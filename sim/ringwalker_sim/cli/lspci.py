"""The command ``lspci``: the function's configuration space, as a guest finds it."""

import argparse
from typing import Any

from ..engine.engines import run_on_engine
from ..errors import noted
from ..lspci.config_space import decode, format_function, hex_dump
from ..workload.job import DescribeTask, Job
from .options import add_command, add_device_options, add_engine_option, device_config
from .report import report_unwritten, status_line, write_json

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker lspci
  ringwalker lspci --preset oasis --queues 4
  ringwalker lspci --function net
  ringwalker lspci --function crc32:KIND
      a function of your own, in crc32.py of the working folder (examples/crc32)
  ringwalker lspci -x > dump.txt && lspci -F dump.txt -vvv
      the same bytes, in the words of pciutils
  ringwalker lspci --json -
"""


def add_parser(commands: Any) -> None:
    """Add ``lspci`` to the commands."""
    parser = add_command(commands, "lspci", "show the function's configuration space", _EXAMPLES, run)
    add_device_options(parser)
    add_engine_option(parser)
    parser.add_argument("-x", dest="dump", action="store_true", help="print the bytes in hexadecimal")
    parser.add_argument(
        "--json", metavar="FILE", help="write the decoded fields as JSON ('-': standard output)"
    )


def run(options: argparse.Namespace) -> int:
    """``ringwalker lspci``."""
    config = device_config(options)
    with status_line("starting") as status:
        result = run_on_engine(options.engine, config, Job(DescribeTask()), status=status)
    functions = []
    text = []
    for item in result["functions"]:
        content = bytes.fromhex(item["config"])
        sizes = {int(key): size for key, size in item["bars"].items()}
        function = decode(content, sizes, item["bdf"], item["rom"])
        functions.append(function)
        text.append(
            hex_dump(content, item["bdf"]) if options.dump else format_function(function, config.kind)
        )
    unwritten: list[str] = []
    if options.json:
        with noted(unwritten):
            write_json(options.json, {"face": config.face, "functions": functions})
    if options.json != "-":
        print("\n".join(text), end="")
    return report_unwritten(unwritten)
