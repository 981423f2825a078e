"""The ``ringwalker`` command: its parser, and what every command ends with."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import EXIT_FAILED, EXIT_INTERRUPTED, RingwalkerError
from . import bench, bench_engines, guest, lspci, run, serve, synth, verilog, waves
from .standard_error import expect_no_reader

__all__ = ["COMMANDS", "build_parser", "main"]

COMMANDS = (run, serve, guest, lspci, verilog, waves, bench, bench_engines, synth)
"""The commands in the order of ``--help``: modules with ``add_parser(commands)``, which puts the command's
function into ``command`` of the parsed options: ``run(options)``, whose result is the exit code."""


def build_parser(function: str | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line. ``function``: one of somebody else's that ``run`` has too."""
    parser = argparse.ArgumentParser(
        prog="ringwalker",
        description="A virtio PCI device as hardware, in simulation.",
        epilog="'ringwalker COMMAND --help' has examples of each command.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        if command is run:
            run.add_parser(commands, function)
        else:
            command.add_parser(commands)
    return parser


def _terminated(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    if arguments is None:
        expect_no_reader()
        # A process that is ended by a signal, or with its terminal, closes its files properly, too.
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _terminated)
        arguments = sys.argv[1:]
    options = argparse.Namespace()
    try:
        words, function = run.split_function(arguments)
        options = build_parser(function).parse_args(words)
        return options.command(options)
    except KeyboardInterrupt:
        print("ringwalker: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}", EXIT_FAILED, options)
    except MemoryError as error:
        return _fail(str(error) or "there is not enough memory", EXIT_FAILED, options)
    except RingwalkerError as error:
        return _fail(str(error), error.exit_code, options)


def _fail(text: str, code: int, options: argparse.Namespace) -> int:
    """Print the one line; the exit code. A command whose exit code is that of something else has its own."""
    print(f"ringwalker: {text}", file=sys.stderr)
    return getattr(options, "exit_failed", code) if code == EXIT_FAILED else code


if __name__ == "__main__":
    sys.exit(main())
