"""How ``conform`` tests the devices that its options describe."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..conform.check import Check, Way
from ..conform.facing import outcome_differences
from ..conform.results.report import Report, junit_xml, page_html, reports_json
from ..conform.session import Session
from ..conform.suite import Outcome, select
from ..conform.targets.target import OpenTarget
from ..errors import EXIT_FAILED, noted
from ..function.simulation import built_in_functions
from ..waves.fst_join import require_whole
from ..waves.note import note_config
from .conform_campaign import is_campaign, test_in_campaign
from .conform_report import print_checks, print_reports
from .devices import modern_config
from .options import UsageError, check_output
from .report import progress_bar, report_unwritten, write_json
from .standard_output import write_output

__all__ = ["carry_out"]

_ALL = "all"
_DEVICE_OPTIONS = ("function", "config", "data_width", "queues", "ring", "face", "preset")


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
    if options.against and (foreign or options.engine not in (None, "native")):
        raise UsageError("--against: it is for the built-in devices on engine native")
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


def _against(
    options: argparse.Namespace,
    config: DeviceConfig,
    chosen: Sequence[Check],
    title: str,
    outcomes: Sequence[Outcome],
    bar: tuple[Callable[[str, int, int], None], Callable[[str], None]],
) -> list[str]:
    """What the golden model does in another way than the device of ``outcomes``."""
    other = argparse.Namespace(**{**vars(options), "engine": options.against, "waves": None})
    found = outcome_differences(outcomes, _tested(other, config, chosen, f"{title}: the model", bar))
    return [f"{config.function}: {line}" for line in found]


def carry_out(options: argparse.Namespace) -> int:
    """Test what the options describe; the exit code. Errors: :class:`.UsageError`."""
    chosen = select(options.patterns)
    if options.list:
        print_checks(chosen)
        return 0
    _check_target(options)
    _check_waves(options, chosen)
    _steps(options, chosen)
    for name in ("json", "junit", "html"):
        check_output(f"--{name}", getattr(options, name))
    reports: list[Report] = []
    differences: list[str] = []
    if is_campaign(options):
        titled, steps = list(_titled(options)), _steps(options, chosen)
        for report, lines in test_in_campaign(options, titled, chosen, steps, _properties(options)):
            reports.append(report)
            differences += lines
        return _end(options, reports, differences)
    with progress_bar() as bar:
        for title, config, command in _titled(options):
            if options.waves and config is not None:
                note_config(options.waves, config)
            outcomes = _tested(options, config, chosen, title, bar)
            reports.append(Report(title, command, outcomes))
            if options.against and config is not None:
                differences += _against(options, config, chosen, title, outcomes, bar)
    return _end(options, reports, differences)


def _end(options: argparse.Namespace, reports: list[Report], differences: list[str]) -> int:
    """Say what was found; the exit code."""
    for line in differences:
        print(f"ringwalker: the model differs: {line}", file=sys.stderr)
    code = _finish(options, reports)
    return EXIT_FAILED if differences else code


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
