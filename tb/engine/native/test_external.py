"""Memory that is somebody else's: the device's accesses become events, which are answered later."""

import functools
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import EngineError, NativeEvent
from ringwalker_sim.engine.native.served import ServedEngine
from ringwalker_sim.host import HostParameters, Split
from ringwalker_sim.testing.traffic import CopyRegisters, MemoryCopier

CHUNK = 128
SOURCE, DESTINATION = 0x10_0000, 0x30_0000
MESSAGE = (0xFEE0_1000, 0x4321)
OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}


@functools.cache
def copier_verilog():
    return to_verilog(MemoryCopier(64, CHUNK), TOP)


def open_copier(sanitize: bool = False, **host) -> ServedEngine:
    parameters = HostParameters(**{"latency": 20, **host})
    return ServedEngine(
        DeviceConfig(data_width=64), component=copier_verilog(), host=parameters, sanitize=sanitize
    )


def start(engine: ServedEngine, chunks: int) -> None:
    engine.config_write(0x10, 4, 0)
    for name, size, value in (
        ("source", 8, SOURCE),
        ("destination", 8, DESTINATION),
        ("message_address", 8, MESSAGE[0]),
        ("message_data", 4, MESSAGE[1]),
        ("chunks", 4, chunks),
        ("control", 4, 1),
    ):
        engine.memory_write(OFFSETS[name], value, size)


class Owner:
    """Has the memory, and answers reads late and in any order, some not at all."""

    def __init__(self, engine: ServedEngine, content: np.ndarray, refuse: float = 0.0):
        self.engine = engine
        self.content = content
        self.written = np.zeros_like(content)
        self.refuse = refuse
        self.refused = 0
        self.waiting: list[NativeEvent] = []

    def answer_one(self) -> None:
        event = self.waiting.pop(random.randrange(len(self.waiting)))
        data = self.content[event.a - SOURCE :][: event.b].tobytes()
        refused = random.random() < self.refuse
        self.refused += refused
        self.engine.answer_external(event, None if refused else data)

    def run(self) -> None:
        """Until the message; everything that was written before it has come before it."""
        for _ in range(100_000):
            for event in self.engine.run(random.randint(1, 60)):
                if event.kind is EventKind.EXTERNAL_READ:
                    self.waiting.append(event)
                elif event.kind is EventKind.EXTERNAL_WRITE:
                    data = self.engine.external_data(event)
                    at = event.a - DESTINATION
                    self.written[at : at + event.b] = np.frombuffer(data, np.uint8)
                elif event.kind is EventKind.MESSAGE:
                    assert (event.a, event.b) == MESSAGE
                    return
            if self.waiting and random.random() < 0.5:
                self.answer_one()
        raise AssertionError("the copy did not end")


def copy_external(sanitize: bool = False) -> None:
    """A copy from external memory to external memory, under everything that a host can do to it."""
    chunks = 60
    content = np.random.default_rng(2).integers(0, 256, chunks * CHUNK, np.uint8)
    host = {"latency_jitter": 100, "split": Split.RANDOM, "stalls": 0.3, "max_payload": 128}
    with open_copier(sanitize, **host) as engine:
        engine.map_external(SOURCE, len(content), writable=False)
        engine.map_external(DESTINATION, len(content))
        start(engine, chunks)
        owner = Owner(engine, content)
        owner.run()
        assert (owner.written == content).all()
        assert not owner.waiting
        owner = Owner(engine, content, refuse=0.2)
        start(engine, chunks)
        owner.run()
        assert owner.refused
        assert engine.memory_read(OFFSETS["errors"], 4) == owner.refused
        # A reset in the middle: what waits is forgotten on both sides.
        start(engine, chunks)
        late = [event for _ in range(40) for event in engine.run(50)]
        reads = [event for event in late if event.kind is EventKind.EXTERNAL_READ]
        assert reads
        engine.reset()
        engine.drain()
        with pytest.raises(ValueError, match="no read of"):
            engine.answer_external(reads[0], bytes(reads[0].b))
        owner = Owner(engine, content)
        start(engine, chunks)
        owner.run()
        assert (owner.written == content).all()
        assert not engine.violations


def test_copies_from_and_to_external_memory_are_right() -> None:
    copy_external()


def test_external_memory_is_bounded_like_other_memory() -> None:
    with open_copier() as engine:
        engine.map_external(SOURCE, CHUNK)
        with pytest.raises(ValueError, match="overlap"):
            engine.map_external(SOURCE + 16, 16)
        with pytest.raises(ValueError, match="overlap"):
            engine.map(SOURCE - 16, np.zeros(32, np.uint8))
        engine.map_external(DESTINATION, CHUNK, writable=False)
        start(engine, 2)
        events = engine.run(10_000)
        assert [(event.kind, event.a, event.b) for event in events] == [
            (EventKind.EXTERNAL_READ, SOURCE, CHUNK)
        ]
        for wrong in (CHUNK - 1, CHUNK + 1, 0):
            with pytest.raises(ValueError, match="no read of"):
                engine.answer_external(events[0], bytes(wrong))
        engine.answer_external(events[0], bytes(CHUNK))
        with pytest.raises(ValueError, match="no read of"):
            engine.answer_external(events[0], bytes(CHUNK))
        while not any(event.kind is EventKind.MESSAGE for event in engine.run(10_000)):
            pass
        # The second read was outside, and the write was to what must not be written.
        assert [(fault.address, fault.write) for fault in engine.faults] == [
            (SOURCE + CHUNK, False),
            (DESTINATION, True),
        ]
        with pytest.raises(EngineError, match="is gone"):
            engine.external_data(NativeEvent(EventKind.EXTERNAL_WRITE, 0, 0, DESTINATION, CHUNK))
        engine.unmap(SOURCE)
        with pytest.raises(ValueError, match="nothing is mapped"):
            engine.unmap(SOURCE)


def test_a_component_that_does_not_say_that_it_is_idle_is_never_quiet() -> None:
    with open_copier() as engine:
        before = engine.now
        assert engine.run_until_quiet(500) == []
        assert engine.now == before + 500
        assert not engine.quiet()


@pytest.mark.slow
def test_no_sanitizer_complains() -> None:
    found = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {**os.environ, "LD_PRELOAD": found, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr


if __name__ == "__main__":
    copy_external(sanitize=True)
