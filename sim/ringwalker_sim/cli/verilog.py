"""The command ``verilog``: the device as Verilog, with its map of signals and its documents."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from ringwalker.generate import generate

from .options import add_command, add_device_options, device_config
from .report import status_line

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker verilog -o build
  ringwalker verilog -o build --function net
  ringwalker verilog -o build --function crc32:KIND
      a function of your own, in crc32.py of the working folder (examples/crc32)
  ringwalker verilog -o build --config my.toml
  ringwalker verilog -o build --data-width 64 --queues 4 --preset oasis
  ringwalker verilog -o build --function net --name uplink
      module uplink in uplink.v, with uplink_regs.h, uplink.core, ...; several devices can be in one design
"""


def add_parser(commands: Any) -> None:
    """Add ``verilog`` to the commands."""
    parser = add_command(commands, "verilog", "write the device as Verilog", _EXAMPLES, run)
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the files")
    text = "name of the module, and in front of all other names (default: function and width)"
    parser.add_argument("--name", metavar="NAME", help=text)
    add_device_options(parser)


def run(options: argparse.Namespace) -> int:
    """``ringwalker verilog``."""
    config = device_config(options)
    if options.name is not None:
        config = dataclasses.replace(config, name=options.name)
    folder = Path(options.output)
    with status_line("converting the device to Verilog"):
        paths = generate(config, folder)
    for path in paths:
        print(path)
    return 0
