"""Measures one case on the native engine: a row of figures, exact in cycles."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkRequestType

from ..captures.captures import NO_CAPTURES, Captures
from ..disk_image import DiskImage
from ..engine.engines import open_engine
from ..errors import DataError
from ..guest.blk import BlkDevice, blk_driver
from ..guest.bus import VirtioBus, VirtioDriver
from ..guest.errors import BindError
from ..guest.pci import enumerate_pci
from ..guest.transport.faces import bind_face
from ..memory import GuestMemory
from ..timeline.output import written_behind
from ..workload.block_pump import Pump
from ..workload.figures import percentiles
from ..workload.native_pump import pump_for
from ..workload.synthetic import Synthetic
from .cases import Case
from .frames import USUAL_FEATURES, FrameLoad, frame_bytes, load_driver
from .many import QueueLoad
from .native_frames import NativeFrameLoad

__all__ = ["Status", "measure", "speed"]

Status = Callable[[str], None]

_RAM_BYTES = 64 << 20
_SEED = 1
_REST_CYCLES = 2000
_PROBE_LATENCIES = (400, 1400)
"""ns. How much later the payload moves on the slower host says how many reads it waited for."""
_PROBES = 4
"""Requests one after another, of which the last is measured: the device learns the pattern of the driver."""
_dependent_reads: dict[tuple[Any, ...], int] = {}


async def _open(port: Any, driver: VirtioDriver, case: Case) -> Any:
    """What ``driver`` makes of the device on ``port``, at rest."""
    found = await enumerate_pci(port)
    if not found:
        raise BindError("no PCI function answers")
    transport = await bind_face(found[0], face=case.driver_face)
    bus = VirtioBus()
    await bus.register_virtio_driver(driver)
    await bus.register_virtio_device(transport.device)
    await port.sleep(_REST_CYCLES)
    return transport.device.priv


async def _open_disk(port: Any, case: Case, queues: int) -> BlkDevice:
    return await _open(port, blk_driver(port, queues=queues, ring_features=case.ring_features), case)


async def _move_blocks(
    port: Any, case: Case, make_pump: Callable[..., Pump] = pump_for
) -> tuple[int, Any, dict[str, int]]:
    """Do the requests of ``case``: cycles, latencies, and what was counted."""
    disk = await _open_disk(port, case, case.queues)
    if case.each_queue:
        return await _move_on_each_queue(port, disk, case)
    kind = f"rand{case.direction}"
    phase = Synthetic(disk, port.disk, kind, case.size, case.requests, _SEED)
    pump = make_pump(port, disk, phase, case.depth)
    before = port.engine.stats()
    await pump.run()
    spent = {name: value - before[name] for name, value in port.engine.stats().items()}
    if pump.errors:
        raise DataError("; ".join(pump.messages))
    return pump.cycles, pump.latencies, spent


async def _move_on_each_queue(port: Any, disk: BlkDevice, case: Case) -> tuple[int, Any, dict[str, int]]:
    """As :func:`_move_blocks`; ``slowest_queue`` is what it did, in thousandths of the mean."""
    load = QueueLoad(port, disk, case.direction, case.size, case.depth, _SEED)
    before = port.engine.stats()
    await load.run(case.requests)
    spent = {name: value - before[name] for name, value in port.engine.stats().items()}
    slowest = load.done.min() / load.done.mean()
    return load.cycles, load.latencies, spent | {"slowest_queue": round(1000 * slowest)}


async def _open_load(port: Any, case: Case, kind: type[FrameLoad], depth: int, batch: int) -> FrameLoad:
    length = frame_bytes(case.size)
    features = USUAL_FEATURES | case.ring_features
    driver = load_driver(
        port, kind, direction=case.direction, length=length, depth=depth, batch=batch, features=features
    )
    return await _open(port, driver, case)


async def _move_frames(
    port: Any, case: Case, kind: type[FrameLoad] = NativeFrameLoad
) -> tuple[int, Any, dict[str, int]]:
    """As :func:`_move_blocks`."""
    load = await _open_load(port, case, kind, case.depth, case.batch)
    before = port.engine.stats()
    await load.run(case.requests)
    spent = {name: value - before[name] for name, value in port.engine.stats().items()}
    return load.cycles, np.concatenate(load.latencies).tolist(), spent


async def _figures(port: Any, case: Case) -> dict[str, Any]:
    """Do the requests of ``case``; the figures that do not depend on a ceiling."""
    cycles, latencies, spent = await (_move_blocks if case.function == "blk" else _move_frames)(port, case)
    return {
        "cycles": cycles,
        "latency_cycles": percentiles(latencies),
        "wire_up_bytes": spent["up_bytes"] / case.requests,
        "wire_down_bytes": spent["down_bytes"] / case.requests,
        "request_beats": spent["request_beats"] / case.requests,
        "answer_beats": spent["answer_beats"] / case.requests,
        "requests_per_notification": case.requests / max(1, spent["down_memory_write"]),
        "requests_per_interrupt": case.requests / max(1, spent["up_message"]),
        **({"slowest_queue": spent["slowest_queue"] / 1000} if case.each_queue else {}),
    }


async def _first_payload(port: Any, case: Case) -> int:
    """Cycles from the notification of a request to its first byte of payload, on a device at rest."""
    if case.function == "net":
        load = await _open_load(port, case, FrameLoad, 1, 1)
        return await load.first_payload(_REST_CYCLES)
    disk = await _open_disk(port, case, 1)
    write = case.direction == "write"
    cycles = []
    with port.memory.allocate(case.size, 4096) as buffer:
        for _ in range(_PROBES):
            watch = port.memory.watch(buffer.address, case.size, reads=write, writes=not write)
            kind = BlkRequestType.OUT if write else BlkRequestType.IN
            begin = (await disk.request(kind, 0, buffer.sg)).started
            cycles.append(watch.hits[0].cycle - begin)
            port.memory.unwatch(watch)
            await port.sleep(_REST_CYCLES)
    return cycles[-1]


def _on_engine(
    case: Case,
    job: Callable[[Any, Case], Any],
    status: Status | None,
    plain: bool | None = None,
    timeline: str | Path | None = None,
    captures: Captures = NO_CAPTURES,
    unwritten: list[str] | None = None,
) -> Any:
    disk = None
    if case.function == "blk":
        disk = DiskImage.blank(case.config.settings.capacity)
        disk.array[:] = np.random.default_rng(_SEED).integers(0, 256, len(disk.array), np.uint8)
    host = dataclasses.asdict(case.pcie.host(case.clock_mhz, case.latency_ns))
    memory = GuestMemory(_RAM_BYTES)
    with open_engine(
        "native",
        case.config,
        memory,
        disk,
        host=host,
        seed=_SEED,
        status=status,
        plain=plain,
        timeline=timeline is not None,
        captures=captures,
    ) as port:
        with written_behind(port, timeline, [] if unwritten is None else unwritten):
            return port.run(job(port, case))


def speed(
    case: Case,
    status: Status | None = None,
    reference: bool = False,
    begins: Callable[[], object] = lambda: None,
    timeline: str | Path | None = None,
) -> dict[str, Any]:
    """How fast ``case`` is simulated: ``requests``, ``cycles``, and what they took with all that the driver
    does: ``wall_s`` on the clock, ``cpu_s`` of a processor. ``reference`` is the plain model, with a driver
    that is all in Python. ``begins`` is called when time begins to count. ``status``, ``timeline`` and
    errors: as in :func:`measure`.
    """
    if case.function == "blk":
        move = partial(_move_blocks, make_pump=Pump if reference else pump_for)
    else:
        move = partial(_move_frames, kind=FrameLoad if reference else NativeFrameLoad)

    async def timed(port: Any, case: Case) -> dict[str, Any]:
        begins()
        wall, cpu = time.perf_counter(), time.process_time()
        cycles = (await move(port, case))[0]
        return {
            "cycles": cycles,
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
        }

    unwritten: list[str] = []
    plain = True if reference else None
    figures = _on_engine(case, timed, status, plain, timeline, unwritten=unwritten)
    return {"requests": case.requests, **figures, **({"unwritten": unwritten} if unwritten else {})}


def _reads_before_payload(case: Case, status: Status | None) -> int:
    """Host reads, one after another, from a notification to the payload; it is the same for like devices."""
    like = (case.function, case.direction, case.ring_features, case.config, case.driver_face)
    if like not in _dependent_reads:
        probes = [replace(case, latency_ns=latency, size=512) for latency in _PROBE_LATENCIES]
        first, second = (_on_engine(probe, _first_payload, status) for probe in probes)
        apart = (_PROBE_LATENCIES[1] - _PROBE_LATENCIES[0]) * case.clock_mhz / 1000
        _dependent_reads[like] = round((second - first) / apart)
    return _dependent_reads[like]


def measure(
    case: Case,
    status: Status | None = None,
    timeline: str | Path | None = None,
    captures: Captures = NO_CAPTURES,
) -> dict[str, Any]:
    """The row of ``case``: its fields, what it took, and the ceiling.

    ``cycles`` are those from the first notification (of receiving, the first frame offered to the device) to
    the last completion seen; ``rate_per_s`` counts requests, ``wire_*_bytes`` are bytes a request on the wire
    each way; ``request_beats`` and ``answer_beats`` are beats a request at the device's port, of what it
    sends and of what its reads are answered; ``latency_cycles`` go from the notification to the completion
    seen. ``dependent_reads`` are host reads that follow from each other before the first payload byte moves,
    a read of payload included. ``slowest_queue``, with many queues: what the one that did least has done,
    as a part of the mean. The driver takes no time.
    ``timeline`` is the file of a timeline of the requests, ``captures`` are those of captures; if one cannot
    be written, ``unwritten`` says so.
    ``status`` gets a line of text while a model is built. Errors: :class:`DataError`.
    """
    unwritten: list[str] = []
    figures = _on_engine(case, _figures, status, None, timeline, captures, unwritten)
    rate = case.requests * case.clock_mhz * 1e6 / figures["cycles"]
    ceiling = case.cost.rate(case.pcie)
    return {
        **case.key,
        "batch": case.batch,
        **figures,
        "rate_per_s": rate,
        "bytes_per_s": rate * case.size,
        "ceiling_per_s": ceiling,
        "efficiency": rate / ceiling,
        "dependent_reads": _reads_before_payload(case, status),
        **({"unwritten": unwritten} if unwritten else {}),
    }
