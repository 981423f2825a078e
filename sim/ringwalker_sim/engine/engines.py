"""One face for all engines: a job, a configuration and a name in, the result out."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..memory import DiskImage, GuestMemory

__all__ = ["ENGINES", "open_engine", "run_on_engine"]

ENGINES = ("native", "cocotb", "memory")
"""``native``: the Verilated device with a host in C++. ``cocotb``: the same device behind cocotbext-pcie.
``memory``: a model of the device in Python, which tests the driver without any hardware."""

_HOST_KEYS = (
    "latency",
    "latency_jitter",
    "latency_shape",
    "link_bytes_per_cycle",
    "max_payload",
    "max_read_request",
    "storage_latency",
    "stalls",
)
"""Keys of a job that are parameters of the host."""

_DEFAULT_RAM = 64 << 20

Status = Callable[[str], None]


@contextmanager
def open_engine(
    name: str,
    config: DeviceConfig,
    memory: GuestMemory,
    disk: DiskImage | None = None,
    *,
    host: Mapping[str, Any] | None = None,
    waves: str | Path | None = None,
    seed: int = 1,
    status: Status | None = None,
) -> Iterator[Any]:
    """A port with ``run(coroutine)`` on an engine that lives in this process, closed at the end of the block.

    ``host`` are parameters of the host (:class:`~.host.HostParameters`), ``waves`` an FST file to write;
    ``status`` gets a line of text while the model is built. Without ``disk`` the disk is blank, of the
    configured capacity. ``software`` is a machine with nothing on its PCI bus. Errors: ``ValueError`` for an
    engine that runs elsewhere or does not exist.
    """
    if name == "memory":
        from ..guest.model_port import ModelPort

        if config.function == "blk":
            disk = disk or DiskImage.blank(config.blk.capacity)
        content = None if disk is None else disk.array
        port = ModelPort(config, memory, content, seed=seed, latency=(host or {}).get("latency", 100))
        port.disk = disk
        yield port
    elif name == "software":
        from ..guest.software_port import SoftwarePort

        port = SoftwarePort(memory)
        port.disk = disk or DiskImage.blank(config.blk.capacity)
        yield port
    elif name == "native":
        from ..host.parameters import HostParameters
        from .native.engine import NativeEngine
        from .native.port import NativePort

        parameters = HostParameters(**(host or {}))
        with NativeEngine(
            config, memory, disk=disk, host=parameters, waves=waves, seed=seed, progress=status
        ) as engine:
            port = NativePort(engine)
            port.max_payload, port.max_read_request = parameters.max_payload, parameters.max_read_request
            yield port
    else:
        raise ValueError(f"engine {name!r} cannot be opened in this process; native and memory can")


def run_on_engine(
    name: str,
    config: DeviceConfig,
    job: Mapping[str, Any],
    *,
    waves: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    """Do ``job`` (see :func:`~.workload.run_job`) on engine ``name``.

    The job may also have ``image`` and ``read_only``, ``memory_bytes``, ``seed``, and the host's ``latency``,
    ``latency_jitter``, ``latency_shape``, ``link_bytes_per_cycle``, ``storage_latency``, ``max_payload``,
    ``max_read_request`` and ``stalls``. The result has ``engine``; ``cycles_per_second`` counts the time of
    the requests, not that of building and enumerating.
    """
    job = dict(job)
    for key in ("image", "read_all", "write_all"):
        if job.get(key):
            job[key] = str(Path(job[key]).absolute())
    if not job.get("image"):
        job["blank_sectors"] = config.blk.capacity
    begin = time.perf_counter()
    if name == "cocotb":
        from .cocotb.run import run_cocotb

        result = run_cocotb(config, job, waves=waves, progress=status, on_progress=progress)
    else:
        result = _run_here(name, config, job, waves, progress, status)
    if result.get("wall_s"):
        result["cycles_per_second"] = result["cycles"] / result["wall_s"]
    return {"engine": name, **result, "elapsed_s": time.perf_counter() - begin}


def _run_here(
    name: str, config: DeviceConfig, job: dict[str, Any], waves: Any, progress: Any, status: Status | None
) -> dict[str, Any]:
    from ..workload.blk import run_job

    memory = GuestMemory(job.get("memory_bytes", _DEFAULT_RAM))
    disk = DiskImage(job["image"], read_only=bool(job.get("read_only"))) if job.get("image") else None
    host = {key: job[key] for key in _HOST_KEYS if key in job}
    if job.get("transport", "pci") != "pci":
        name = "software"
    try:
        with open_engine(
            name, config, memory, disk, host=host, waves=waves, seed=job.get("seed", 1), status=status
        ) as port:
            result = port.run(run_job(port, job, progress))
            return {**result, "cycles_total": port.now()}
    finally:
        if disk is not None:
            disk.close()
