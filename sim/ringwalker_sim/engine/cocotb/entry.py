"""Runs inside the simulator: one cocotb test that carries out a job and writes down its result."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import First, Timer

from ringwalker.config import DeviceConfig

from ...errors import RingwalkerError
from ...host.parameters import HostParameters
from ...memory import GuestMemory
from ...workload.job import Job
from .entry_name import FOLDER
from .peripheral import Surroundings, put_behind_ports
from .port import CocotbPort

__all__ = ["job"]


def _stalls(host: HostParameters) -> Any:
    probabilities = host.stall_probabilities()
    if not any(probabilities.values()):
        return None

    def endless(probability: float) -> Any:
        while True:
            yield random.random() < probability

    return lambda name: endless(probabilities.get(name, 0.0))


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


async def _carry_out(dut: Any, folder: Path) -> dict[str, Any]:
    order = json.loads((folder / "job.json").read_text())
    # Names of files are as they were where the job was made.
    os.chdir(order["folder"])
    job, config = Job.from_json(order["job"]), DeviceConfig.from_dict(order["config"])
    random.seed(job.seed)
    memory, disk, host = GuestMemory(job.memory_bytes), job.open_disk(config), job.host
    stalls = _stalls(host)
    port = CocotbPort(
        dut,
        memory,
        disk=disk,
        clock_mhz=config.clock_mhz,
        latency=host.latency,
        max_payload=host.max_payload,
        max_read_request=host.max_read_request,
        stalls=stalls,
    )
    for name, value in order["initial"].items():
        getattr(dut, name).value = value
    put_behind_ports(dut, Surroundings(job, config, disk, port.cycle_steps, stalls))
    begin = time.perf_counter()
    await port.start_machine()
    task = cocotb.start_soon(job.run(port, config, _reporter(folder)))
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
        "cycles_per_second": port.now() / wall,
        **result,
        "disk_failures": [] if disk is None else disk.failures,
        "engine": "cocotb",
        "tlps": port.tlps(),
        "faults": port.faults,
        "most_reads_in_flight": port.endpoint.most_reads_in_flight,
        "cycles_total": port.now(),
        "wall_s_total": wall,
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
