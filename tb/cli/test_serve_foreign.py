"""The command ``serve --rtl``: what it refuses, and what its options come to."""

import argparse
from pathlib import Path

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.cli.serve_foreign import foreign_device_of
from ringwalker_sim.foreign.device import ForeignDevice
from ringwalker_sim.host.link import LINKS

FOLDER = Path("examples/foreign_axi").resolve()
RTL = ("--rtl", str(FOLDER / "dma_engine.v"))
BOTH = (*RTL, "--map", str(FOLDER / "ports.toml"))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (FOLDER / "ports.toml").read_text()
    Path("short.toml").write_text(text.replace('port = "irq"', 'port = "interrupt"'))
    Path("bad.v").write_text("module bad(input clk;\n")


def parse(*arguments: str) -> argparse.Namespace:
    return cli.build_parser().parse_args(["serve", *arguments])


def test_a_design_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForeignDevice, "verilog", lambda _self: ("text", []))
    device = foreign_device_of(
        parse(
            *(*BOTH, "--socket", "s", "--waves", "w.fst", "--waves-last", "1k", "--seed", "7"),
            *("--link", "gen2x4", "--clock-mhz", "125", "--latency-ns", "800"),
        )
    )
    assert (device.socket, device.function, device.image, device.seed) == ("s", "dma_engine", None, 7)
    assert device.config.clock_mhz == 125
    host = device.parameters
    assert (host.latency, host.max_payload, host.completion_timeout) == (100, 512, 250_000)
    assert host.link_bytes_per_cycle == LINKS["gen2x4"].bytes_per_cycle(125)
    assert vars(device.waves) == {"path": "w.fst", "first": 0, "last": 1000, "on_error": False}
    assert not device.runs_on
    assert device.design == ("text", [])


def test_without_the_option_it_is_no_design() -> None:
    assert foreign_device_of(parse()) is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (RTL, "--rtl needs --map"),
        (("--map", "short.toml"), "--map and --rtl-include need --rtl"),
        ((*BOTH, "--image", "a.img"), "--image is of no use with --rtl"),
        ((*BOTH, "--data-width", "64"), "--data-width is of no use with --rtl"),
        ((*BOTH, "--waves", "w.vcd"), "must end with .fst"),
        ((*BOTH, "--waves-last", "5"), "--waves-last needs --waves"),
        ((*BOTH, "--socket", "no/s"), "there is no folder no"),
        ((*RTL, "--map", "absent.toml"), "absent.toml: No such file"),
        ((*RTL, "--map", "short.toml"), "short.toml: interrupt[0].port: dma_engine has no port interrupt"),
        (("--rtl", "absent.v", "--map", "short.toml"), "absent.v: no such file"),
        (("--rtl", "bad.v", "--map", "short.toml"), "bad.v:1:21: syntax error"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
