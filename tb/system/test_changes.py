"""Whole devices as change-driven models: compared with the plain one for long, and watched at rest."""

import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.engine.native.changes.library import ChangeDriven, watched_library
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.engine.native.exercise import recorded
from ringwalker_sim.engine.native.port import NativePort
from ringwalker_sim.function.simulation import simulation_of
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.host import HostParameters, Split
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL
from ringwalker_sim.verilog_cache import device_verilog
from ringwalker_sim.workload.block_task import WORKLOADS, BlockTask, Workload
from ringwalker_sim.workload.console_task import ConsoleTask
from ringwalker_sim.workload.frame_traffic import random_frames
from ringwalker_sim.workload.job import RING_NAMES, DeviceTask, Job, Task, open_for
from ringwalker_sim.workload.net_task import NetTask
from ringwalker_sim.workload.rng_task import RngTask

SHORT, LONG = 100_000, 1_000_000
"""Cycles that are compared."""
SOURCE = b"\2WALK\1"


def _blk(choose: random.Random, config: DeviceConfig) -> Task:
    load = Workload(
        choose.choice(WORKLOADS),
        512 * choose.choice((1, 2, 3, 8, 32)),
        choose.randint(1, config.queues * (config.queue_size // 3)),
        150,
        seed=choose.randrange(1 << 30),
    )
    return BlockTask(load)


def _net(choose: random.Random, config: DeviceConfig) -> Task:
    sizes = [choose.randint(14, config.settings.frame_bytes) for _ in range(4)]
    seed = choose.randrange(1 << 30)
    return NetTask(tuple(random_frames(200, [60, *sizes], config.settings.address, SOURCE, seed)))


def _console(choose: random.Random, _config: DeviceConfig) -> Task:
    return ConsoleTask(choose.randbytes(choose.randint(1, 3000)))


def _rng(choose: random.Random, _config: DeviceConfig) -> Task:
    return RngTask(choose.randint(1, 20_000))


TASKS: dict[str, Callable[[random.Random, DeviceConfig], Task]] = {
    "blk": _blk,
    "net": _net,
    "console": _console,
    "rng": _rng,
}


def _host(choose: random.Random) -> HostParameters:
    """A root complex of any kind."""
    return HostParameters(
        latency=choose.choice((5, 40, 125, 400)),
        latency_jitter=choose.choice((0, 30, 300)),
        reorder=choose.random() < 0.7,
        split=choose.choice(tuple(Split)),
        max_payload=choose.choice((128, 256, 512)),
        storage_latency=choose.choice((0, 50, 300)),
        link_bytes_per_cycle=choose.choice((0.0, 8.0, 32.0)),
        stalls=choose.choice((0.0, 0.0, 0.1, 0.4)),
    )


def _rings(choose: random.Random, config: DeviceConfig) -> tuple[str, ...]:
    """What a driver accepts of rings; a device with packed rings alone works with nothing else."""
    chosen = {name for name in RING_NAMES if choose.random() < 0.5}
    return tuple(sorted(chosen | {"RING_PACKED"} if config.ring == "packed" else chosen))


def _compared() -> Iterator[Any]:
    """Small devices that other tests build, for some time; in the campaign every function, width and ring."""
    for function, ring in (("blk", "split"), ("net", "split"), ("rng", "both")):
        yield pytest.param(function, 64, ring, SHORT, marks=pytest.mark.slow)
    for width in (64, 128, 256, 512):
        for function in TASKS:
            for ring in ("split", "packed", "both"):
                yield pytest.param(function, width, ring, LONG, marks=pytest.mark.campaign)


@pytest.mark.parametrize(("function", "width", "ring", "cycles"), list(_compared()))
def test_every_variable_is_that_of_the_plain_model(function, width, ring, cycles):
    config = dataclasses.replace(SMALL[function], data_width=width, ring=ring)
    choose = random.Random(f"{function} {width} {ring}")
    compared = 0
    while compared < cycles:
        job = Job(
            TASKS[function](choose, config),
            interrupt=choose.choice(("msix", "intx")),
            memory_bytes=32 << 20,
            seed=choose.randrange(1 << 30),
            host=_host(choose),
            rings=_rings(choose, config),
        )
        disk = job.open_disk(config)
        with NativeEngine(
            config,
            GuestMemory(job.memory_bytes),
            disk=disk,
            host=job.host,
            seed=job.seed,
            plain=False,
            compare=True,
        ) as engine:
            port = NativePort(engine)
            assert port.run(job.run(port, config)).get("errors", 0) == 0, job
            counts = engine.stats()
        compared += counts["cycles"] - counts["skipped_cycles"]


@pytest.mark.slow
@pytest.mark.parametrize("function", SMALL)
def test_nothing_changes_in_an_idle_device(function):
    """A signal that runs on its own costs time in every cycle of every simulation, and power."""
    config = SMALL[function]
    library = watched_library(*device_verilog(config, whole=False), progress=lambda _text: None)
    exercise = simulation_of(function).exercise
    assert exercise is not None
    job = exercise(config)[0]
    disk = job.open_disk(config)
    host = HostParameters(skip_idle=False)
    with NativeEngine(config, GuestMemory(job.memory_bytes), disk=disk, host=host, library=library) as engine:
        port = NativePort(engine)

        async def work_then_rest():
            task = job.task
            assert isinstance(task, DeviceTask)
            opened = await open_for(Machine(port), config, job, **task.driver_options(config))
            await task.work(opened, config, None)
            await port.sleep(5000)
            engine.library.rw_record(engine.handle(), 2000, 10_000)
            await port.sleep(3000)
            return recorded(engine)

        seen = port.run(work_then_rest())
    assert seen.cycles == 2000
    assert not seen.changes


@pytest.mark.slow
def test_a_run_goes_over_to_the_model_that_is_built_beside_it(monkeypatch):
    config = dataclasses.replace(SMALL["rng"], ring="both")
    NativeEngine(config, GuestMemory(1 << 20), plain=False).close()  # the process finds the model built
    monkeypatch.setattr(ChangeDriven, "built", lambda model: None)
    job = Job(RngTask(20_000), memory_bytes=32 << 20)

    def cycles(**how: Any) -> tuple[int, bool]:
        with NativeEngine(config, GuestMemory(job.memory_bytes), **how) as engine:
            successor = engine._successor
            if successor is not None:
                monkeypatch.undo()
                successor._process.wait(60)
            port = NativePort(engine)
            port.run(job.run(port, config))
            return engine.now, successor is not None and successor.has_taken_over

    assert cycles(plain=False, at_once=True) == (cycles(plain=True)[0], True)
