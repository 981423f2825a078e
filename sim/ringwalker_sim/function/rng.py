"""The simulation of the entropy function: its driver, and ``ringwalker run rng``."""

import argparse
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..cli.options import UsageError, check_output, positive
from ..cli.standard_output import write_output
from ..golden.function import Schedule
from ..golden.rng import RngModel
from ..guest.rng import rng_driver
from ..workload.job import Job
from ..workload.rng_task import RngTask
from .simulation import FunctionSimulation, RunCommand

__all__ = ["SIMULATION"]

_RAM_BYTES = 16 << 20

_EXAMPLES = """\
examples:
  ringwalker run rng
  ringwalker run rng --bytes 1M --output noise.bin --seed 7
      the simulated source is a generator: the same seed gives the same bytes
  ringwalker run rng --engine cocotb --bytes 4k
  ringwalker run rng --interface 2007-09 --transport memory

Every byte is compared with what the source gave. Exit codes: 0 all is well, 1 wrong or missing
bytes or a device that misbehaves, 2 a bad option, configuration or file, 130 interrupted.
"""


def _model(config: DeviceConfig, schedule: Schedule, _disk: np.ndarray | None, **options: Any) -> RngModel:
    return RngModel(schedule, queue_size=config.queue_size, **options)


def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("bytes")
    text = "how many bytes the guest reads (default 65536)"
    group.add_argument("--bytes", metavar="N", type=positive, default=1 << 16, help=text)
    group.add_argument("--output", metavar="FILE", help="where to write them ('-': standard output)")


def _job(options: argparse.Namespace, config: DeviceConfig, **machine: Any) -> Job:
    if options.output == "-" and options.json == "-":
        raise UsageError("--output - and --json - cannot both have standard output")
    check_output("--output", options.output)
    return Job(RngTask(options.bytes), memory_bytes=_RAM_BYTES, **machine)


def _finish(options: argparse.Namespace, _config: DeviceConfig, result: dict[str, Any]) -> None:
    content = bytes.fromhex(result.pop("content"))
    if options.output:
        write_output(options.output, content)


def _show(result: Any, on_stderr: bool) -> None:
    from ..cli.report import print_traffic

    print_traffic(result, on_stderr)


def _exercise(_config: DeviceConfig) -> list[Job]:
    """Some reads."""
    return [Job(RngTask(1500), memory_bytes=_RAM_BYTES, seed=5)]


SIMULATION = FunctionSimulation(
    driver=rng_driver,
    model=_model,
    linux_module="virtio_rng",
    exercise=_exercise,
    run=RunCommand(
        summary="simulate the entropy device and read from it",
        examples=_EXAMPLES,
        add_options=_add_options,
        job=_job,
        finish=_finish,
        show=_show,
    ),
)
