"""The command ``synth``: what the device costs on an FPGA, and how fast it can be clocked."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringwalker.outputs import write_file

from ..errors import EXIT_FAILED, noted
from .options import (
    UsageError,
    add_command,
    add_device_options,
    check_folder,
    check_output,
    device_config,
    positive,
)

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker synth --target ecp5 --data-width 64
      area by block, longest paths, and the clock after place and route
  ringwalker synth --target ecp5 --config my.toml --seeds 3 --freq 125
      three runs of place and route; exit code 1 if one of them does not reach 125 MHz
  ringwalker synth --target xilinxup --json figures.json
      for UltraScale+: area and longest paths in LUTs
  ringwalker synth --target ecp5 --block core.walker.lane0.payload_reader --data-width 64
      one block of the device
  ringwalker synth --docs docs
      the devices of the documentation, into docs/synthesis.json and docs/synthesis.md, and into the summary
      in docs/performance.md
  ringwalker synth --docs docs --only options
      only the parts of it with this text in their names; the rest stays as it is there
  ringwalker synth --from docs/synthesis.json --docs docs
      the page again, of figures that were measured before

A whole device takes some minutes. Results are kept, so the same again takes seconds.
Exit codes: 0 all is well, 1 the clock of --freq is not met or a tool failed, 2 a bad option, or
an output that cannot be written.
"""

_DEVICES = ("12k", "25k", "45k", "85k", "um-25k", "um-45k", "um-85k", "um5g-25k", "um5g-45k", "um5g-85k")


def add_parser(commands: Any) -> None:
    """Add ``synth`` to the commands."""
    from ..performance.synth.targets import TARGETS

    text = "synthesize the device for an FPGA: area, longest paths and clock"
    parser = add_command(commands, "synth", text, _EXAMPLES, run)
    parser.add_argument("--target", choices=tuple(TARGETS), help="the family of FPGA (default ecp5)")
    text = "only this block of the device, like core.walker.lane0.gather"
    parser.add_argument("--block", metavar="PATH", help=text)
    parser.add_argument("--paths", metavar="N", type=positive, help="how many paths to show (default 10)")
    add_device_options(parser)
    route = parser.add_argument_group("place and route (ecp5)")
    route.add_argument("--no-pnr", action="store_true", help="synthesis only")
    route.add_argument("--seeds", metavar="N", type=positive, help="runs, with seeds from 1 on (default 1)")
    route.add_argument("--device", choices=_DEVICES, metavar="NAME", help="size of the chip (default 85k)")
    route.add_argument("--speed", type=int, choices=(6, 7, 8), help="speed grade (default 6)")
    text = "clock to reach in MHz; without it, 125 is aimed at and nothing is required"
    route.add_argument("--freq", metavar="MHZ", type=_frequency, help=text)
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    output.add_argument(
        "--docs", metavar="FOLDER", help="write the page of the documentation and its figures"
    )
    output.add_argument(
        "--only",
        metavar="TEXT",
        help="with --docs: measure the parts with TEXT in their names, keep the rest",
    )
    output.add_argument(
        "--from", metavar="FILE", dest="source", help="show figures that were measured before"
    )


def _frequency(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a clock from 1 to 1000 MHz")
    return value


_ROUTING = ("seeds", "device", "speed", "freq")
_DEVICE = ("target", "block", "paths", "config", "data_width", "queues", "preset", "function")


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> str | None:
    """The first of the options that was given, as it is written."""
    for name in names:
        if getattr(options, name) is not None:
            return f"--{name.replace('_', '-')}"
    return None


def _check(options: argparse.Namespace) -> None:
    from ..performance.report import FIGURES, read_rows

    routing = _given(options, _ROUTING)
    one = _given(options, _DEVICE) or routing or ("--no-pnr" if options.no_pnr else None)
    if one and (options.docs or options.source):
        raise UsageError(f"{one} is about one device; --docs and --from are about those of the documentation")
    if routing and options.no_pnr:
        raise UsageError(f"{routing} is about place and route, which --no-pnr leaves out")
    if routing and options.target not in (None, "ecp5"):
        raise UsageError(f"{routing}: there is place and route for ecp5 only, not for {options.target}")
    if options.only and (options.source or not options.docs):
        raise UsageError("--only is about what --docs measures")
    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    if options.docs and (rows := Path(options.docs) / FIGURES).exists():
        # Its page has a summary of this one. To find out after all has been measured would be late.
        read_rows(rows)


def _measure_page(options: argparse.Namespace, status: Any) -> Iterator[list[dict[str, Any]]]:
    """The devices of the documentation, as far as they are measured, after each part."""
    from ..performance.synth.measure import measure_page, parts
    from ..performance.synth.report import FIGURES, read_devices

    wanted, figures = parts(options.only), Path(options.docs) / FIGURES
    if not wanted:
        raise UsageError(f"--only {options.only}: there is no such part; there are {'; '.join(parts())}")
    kept = read_devices(figures) if options.only or figures.exists() else []
    yield from measure_page(wanted, kept, status)


def _measure(options: argparse.Namespace, status: Any) -> list[dict[str, Any]]:
    from ..performance.synth.flow import BlockError, Chip
    from ..performance.synth.measure import measure

    target = options.target or "ecp5"
    plain = Chip()
    chip = Chip(options.device or plain.device, options.speed or plain.speed, options.freq or plain.freq)
    seeds = (options.seeds or 1) if target == "ecp5" and not options.no_pnr else 0
    config = device_config(options)
    try:
        result = measure(
            config,
            target,
            block=options.block or "",
            seeds=seeds,
            chip=chip,
            paths=options.paths or 10,
            progress=status,
        )
    except BlockError as error:
        raise UsageError(f"--block {options.block}: {error}") from None
    return [{"name": options.block or f"{config.function}, {config.data_width} bits", **result, "goals": []}]


def _write_page(folder: Path, results: list[dict[str, Any]]) -> list[str]:
    """Write figures and page into ``folder``; what could not be written, as messages."""
    from ..performance import report as performance
    from ..performance.synth.report import FIGURES, PAGE, page
    from .report import write_json

    unwritten: list[str] = []
    with noted(unwritten):
        write_json(str(folder / FIGURES), {"devices": results})
        write_file(folder / PAGE, page(results))
        if (folder / performance.FIGURES).exists():
            performance.write_page(folder)
    return unwritten


def run(options: argparse.Namespace) -> int:
    """``ringwalker synth``."""
    import sys

    from ..performance.synth.report import print_result, read_devices
    from .report import report_unwritten, status_line, write_json

    _check(options)
    results: list[dict[str, Any]] = []
    unwritten: list[str] = []
    if options.source:
        results = read_devices(options.source)
        unwritten = _write_page(Path(options.docs), results) if options.docs else []
    else:
        with status_line("starting") as status:
            if options.docs:
                # What was measured stays if the rest is interrupted.
                for results in _measure_page(options, status):
                    unwritten = _write_page(Path(options.docs), results)
            else:
                results = _measure(options, status)
    if options.json:
        with noted(unwritten):
            write_json(options.json, {"devices": results})
    for result in results:
        print_result(result, on_stderr=options.json == "-")
    missed = [
        run for result in results for run in result["routed"] if options.freq and run["mhz"] < options.freq
    ]
    for run in missed:
        print(
            f"ringwalker: seed {run['seed']} reaches {run['mhz']:.1f} MHz, not {options.freq:g}",
            file=sys.stderr,
        )
    code = report_unwritten(unwritten)
    return EXIT_FAILED if missed else code
