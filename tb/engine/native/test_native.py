"""The native engine's host: requests of the CPU, DMA with everything that can happen to it, events."""

import functools
import os
import random
import signal
import threading
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.tlp import RequestKind
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind, Outcome
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import EngineError, NativeEngine, ProtocolError
from ringwalker_sim.host import Fault, HostParameters, Split
from ringwalker_sim.memory import GuestMemory, dtype_of
from ringwalker_sim.testing.traffic import DEVICE_ID, VENDOR_ID, CopyRegisters, MemoryCopier
from ringwalker_sim.timeline.events import EventKind as TimelineKind

CHUNK = {64: 128, 128: 128, 256: 256, 512: 256}
SOURCE, DESTINATION = 0x10_0000, 0x30_0000
MESSAGE = (0xFEE0_1000, 0x4321)
OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
assert dtype_of(CopyRegisters).itemsize <= 64


@functools.cache
def copier_verilog(width: int):
    return to_verilog(MemoryCopier(width, CHUNK[width]), TOP)


def open_copier(width: int = 256, *, seed: int = 1, timeline: bool = False, **host) -> NativeEngine:
    component = copier_verilog(width)
    config = DeviceConfig(data_width=width)
    parameters = HostParameters(**host)
    return NativeEngine(
        config, GuestMemory(8 << 20), component=component, seed=seed, host=parameters, timeline=timeline
    )


def start_copy(
    engine: NativeEngine, chunks: int, source: int = SOURCE, destination: int = DESTINATION
) -> None:
    engine.config_write(0x10, 4, 0)
    for name, size, value in (
        ("source", 8, source),
        ("destination", 8, destination),
        ("message_address", 8, MESSAGE[0]),
        ("message_data", 4, MESSAGE[1]),
        ("chunks", 4, chunks),
        ("control", 4, 1),
    ):
        engine.memory_write(OFFSETS[name], value, size)


def finish(engine: NativeEngine, limit: int = 2_000_000) -> int:
    """Run until the copy's message came; the cycle in which it came."""
    end = engine.now + limit
    while engine.now < end:
        for event in engine.run(end - engine.now):
            if event.kind is EventKind.MESSAGE:
                assert (event.a, event.b) == MESSAGE
                return event.cycle
    raise AssertionError("the copy did not end")


def copy_random(engine: NativeEngine, chunks: int, seed: int = 1) -> None:
    """Copy random bytes and compare all of RAM with what it should hold."""
    memory, length = engine.memory, chunks * CHUNK[engine.config.data_width]
    content = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8)
    memory.write(SOURCE, content)
    expected = memory.array.copy()
    expected[DESTINATION : DESTINATION + length] = content
    start_copy(engine, chunks)
    finish(engine)
    assert (memory.array == expected).all()
    assert engine.memory_read(OFFSETS["errors"], 4) == 0


WIDTHS = [64, 256, pytest.param(128, marks=pytest.mark.slow), pytest.param(512, marks=pytest.mark.slow)]


@pytest.mark.parametrize("width", WIDTHS)
def test_copies_whatever_the_host_does(width):
    rng = random.Random(width)
    for seed in range(12):
        host = {
            "latency": rng.choice([1, 20, 300]),
            "latency_jitter": rng.choice([0, 10, 200]),
            "reorder": rng.random() < 0.7,
            "split": rng.choice(list(Split)),
            "max_payload": rng.choice([256, 512, 4096]),
            "read_completion_boundary": rng.choice([64, 128]),
            "link_bytes_per_cycle": rng.choice([0, 7.3, 28.9]),
            "tags": rng.choice([0, 3]),
            "posted_header_credits": rng.choice([0, 2]),
            "credit_return": rng.choice([5, 60]),
            "stalls": rng.choice(
                [
                    *(0, 0.1, 0.5),
                    *({f"requester_{name}": 0.8} for name in ("request", "completion")),
                    {"completer_completion": 0.98},
                ]
            ),
        }
        with open_copier(width, seed=seed, **host) as engine:
            copy_random(engine, 300, seed)
            tlps = engine.tlps()
            assert tlps["up_memory_read"] == tlps["up_memory_write"] == 300, host
            assert tlps["up_message"] == 1
            pieces = (
                CHUNK[width] // host["read_completion_boundary"] if host["split"] is Split.SMALLEST else 1
            )
            assert tlps["down_completion_data"] >= 300 * pieces
            if host["split"] is Split.LARGEST:
                assert tlps["down_completion_data"] == 300


def test_byte_counters_follow_the_link_model():
    with open_copier() as engine:
        copy_random(engine, 64)
        stats = engine.stats()
        reads_up, writes_up, message = 64 * 24, 64 * (24 + 256), 24 + 4
        assert stats["up_bytes"] == reads_up + writes_up + message + (20 + 4) + 20
        registers = 24 * 6 + 4 * 9 + (20 + 4) + 24
        assert stats["down_bytes"] == 64 * (20 + 256) + registers


def test_same_seed_same_run():
    def cycles(seed):
        with open_copier(seed=seed, latency_jitter=300, stalls=0.3) as engine:
            start_copy(engine, 200)
            return finish(engine)

    first = cycles(7)
    assert cycles(7) == first
    assert cycles(8) != first


def test_throughput_is_a_beat_a_cycle_and_follows_latency():
    def cycles(chunks=1024, **host):
        with open_copier(**host) as engine:
            start_copy(engine, chunks)
            begin = engine.now
            return finish(engine) - begin

    beats = 1024 * (256 // 32)
    requests = 1024
    assert cycles(latency=60) < (beats + requests) * 1.02 + 100
    slow = cycles(latency=1000)
    assert 0.98 < slow / (1024 / 32 * 1000) < 1.2, "32 reads in flight every 1000 cycles"
    limited = cycles(latency=60, link_bytes_per_cycle=16.0)
    assert 0.95 < limited / (1024 * (2 * 24 + 256) / 16) < 1.05


def test_completions_stay_in_order_if_asked_for():
    with open_copier(latency=20, latency_jitter=500, reorder=False) as engine:
        start_copy(engine, 320)
        ordered = finish(engine)
    with open_copier(latency=20, latency_jitter=500, reorder=True) as engine:
        start_copy(engine, 320)
        assert finish(engine) != ordered


def test_cpu_reads_every_size_at_every_offset():
    with open_copier() as engine:
        image = bytes(range(1, 9))
        engine.memory_write_bytes(0, image)
        for offset in range(8):
            for size in range(1, 9 - offset):
                value = engine.memory_read(offset, size)
                assert value.to_bytes(size, "little") == image[offset : offset + size]
        for offset in range(8):
            for size in range(1, 9 - offset):
                engine.memory_write_bytes(8, bytes(8))
                engine.memory_write_bytes(8 + offset, b"\xff" * size)
                expected = bytes(0xFF if offset <= n < offset + size else 0 for n in range(8))
                assert engine.memory_read_bytes(8, 8) == expected, "the read sees the posted writes before it"


def test_cpu_requests_of_every_kind():
    with open_copier() as engine:
        assert engine.config_read(0, 4) == VENDOR_ID | DEVICE_ID << 16
        assert engine.config_read(2, 2) == DEVICE_ID
        assert engine.config_read(1, 1) == VENDOR_ID >> 8
        assert engine.config_read(4, 4) == 0
        assert engine.config_read(0, 4, bdf=0x0200) == 0xFFFF_FFFF
        assert engine.config_read(0, 2, bdf=0x0108) == 0xFFFF
        assert engine.config_read(0, 2, bdf=0x0101) == VENDOR_ID, "functions of the device are reached"
        assert engine.config_write(0x10, 4, 0) is Outcome.SUCCESS
        assert engine.config_write(0x10, 4, 0, bdf=0x0200) is None
        assert engine.io_read(0x20, 1) == 0xFF
        assert engine.io_write(0x20, 5, 4) is Outcome.SUCCESS
        with pytest.raises(EngineError, match="UNSUPPORTED_REQUEST"):
            engine.memory_read_bytes(0, 64)
        tlps = engine.tlps()
        assert (tlps["down_config_read"], tlps["down_config_write"]) == (5, 1)
        assert (tlps["down_io_read"], tlps["down_io_write"], tlps["up_completion"]) == (1, 1, 4)


def test_impossible_requests_are_refused():
    with open_copier() as engine:
        for kind, address, length, data in (
            (RequestKind.CONFIG_READ_0, 3, 2, None),
            (RequestKind.IO_READ, 0, 5, None),
            (RequestKind.MEMORY_READ, 4095, 2, None),
            (RequestKind.MEMORY_READ, 0, 0, None),
            (RequestKind.MEMORY_WRITE, 0, 3, b"1234"),
            (RequestKind.MEMORY_WRITE, 1, 256, bytes(256)),
        ):
            with pytest.raises(ValueError, match=kind.name if length != 256 else "max_payload"):
                engine.submit(kind, address, length, data)
    with pytest.raises(EngineError, match="closed"):
        engine.run(1)


def test_cpu_gives_up_after_its_timeout():
    stalls = {"completer_completion": 0.99}
    with open_copier(completion_timeout=16, stalls=stalls) as engine:
        outcomes = [engine.wait(engine.submit(RequestKind.CONFIG_READ_0, 0, 4))[0] for _ in range(20)]
        assert Outcome.TIMEOUT in outcomes
        assert engine.config_read(0, 4) in (0xFFFF_FFFF, VENDOR_ID | DEVICE_ID << 16)


@pytest.mark.parametrize("fault", [Fault.UNSUPPORTED_REQUEST, Fault.COMPLETER_ABORT, Fault.POISONED])
def test_a_failed_read_fails_alone(fault):
    with open_copier(latency_jitter=100) as engine:
        engine.memory.fill(SOURCE, 64 * 256, 0x55)
        engine.inject(fault, nth=5)
        engine.inject(fault, nth=20)
        start_copy(engine, 64)
        finish(engine)
        assert engine.memory_read(OFFSETS["errors"], 4) == 2
        copied = engine.memory.view(DESTINATION, 64 * 256).reshape(64, 256)
        assert [n for n in range(64) if not (copied[n] == 0x55).all()] == [5, 20]
        assert engine.stats()["injected_faults"] == 2


@pytest.mark.parametrize("fault", [Fault.DOUBLED, Fault.UNEXPECTED])
def test_a_completion_that_nobody_asked_for_has_a_tag_that_is_not_in_use(fault):
    with open_copier(timeline=True, latency=20) as engine:
        engine.inject(fault)
        start_copy(engine, 24)  # 20 have been asked for when the first answer begins, all when it has ended
        finish(engine)
        assert engine.recording is not None
        events = sorted(engine.recording.events().tolist(), key=lambda row: row[1])
    in_use, asked = set(), []
    for _begin, _end, _number, kind, request, tag, *_rest in events:
        if kind == TimelineKind.UP_REQUEST and request == RequestKind.MEMORY_READ.value:
            in_use.add(tag)
        elif kind == TimelineKind.DOWN_COMPLETION:
            asked.append(tag in in_use)
            in_use.discard(tag)
    assert asked == [True, False, *[True] * 23]


def test_late_and_lost_reads():
    with open_copier() as engine:
        engine.inject(Fault.LATE, nth=3, delay=50_000)
        start_copy(engine, 16)
        begin = engine.now
        assert finish(engine) - begin > 50_000
        engine.inject(Fault.LOST, nth=3)
        start_copy(engine, 16)
        while engine.now < 200_000:
            assert not [e for e in engine.run(1000) if e.kind is EventKind.MESSAGE]
        assert engine.tlps()["up_memory_write"] == 16 + 3
        engine.reset()
        copy_random(engine, 8)


def test_unmapped_accesses_are_refused_and_reported():
    with open_copier() as engine:
        start_copy(engine, 4, source=1 << 40)
        finish(engine)
        assert engine.memory_read(OFFSETS["errors"], 4) == 4
        assert sorted((f.address, f.length, f.write) for f in engine.faults) == [
            ((1 << 40) + 256 * n, 256, False) for n in range(4)
        ]
        engine.faults.clear()
        start_copy(engine, 2, destination=8 << 20)
        finish(engine)
        assert [(f.address, f.write) for f in engine.faults] == [(8 << 20, True), ((8 << 20) + 256, True)]
        assert (engine.stats()["read_faults"], engine.stats()["write_faults"]) == (4, 2)


def test_more_memory_can_be_mapped():
    extra = np.zeros(4096, dtype=np.uint8)
    with open_copier() as engine:
        with pytest.raises(ValueError, match="overlap"):
            engine.map(4096, extra)
        engine.map(8 << 20, extra)
        engine.map(1 << 40, np.full(4096, 9, dtype=np.uint8), writable=False)
        start_copy(engine, 16, source=1 << 40, destination=8 << 20)
        finish(engine)
        assert (extra == 9).all()
        start_copy(engine, 1, destination=1 << 40)
        finish(engine)
        assert engine.stats()["write_faults"] == 1, "not writable"
        engine.unmap(8 << 20)
        start_copy(engine, 1, destination=8 << 20)
        finish(engine)
        assert engine.stats()["write_faults"] == 2
        with pytest.raises(ValueError, match="nothing"):
            engine.unmap(8 << 20)


def test_watched_ranges_are_reported():
    with open_copier() as engine:
        seen = []
        reads = engine.memory.watch(SOURCE + 256, 4, writes=False)
        writes = engine.memory.watch(DESTINATION, 4096, seen.append, reads=False)
        quiet = engine.memory.watch(DESTINATION - 64, 64)
        start_copy(engine, 16)
        finish(engine)
        assert [(a.address, a.length, a.write) for a in reads.hits] == [(SOURCE + 256, 256, False)]
        assert seen == writes.hits
        assert [a.address for a in seen] == [DESTINATION + 256 * n for n in range(16)]
        assert quiet.hits == []
        engine.memory.unwatch(writes)
        start_copy(engine, 16)
        finish(engine)
        assert len(seen) == 16


def test_host_limits_bind_the_device():
    with open_copier(max_payload=128) as engine:
        start_copy(engine, 1)
        with pytest.raises(ProtocolError, match=r"write of 256 bytes; the limit is 128"):
            finish(engine)
    with open_copier(max_read_request=128) as engine:
        start_copy(engine, 1)
        with pytest.raises(ProtocolError, match=r"cycle \d+: read of 256 bytes; the limit is 128"):
            finish(engine)


def test_interrupt_pin_is_an_event():
    with open_copier() as engine:
        start_copy(engine, 1)
        events = engine.run(10_000) + engine.run(10)
        assert [(e.kind, e.b) for e in events] == [(EventKind.MESSAGE, MESSAGE[1]), (EventKind.INTX, 1)]
        start_copy(engine, 1)
        kinds = [(e.kind, e.b) for e in [*engine.run(100), *engine.run(1000), *engine.run(1000)]]
        assert kinds[0] == (EventKind.INTX, 0)


def test_interrupting_the_clock_loop_leaves_the_engine_usable():
    with open_copier() as engine:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.run(10**12)
        timer.join()
        copy_random(engine, 4)


def test_wrong_host_parameters_are_named():
    wrong: list[tuple[str, Any]] = [
        ("latency", 0),
        ("max_payload", 100),
        ("read_completion_boundary", 32),
        ("stalls", 1.0),
        ("stalls", {"nonsense": 0.5}),
        ("link_bytes_per_cycle", -1),
    ]
    for name, value in wrong:
        with pytest.raises(ValueError, match=name):
            HostParameters(**{name: value})
