"""The command ``conform``: does a virtio device keep to the specification?"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..conform.check import Check, Way
from ..conform.report import Report, junit_xml, page_html, reports_json
from ..conform.session import Session
from ..conform.suite import Outcome, select
from ..conform.targets.target import OpenTarget
from ..errors import EXIT_FAILED, noted
from ..function.simulation import built_in_functions
from ..waves.fst_join import require_whole
from .conform_docs import write_docs
from .conform_report import print_checks, print_reports
from .devices import modern_config
from .options import (
    UsageError,
    add_command,
    add_device_options,
    add_engine_option,
    add_model_option,
    check_output,
)
from .report import progress_bar, report_unwritten, write_json
from .standard_output import write_output
from .waves import note_config

__all__ = ["add_parser", "run"]

_ALL = "all"
_DEVICE_OPTIONS = ("function", "config", "data_width", "queues", "ring", "face", "preset")

_EXAMPLES = """\
examples:
  ringwalker conform --function all --ring both --face transitional
      the four functions one after the other, by split rings, packed rings and the legacy face
  ringwalker conform --engine model --function net 'net-*' --html net.html
      the checks of the clauses of the network chapter, on the model in Python, and a page
  ringwalker conform --socket device.sock --junit conform.xml
      any device that listens on a vfio-user socket
  ringwalker conform --qemu virtio-net-pci --qemu-option disable-legacy=on --qemu-option mq=on
      QEMU's own device with these properties
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
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="waves of the one check (engine native)")
    output.add_argument("--json", metavar="FILE", help="write all results as JSON ('-': standard output)")
    output.add_argument("--junit", metavar="FILE", help="write them as JUnit XML")
    output.add_argument("--html", metavar="FILE", help="write them as a page that needs no other file")
    text = "test the devices of the documentation, and write its page and its figures"
    output.add_argument("--docs", metavar="FOLDER", help=text)
    text = "with --docs: the page again, of figures that were measured before"
    output.add_argument("--from", metavar="FILE", dest="source", help=text)


def _steps(options: argparse.Namespace, chosen: Sequence[Check]) -> list[Any] | None:
    if options.steps is None:
        return None
    try:
        steps = json.loads(options.steps)
    except ValueError as error:
        raise UsageError(f"--steps: is no JSON: {error}") from None
    if not isinstance(steps, list):
        raise UsageError("--steps: is no list")
    if len(chosen) != 1 or chosen[0].steps is None:
        raise UsageError("--steps: they are for one check that takes steps; name it")
    return steps


def _check_target(options: argparse.Namespace) -> None:
    """See that one device is described. Errors: :class:`UsageError`."""
    foreign = [name for name in ("socket", "qemu") if getattr(options, name) is not None]
    given = [name for name in _DEVICE_OPTIONS if getattr(options, name) is not None]
    if len(foreign) > 1:
        raise UsageError("--socket and --qemu: one device is tested")
    if options.qemu_option and not options.qemu:
        raise UsageError("--qemu-option: it is for --qemu")
    if foreign and (given or options.engine):
        name = (given or ["engine"])[0].replace("_", "-")
        raise UsageError(f"--{foreign[0]}: the device is what it is; --{name} is for the built-in ones")


def _check_waves(options: argparse.Namespace, chosen: Sequence[Check]) -> None:
    if options.waves is None:
        return
    if options.socket or options.qemu or options.engine not in (None, "native"):
        raise UsageError("--waves: only the native engine records them here")
    if len(chosen) != 1 or options.function == _ALL or (len(chosen[0].ways) > 1 and not options.way):
        raise UsageError("--waves: they are of one check by one way; name it, and give --way")
    if Path(options.waves).suffix != ".fst":
        raise UsageError(f"--waves {options.waves}: the name must end with .fst")
    check_output("--waves", options.waves)


def _properties(options: argparse.Namespace) -> dict[str, object]:
    pairs = [item.partition("=") for item in options.qemu_option]
    for key, equals, _value in pairs:
        if not key or not equals:
            raise UsageError(f"--qemu-option {key}: it is no KEY=VALUE")
    return {key: value for key, _equals, value in pairs}


def _configs(options: argparse.Namespace) -> list[DeviceConfig]:
    """The built-in devices that are tested."""
    if options.function != _ALL:
        return [modern_config(options, None)]
    options = argparse.Namespace(**{**vars(options), "function": None})
    # The number of queues is one function's own matter.
    if options.queues is not None:
        raise UsageError(f"--queues: it is not for --function {_ALL}")
    return [modern_config(options, name) for name in built_in_functions()]


def _command(options: argparse.Namespace, function: str | None = None) -> list[str]:
    """The words that test the same device again."""
    words = ["ringwalker", "conform"]
    for name in ("engine", "socket", "qemu", *_DEVICE_OPTIONS):
        value = function if name == "function" and function else getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for item in options.qemu_option:
        words += ["--qemu-option", item]
    return words


def _opener(options: argparse.Namespace, config: DeviceConfig | None, status: Any) -> OpenTarget:
    """What opens the device, on anything but the cocotb engine."""
    if options.socket:
        from ..conform.targets.socket import open_socket

        return partial(open_socket, options.socket)
    if options.qemu:
        from ..conform.targets.qemu import open_qemu

        return partial(open_qemu, options.qemu, _properties(options))
    from ..conform.targets.local import open_local

    assert config is not None
    more = {"at_once": True} if options.engine in (None, "native") else {}
    return partial(
        open_local,
        options.engine or "native",
        config,
        seed=options.seed,
        waves=options.waves,
        status=status,
        **more,
    )


def _titled(options: argparse.Namespace) -> Iterator[tuple[str, DeviceConfig | None, list[str]]]:
    """The devices: a title, the configuration of a built-in one, and the command that tests it again."""
    if options.socket:
        yield f"device on {options.socket}", None, _command(options)
    elif options.qemu:
        text = f" with {', '.join(options.qemu_option)}" if options.qemu_option else ""
        yield f"QEMU's {options.qemu}{text}", None, _command(options)
    else:
        for config in _configs(options):
            engine = options.engine or "native"
            title = f"{config.function}, {config.face}, {config.ring} rings, {engine} engine"
            name = config.function if options.function == _ALL else None
            yield title, config, _command(options, name)


def _tested(
    options: argparse.Namespace,
    config: DeviceConfig | None,
    chosen: Sequence[Check],
    title: str,
    bar: tuple[Callable[[str, int, int], None], Callable[[str], None]],
) -> list[Outcome]:
    """The outcomes of one device."""
    move, status = bar
    ways = tuple(Way) if options.way is None else (Way(options.way),)
    steps = _steps(options, chosen)
    if options.engine == "cocotb" and config is not None:
        from ..conform.targets.cocotb import run_in_cocotb

        return run_in_cocotb(
            config, chosen, ways, seed=options.seed, steps=steps, status=status, progress=move
        )
    with Session(_opener(options, config, status), options.seed) as session:
        total, done = session.count(chosen, ways), 0

        def progress(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            move(f"{title}: {outcome.check.name}", done, total)

        if options.waves:
            return session.record(chosen[0], ways[0], steps)
        return session.run(chosen, ways, steps=steps, progress=progress)


def run(options: argparse.Namespace) -> int:
    """``ringwalker conform``."""
    if options.docs or options.source:
        return write_docs(options)
    chosen = select(options.patterns)
    if options.list:
        print_checks(chosen)
        return 0
    _check_target(options)
    _check_waves(options, chosen)
    _steps(options, chosen)
    for name in ("json", "junit", "html"):
        check_output(f"--{name}", getattr(options, name))
    reports = []
    with progress_bar() as bar:
        for title, config, command in _titled(options):
            if options.waves and config is not None:
                note_config(options.waves, config)
            reports.append(Report(title, command, _tested(options, config, chosen, title, bar)))
    return _finish(options, reports)


def _finish(options: argparse.Namespace, reports: list[Report]) -> int:
    """Write and show the reports; the exit code."""
    unwritten: list[str] = []
    if options.waves:
        with noted(unwritten):
            require_whole(options.waves)
    writers: dict[str, Callable[[str], None]] = {
        "json": lambda name: write_json(name, reports_json(reports)),
        "junit": lambda name: write_output(name, junit_xml(reports)),
        "html": lambda name: write_output(name, page_html(reports)),
    }
    for option, write in writers.items():
        name = getattr(options, option)
        if name is not None:
            with noted(unwritten):
                write(name)
    print_reports(reports, "-" in (options.json, options.junit, options.html))
    code = report_unwritten(unwritten)
    return EXIT_FAILED if any(report.of("must") for report in reports) else code
