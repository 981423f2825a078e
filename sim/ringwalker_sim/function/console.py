"""The simulation of the console function: its driver, and ``ringwalker run console``."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..cli.options import UsageError, check_output
from ..cli.standard_output import write_output
from ..golden.console import ConsoleModel
from ..golden.function import Schedule
from ..guest.console import console_driver
from ..workload.console_task import ConsoleTask
from ..workload.job import Job
from .simulation import FunctionSimulation, RunCommand

__all__ = ["SIMULATION"]

_RAM_BYTES = 16 << 20

_TEXT = (
    b"\r\n".join(b"The quick brown fox jumps over the lazy dog, line %d." % n for n in range(1, 65)) + b"\r\n"
)

_EXAMPLES = """\
examples:
  ringwalker run console
  ringwalker run console --input typed.txt --output shown.txt
      types the file at the device's UART; the guest echoes, and what the UART shows is written
  ringwalker run console --interface 2007-05 --transport pipe --input typed.txt --output -

Every byte is compared. Exit codes: 0 all is well, 1 wrong or missing bytes or a device that
misbehaves, 2 a bad option, configuration or file, 130 interrupted.
"""


def _model(
    config: DeviceConfig, schedule: Schedule, _disk: np.ndarray | None, **options: Any
) -> ConsoleModel:
    console = config.settings
    return ConsoleModel(
        schedule, cols=console.cols, rows=console.rows, queue_size=config.queue_size, **options
    )


# --- the command -------------------------------------------------------------------------------------------


def _add_options(parser: Any) -> None:
    files = parser.add_argument_group("bytes")
    files.add_argument("--input", metavar="FILE", help="what is typed ('-': standard input; default: a text)")
    files.add_argument("--output", metavar="FILE", help="where to write what is shown ('-': standard output)")


def _input(options: argparse.Namespace) -> bytes:
    if options.input is None:
        return _TEXT
    try:
        content = sys.stdin.buffer.read() if options.input == "-" else Path(options.input).read_bytes()
    except OSError as error:
        raise UsageError(f"--input {options.input}: {error.strerror}") from None
    if not content:
        raise UsageError(f"--input {options.input}: it is empty")
    return content


def _job(options: argparse.Namespace, config: DeviceConfig, **machine: Any) -> Job:
    if options.output == "-" and options.json == "-":
        raise UsageError("--output - and --json - cannot both have standard output")
    check_output("--output", options.output)
    return Job(ConsoleTask(_input(options)), memory_bytes=_RAM_BYTES, **machine)


def _finish(options: argparse.Namespace, _config: DeviceConfig, result: dict[str, Any]) -> None:
    shown = result.pop("shown").encode("latin-1")
    if options.output:
        write_output(options.output, shown)


def _show(result: Any, on_stderr: bool) -> None:
    from ..cli.report import print_traffic

    print_traffic(result, on_stderr)


def _exercise(_config: DeviceConfig) -> list[Job]:
    """Bytes typed and echoed."""
    return [Job(ConsoleTask(_TEXT[:200]), memory_bytes=_RAM_BYTES, seed=5)]


SIMULATION = FunctionSimulation(
    driver=console_driver,
    model=_model,
    linux_module="virtio_console",
    exercise=_exercise,
    run=RunCommand(
        summary="simulate the console and move bytes",
        examples=_EXAMPLES,
        add_options=_add_options,
        engines=("native",),
        job=_job,
        finish=_finish,
        show=_show,
    ),
)
