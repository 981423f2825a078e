"""The command ``conform``: does a virtio device keep to the specification?"""

import argparse
from typing import Any

from ..conform.check import Way
from .campaign_options import add_campaign_options
from .options import add_command, add_device_options, add_engine_option, add_model_option

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker conform --function all --ring both --face transitional
      the four functions one after the other, by split rings, packed rings and the legacy face
  ringwalker conform --function blk --against model
      the hardware and the golden model: what both find, and the buffers that both use
  ringwalker conform --engine model --function net 'net-*' --html net.html
      the checks of the clauses of the network chapter, on the model in Python, and a page
  ringwalker conform --socket device.sock --junit conform.xml
      any device that listens on a vfio-user socket
  ringwalker conform --qemu virtio-net-pci --qemu-option disable-legacy=on --qemu-option mq=on
      QEMU's own device with these properties
  ringwalker conform --function all --ring both --face transitional --workers 2 --campaign results
      by two processes; the same command again goes on if it was stopped
  ringwalker conform --list 'core-09.*'
      which checks there are of some clauses, and what they do
  ringwalker conform --function rng reset_clears_status --way packed --waves reset.fst
      one check by one way, with waves of it

A clause such as core-09.01 counts the normative statements for devices of virtio 1.4: docs/conformance.md
has all of them. Of a random check that fails, the steps are made as few as possible; the command that is
shown takes just these again.
Exit codes: 0 no MUST is broken (a SHOULD may be), 1 one is, 2 it could not be begun, or an output could not
be written, 130 interrupted.
"""


def add_parser(commands: Any) -> None:
    """Add ``conform`` to the commands."""
    text = "test whether a virtio device keeps to the specification"
    parser = add_command(commands, "conform", text, _EXAMPLES, run)
    text = "names of checks, or ids of clauses, with * and ? (default: all)"
    parser.add_argument("patterns", metavar="CHECK", nargs="*", help=text)
    parser.add_argument("--list", action="store_true", help="say what the checks are, and test nothing")
    what = parser.add_argument_group("what is tested")
    add_engine_option(what, None)
    what.add_argument("--socket", metavar="S", help="the device behind this vfio-user socket")
    what.add_argument("--qemu", metavar="DEVICE", help="QEMU's own device, such as virtio-blk-pci")
    text = "a property of QEMU's device; can be given several times"
    what.add_argument("--qemu-option", metavar="KEY=VALUE", action="append", default=[], help=text)
    add_device_options(parser)
    how = parser.add_argument_group("how")
    text = "only by the modern face with split or packed rings, or by the legacy face"
    how.add_argument("--way", choices=tuple(Way), help=text)
    how.add_argument("--seed", metavar="N", type=int, default=1, help="of all random choices (default 1)")
    how.add_argument("--steps", metavar="JSON", help="the steps of the one random check")
    add_model_option(how)
    text = "the same checks on the golden model, a device in Python, and what they find is compared"
    how.add_argument("--against", choices=("model",), help=text)
    add_campaign_options(parser, "1; with more, each way of each device is a task")
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="waves of the one check (engine native)")
    output.add_argument("--json", metavar="FILE", help="write all results as JSON ('-': standard output)")
    output.add_argument("--junit", metavar="FILE", help="write them as JUnit XML")
    output.add_argument("--html", metavar="FILE", help="write them as a page that needs no other file")
    text = "test the devices of the documentation, and write its page and its figures"
    output.add_argument("--docs", metavar="FOLDER", help=text)
    text = "with --docs: the page again, of figures that were measured before"
    output.add_argument("--from", metavar="FILE", dest="source", help=text)


def run(options: argparse.Namespace) -> int:
    """``ringwalker conform``. The suite is imported only now: other commands do not wait for it."""
    from .conform_docs import write_docs
    from .conform_run import carry_out

    return write_docs(options) if options.docs or options.source else carry_out(options)
