"""The link between device and host: its rate, credits, tags, and the latency of reads."""

import functools
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.host import LINKS, HostParameters, LatencyShape, Link, Split
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.performance.ceiling import read_cost, write_cost
from ringwalker_sim.testing.load import LoadRegisters, MemoryLoad

BASE = 0x10_0000
CLOCK = 250
OFFSETS = {name: field.offset // 8 for name, field in LoadRegisters}
SIZES = [64, 128, 256, 512, 1024, 2048, 4096]


@functools.cache
def load_verilog(width: int):
    return to_verilog(MemoryLoad(width), TOP)


def open_load(host: HostParameters, width: int = 256) -> NativeEngine:
    config = DeviceConfig(data_width=width, clock_mhz=CLOCK)
    return NativeEngine(config, GuestMemory(4 << 20), component=load_verilog(width), host=host)


def start_load(engine: NativeEngine, length: int, write: bool, count: int = 0xFFFF_FFFF) -> None:
    engine.config_write(0x10, 4, 0)
    values = {"address": BASE, "length": length, "count": count, "write": int(write), "control": 1}
    for name, value in values.items():
        engine.memory_write(OFFSETS[name], value, 8 if name == "address" else 4)


def packets_a_cycle(engine: NativeEngine, length: int, write: bool, cycles: int = 10_000) -> float:
    """Requests of ``length`` bytes a cycle in the long run."""
    start_load(engine, length, write)
    engine.run(3000)
    name = "up_payload" if write else "down_payload"
    before = engine.stats()[name]
    assert engine.run(cycles) == []
    return (engine.stats()[name] - before) / length / cycles


def efficiency(link: Link, size: int, write: bool, width: int, **host) -> float:
    """What part of the ceiling accesses of ``size`` bytes reach, each cut into the largest requests."""
    piece = min(size, link.max_payload if write else link.max_read_request)
    with open_load(link.host(CLOCK, **host), width) as engine:
        accesses = packets_a_cycle(engine, piece, write) * piece / size * CLOCK * 1e6
    return accesses / (write_cost if write else read_cost)(link, size).rate(link)


WIDE = pytest.param("gen3x16", 512, marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "width"), [("gen2x4", 256), ("gen3x8", 256), WIDE])
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_traffic_reaches_the_ceiling(name, width, write):
    reached = {size: efficiency(LINKS[name], size, write, width) for size in SIZES}
    assert all(0.99 < part < 1.01 for part in reached.values()), reached


@pytest.mark.parametrize(
    "link",
    [
        Link(3, 8, max_payload=128),
        Link(3, 8, max_payload=512, max_read_request=4096),
        Link(3, 8, split=Split.SMALLEST),
        Link(3, 8, read_completion_boundary=128, split=Split.SMALLEST),
        Link(1, 8),
        Link(3, 2),
    ],
    ids=["payload-128", "requests-4096", "boundary-64", "boundary-128", "gen1x8", "gen3x2"],
)
def test_each_parameter_of_the_link_counts(link):
    for size, write in ((64, False), (512, False), (512, True), (4096, False)):
        assert 0.99 < efficiency(link, size, write, 256) < 1.01, (size, write)


def test_latency_is_hidden_by_reads_in_flight():
    for latency in (300, 1200, 2000):
        for jitter in (0, 500):
            reached = efficiency(LINKS["gen3x8"], 512, False, 256, latency_ns=latency, jitter_ns=jitter)
            assert 0.99 < reached < 1.01, (latency, jitter)


def test_both_directions_are_apart():
    """What the device reads does not take from what it writes, but for the requests."""
    with open_load(LINKS["gen3x8"].host(CLOCK)) as engine:
        packets_a_cycle(engine, 512, False)
        stats = engine.stats()
        assert stats["up_bytes"] / stats["cycles"] < 2 < 27 < stats["down_bytes"] / stats["cycles"]


def test_posted_credits_limit_writes():
    for host, wanted in (
        (HostParameters(posted_header_credits=8, credit_return=400), 8 / 400),
        (HostParameters(posted_data_credits=64, credit_return=400), 64 * 16 / 256 / 400),
        (HostParameters(posted_data_credits=70, credit_return=400), 4 / 400),
        (HostParameters(posted_header_credits=100, credit_return=100), 1 / 8),
    ):
        with open_load(host) as engine:
            assert packets_a_cycle(engine, 256, True) == pytest.approx(wanted, rel=0.02), host


def test_tags_and_credits_limit_reads():
    for host, wanted in (
        (HostParameters(latency=500, tags=32), 32 / 500),
        (HostParameters(latency=500, tags=1), 1 / 500),
        (HostParameters(nonposted_header_credits=4, credit_return=300), 4 / 300),
    ):
        with open_load(host) as engine:
            assert packets_a_cycle(engine, 64, False) == pytest.approx(wanted, rel=0.02), host
            assert engine.stats()["most_reads_in_flight"] <= (host.tags or 256)


def latencies(shape: LatencyShape, latency: int = 200, jitter: int = 100, count: int = 4000) -> np.ndarray:
    """Cycles from one read to the next where only one is in flight, less what that takes without jitter."""
    host = HostParameters(latency=latency, latency_jitter=jitter, latency_shape=shape, tags=1)
    with open_load(host) as engine:
        watch = engine.memory.watch(BASE, 1 << 16, writes=False)
        start_load(engine, 64, False, count)
        while not any(event.kind is EventKind.INTX for event in engine.run(1 << 20)):
            pass
        cycles = np.array([access.cycle for access in watch.hits])
    assert len(cycles) == count
    return np.diff(cycles) - latency


def test_latency_is_uniform_or_has_a_long_tail():
    uniform, tail = latencies(LatencyShape.UNIFORM), latencies(LatencyShape.LONG_TAIL)
    assert 0 <= uniform.min() < 10
    assert 100 <= uniform.max() < 110
    assert uniform.mean() == pytest.approx(50, abs=8)
    assert 0 <= tail.min() < 10
    assert tail.mean() == pytest.approx(100, abs=12)
    assert np.percentile(tail, 99) == pytest.approx(460, rel=0.15), "exponential: ln(100) means"


def test_an_access_ends_and_is_answered():
    with open_load(LINKS["gen3x8"].host(CLOCK)) as engine:
        start_load(engine, 256, True, 16)
        assert [(event.kind, event.b) for event in engine.run(10_000)] == [(EventKind.INTX, 1)]
        assert (engine.memory.array[BASE : BASE + 4096] == 0x5A).all()
        assert not engine.memory.array[BASE + 4096]
        assert engine.memory_read(OFFSETS["done"], 4) == 1


def test_wrong_parameters_are_named():
    for name, value in (
        ("tags", 257),
        ("posted_header_credits", -1),
        ("posted_data_credits", 15),
        ("credit_return", 1.5),
        ("link_bytes_per_cycle", 0.001),
    ):
        arguments: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            HostParameters(**arguments)


@pytest.mark.parametrize(
    ("length", "write", "requests", "answers"),
    [(32, True, 1, 0), (64, True, 2, 0), (256, True, 8, 0), (8, False, 1, 1), (512, False, 1, 16)],
)
def test_each_packet_begins_a_beat_of_its_own(length, write, requests, answers):
    """256 bits a beat, completions of at most 256 bytes."""
    with open_load(LINKS["gen3x8"].host(CLOCK)) as engine:
        start_load(engine, length, write, count=20)
        assert [event.kind for event in engine.run(5000)] == [EventKind.INTX]
        stats = engine.stats()
        # The write to the BAR that began it has no answer.
        assert stats["request_beats"] == 20 * requests
        assert stats["answer_beats"] == 20 * answers
