"""Runs inside the simulator: one cocotb test that carries out a job and writes down its result."""

import importlib
import json
import os
import random
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import First, Timer

from ringwalker.config import DeviceConfig

from ...errors import RingwalkerError
from ...memory import DiskImage, GuestMemory
from ...workload.blk import run_job
from .entry_name import FOLDER
from .port import CocotbPort
from .storage import StorageModel

__all__ = ["job"]


def _stalls(probability: float) -> Any:
    if not probability:
        return None

    def endless() -> Any:
        while True:
            yield random.random() < probability

    return lambda _name: endless()


async def _stop_requested(port: CocotbPort, folder: Path, parent: int) -> None:
    """Returns when the file ``stop`` appears, or when the process that wants the result is gone."""
    while not (folder / "stop").exists():
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            return
        await Timer(2000 * port.cycle_steps, "step")


def _reporter(folder: Path) -> Callable[[str, int, int], None]:
    """Writes how far the job is to ``progress.json``, at most four times a second."""
    written = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written >= 0.25:
            written = now
            # Written aside and renamed, so that no one reads half of it.
            (folder / "progress.new").write_text(json.dumps([what, done, total]))
            (folder / "progress.new").replace(folder / "progress.json")

    return report


def _coroutine(job: dict[str, Any], port: CocotbPort, folder: Path) -> Coroutine[Any, Any, dict[str, Any]]:
    if "coroutine" not in job:
        return run_job(port, job, _reporter(folder))
    module, _, function = job["coroutine"].partition(":")
    return getattr(importlib.import_module(module), function)(port, job)


async def _carry_out(dut: Any, folder: Path) -> dict[str, Any]:
    order = json.loads((folder / "job.json").read_text())
    job, config = order["job"], DeviceConfig.from_dict(order["config"])
    random.seed(job.get("seed", 1))
    memory = GuestMemory(job.get("memory_bytes", 64 << 20))
    image = job.get("image")
    disk = DiskImage(image, read_only=bool(job.get("read_only"))) if image else None
    if disk is None and "blank_sectors" in job:
        disk = DiskImage.blank(job["blank_sectors"])
    stalls = _stalls(job.get("stalls", 0))
    port = CocotbPort(
        dut,
        memory,
        disk=disk,
        clock_mhz=config.clock_mhz,
        latency=job.get("latency", 125),
        max_payload=job.get("max_payload", 256),
        max_read_request=job.get("max_read_request", 512),
        stalls=stalls,
    )
    if hasattr(dut, "storage_commands_valid"):
        latency = job.get("storage_latency", 50) * port.cycle_steps
        array = disk.array if disk else None
        StorageModel(dut, array, read_only=bool(job.get("read_only")), latency_steps=latency, stalls=stalls)
    if hasattr(dut, "capacity"):
        dut.capacity.value = disk.sectors if disk else config.blk.capacity
    begin = time.perf_counter()
    await port.start_machine()
    task = cocotb.start_soon(_coroutine(job, port, folder))
    stopped = cocotb.start_soon(_stop_requested(port, folder, order["parent"]))
    try:
        await First(task.complete, stopped.complete)
        if not task.done():
            return {"stopped": True, "cycles_total": port.now()}
        result = task.result()
    finally:
        if disk is not None:
            disk.close()
    wall = time.perf_counter() - begin
    return {
        **result,
        "engine": "cocotb",
        "tlps": port.tlps(),
        "faults": port.faults,
        "most_reads_in_flight": port.endpoint.most_reads_in_flight,
        "cycles_total": port.now(),
        "wall_s_total": wall,
        "cycles_per_second": port.now() / wall,
    }


@cocotb.test()
async def job(dut: Any) -> None:
    """Carry out the job of the folder that the environment names."""
    folder = Path(os.environ[FOLDER])
    try:
        result = await _carry_out(dut, folder)
    except RingwalkerError as error:
        (folder / "error.json").write_text(json.dumps({"message": str(error), "exit_code": error.exit_code}))
        raise
    (folder / "result.json").write_text(json.dumps(result))
