"""What the simulation has to know of a function, in one record, and how it is found."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import FUNCTIONS, function_kind

from ..errors import RingwalkerError

if TYPE_CHECKING:
    from ..disk_image import DiskImage
    from ..golden.function import FunctionModel
    from ..guest.bus import VirtioDriver
    from ..workload.job import Job

__all__ = [
    "FunctionError",
    "FunctionSimulation",
    "RunCommand",
    "built_in_functions",
    "device_type_of",
    "simulation_of",
]


class FunctionError(RingwalkerError, ValueError):
    """A function lacks what was asked of it; the message names the function and the part."""


@dataclass(frozen=True)
class RunCommand:
    """How ``ringwalker run NAME`` drives a function.

    The command itself has the options for device, interface, machine and output, does ``--waves`` and
    ``--json``, and ends with exit code 1 unless the result's ``errors`` is 0, and with 2 if its ``unwritten``
    has a line about a file that could not be written.
    """

    summary: str
    """One line for ``--help``, in lower case."""
    job: "Callable[..., Job]"
    """``job(options, config, **machine)``: the job that the options describe; ``machine`` are the fields of
    :class:`~..workload.job.Job` that common options set. Errors: ``RingwalkerError``."""
    examples: str = ""
    """What stands below the options in ``--help``."""
    add_options: Callable[[Any], None] = lambda _parser: None
    """Adds the function's own options to an ``ArgumentParser``."""
    engines: tuple[str, ...] = ("native", "cocotb", "model")
    """Engines that can do the job; with one there is no ``--engine``."""
    configure: Callable[[Any, DeviceConfig], DeviceConfig] = lambda _options, config: config
    """``configure(options, config)``: the device with what the own options change of it."""
    carry_out: Callable[..., dict[str, Any]] | None = None
    """In place of :func:`~..engine.engines.run_on_engine`, with its arguments and result."""
    finish: Callable[[Any, DeviceConfig, dict[str, Any]], None] = lambda _options, _config, _result: None
    """``finish(options, config, result)``: writes files, and changes what is to be in the JSON. An
    ``OutputError`` ends it, and the run goes on."""
    show: Callable[[Mapping[str, Any], bool], None] | None = None
    """``show(result, on_stderr)``: prints the table at the end; None: a table of the result's numbers."""


@dataclass(frozen=True)
class FunctionSimulation:
    """The simulation's half of a function.

    What is behind the function's ports both engines find by the names of the ports
    (:mod:`ringwalker_sim.engine`); a function without ports needs nothing.
    """

    driver: "Callable[..., VirtioDriver]"
    """``driver(port, *, ids=(), **options)``: the guest's driver for the bus."""
    model: "Callable[..., FunctionModel] | None" = None
    """``model(config, schedule, disk, *, seed, **options)``: the device in Python, for transports without
    hardware and the engine ``model``; ``disk`` is what
    ``open_disk`` gives. None: there is none."""
    open_disk: "Callable[[DeviceConfig, str | Path | None, bool, bool], DiskImage] | None" = None
    """``open_disk(config, path, read_only, raw)``: the disk behind a function that has an image; without a
    path a blank one. None: the function has no image."""
    linux_module: str | None = None
    """Linux's module with the driver, for ``ringwalker guest``. None: Linux has none."""
    exercise: "Callable[[DeviceConfig], Sequence[Job]] | None" = None
    """``exercise(config)``: jobs of some thousand cycles that use what the function does. In them the native
    engine learns which parts of the model are busy at the same time, and compares its own model with
    Verilator's. None: a driver opens the device, and that is all."""
    run: RunCommand | None = None
    """How ``ringwalker run`` drives it. None: it does not."""


def built_in_functions() -> tuple[str, ...]:
    """The functions with a short name."""
    return tuple(FUNCTIONS)


def device_type_of(function: str) -> int:
    """The virtio device type of a function. Errors: ``ConfigError`` for one that there is not."""
    return function_kind(function).device_type


def simulation_of(function: str) -> FunctionSimulation:
    """The record of a function. Errors: ``ConfigError`` for a function that there is not;
    :class:`FunctionError` for one whose record is missing or something else.
    """
    place = function_kind(function).simulation
    if place is None:
        raise FunctionError(
            f'function {function} has no simulation: its FunctionKind needs simulation="package.module:Name"'
        )
    module, _, name = place.partition(":")
    try:
        record = getattr(importlib.import_module(module), name or "SIMULATION")
    except RingwalkerError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise FunctionError(f"function {function}: its simulation {place} cannot be had: {text}") from error
    if not isinstance(record, FunctionSimulation):
        raise FunctionError(f"function {function}: {place} is not a FunctionSimulation")
    return record
