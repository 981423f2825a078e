"""One face for all engines: a job, a configuration and a name in, the result out."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringwalker.config import DeviceConfig

from ..captures.captures import NO_CAPTURES, Captures
from ..disk_image import DiskImage
from ..errors import ParameterError
from ..function.simulation import simulation_of
from ..host.parameters import HostParameters
from ..memory import GuestMemory
from ..timeline.output import written_behind
from ..waves.story import story_behind

if TYPE_CHECKING:
    from ..workload.job import Job

__all__ = ["ENGINES", "open_engine", "run_here", "run_on_engine"]

ENGINES = ("native", "cocotb", "model")
"""``native``: the Verilated device with a host in C++. ``cocotb``: the same device behind cocotbext-pcie.
``model``: a model of the device in Python, which tests the driver without any hardware."""

_MODEL_LATENCY = 100
"""Cycles that a request takes on a model if nothing is said."""

Status = Callable[[str], None]
"""Called with a line of text that says what is being done."""


@contextmanager
def open_engine(
    name: str,
    config: DeviceConfig,
    memory: GuestMemory,
    disk: DiskImage | None = None,
    *,
    host: HostParameters | Mapping[str, Any] | None = None,
    waves: str | Path | None = None,
    seed: int = 1,
    status: Status | None = None,
    plain: bool | None = None,
    at_once: bool = False,
    timeline: bool = False,
    captures: Captures = NO_CAPTURES,
) -> Iterator[Any]:
    """A port with ``run(coroutine)`` on an engine that lives in this process, closed at the end of the block.

    ``host`` is the root complex, ``waves`` an FST file to write; ``status`` gets a line of text while the
    model is built; ``plain``, ``at_once``, ``timeline`` and ``captures`` are as for
    :class:`~.native.engine.NativeEngine`. Without
    ``disk`` the disk of a function that has one is blank, of the configured capacity. ``software`` is a
    machine with nothing on its PCI bus. Errors: :class:`ParameterError` for an engine that runs elsewhere or
    does not exist.
    """
    parameters = host if isinstance(host, HostParameters) else HostParameters(**(host or {}))
    open_disk = simulation_of(config.function).open_disk
    if disk is None and open_disk is not None:
        disk = open_disk(config, None, False, False)
    if name == "model":
        from ..golden.model_port import ModelPort

        latency = _MODEL_LATENCY if host is None else parameters.latency
        port = ModelPort(config, memory, disk, seed=seed, latency=latency)
        port.max_payload, port.max_read_request = parameters.max_payload, parameters.max_read_request
        port.disk = disk
        yield port
    elif name == "software":
        from ..guest.software_port import SoftwarePort

        port = SoftwarePort(memory)
        port.disk = disk
        yield port
    elif name == "native":
        from .native.engine import NativeEngine
        from .native.port import NativePort

        with NativeEngine(
            config,
            memory,
            disk=disk,
            host=parameters,
            waves=waves,
            seed=seed,
            plain=plain,
            at_once=at_once,
            timeline=timeline,
            captures=captures,
            progress=status,
        ) as engine:
            port = NativePort(engine)
            port.max_payload, port.max_read_request = parameters.max_payload, parameters.max_read_request
            yield port
    else:
        raise ParameterError(f"engine {name!r} cannot be opened in this process; native and model can")


def run_on_engine(
    name: str,
    config: DeviceConfig,
    job: "Job",
    *,
    simulator: str = "verilator",
    waves: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    status: Status | None = None,
    at_once: bool = True,
    timeline: str | Path | None = None,
    captures: Captures = NO_CAPTURES,
) -> dict[str, Any]:
    """Do ``job`` on engine ``name``: the result of its task, with ``engine``, figures of the engine, and
    ``disk_failures``, what the store under the disk has refused.

    ``simulator`` is that of cocotb, as in :func:`~.cocotb.run.run_cocotb`;
    ``timeline`` is the file of a timeline (:mod:`..timeline.file`), of a run that fails as well, and
    ``captures`` those of captures; if one cannot be written, ``unwritten`` of the result has a line.
    ``waves``, ``status`` and ``at_once`` are as in :func:`open_engine`, ``progress`` as in
    :meth:`~.workload.job.Job.run`.
    On a transport without hardware the device is a model, whatever the engine. Errors: those of the engine
    and of the task.
    """
    begin = time.perf_counter()
    if name == "cocotb":
        from .cocotb.run import run_cocotb

        result = run_cocotb(
            config, job, simulator=simulator, waves=waves, progress=status, on_progress=progress
        )
    else:
        result = run_here(
            name, config, job, waves, progress, status, at_once, timeline=timeline, captures=captures
        )
    return {"engine": name, **result, "elapsed_s": time.perf_counter() - begin}


def run_here(
    name: str,
    config: DeviceConfig,
    job: "Job",
    waves: Any,
    progress: Any,
    status: Status | None,
    at_once: bool,
    around: Callable[[Any, Any], Any] | None = None,
    disk: DiskImage | None = None,
    timeline: str | Path | None = None,
    captures: Captures = NO_CAPTURES,
) -> dict[str, Any]:
    """``around(port, run)`` does ``run()`` in its place; ``disk`` takes the place of the job's."""
    disk = job.open_disk(config) if disk is None else disk
    unwritten: list[str] = []
    try:
        told = story_behind(waves, unwritten)
        with (
            told as engines,
            open_engine(
                name if job.transport == "pci" else "software",
                config,
                GuestMemory(job.memory_bytes),
                disk,
                host=job.host,
                waves=waves,
                seed=job.seed,
                status=status,
                at_once=at_once,
                timeline=timeline is not None or waves is not None,
                captures=captures,
            ) as port,
        ):
            engines += [port.engine] if name == "native" and job.transport == "pci" else []

            def run() -> dict[str, Any]:
                return port.run(job.run(port, config, progress))

            with written_behind(port, timeline, unwritten):
                result = run() if around is None else around(port, run)
            failures = [] if disk is None else disk.failures
            result = {**result, "disk_failures": failures, "cycles_total": port.now()}
        return {**result, **({"unwritten": [*result.get("unwritten", ()), *unwritten]} if unwritten else {})}
    finally:
        if disk is not None:
            disk.close()
