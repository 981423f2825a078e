"""The league: what is recorded, how it is replayed, and that a difference is seen."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.verilog import to_verilog
from ringwalker_sim.performance import Case
from ringwalker_sim.performance.league import compiled, league_rows, league_table, record_case, recording
from ringwalker_sim.performance.league.contender import Contender, Timing
from ringwalker_sim.performance.league.interpreted import icarus, no_icarus, replay_component
from ringwalker_sim.performance.league.recording import Recording
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.toolchain import ToolError

CYCLES = 50


class Adder(Component):
    """Adds up what it gets; ``wide`` is the sum twice, with a gap between them."""

    more: In(40)
    """What is added in the next cycle."""
    flip: In(1)
    """Inverts ``narrow`` at once."""
    narrow: Out(7)
    """The lowest bits of the sum."""
    wide: Out(90)
    """The sum twice."""

    def elaborate(self, platform):
        m = Module()
        total = self.wide[:40]
        m.d.sync += total.eq(total + self.more)
        m.d.sync += self.wide[50:].eq(total + self.more)
        m.d.comb += self.narrow.eq(total[:7] ^ self.flip.replicate(7))
        return m


def _adder() -> Recording:
    """A recording of it; the reset is up in the first cycles."""
    text, ports = to_verilog(Adder(), "ringwalker")
    choose = np.random.default_rng(1)
    more = choose.integers(0, 1 << 40, CYCLES, np.int64).tolist()
    flips = choose.integers(0, 2, CYCLES).tolist()
    values: dict[str, list[int]] = {"more": more, "flip": flips, "rst": [n < 3 for n in range(CYCLES)]}
    totals = [0]
    for cycle in range(CYCLES - 1):
        totals.append(0 if values["rst"][cycle] else (totals[-1] + more[cycle]) % (1 << 40))
    values["narrow"] = [(total ^ 127 * flip) & 127 for total, flip in zip(totals, flips, strict=True)]
    values["wide"] = [total << 50 | total for total in totals]
    slots = recording._slots(ports, "input"), recording._slots(ports, "output")

    def changes(name: str) -> list[tuple[int, int]]:
        found = [(2 * cycle - (cycle > 0), int(value)) for cycle, value in enumerate(values[name])]
        return [pair for n, pair in enumerate(found) if n == 0 or pair[1] != found[n - 1][1]]

    rows = [recording._rows(some, changes, 2, CYCLES) for some in slots]
    return Recording(DeviceConfig(), text, *slots, *rows, begin=10)


def _spoiled(whole: Recording) -> Recording:
    """It, with one bit of an output wrong in one cycle."""
    outputs = whole.outputs.copy()
    outputs[20, 2] ^= 4
    return dataclasses.replace(whole, outputs=outputs)


def test_ports_are_in_words_of_their_own():
    whole = _adder()
    assert [(slot.port.name, slot.first, slot.words) for slot in whole.input_slots] == [
        ("rst", 0, 1),
        ("more", 1, 2),
        ("flip", 3, 1),
    ]
    assert [(slot.port.name, slot.first, slot.words) for slot in whole.output_slots] == [
        ("narrow", 0, 1),
        ("wide", 1, 3),
    ]
    assert whole.inputs[:4, 0].tolist() == [1, 1, 1, 0]
    assert whole.first(7).cycles == 7


def test_amaranth_replays_and_sees_a_difference():
    whole = _adder()
    assert replay_component(Adder(), whole).different == 0
    timing = replay_component(Adder(), _spoiled(whole))
    assert (timing.different, timing.cycles) == (1, 40)


@pytest.mark.skipif(no_icarus() is not None, reason="Icarus Verilog is not installed")
def test_icarus_replays_and_sees_a_difference():
    whole = _adder()
    replay = icarus(whole, lambda _text: None)
    assert replay(whole).different == 0
    assert replay(_spoiled(whole)).different == 1


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(partial(compiled.verilator_loop, 1), marks=pytest.mark.slow),
        pytest.param(compiled.cxxrtl, marks=pytest.mark.campaign),  # yosys alone takes a minute
    ],
)
def test_a_compiled_model_replays_and_sees_a_difference(build):
    if build is compiled.cxxrtl and compiled.no_cxxrtl():
        pytest.skip("Yosys is not installed")
    whole = _adder()
    replay = build(whole, lambda _text: None)
    assert replay(whole).different == 0
    timing = replay(_spoiled(whole))
    assert (timing.different, timing.cycles) == (1, 40)
    assert timing.cpu_s >= 0


@pytest.mark.slow
def test_the_model_of_the_native_engine_replays_a_device():
    case = Case(data_width=64, link="gen2x4", device_queues=4, queue_size=32, depth=8, requests=12, size=512)
    assert case.config == SMALL_BLK
    whole = record_case(case, lambda _text: None)
    assert whole.cycles - whole.begin > 100
    timing = compiled.native(False, whole, lambda _text: None)(whole)
    assert timing.different == 0
    spoiled = dataclasses.replace(whole, inputs=np.roll(whole.inputs, 1, axis=0))
    assert compiled.native(False, whole, lambda _text: None)(spoiled).different > 0


def _contender(name: str, seconds: list[float], **options) -> Contender:
    left = iter(seconds)
    return Contender(
        name, lambda _whole, _say: lambda part: Timing(part.cycles, next(left), 1.0, 0), **options
    )


def _failing(_whole: Recording, _say: Any) -> Any:
    raise ToolError("Yosys failed")


def test_fast_ones_run_in_turn_and_the_best_counts():
    rows = league_rows(
        _adder(),
        contenders=[
            _contender("Verilator, plain loop", [2.0, 1.0, 4.0]),
            _contender("slow", [5.0], most_cycles=20),
            _contender("two", [9.0, 9.0, 9.0], cores=2),
            Contender("gone", _failing, lambda: "pip install gone"),
            Contender("broken", _failing),
        ],
    )
    lines = league_table(rows).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["Verilator, plain loop", "50", "1.00", "50", "1", "all"]
    assert cells[1] == ["slow", "30", "5.00", "6", "0.12", "all"]
    assert cells[2] == ["two", "50", "1.00", "50", "1", "all"]
    assert cells[3][:2] == ["gone", "not installed (pip install gone)"]
    assert cells[4][:2] == ["broken", "Yosys failed"]
    assert league_table([rows[0] | {"different": 3}]).endswith("| all but 3 |")
