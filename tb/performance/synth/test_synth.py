"""Synthesis by the real tools, of small blocks; the command; and the page that is committed."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.verilog import to_verilog
from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance.report import page as performance_page
from ringwalker_sim.performance.synth import flow
from ringwalker_sim.performance.synth.cases import CASES, SMALL
from ringwalker_sim.performance.synth.report import page
from ringwalker_sim.performance.synth.targets import TARGETS

DOCS = Path(__file__).resolve().parents[3] / "docs"
DEVICES = json.loads((DOCS / "synthesis.json").read_text())["devices"]


class Parity(Component):
    """The parity of 16 bits in a register: two levels of LUTs of four inputs, or of six."""

    i: In(16)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        held = Signal(16)
        m.d.sync += [held.eq(self.i), self.o.eq(held.xor())]
        return m


@pytest.fixture
def parity(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    return to_verilog(Parity(), flow.TOP)[0]


@pytest.mark.parametrize(
    ("target", "inputs"),
    [
        pytest.param("ecp5", 4, marks=pytest.mark.slow),
        pytest.param("ice40", 4, marks=pytest.mark.campaign),
        pytest.param("xilinxup", 6, marks=pytest.mark.slow),
    ],
)
def test_a_block_that_can_be_counted_by_hand(parity, target, inputs):
    whole = flow.logic(parity, "", TARGETS[target])
    # Each LUT takes ``inputs`` signals and leaves one, so that many are needed at least.
    assert -(-15 // (inputs - 1)) <= whole["counts"]["lut"] <= 5
    assert whole["counts"]["ff"] == 17
    # Pins of a LUT of Xilinx differ in delay, so three levels can be faster there.
    assert 2 <= whole["paths"][0]["luts"] <= (3 if target == "xilinxup" else 2)
    assert whole["paths"][0]["end"] == "o"
    tree = flow.area(parity, "", TARGETS[target])
    assert tree["counts"] == whole["counts"]


@pytest.mark.slow
def test_place_and_route(parity):
    run = flow.place_and_route(parity, "", TARGETS["ecp5"], flow.Chip("25k", 6, 100.0), seed=1)
    assert 100 < run["mhz"] < 1000
    # The block's own, and a register for each input, two for each output.
    assert run["used"]["TRELLIS_FF"] == 17 + 17 + 2
    assert run["slowest"]["ns"] <= 1000 / run["mhz"] + 0.1


def test_blocks_are_called_by_their_instances_in_the_device():
    names = ("ringwalker", "ringwalker__device", "ringwalker__device__edge", "ringwalker__device__core__isr")
    assert flow.block_modules("".join(f"module {name}(clk);\nendmodule\n" for name in names)) == {
        "": "ringwalker",
        "edge": "ringwalker__device__edge",
        "core.isr": "ringwalker__device__core__isr",
    }


@pytest.mark.slow
def test_results_are_kept(parity, monkeypatch):
    first = flow.logic(parity, "", TARGETS["ecp5"])
    monkeypatch.setattr(flow, "run_tool", lambda *_arguments: pytest.fail("the tool ran again"))
    assert flow.logic(parity, "", TARGETS["ecp5"]) == first


@pytest.mark.slow
def test_one_block_by_command(tmp_path, capsys):
    config = tmp_path / "small.toml"
    config.write_text(SMALL.to_toml())
    command = [
        "synth",
        "--target",
        "ecp5",
        "--block",
        "core.interrupts",
        "--config",
        str(config),
        "--json",
        "-",
    ]
    assert cli.main([*command, "--freq", "20", "--device", "25k"]) == 0
    output = capsys.readouterr()
    (result,) = json.loads(output.out)["devices"]
    assert result["counts"]["ff"] > 10
    assert result["mhz"] > 20
    assert result["chip"] == {"device": "25k", "speed": 6, "freq": 20.0}
    assert "interrupts" in output.err
    assert cli.main([*command, "--freq", "999", "--device", "25k"]) == 1
    assert "seed 1 reaches" in capsys.readouterr().err


def test_the_page_is_made_of_the_figures(tmp_path):
    assert (DOCS / "synthesis.md").read_text() == page(DEVICES), "ringwalker synth --docs docs"
    source = str(DOCS / "synthesis.json")
    assert cli.main(["synth", "--from", source, "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "synthesis.md").read_text() == page(DEVICES)
    assert not (tmp_path / "performance.md").exists()


def test_the_summary_stands_in_the_page_of_performance(tmp_path):
    figures = (DOCS / "performance.json").read_text()
    (tmp_path / "performance.json").write_text(figures)
    assert cli.main(["synth", "--from", str(DOCS / "synthesis.json"), "--docs", str(tmp_path)]) == 0
    text = (tmp_path / "performance.md").read_text()
    assert text == performance_page(json.loads(figures)["rows"], DEVICES)
    for device in DEVICES:
        assert (
            f"| {device['name']} | {TARGETS[device['target']].family} | {device['counts']['lut']:,} |" in text
        )
        assert all(f"| {item['what']} |" in text for item in device["goals"])


def _all_said(config: DeviceConfig) -> DeviceConfig:
    """The same device, with nothing of its identity left to presets."""
    return replace(config, identity=config.resolved_identity)


def test_the_page_is_about_the_devices_that_are_measured():
    measured = [
        (item["name"], item["target"], _all_said(DeviceConfig.from_dict(tomllib.loads(item["config"]))))
        for item in DEVICES
    ]
    assert measured == [(case.name, case.target, _all_said(case.config)) for case in CASES]
    assert [len(item["routed"]) for item in DEVICES] == [case.seeds for case in CASES]
    for item, case in zip(DEVICES, CASES, strict=True):
        given = [(option["name"], option["settings"]) for option in item.get("options", ())]
        assert given == [(option.name, option.settings) for option in case.options]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--block", "gather"),
            "there is no block 'gather'; there are core.walker.lane0.dispatch.gather, core",
        ),
        (("--block", "nothing"), "there is no block 'nothing'; there are core, core.common, core.faces"),
        (
            ("--target", "ice40", "--seeds", "3"),
            "--seeds: there is place and route for ecp5 only, not for ice40",
        ),
        (("--no-pnr", "--speed", "7"), "--speed is about place and route, which --no-pnr leaves out"),
        (("--docs", "docs", "--target", "ecp5"), "--target is about one device"),
        (("--docs", "nowhere"), "--docs nowhere: is not a folder"),
        (("--from", "nowhere.json"), "nowhere.json: No such file"),
        (("--from", "README.md"), "README.md: is not what 'ringwalker synth' has written"),
        (("--json", "nowhere/a.json"), "--json nowhere/a.json: there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert cli.main(["synth", *arguments]) == 2
    *progress, error = capsys.readouterr().err.splitlines()
    assert message in error
    assert not [line for line in progress if "--" in line]
