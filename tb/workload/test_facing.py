"""A job on two devices: what must be equal is, and what differs is said."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.ids import DeviceType
from ringwalker_sim.cli.main import main
from ringwalker_sim.errors import ParameterError
from ringwalker_sim.function.simulation import simulation_of
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.recorder import UsedBuffer
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import BOTH, TRANSITIONAL
from ringwalker_sim.workload.block_task import BlockTask
from ringwalker_sim.workload.facing import Observed, compared, observe, run_against
from ringwalker_sim.workload.job import Job
from ringwalker_sim.workload.net_task import NetTask

WAYS = [
    {"driver_face": "modern", "interrupt": "msix"},
    {"driver_face": "modern", "interrupt": "intx", "rings": ("RING_PACKED",)},
    {"driver_face": "modern", "interrupt": "msix", "rings": ("RING_PACKED", "IN_ORDER")},
    {"driver_face": "modern", "interrupt": "msix", "rings": ("EVENT_IDX", "INDIRECT_DESC", "IN_ORDER")},
    {"driver_face": "legacy", "interrupt": "msix"},
    {"driver_face": "legacy", "interrupt": "intx"},
]


def jobs(config: DeviceConfig) -> Iterator[Job]:
    """A short job of the function by every way."""
    exercise = simulation_of(config.function).exercise
    assert exercise is not None
    job = exercise(config)[0]
    task: Any = job.task
    if isinstance(task, BlockTask):
        assert task.workload is not None
        task = replace(task, workload=replace(task.workload, requests=20))
    elif isinstance(task, NetTask):
        task = replace(task, frames=task.frames[:20])
    job = replace(job, task=task)
    for way in WAYS:
        yield replace(job, **way)


@pytest.mark.parametrize("function", BOTH)
def test_two_models_do_the_same_by_every_face_and_ring(function: str) -> None:
    for job in jobs(TRANSITIONAL[function]):
        result = run_against("model", "model", TRANSITIONAL[function], job)
        assert result["against"]["differences"] == [], job
        assert result["against"]["buffers"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("function", BOTH)
def test_the_hardware_and_the_golden_model_do_the_same_by_every_face_and_ring(function: str) -> None:
    for job in jobs(TRANSITIONAL[function]):
        result = run_against("model", "native", TRANSITIONAL[function], job, at_once=False)
        assert result["against"]["differences"] == [], job
        assert result["errors"] == 0


@pytest.mark.slow
def test_requests_for_the_same_blocks_are_the_same_on_both() -> None:
    """With 64 blocks, nearly every request finds another one at its place."""
    config = TRANSITIONAL["blk"]
    job = next(jobs(config))
    task: Any = job.task
    load = replace(task.workload, kind="randrw", block_size=256 << 10, queue_depth=32, requests=200)
    job = replace(job, task=replace(task, workload=load), memory_bytes=64 << 20)
    result = run_against("model", "native", config, job)
    assert result["against"]["differences"] == []


def seen(function: str, fault: Callable[[Any], None] = lambda _port: None) -> Observed:
    """What is observed of a golden model with a fault."""
    config = BOTH[function]
    job, observed = next(jobs(config)), Observed()
    disk = job.open_disk(config)
    port = ModelPort(config, GuestMemory(job.memory_bytes), disk, seed=job.seed)
    port.disk = disk
    fault(port)
    observe(port, lambda: port.run(job.run(port, config)), observed)
    return observed


def _shorter(port: Any) -> None:
    port.rings.mangle = lambda head, written: (head, written - (written > 1))


def _other_frames(port: Any) -> None:
    send = port.model.receive
    port.model.receive = lambda frame: send(frame[:20] + bytes([frame[20] ^ 1]) + frame[21:])


def _writes_disk(port: Any) -> None:
    flush = port.model.reset

    def reset() -> None:
        port.disk._array[100] ^= 1
        flush()

    port.model.reset = reset


def _other_revision(port: Any) -> None:
    port.space.bytes[8] ^= 1


def _other_vectors(port: Any) -> None:
    vector = port.interrupts.raise_vector
    port.interrupts.raise_vector = lambda number: [vector(at) for at in {0, number}]


def _fewer_features(port: Any) -> None:
    port.model.features &= ~(1 << 40)


def _wider(port: Any) -> None:
    port.model.put("cols", 81)


@pytest.mark.parametrize(
    ("function", "fault", "said"),
    [
        ("rng", _shorter, "into queue 0: "),
        ("net", _other_frames, "buffer 1 of queue 0"),
        ("blk", _writes_disk, "disk: "),
        ("rng", _other_revision, "configuration space 0: "),
        ("rng", _other_vectors, "interrupts: from vectors [1], and [0, 1]"),
        ("rng", _fewer_features, "queue 0: (64, 'SplitVirtqueue', "),
        ("console", _wider, "device configuration 0: "),
    ],
)
def test_a_difference_is_said(function: str, fault: Callable[[Any], None], said: str) -> None:
    device_type = BOTH[function].device_type
    before = seen(function)
    assert compared(device_type, before, seen(function)) == []
    lines = compared(device_type, before, seen(function, fault))
    assert any(line.startswith(said) for line in lines), lines


def test_buffers_of_a_disk_are_a_set_and_those_of_a_card_a_sequence() -> None:
    one, other = (UsedBuffer(0, number, bytes([number]), 1, b"\0") for number in (1, 2))
    sides = Observed(), Observed()
    sides[0].recorder.used, sides[1].recorder.used = (
        [one, other],
        [replace(other, number=1), replace(one, number=2)],
    )
    assert compared(DeviceType.BLK, *sides) == []
    (line,) = compared(DeviceType.NET, *sides)
    assert line.startswith("buffer 1 of queue 0 (1 bytes 01, room for 1) has 1 bytes 00, and buffer 1")
    sides[1].recorder.used.append(one)
    (line,) = compared(DeviceType.BLK, *sides)
    assert line.endswith("on the second device alone")


def test_what_cannot_be_compared_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["blk", "--transport", "memory"], "is a model itself"),
        (["blk", "--engine", "model"], "it is for engine native"),
        (["net", "--inter-guest"], "between two guests is not compared"),
    ):
        assert main(["run", *words, "--against", "model"]) == 2
        assert said in capsys.readouterr().err
    (job, *_) = jobs(BOTH["rng"])
    for wrong, engine in ((replace(job, transport="pipe"), "native"), (job, "cocotb")):
        with pytest.raises(ParameterError):
            run_against("model", engine, BOTH["rng"], wrong)
