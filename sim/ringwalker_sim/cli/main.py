"""The ``ringwalker`` command: its parser, and what every command ends with."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ringwalker.version import __version__

from ..campaign.task import TaskError
from ..errors import EXIT_FAILED, EXIT_INTERRUPTED, RingwalkerError
from . import (
    bench,
    bench_build,
    bench_engines,
    bench_guest,
    bench_rings,
    bench_timeline,
    completion,
    conform,
    dissector,
    fuzz,
    guest,
    lspci,
    report_page,
    run,
    serve,
    sweep,
    synth,
    verilog,
    waves,
)
from .standard_error import expect_no_reader
from .standard_output import ReaderGone, name_errors

__all__ = ["COMMANDS", "build_parser", "main"]

COMMANDS = (
    run,
    serve,
    guest,
    report_page,
    conform,
    fuzz,
    lspci,
    verilog,
    waves,
    dissector,
    bench,
    bench_engines,
    bench_guest,
    bench_rings,
    bench_timeline,
    bench_build,
    sweep,
    synth,
    completion,
)
"""The commands in the order of ``--help``: modules with ``add_parser(commands)``, which puts the command's
function into ``command`` of the parsed options: ``run(options)``, whose result is the exit code."""


def build_parser(function: str | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line. ``function``: one of somebody else's that ``run`` has too."""
    parser = argparse.ArgumentParser(
        prog="ringwalker",
        description="A virtio PCI device as hardware, in simulation.",
        epilog="'ringwalker COMMAND --help' has examples of each command.",
    )
    parser.add_argument("--version", action="version", version=f"ringwalker {__version__}")
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
        name_errors()
        # A process that is ended by a signal, or with its terminal, closes its files properly, too.
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _terminated)
        arguments = sys.argv[1:]
    options = argparse.Namespace()
    try:
        code = _ended(lambda: _carry_out(arguments, options), options)
    except SystemExit as ended:
        # Of argparse: help that was asked for, or something wrong with the options.
        raise SystemExit(_ended(_show_the_rest, options) or ended.code) from None
    rest = _ended(_show_the_rest, options)
    return code or rest


def _carry_out(arguments: Sequence[str], options: argparse.Namespace) -> int:
    options.words = list(arguments)
    words, function = run.split_function(arguments)
    build_parser(function).parse_args(words, options)
    return options.command(options)


def _show_the_rest() -> int:
    """Write what standard output still holds."""
    sys.stdout.flush()
    return 0


def _ended(work: Callable[[], int], options: argparse.Namespace) -> int:
    """The exit code of ``work``; what a person can cause becomes one."""
    try:
        return work()
    except KeyboardInterrupt:
        print("ringwalker: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except ReaderGone as error:
        return error.exit_code
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}", EXIT_FAILED, options)
    except MemoryError as error:
        return _fail(str(error) or "there is not enough memory", EXIT_FAILED, options)
    except SystemError as error:
        # Python says this where it has no memory left to say MemoryError.
        return _fail(f"there is not enough memory, or Python has failed: {error}", EXIT_FAILED, options)
    except RingwalkerError as error:
        if isinstance(error, TaskError):
            sys.stderr.write(error.trace)
        return _fail(str(error), error.exit_code, options)


def _fail(text: str, code: int, options: argparse.Namespace) -> int:
    """Print the one line; the exit code. A command whose exit code is that of something else has its own."""
    print(f"ringwalker: {text}", file=sys.stderr)
    return getattr(options, "exit_failed", code) if code == EXIT_FAILED else code


if __name__ == "__main__":
    sys.exit(main())
