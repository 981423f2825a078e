"""What a guest does with its disk, always verified: workloads, reading all of it, writing all of it."""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.spec.features import Feature

from ..guest.blk import BlkDevice
from ..guest.opening import OpenDevice
from ..guest.port import Port
from .block_pump import Pump
from .disk_phases import Phase, ReadAll, WorkloadError, WriteAll
from .figures import percentiles
from .job import DeviceTask, Progress
from .native_pump import pump_for
from .synthetic import Synthetic

__all__ = ["PHASES", "WORKLOADS", "BlockTask", "RunResult", "Transfer", "Workload", "run_phase"]

WORKLOADS = ("randread", "randwrite", "randrw", "seqread", "seqwrite")

PHASES = ("write-all", "workload", "read-all")
"""What a task can consist of, in the order in which it does them."""


@dataclass(frozen=True)
class Workload:
    """``requests`` of ``block_size`` bytes with ``queue_depth`` in flight; ``seed`` chooses places and data.

    Errors: :class:`WorkloadError` that names the parameter and the value.
    """

    kind: str
    block_size: int = 4096
    queue_depth: int = 32
    requests: int = 1000
    seed: int = 1
    moving: bool = True
    """A request at random whose block is in use goes to the next one that is not. Otherwise it waits, so that
    all requests are the same whatever the device."""

    def __post_init__(self):
        if self.kind not in WORKLOADS:
            raise WorkloadError(f"workload is {self.kind!r}; it must be one of {', '.join(WORKLOADS)}")
        if self.block_size < SECTOR_BYTES or self.block_size % SECTOR_BYTES:
            raise WorkloadError(f"block size is {self.block_size}; it must be a multiple of {SECTOR_BYTES}")
        for name in ("queue_depth", "requests"):
            if getattr(self, name) < 1:
                raise WorkloadError(
                    f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be at least 1"
                )


@dataclass(frozen=True)
class Transfer:
    """How all of a disk is read or written: bytes a request, and requests in flight."""

    block_size: int = 65536
    queue_depth: int = 16


@dataclass
class RunResult:
    """What came out. ``cycles`` and latencies are in clock cycles, latencies from kick to completion seen.

    ``errors`` counts failed requests and wrong data; ``messages`` describes the first of them. ``tlps``
    counts packets on the link by kind. ``wall_s`` is time on the clock, ``cpu_s`` of a processor, for device
    and driver. ``phases`` has the same figures for each thing that was done, ``unwritten`` a line for each
    file that could not be written.
    """

    requests: int = 0
    bytes: int = 0
    errors: int = 0
    cycles: int = 0
    clock_mhz: int = 0
    bytes_per_cycle: float = 0.0
    latency_cycles: dict[str, int] = field(default_factory=dict)
    tlps: dict[str, int] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    cycles_per_second: float = 0.0
    messages: list[str] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)


def _summary(name: str, pump: Pump, wall: float, cpu: float) -> dict[str, Any]:
    return {
        "name": name,
        "requests": pump.requests,
        "bytes": pump.bytes,
        "errors": pump.errors,
        "cycles": pump.cycles,
        "bytes_per_cycle": pump.bytes / pump.cycles if pump.cycles else 0.0,
        "latency_cycles": percentiles(pump.latencies),
        "wall_s": wall,
        "cpu_s": cpu,
        "cycles_per_second": pump.cycles / wall if wall else 0.0,
    }


def _phases(task: "BlockTask", disk: BlkDevice, port: Port) -> list[tuple[str, Phase, int]]:
    """What the task asks for, in the order of ``PHASES``, each with its queue depth."""
    content = port.disk
    size, depth = task.transfer.block_size, task.transfer.queue_depth
    phases: list[tuple[str, Phase, int]] = []
    if task.write_all:
        phases.append(("write-all", WriteAll(disk, content, task.write_all, size), depth))
    if task.workload:
        load = task.workload
        phase = Synthetic(
            disk, content, load.kind, load.block_size, load.requests, load.seed, moving=load.moving
        )
        phases.append(("workload", phase, load.queue_depth))
    if task.read_all:
        phases.append(("read-all", ReadAll(disk, content, task.read_all, size), depth))
    return phases


async def run_phase(
    port: Port, disk: BlkDevice, phase: Phase, depth: int, progress: Progress | None = None
) -> tuple[Pump, dict[str, Any]]:
    """Do all of ``phase`` with ``depth`` requests in flight, and close it: who did it, and its figures, as in
    ``phases`` of :class:`RunResult`. Errors: those of the pump.
    """
    before, cpu = time.perf_counter(), time.process_time()
    pump = pump_for(port, disk, phase, depth)
    try:
        await pump.run(progress)
    finally:
        phase.close()
    return pump, _summary(phase.name, pump, time.perf_counter() - before, time.process_time() - cpu)


async def _run_phases(port: Port, disk: BlkDevice, task: "BlockTask", progress: Progress | None) -> RunResult:
    result = RunResult(clock_mhz=port.clock_mhz)
    latencies: list[int] = []
    for kind, phase, depth in _phases(task, disk, port):
        if task.waves_during is not None:
            port.trace(kind == task.waves_during)
        pump, summary = await run_phase(port, disk, phase, depth, progress)
        result.phases.append(summary)
        for name in ("requests", "bytes", "errors", "cycles", "wall_s", "cpu_s"):
            setattr(result, name, getattr(result, name) + summary[name])
        result.messages += pump.messages
        result.unwritten += phase.unwritten
        latencies += pump.latencies
    result.bytes_per_cycle = result.bytes / result.cycles if result.cycles else 0.0
    result.cycles_per_second = result.cycles / result.wall_s if result.wall_s else 0.0
    result.latency_cycles = percentiles(latencies)
    result.tlps = port.tlps()
    return result


@dataclass(frozen=True)
class BlockTask(DeviceTask):
    """Writes all of the disk, runs a workload, reads all of the disk: what of these is given, in this order.

    The result has the fields of :class:`RunResult`, and ``capacity`` (sectors) and ``serial``.
    Errors: :class:`WorkloadError` when the disk cannot do what is asked.
    """

    workload: Workload | None = None
    write_all: str | None = None
    """File that is written onto the disk, from sector 0 on."""
    read_all: str | None = None
    """File that gets every sector."""
    transfer: Transfer = field(default_factory=Transfer)
    """Of ``write_all`` and ``read_all``."""
    waves_during: str | None = None
    """The one of ``PHASES`` whose waves are recorded, beside the set-up of the device; None: all."""
    ring_features: tuple[str, ...] = ()
    """What the driver makes use of in split rings: ``"INDIRECT_DESC"``, ``"EVENT_IDX"``, ..."""

    def again(self, folder: Path) -> "BlockTask":
        """See :meth:`Task.again`."""
        return self if self.read_all is None else replace(self, read_all=str(folder / "read-all.img"))

    def in_turn(self) -> "BlockTask":
        """See :meth:`Task.in_turn`."""
        load = self.workload
        return self if load is None else replace(self, workload=replace(load, moving=False))

    def __post_init__(self):
        if self.waves_during not in (None, *PHASES):
            raise WorkloadError(
                f"waves_during is {self.waves_during!r}; it must be one of {', '.join(PHASES)}"
            )
        for name in self.ring_features:
            if name not in Feature.__members__:
                raise WorkloadError(f"ring_features has {name!r}; there is {', '.join(Feature.__members__)}")

    def driver_options(self, config: DeviceConfig) -> dict[str, Any]:
        """All queues of the device, and the features."""
        features = sum(1 << Feature[name] for name in self.ring_features)
        return {"queues": config.queues, "ring_features": features}

    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Do it."""
        disk: BlkDevice = opened.driven
        serial = await disk.get_id()
        result = asdict(await _run_phases(opened.machine.port, disk, self, progress))
        return {**result, "capacity": disk.capacity, "serial": serial}
