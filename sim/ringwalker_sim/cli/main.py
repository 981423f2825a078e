"""The ``ringwalker`` command."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import EXIT_FAILED, EXIT_INTERRUPTED, RingwalkerError
from . import bench as cli_bench
from . import guest as cli_guest
from . import synth as cli_synth
from .options import (
    UsageError,
    add_device_options,
    add_engine_option,
    add_interface_options,
    add_link_options,
    byte_count,
    device_config,
    positive,
)
from .serve import add_parser as add_serve_parser
from .traffic import add_console_parser, add_net_parser

__all__ = ["build_parser", "main"]

_RUN_EXAMPLES = """\
examples:
  ringwalker run blk
      random reads on a small ext4 image made for the purpose
  ringwalker run blk --image disk.img --read-all copy.img
      every sector through the device into copy.img
  ringwalker run blk --image disk.img --write-all new.img --read-all back.img
      new.img onto the disk, and the disk back into back.img
  ringwalker run blk --workload randrw --block-size 4k --queue-depth 64 --requests 100k --json -
      a mixed workload, the figures as JSON on standard output
  ringwalker run blk --workload randread --queue-depth 64 --link gen3x8 --clock-mhz 250 --latency-ns 550
      the same on a Gen3 x8 link to a host that answers reads after 550 ns
  ringwalker run blk --interface 2007-05 --transport pipe
      the driver interface of 31 May 2007 over a byte pipe, with a device in Python
  ringwalker run blk --workload seqread --requests 100 --waves run.fst && ringwalker waves run.fst
      the same with waves, and a look at them

Workloads that write overwrite what is on the image. Data is always verified.
Exit codes: 0 all is well, 1 wrong data or a device that misbehaves, 2 a bad option,
configuration or image, 130 interrupted.
"""

_LSPCI_EXAMPLES = """\
examples:
  ringwalker lspci
  ringwalker lspci --preset oasis --queues 4
  ringwalker lspci --function net
  ringwalker lspci -x > dump.txt && lspci -F dump.txt -vvv
      the same bytes, in the words of pciutils
  ringwalker lspci --json -
"""

_VERILOG_EXAMPLES = """\
examples:
  ringwalker verilog -o build
  ringwalker verilog -o build --function net
  ringwalker verilog -o build --config my.toml
  ringwalker verilog -o build --data-width 64 --queues 4 --preset oasis
"""

_WAVES_EXAMPLES = """\
examples:
  ringwalker run blk --workload randread --requests 50 --waves run.fst
  ringwalker waves run.fst
"""

_BENCH_EXAMPLES = """\
examples:
  ringwalker bench-engines
  ringwalker bench-engines --workload seqread --requests 200 --json -
  ringwalker bench-engines --docs docs
      and the native engine under other loads, into docs/engines.json and docs/engines.md
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command's function is in ``command``."""
    parser = argparse.ArgumentParser(
        prog="ringwalker",
        description="A virtio PCI device as hardware, in simulation.",
        epilog="'ringwalker COMMAND --help' has examples of each command.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(to: Any, name: str, text: str, examples: str, command: Callable[..., int]) -> Any:
        sub = to.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        return sub

    run = commands.add_parser("run", help="simulate a device under a guest driver")
    functions = run.add_subparsers(metavar="FUNCTION", required=True)
    _run_options(add(functions, "blk", "simulate the block device and move data", _RUN_EXAMPLES, _run_blk))
    add_net_parser(partial(add, functions))
    add_console_parser(partial(add, functions))

    cli_guest.add_parser(commands)
    cli_bench.add_parser(commands)
    cli_synth.add_parser(commands)

    lspci = add(commands, "lspci", "show the function's configuration space", _LSPCI_EXAMPLES, _lspci)
    add_device_options(lspci, function=True)
    add_engine_option(lspci)
    lspci.add_argument("-x", dest="dump", action="store_true", help="print the bytes in hexadecimal")
    lspci.add_argument(
        "--json", metavar="FILE", help="write the decoded fields as JSON ('-': standard output)"
    )

    add_serve_parser(commands)

    verilog = add(commands, "verilog", "write the device as Verilog", _VERILOG_EXAMPLES, _verilog)
    verilog.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the files")
    add_device_options(verilog, function=True)

    waves = add(commands, "waves", "open waves with a layout, or write the layout", _WAVES_EXAMPLES, _waves)
    waves.add_argument("fst", metavar="FILE.fst", help="waves that a run has written")
    text = "configuration of the device (default: FILE.toml, which the run has left beside the waves)"
    waves.add_argument("--config", metavar="FILE.toml", help=text)

    text = "run one workload on both engines and compare their speed"
    bench = add(commands, "bench-engines", text, _BENCH_EXAMPLES, _bench)
    _workload_options(bench, "randread", 256)
    add_device_options(bench)
    bench.add_argument("--image", metavar="FILE", help="disk image (default: a small ext4 image is made)")
    bench.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    text = "measure other loads too, and write engines.json and the page made of it"
    bench.add_argument("--docs", metavar="FOLDER", help=text)
    return parser


def _workload_options(parser: Any, workload: str | None, requests: int) -> None:
    from ..workload.blk import WORKLOADS

    group = parser.add_argument_group("workload")
    group.add_argument("--workload", choices=WORKLOADS, default=workload, help="what the requests are")
    group.add_argument("--block-size", metavar="N", type=byte_count, help="bytes a request (default 4k)")
    group.add_argument("--queue-depth", metavar="N", type=positive, help="requests in flight (default 32)")
    text = f"how many requests (default {requests})"
    group.add_argument("--requests", metavar="N", type=positive, default=requests, help=text)
    group.add_argument("--seed", metavar="N", type=int, default=1, help="chooses places and data (default 1)")


def _run_options(parser: Any) -> None:
    disk = parser.add_argument_group("disk")
    disk.add_argument("--image", metavar="FILE", help="disk image (default: a small ext4 image is made)")
    disk.add_argument("--write-all", metavar="IN", help="write the file IN onto the disk, from sector 0 on")
    disk.add_argument("--read-all", metavar="OUT", help="read every sector of the disk into the file OUT")
    _workload_options(parser, None, 1000)
    add_device_options(parser)
    add_interface_options(parser)
    machine = parser.add_argument_group("machine")
    add_engine_option(machine, default=None)
    machine.add_argument("--interrupt", choices=("msix", "intx"), default="msix", help="default msix")
    add_link_options(machine)
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="write waves of all signals")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def _run_blk(options: argparse.Namespace) -> int:
    from .run import run_blk

    return run_blk(options)


def _bench(options: argparse.Namespace) -> int:
    from .run import bench_engines

    return bench_engines(options)


def _lspci(options: argparse.Namespace) -> int:
    from ..engine.engines import run_on_engine
    from .lspci import decode, format_function, hex_dump
    from .report import status_line, write_json

    config = device_config(options)
    with status_line("starting") as status:
        result = run_on_engine(options.engine, config, {"lspci": True}, status=status)
    functions = []
    text = []
    for item in result["functions"]:
        content = bytes.fromhex(item["config"])
        function = decode(content, {int(key): size for key, size in item["bars"].items()}, item["bdf"])
        functions.append(function)
        text.append(hex_dump(content, item["bdf"]) if options.dump else format_function(function))
    if options.json:
        write_json(options.json, {"functions": functions})
    if options.json != "-":
        print("\n".join(text), end="")
    return 0


def _verilog(options: argparse.Namespace) -> int:
    from ringwalker.generate import generate

    from .report import status_line

    config = device_config(options)
    folder = Path(options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with status_line("converting the device to Verilog"):
            paths = generate(config, folder)
    except OSError as error:
        raise UsageError(f"-o {folder}: {error.strerror}") from None
    for path in paths:
        print(path)
    return 0


def _waves(options: argparse.Namespace) -> int:
    from .waves import show_waves

    return show_waves(options)


def _terminated(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if arguments is None:
        # Files are closed properly when the process is told to end, too.
        signal.signal(signal.SIGTERM, _terminated)
    try:
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
    except RingwalkerError as error:
        return _fail(str(error), error.exit_code, options)


def _fail(text: str, code: int, options: argparse.Namespace) -> int:
    """Print the one line; the exit code. A command whose exit code is that of something else has its own."""
    print(f"ringwalker: {text}", file=sys.stderr)
    return getattr(options, "exit_failed", code) if code == EXIT_FAILED else code


if __name__ == "__main__":
    sys.exit(main())
