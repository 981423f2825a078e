"""The command ``run``: a device under a guest driver, for each function what its record says."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..engine.engines import run_on_engine
from ..errors import noted
from ..function.simulation import FunctionError, RunCommand, built_in_functions, simulation_of
from ..guest.transport.faces import driver_face
from ..guest.transport.pci_interrupts import INTERRUPTS
from ..waves.fst_join import require_whole
from .options import (
    UsageError,
    add_command,
    add_device_options,
    add_engine_option,
    add_interface_options,
    add_link_options,
    add_model_option,
    check_output,
    device_config,
    link_host,
)
from .report import print_numbers, progress_bar, verdict, write_json
from .waves import note_config

__all__ = ["add_parser", "run", "split_function"]

_FUNCTION = "--function"

_EXAMPLES = """\
examples:
  ringwalker run blk
  ringwalker run net --inter-guest
  ringwalker run rng --bytes 4k --output noise.bin
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
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def _engine(options: argparse.Namespace, command: RunCommand) -> str:
    """The engine that was asked for, or that goes with the transport."""
    asked = getattr(options, "engine", None)
    if options.transport == "pci":
        return asked or command.engines[0]
    if asked not in (None, "model"):
        raise UsageError(f"--engine {asked}: transport {options.transport} has no hardware")
    return "model"


def _driver_face(options: argparse.Namespace, config: DeviceConfig) -> str | None:
    """The register face that the driver uses; None on a transport without any."""
    if options.transport == "pci":
        face = driver_face(config.face, options.driver_face)
        if face == "legacy" and options.in_order:
            raise UsageError("--in-order: a legacy driver cannot ask for that")
        return face
    if options.driver_face is not None:
        raise UsageError(f"--driver-face: a device on transport {options.transport} has no registers")
    return None


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


def _check_waves(options: argparse.Namespace, engine: str) -> None:
    if not options.waves:
        return
    if options.transport != "pci":
        raise UsageError(f"--waves: a device on transport {options.transport} has no signals")
    if engine == "model":
        raise UsageError("--waves: a device in Python has no signals")
    if Path(options.waves).suffix != ".fst":
        raise UsageError(f"--waves {options.waves}: the name must end with .fst")
    if Path(options.waves).exists() and not Path(options.waves).is_file():
        raise UsageError(f"--waves {options.waves}: waves are written to a regular file")


def run(function: str, options: argparse.Namespace) -> int:
    """``ringwalker run FUNCTION``."""
    command = simulation_of(function).run
    assert command is not None
    config: DeviceConfig = command.configure(options, device_config(options, function))
    for name in ("waves", "json"):
        check_output(f"--{name}", getattr(options, name))
    engine = _engine(options, command)
    _check_waves(options, engine)
    if options.interrupt == "msi" and options.transport == "pci" and not config.pci.msi:
        raise UsageError("--interrupt msi: the device has no MSI; a configuration with [pci] msi = 1 has it")
    used_face = _driver_face(options, config)
    packed = config.ring != "split"
    machine: dict[str, Any] = {
        "interface": options.interface,
        "transport": options.transport,
        "interrupt": options.interrupt,
        "driver_face": used_face,
        "rings": (*(("RING_PACKED",) if packed else ()), *(("IN_ORDER",) if options.in_order else ())),
        "seed": options.seed,
        "host": link_host(options, engine, config),
    }
    job = command.job(options, config, **machine)
    if options.waves:
        note_config(options.waves, config)
    carry_out = _carry_out(options, command, engine)
    with progress_bar() as (progress, status):
        result = carry_out(engine, config, job, waves=options.waves, progress=progress, status=status)
    result = {
        **result,
        "interface": options.interface,
        "transport": options.transport,
        "face": config.face if options.transport == "pci" else None,
        "driver_face": used_face,
        "data_width": config.data_width if engine != "model" or options.transport == "pci" else None,
        "seed": options.seed,
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
    on_stderr = "-" in (options.json, getattr(options, "output", None))
    if "against" in result:
        _show_against(result)
    (command.show or print_numbers)(result, on_stderr)
    return verdict(result)
