"""What a guest does with its disk, always verified: workloads, reading all of it, writing all of it.

:func:`run_job` is one coroutine for all engines: it finds the device, lets the block driver bind to it, does
what the job says, and takes everything down again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.spec.features import Feature

from ..guest.blk import BlkDevice, blk_driver
from ..guest.bus import VirtioDevice, VirtioDeviceId
from ..guest.errors import BindError
from ..guest.history import adapt
from ..guest.machine import Machine, VirtioPciDriver
from ..guest.models.blk import BlkModel
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.port import Port
from .phases import Phase, ReadAll, Synthetic, WorkloadError, WriteAll
from .pump import Pump

__all__ = ["WORKLOADS", "RunResult", "Workload", "WorkloadError", "percentiles", "run_job"]

WORKLOADS = ("randread", "randwrite", "randrw", "seqread", "seqwrite")

Progress = Callable[[str, int, int], None]
"""Called with the name of what is under way, requests done, and requests in all."""

_CONFIG_BYTES = 256


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


@dataclass
class RunResult:
    """What came out. ``cycles`` and latencies are in clock cycles, latencies from kick to completion seen.

    ``errors`` counts failed requests and wrong data; ``messages`` describes the first of them. ``tlps``
    counts packets on the link by kind. ``phases`` has the same figures for each thing that was done.
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
    cycles_per_second: float = 0.0
    messages: list[str] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)


def percentiles(latencies: list[int]) -> dict[str, int]:
    """``p50``, ``p99`` and ``max`` of latencies: the smallest value that so many are not above."""
    if not latencies:
        return {"p50": 0, "p99": 0, "max": 0}
    ordered = sorted(latencies)

    def rank(percent: int) -> int:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    return {"p50": rank(50), "p99": rank(99), "max": ordered[-1]}


def _summary(name: str, pump: Pump, wall: float) -> dict[str, Any]:
    return {
        "name": name,
        "requests": pump.requests,
        "bytes": pump.bytes,
        "errors": pump.errors,
        "cycles": pump.cycles,
        "bytes_per_cycle": pump.bytes / pump.cycles if pump.cycles else 0.0,
        "latency_cycles": percentiles(pump.latencies),
        "wall_s": wall,
        "cycles_per_second": pump.cycles / wall if wall else 0.0,
    }


def _phases(job: Mapping[str, Any], disk: BlkDevice, port: Port) -> list[tuple[Phase, int]]:
    """What the job asks for, with the queue depth of each: first writes, then workload, then reads."""
    content = None if port.disk is None else port.disk.array
    transfer = job.get("transfer", {})
    size, depth = transfer.get("block_size", 65536), transfer.get("queue_depth", 16)
    phases: list[tuple[Phase, int]] = []
    if job.get("write_all"):
        phases.append((WriteAll(disk, content, job["write_all"], size), depth))
    if job.get("workload"):
        workload = Workload(**job["workload"])
        phase = Synthetic(disk, content, workload.kind, workload.block_size, workload.requests, workload.seed)
        phases.append((phase, workload.queue_depth))
    if job.get("read_all"):
        phases.append((ReadAll(disk, content, job["read_all"], size), depth))
    return phases


async def _run_phases(
    port: Port, disk: BlkDevice, job: Mapping[str, Any], progress: Progress | None
) -> RunResult:
    result = RunResult(clock_mhz=port.clock_mhz)
    latencies: list[int] = []
    for phase, depth in _phases(job, disk, port):
        before = time.perf_counter()
        pump = Pump(port, disk, phase, depth)
        try:
            await pump.run(progress)
        finally:
            phase.close()
        wall = time.perf_counter() - before
        summary = _summary(phase.name, pump, wall)
        result.phases.append(summary)
        for name in ("requests", "bytes", "errors", "cycles", "wall_s"):
            setattr(result, name, getattr(result, name) + summary[name])
        result.messages += pump.messages
        latencies += pump.latencies
    result.bytes_per_cycle = result.bytes / result.cycles if result.cycles else 0.0
    result.cycles_per_second = result.cycles / result.wall_s if result.wall_s else 0.0
    result.latency_cycles = percentiles(latencies)
    result.tlps = port.tlps()
    return result


async def describe(pci: PciDevice) -> dict[str, Any]:
    """Configuration space of a function and what is known of its BARs, for ``lspci``."""
    content = bytearray()
    for offset in range(0, _CONFIG_BYTES, 4):
        content += (await pci.port.config_read(pci.bdf, offset, 4)).to_bytes(4, "little")
    return {
        "bdf": pci.bdf,
        "config": content.hex(),
        "bars": {str(bar.index): bar.size for bar in pci.bars.values()},
    }


async def run_job(port: Port, job: Mapping[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    """Find the device behind ``port`` and do ``job``, a mapping that JSON can hold; the result is one too.

    Keys, all optional: ``write_all`` and ``read_all`` (paths), ``transfer`` (``block_size`` and
    ``queue_depth`` of those two), ``workload`` (the fields of :class:`Workload`), ``interrupt``
    (``"msix"`` or ``"intx"``), ``ids`` (further pairs of vendor and device that the driver serves),
    ``interface`` and ``transport`` (see :mod:`.guest.opening`), ``model`` (arguments of ``BlkModel``, the
    device on transports other than PCI), ``use_queues`` (how many queues at most), ``ring_features`` (names
    of what the driver makes use of in split rings: ``"INDIRECT_DESC"``, ``"EVENT_IDX"``), ``lspci`` (true:
    the result has ``functions``, see :func:`describe`). The result has the fields of :class:`RunResult`.
    Errors: :class:`~.guest.errors.VirtioError` when the device cannot be used, :class:`WorkloadError` when
    it cannot do what is asked.
    """
    if job.get("lspci"):
        found = await enumerate_pci(port, assign=len(port.mmio32) > 0)
        if not found:
            raise BindError("no PCI function answers")
        return {"functions": [await describe(pci) for pci in found]}
    machine = Machine(port)
    device = await _device(machine, job)
    ids = [VirtioDeviceId(vendor, device) for vendor, device in job.get("ids", ())]
    ring_features = sum(1 << Feature[name] for name in job.get("ring_features", ()))
    driver = blk_driver(port, queues=job.get("use_queues"), ids=ids, ring_features=ring_features)
    await machine.bus.register_virtio_driver(adapt(job.get("interface", "modern"), driver, port))
    disk: BlkDevice = machine.driven(device)
    serial = await disk.get_id()
    result = asdict(await _run_phases(port, disk, job, progress))
    await machine.remove(device)
    return {**result, "capacity": disk.capacity, "serial": serial}


async def _device(machine: Machine, job: Mapping[str, Any]) -> VirtioDevice:
    """The disk on the job's transport: the first PCI function, or a model of one."""
    transport = job.get("transport", "pci")
    if transport == "pci":
        found = await enumerate_pci(machine.port, assign=len(machine.port.mmio32) > 0)
        if not found:
            raise BindError("no PCI function answers")
        vendors = tuple(vendor for vendor, _device in job.get("ids", ()))
        driver, identity = VirtioPciDriver(machine.bus, job.get("interrupt", "msix"), vendors), found[0].id
        if not driver.matches(found[0]):
            raise BindError(f"no driver for {identity.vendor:04x}:{identity.device:04x}")
        return await driver.probe(found[0])
    port: Any = machine.port
    model = BlkModel(port.schedule, port.disk.array, seed=job.get("seed", 1), **job.get("model", {}))
    if transport == "memory":
        return await machine.add_memory_device(model)
    return await machine.add_pipe_device(model, seed=job.get("seed", 1))
