"""The source behind the noise port of the native engine, and ports that no peripheral knows."""

import functools

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.noise_tap import LEVEL, WIDE, NoiseTap, Shown
from ringwalker_sim.testing.traffic import CopyRegisters
from ringwalker_sim.verilog_cache import component_verilog

OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
WIDTHS = [64, pytest.param(256, marks=pytest.mark.slow)]


@functools.cache
def tap_verilog(width: int):
    return component_verilog(NoiseTap(width), TOP)


def open_tap(width: int = 64, seed: int = 1, **host) -> NativeEngine:
    config, memory = DeviceConfig(data_width=width), GuestMemory(1 << 12)
    engine = NativeEngine(
        config, memory, component=tap_verilog(width), seed=seed, host=HostParameters(**host)
    )
    engine.config_write(0x10, 4, 0)
    return engine


def show(engine: NativeEngine, what: Shown) -> int:
    engine.memory_write(OFFSETS["source"], what, 4)
    return engine.memory_read(OFFSETS["errors"], 4)


def take(engine: NativeEngine, beats: int = 1) -> bytes:
    """The next beats of noise that the device takes."""
    content = b""
    for _ in range(beats):
        engine.memory_write(OFFSETS["control"], 1, 4)
        for word in range(engine.config.data_width // 32):
            engine.memory_write(OFFSETS["chunks"], word, 4)
            content += show(engine, Shown.NOISE).to_bytes(4, "little")
    return content


def test_the_generator_is_the_published_one():
    """Numbers of xoshiro256** from state 1, 2, 3, 4, as its authors' C code gives them."""
    source = NoiseSource(0)
    source._words = [1, 2, 3, 4]
    numbers = [11520, 0, 1509978240, 1215971899390074240]
    assert source.take(32) == b"".join(number.to_bytes(8, "little") for number in numbers)


def test_pieces_of_any_size_are_one_sequence():
    one, other = NoiseSource(7), NoiseSource(7)
    assert one.take(100) == b"".join(other.take(count) for count in (1, 0, 7, 8, 30, 54))
    assert NoiseSource(8).take(100) != NoiseSource(7).take(100)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", [0.0, 0.7])
def test_the_device_gets_the_bytes_of_the_source(width, stalls):
    with open_tap(width, seed=5, stalls=stalls) as engine:
        assert take(engine, 12) == NoiseSource(5).take(12 * width // 8)
        assert engine.stats()["noise_bytes"] == 12 * width // 8


def test_a_beat_a_cycle_and_fewer_with_stalls():
    def beats(**host) -> int:
        with open_tap(**host) as engine:
            engine.memory_write(OFFSETS["destination"], 1, 4)
            begin = show(engine, Shown.BEATS)
            at = engine.now
            engine.run(2000)
            engine.memory_write(OFFSETS["destination"], 0, 4)
            count = show(engine, Shown.BEATS) - begin
            return 1000 * count // (engine.now - at)

    assert beats() > 950
    assert 350 < beats(stalls={"noise": 0.5}) < 650


def test_a_reset_leaves_no_gap():
    with open_tap() as engine:
        first = take(engine, 3)
        engine.reset()
        engine.config_write(0x10, 4, 0)
        assert first + take(engine, 3) == NoiseSource(1).take(48)


def test_pins_that_nobody_knows_have_their_initial_values():
    with open_tap() as engine:
        assert show(engine, Shown.LEVEL) == LEVEL
        assert show(engine, Shown.WIDE_LOW) == WIDE & 0xFFFF_FFFF
        assert show(engine, Shown.WIDE_HIGH) == WIDE >> 64
        assert show(engine, Shown.SPARE) == 0, "nobody takes of a stream that no peripheral serves"


def test_a_port_that_the_device_lacks_is_named():
    with open_tap() as engine:
        assert "noise" in engine.ports
        with pytest.raises(AttributeError, match="no mac port; it has noise"):
            engine.ports.mac.send(b"frame")
