"""The medium behind the MAC port of the native engine: frames both ways, their times, and broken rules."""

import functools
import itertools
import random

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import NativeEngine, ProtocolError
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.mac_echo import MacEcho, MacOffence
from ringwalker_sim.testing.traffic import CopyRegisters

OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
MOST_FRAMES = 4096


@functools.cache
def echo_verilog():
    return to_verilog(MacEcho(64), TOP)


def open_echo(**host) -> NativeEngine:
    config, memory = DeviceConfig(data_width=64), GuestMemory(1 << 12)
    engine = NativeEngine(config, memory, component=echo_verilog(), host=HostParameters(**host))
    engine.config_write(0x10, 4, 0)
    return engine


def settle(engine: NativeEngine, cycles: int) -> int:
    """Run so long; how many frames there were."""
    end, count = engine.now + cycles, 0
    while engine.now < end:
        count += sum(event.kind is EventKind.FRAME for event in engine.run(end - engine.now))
    return count


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_frames_of_all_lengths_go_through(stalls):
    with open_echo(stalls=stalls) as engine:
        frames = [random.randbytes(length) for length in [*range(1, 40), 1514, 9000]]
        for frame in frames:
            assert engine.ports.mac.send(frame)
        assert settle(engine, 10_000) == len(frames)
        assert engine.ports.mac.receive() == frames
        assert engine.ports.mac.receive() == []
        stats = engine.stats()
        for way in ("tx", "rx"):
            assert stats[f"mac_{way}_frames"] == len(frames)
            assert stats[f"mac_{way}_bytes"] == sum(map(len, frames))


def test_a_beat_a_cycle():
    with open_echo() as engine:
        begin = engine.now
        for _ in range(10):
            engine.ports.mac.send(bytes(800))
        settle(engine, 1100)
        times = [frame.cycle - begin for frame in engine.ports.mac.frames()]
        assert [later - earlier for earlier, later in itertools.pairwise(times)] == [100] * 9
        assert times[0] < 110


def test_a_frame_waits_for_its_time_and_keeps_its_place():
    with open_echo() as engine:
        due = engine.now + 500
        engine.ports.mac.send(b"late", at=due)
        engine.ports.mac.send(b"behind")
        settle(engine, 600)
        (late, behind) = engine.ports.mac.frames()
        assert (late.data, behind.data) == (b"late", b"behind")
        assert due <= late.cycle <= due + 4
        assert behind.cycle == late.cycle + 1


def test_bad_frames_are_counted_and_not_passed_on():
    with open_echo() as engine:
        engine.ports.mac.send(bytes(100), error=True)
        engine.ports.mac.send(bytes(50))
        assert settle(engine, 200) == 1
        assert engine.ports.mac.receive() == [bytes(50)]
        assert engine.stats()["mac_tx_errors"] == 1


def test_loopback_needs_no_help():
    with open_echo() as engine:
        engine.ports.mac.loopback(True)
        engine.ports.mac.send(bytes(80))
        assert settle(engine, 1000) == 0
        assert engine.stats()["mac_rx_frames"] > 50
        engine.ports.mac.loopback(False)
        assert settle(engine, 200) == 1
        assert engine.ports.mac.receive() == [bytes(80)]


def test_nothing_passes_while_the_link_is_down():
    with open_echo() as engine:
        assert engine.memory_read(OFFSETS["errors"], 4) == 1
        engine.ports.mac.send(bytes(80))
        engine.ports.mac.set_link(False)
        assert engine.memory_read(OFFSETS["errors"], 4) == 0
        assert not engine.ports.mac.send(bytes(80))
        assert settle(engine, 200) == 0
        assert engine.stats()["mac_lost"] == 2
        engine.ports.mac.set_link(True)
        assert engine.ports.mac.send(b"up")
        settle(engine, 200)
        assert engine.ports.mac.receive() == [b"up"]


def test_what_waits_is_bounded():
    with open_echo() as engine:
        far = engine.now + 10**9
        sent = [engine.ports.mac.send(bytes(2), at=far) for _ in range(MOST_FRAMES + 3)]
        assert sent == [True] * MOST_FRAMES + [False] * 3
    with open_echo() as engine:
        for number in range(MOST_FRAMES + 3):
            engine.ports.mac.send(number.to_bytes(2, "little"))
            if number % 1000 == 0:
                settle(engine, 2000)
        settle(engine, 6000)
        kept = engine.ports.mac.receive()
        assert len(kept) == MOST_FRAMES
        assert kept[0] == (3).to_bytes(2, "little"), "the oldest are lost"
        with pytest.raises(ValueError, match="0 bytes"):
            engine.ports.mac.send(b"")


def test_a_reset_ends_the_frame_in_flight_and_keeps_those_that_wait():
    with open_echo() as engine:
        engine.ports.mac.send(bytes(4000))
        engine.ports.mac.send(b"next")
        settle(engine, 100)
        engine.reset()
        settle(engine, 100)
        assert engine.ports.mac.receive() == [b"next"]


@pytest.mark.parametrize(
    ("offence", "complaint"),
    [
        (MacOffence.EMPTY_BEAT, "mac_tx: 0 bytes in a beat"),
        (MacOffence.FIRST_TWICE, "mac_tx: first is 1"),
        (MacOffence.UNSTABLE, "mac_tx: the payload changed"),
        (MacOffence.WITHDRAWN, "mac_tx: valid was withdrawn"),
    ],
)
def test_a_broken_rule_is_noticed(offence, complaint):
    with open_echo(stalls={"mac_tx": 0.6}) as engine:
        engine.memory_write(OFFSETS["destination"], int(offence), 4)
        assert engine.memory_read(OFFSETS["destination"], 4) == offence
        engine.ports.mac.send(bytes(400))
        with pytest.raises(ProtocolError, match=complaint):
            settle(engine, 1000)


def frames_of(count: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(0, 256, (count, length), np.uint8)


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_supplied_frames_come_in_turn_and_are_compared_on_their_way_back(stalls):
    with open_echo(stalls=stalls) as engine:
        frames = frames_of(5, 37)
        engine.ports.mac.expect(frames)
        engine.ports.mac.supply(frames, 12)
        assert settle(engine, 1000) == 0
        stats = engine.stats()
        assert (stats["mac_rx_frames"], stats["mac_tx_frames"], stats["mac_tx_different"]) == (12, 12, 0)
        assert stats["mac_rx_bytes"] == 12 * 37
        engine.ports.mac.supply(np.roll(frames, 1, axis=0), 3)
        settle(engine, 200)
        assert engine.stats()["mac_tx_different"] == 3
        engine.ports.mac.expect(None)
        engine.ports.mac.supply(frames, 2)
        assert settle(engine, 200) == 2
        assert engine.ports.mac.receive() == [frames[0].tobytes(), frames[1].tobytes()]


def test_supplied_frames_come_at_a_beat_a_cycle_and_make_way_for_others():
    with open_echo() as engine:
        engine.ports.mac.supply(frames_of(1, 800), 10)
        due = engine.now + 500
        engine.ports.mac.send(b"other", at=due)
        settle(engine, 1100)
        frames = engine.ports.mac.frames()
        assert [len(frame.data) for frame in frames] == [800] * 5 + [5] + [800] * 5
        assert frames[-1].cycle - frames[0].cycle == 901


def test_supplied_frames_wait_for_the_link():
    with open_echo() as engine:
        engine.ports.mac.set_link(False)
        engine.ports.mac.supply(frames_of(2, 16), 2)
        assert settle(engine, 100) == 0
        assert engine.stats()["mac_rx_frames"] == 0
        engine.ports.mac.set_link(True)
        assert settle(engine, 100) == 2


def test_what_is_no_rows_of_bytes_cannot_be_supplied():
    with open_echo() as engine:
        for frames in (np.zeros(10, np.uint8), np.zeros((0, 64), np.uint8), np.zeros((2, 3), np.uint16)):
            with pytest.raises(ValueError, match="rows of bytes"):
                engine.ports.mac.supply(frames, 1)
