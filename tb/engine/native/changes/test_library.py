"""A change-driven model of a small device: it does what the plain one does, and a mistake in it is found."""

import functools
from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.changes import NotUnderstood, emit, source
from ringwalker_sim.engine.native.changes.library import change_driven_library, watched_library
from ringwalker_sim.engine.native.changes.rates import Rates
from ringwalker_sim.engine.native.engine import NativeEngine, ProtocolError
from ringwalker_sim.engine.native.exercise import recorded
from ringwalker_sim.engine.native.library import load
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.traffic import CopyRegisters, DiskCopier

CONTROL = CopyRegisters["control"].offset // 8
SECTORS = 16
STATE = "ringwalker__DOT__device__DOT__fsm_state"


@functools.cache
def copier_verilog():
    return to_verilog(DiskCopier(64), TOP)


def copy_disk(
    library: Path, *, compare=False, record=False, adopt: tuple[int, Path] | None = None, **host
) -> tuple[list, dict, Rates | None]:
    """Let the device copy its disk twice, with a reset and a change of its capacity: what happened.

    ``adopt`` is a cycle in which the steps of another library take over.
    """
    config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=SECTORS))
    with NativeEngine(
        config,
        GuestMemory(1 << 16),
        component=copier_verilog(),
        host=HostParameters(**host),
        library=library,
        compare=compare,
    ) as engine:
        if record:
            engine.library.rw_record(engine.handle(), 20, 30)
        events = []
        for capacity in (SECTORS, SECTORS - 4):
            engine.ports.storage.set_capacity(capacity)
            engine.memory_write(CONTROL, 1, 4)
            if adopt and capacity == SECTORS:
                events += engine.run(adopt[0])
                steps = load(adopt[1], ())
                engine.library.rw_adopt(engine.library.rw_chunks(engine.handle()), steps.rw_steps())
            events += engine.run(100_000) + engine.run(100)
            engine.reset()
            engine.run(50)
        return events, engine.stats(), recorded(engine) if record else None


class Copying:
    """The exercise of these tests."""

    def __init__(self, key: str):
        self.key = key

    def watch(self, library: Path) -> Rates:
        rates = copy_disk(library, record=True)[2]
        assert rates is not None
        return rates

    def check(self, library: Path) -> None:
        try:
            copy_disk(library, compare=True)
        except ProtocolError as error:
            raise NotUnderstood(str(error)) from error


def build(key: str) -> Path:
    return change_driven_library(*copier_verilog(), Copying(key), progress=lambda _text: None)


def test_the_change_driven_model_does_what_the_plain_one_does():
    chunked, plain = build("copying"), watched_library(*copier_verilog(), progress=print)
    for host in ({}, {"stalls": 0.3, "storage_latency": 9, "latency_jitter": 20}):
        assert copy_disk(chunked, compare=True, **host)[:2] == copy_disk(plain, **host)[:2]


@pytest.mark.parametrize("cycle", [1, 37, 150])
def test_the_plain_model_goes_on_as_the_change_driven_one_in_any_cycle(cycle):
    chunked, plain = build("copying"), watched_library(*copier_verilog(), progress=print)
    host = {"stalls": 0.3, "storage_latency": 9}
    events, figures, _ = copy_disk(plain, compare=True, adopt=(cycle, chunked), **host)
    assert (events, figures) == copy_disk(plain, **host)[:2]


def test_watching_says_what_changes_and_when():
    rates = copy_disk(watched_library(*copier_verilog(), progress=print), record=True)[2]
    assert rates is not None
    assert 0 < rates.of(STATE).bit_count() < rates.cycles // 4
    assert rates.of("capacity").bit_count() <= 1
    assert rates.cycles > 100


def test_a_reader_that_is_forgotten_is_found(monkeypatch):
    """A mistake in what a statement reads: its chunk does not run when that changes."""
    read = source.parse_statements

    def forgetful(*arguments):
        statements = read(*arguments)
        for statement in statements:
            statement.exposed -= {STATE}
        return statements

    monkeypatch.setattr(source, "parse_statements", forgetful)
    for _attempt in range(2):
        with pytest.raises(NotUnderstood, match="is not what the plain model makes of it"):
            build("copying, forgetful")


def test_writers_that_are_forgotten_are_found(monkeypatch):
    """A mistake in what statements write: it wakes nobody. Inputs still do."""
    masks = emit.Chunks.masks
    monkeypatch.setattr(
        emit.Chunks, "masks", lambda self, name: masks(self, name) if name.endswith("_next") else ()
    )
    with pytest.raises(NotUnderstood, match="is not what the plain model makes of it"):
        build("copying, writers forgotten")


def test_another_verilator_is_not_trusted(monkeypatch, tmp_path):
    monkeypatch.setattr(source, "KNOWN", ("1.0",))
    with pytest.raises(NotUnderstood, match=r"Verilator [\d.]+ is not known, 1\.0 is"):
        source.read_model(tmp_path, f"V{TOP}")
