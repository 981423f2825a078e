"""The command ``run``: a device under a guest driver, for each function what its record says."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.outputs import make_folder

from ..engine.engines import run_on_engine
from ..errors import noted
from ..function.simulation import FunctionError, RunCommand, built_in_functions, simulation_of
from ..guest.transport.pci_interrupts import INTERRUPTS
from ..report.ran import TIMELINE, ran
from ..report.write import fill_folder
from ..waves.fst_join import require_whole
from ..waves.note import note_config
from ..workload.choices import check_waves, engine_of, machine_of
from .capture_options import add_capture_options, captures_of, check_captures
from .options import (
    UsageError,
    add_command,
    add_device_options,
    add_engine_option,
    add_interface_options,
    add_link_options,
    add_model_option,
    add_report_option,
    add_timeline_option,
    check_output,
    check_report,
    check_timeline,
    device_config,
    link_host,
    option,
)
from .report import print_numbers, progress_bar, verdict, write_json

__all__ = ["add_parser", "run", "split_function"]

_FUNCTION = "--function"

_EXAMPLES = """\
examples:
  ringwalker run blk
  ringwalker run net --inter-guest
  ringwalker run rng --bytes 4k --output noise.bin
  ringwalker run blk --requests 100 --timeline run.pftrace
      where each request was when; open it at ui.perfetto.dev
  ringwalker run blk --requests 1000 --report blk-run
      figures, timeline and device into the folder blk-run, and blk-run/report.html to look at them
  ringwalker run net --pcap frames.pcapng --tlp-pcap tlps.pcapng
      what passes the MAC and the link, for Wireshark (docs/captures.md)
  ringwalker run --function crc32:KIND --input README.md
      a function of your own: the FunctionKind named KIND in crc32.py of the working folder (examples/crc32)
  ringwalker run --function crc32:KIND --help
      its options
"""


def split_function(words: Sequence[str]) -> tuple[list[str], str | None]:
    """``run --function NAME ...`` as ``run NAME ...``, and NAME if it is not one of ours.

    Errors: :class:`UsageError` for a function that is given twice.
    """
    words = list(words)
    if words[:1] != ["run"]:
        return words, None
    name = words[1] if len(words) > 1 and not words[1].startswith("-") else None
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option != _FUNCTION:
            continue
        taken = 1 if equals else 2
        if not equals:
            value = words[at + 1] if at + 1 < len(words) else ""
        if name is not None:
            raise UsageError(f"{_FUNCTION} {value}: the function is {name} already")
        if not value:
            raise UsageError(f"{_FUNCTION}: it needs a name, such as package.module:Name")
        name = value
        words = ["run", value, *words[1:at], *words[at + taken :]]
        break
    return words, name if name is not None and ":" in name else None


def add_parser(commands: Any, function: str | None = None) -> None:
    """Add ``run`` to the commands, for our functions and for ``function``, one of somebody else's.

    Errors: :class:`~..function.simulation.FunctionError` and ``ConfigError`` for such a function.
    """
    parser = commands.add_parser(
        "run",
        help="simulate a device under a guest driver",
        description="Simulate a device under a guest driver; 'run FUNCTION --help' has its options.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "a function of your own, as package.module:Name, in place of FUNCTION"
    parser.add_argument(_FUNCTION, metavar="NAME", help=text)
    functions = parser.add_subparsers(metavar="FUNCTION", required=True)
    for name in (*built_in_functions(), *([function] if function else [])):
        command = simulation_of(name).run
        if command is not None:
            _add_function(functions, name, command)
        elif name == function:
            raise FunctionError(
                f"function {name} cannot be run: its FunctionSimulation has no run=RunCommand(...)"
            )


def _add_function(functions: Any, name: str, command: RunCommand) -> None:
    parser = add_command(functions, name, command.summary, command.examples, partial(run, name))
    command.add_options(parser)
    add_device_options(parser, function=False)
    add_interface_options(parser)
    machine = parser.add_argument_group("machine")
    if len(command.engines) > 1:
        add_engine_option(machine, None, command.engines)
    text = "the device uses buffers in order, and may say so of many at once"
    machine.add_argument("--in-order", action="store_true", help=text)
    text = "default msix; msi is for a device with [pci] msi in its configuration"
    machine.add_argument("--interrupt", choices=INTERRUPTS, default="msix", help=text)
    add_link_options(machine)
    if "native" in command.engines:
        add_model_option(machine)
    text = "chooses places, data and whatever is random in the machine (default 1)"
    machine.add_argument("--seed", metavar="N", type=int, default=1, help=text)
    text = "do the same on the golden model, a device in Python, and compare all that must be equal"
    machine.add_argument("--against", choices=("model",), help=text)
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="write waves of all signals")
    if "native" in command.engines:
        add_timeline_option(output, "")
        add_capture_options(output)
    add_report_option(output, "the run")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def _carry_out(options: argparse.Namespace, command: RunCommand, engine: str) -> Any:
    """What does the job: on one device, or on two that are compared."""
    if options.against is None:
        return command.carry_out or run_on_engine
    from ..workload.facing import run_against

    if options.transport != "pci":
        raise UsageError(f"--against: a device on transport {options.transport} is a model itself")
    if engine != "native":
        raise UsageError(f"--against: it is for engine native, not {engine}")
    if getattr(options, "inter_guest", False):
        raise UsageError("--against: an exchange between two guests is not compared")
    return partial(run_against, options.against)


def _show_against(result: dict[str, Any]) -> None:
    """One line of what the comparison has found, on standard error."""
    against, seen = result["against"], result["against"]["differences"]
    outcome = f"differs: {seen[0]}" if seen else "does the same"
    print(f"{against['engine']} {outcome}; {against['buffers']} buffers compared", file=sys.stderr)


def _captures(options: argparse.Namespace, engine: str, config: DeviceConfig) -> dict[str, Any]:
    """What captures add to the arguments of a run."""
    if not hasattr(options, "tlp_pcap"):
        return {}
    captures = check_captures(captures_of(options), config, engine)
    if captures and options.against is not None:
        raise UsageError("--pcap, --tlp-pcap: they are of one device, and --against has two")
    return {"captures": captures} if captures else {}


def _timeline(options: argparse.Namespace, engine: str) -> dict[str, str]:
    """What the timeline adds to the arguments of a run."""
    name = getattr(options, "timeline", None)
    if name is None:
        two = options.against is not None or getattr(options, "inter_guest", False)
        recorded = engine == "native" and options.transport == "pci" and not two
        return {"timeline": str(Path(options.report) / TIMELINE)} if options.report and recorded else {}
    check_timeline(name)
    if engine != "native":
        raise UsageError(f"--timeline: it is for engine native, not {engine}")
    if options.against is not None or getattr(options, "inter_guest", False):
        other = "--against" if options.against is not None else "--inter-guest"
        raise UsageError(f"--timeline: it is of one device, and {other} has two")
    return {"timeline": name}


def run(function: str, options: argparse.Namespace) -> int:
    """``ringwalker run FUNCTION``."""
    command = simulation_of(function).run
    assert command is not None
    config: DeviceConfig = command.configure(options, device_config(options, function))
    for name in ("waves", "json"):
        check_output(f"--{name}", getattr(options, name))
    check_report(options.report)
    engine = engine_of(getattr(options, "engine", None), options.transport, command.engines[0], option)
    check_waves(options.waves, engine, options.transport, option)
    recorded = {**_timeline(options, engine), **_captures(options, engine, config)}
    names = ("interface", "transport", "interrupt", "driver_face", "in_order", "seed")
    machine = machine_of(config, named=option, **{name: getattr(options, name) for name in names})
    machine["host"] = link_host(options, engine, config)
    job = command.job(options, config, **machine)
    if options.waves:
        note_config(options.waves, config)
    if options.report:
        make_folder(options.report)
    carry_out = _carry_out(options, command, engine)
    with progress_bar() as (progress, status):
        result = carry_out(
            engine, config, job, waves=options.waves, progress=progress, status=status, **recorded
        )
    result = {
        **result,
        "interface": options.interface,
        "transport": options.transport,
        "face": config.face if options.transport == "pci" else None,
        "driver_face": machine["driver_face"],
        "data_width": config.data_width if engine != "model" or options.transport == "pci" else None,
        "seed": options.seed,
        "ran": ran(options.words, options.link, config=config.to_toml(), job=job.to_json()),
    }
    unwritten = result["unwritten"] = list(result.get("unwritten", ()))
    if options.waves:
        with noted(unwritten):
            require_whole(options.waves)
    with noted(unwritten):
        command.finish(options, config, result)
    if options.json:
        with noted(unwritten):
            write_json(options.json, result)
    if options.report:
        with noted(unwritten):
            device = (engine, config) if options.transport == "pci" else None
            fill_folder(options.report, result, device, recorded.get("timeline"))
    on_stderr = "-" in (options.json, getattr(options, "output", None))
    if "against" in result:
        _show_against(result)
    (command.show or print_numbers)(result, on_stderr)
    return verdict(result)
