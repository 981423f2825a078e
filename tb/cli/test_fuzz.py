"""The command ``fuzz``: what it refuses, what it shows and writes, and its exit codes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli import fuzz_run
from ringwalker_sim.cli.fuzz_run import finding_lines
from ringwalker_sim.cli.main import main
from ringwalker_sim.fuzz import netlist, results
from ringwalker_sim.fuzz.campaign import DeviceResult, Plan
from ringwalker_sim.fuzz.page import FIGURES, PAGE
from ringwalker_sim.fuzz.target import DEVICES

DOCS = Path(__file__).resolve().parents[2] / "docs"
DEVICE = "rng:packed:modern"
GOOD = f"device {DEVICE}\nsetup msix\nrecovery status\nwait 5\n"
VAIN = GOOD + "expect memory 0x20000 2 0x7 within 50\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--list"]) == 0
    assert capsys.readouterr().out.split() == list(DEVICES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "blk"], "--device blk: there are blk:split:modern"),
        (["--resume"], "--resume: --corpus names the folder"),
        (["--resume", "--corpus", "none"], "--resume: there is no campaign in none"),
        (["--waves", "w.fst"], "--waves: they are of the cases of --case"),
        (["--case", "none"], "--case none: "),
        (["--case", "text"], "--case text: names no device that there is"),
        (["--case", "good", "--waves", "w.vcd"], "--waves w.vcd: the name must end with .fst"),
        (["--json", "none/figures.json"], "--json none/figures.json: there is no folder none"),
        (["--from", "figures.json"], "--from: it is for --docs"),
    ],
)
def test_what_cannot_be_done_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("some text\n")
    (tmp_path / "good").write_text(GOOD)
    assert main(["fuzz", *words]) == 2
    assert said in capsys.readouterr().err


def test_cases_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good").write_text(GOOD)
    (tmp_path / "vain").write_text(VAIN)
    assert main(["fuzz", "--case", "good"]) == 0
    assert "nothing was found" in capsys.readouterr().out
    assert main(["fuzz", "--case", "vain"]) == 1
    assert "expected: 0x0 at 0x20000 of memory, not 0x7" in capsys.readouterr().out


def test_a_campaign_in_a_folder_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fuzz", "--device", DEVICE, "--no-coverage", "--corpus", "kept", "--json", "figures.json"]
    assert main([*words, "--cases", "20"]) == 0
    assert main([*words, "--cases", "20"]) == 2
    assert "--corpus kept: a campaign is there; --resume goes on with it" in capsys.readouterr().err
    first = json.loads((tmp_path / "figures.json").read_text())
    assert main([*words, "--cases", "20", "--resume"]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures == first
    (device,) = figures["devices"]
    assert (figures["cases"], device["cases"], device["findings"]) == (20, 20, [])
    assert list(device["hardware"].values()) == [20]


def test_findings_of_one_rule_are_one_line() -> None:
    found = [{"number": number, "rule": rule, "text": "so"} for number, rule in enumerate(("read", "link"))]
    devices = [
        {"device": "one", "findings": [*found, {**found[0], "number": 8}]},
        {"device": "two", "findings": found[:1]},
    ]
    assert list(finding_lines({"devices": devices})) == [
        "one case 0: read: so (and 1 more)",
        "one case 1: link: so",
        "two case 0: read: so",
    ]


def test_without_yosys_a_campaign_says_which_extra_shows_what_has_toggled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = DeviceResult(DEVICE, cases=5, toggled=["text"])
    monkeypatch.setattr(fuzz_run, "campaign_results", lambda _options: (Plan((DEVICE,), 5), [counted]))
    monkeypatch.setattr(fuzz_run, "can_read_netlists", lambda: False)
    assert main(["fuzz", "--device", DEVICE, "--cases", "5"]) == 0
    said = capsys.readouterr()
    assert (
        said.err.count(
            "what has toggled is not shown: pyosys is not installed: pip install 'ringwalker[prove]'"
        )
        == 1
    )
    assert DEVICE in said.out


def test_without_yosys_nothing_is_measured_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(netlist, "can_read_netlists", lambda: False)
    assert main(["fuzz", "--docs", str(tmp_path), "--cases", "5"]) == 1
    assert "pip install 'ringwalker[prove]'" in capsys.readouterr().err


@pytest.mark.parametrize("findings", [[], [{"number": 3, "rule": "read", "text": "so", "cycle": 9}]])
def test_what_is_found_while_toggles_are_counted_is_the_exit_code(
    findings: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (FIGURES, PAGE):
        shutil.copy(DOCS / name, tmp_path)
    result = DeviceResult(DEVICE, cases=5, findings=findings)
    monkeypatch.setattr(
        fuzz_run, "campaign_results", lambda _options, only_coverage: (Plan((DEVICE,), 5), [result])
    )
    monkeypatch.setattr(results, "coverage_figures", lambda _results, _say: {})
    words = ["fuzz", "--docs", str(tmp_path), "--only", "coverage", "--cases", "5"]
    assert main(words) == (1 if findings else 0)
    assert (f"{DEVICE} case 3: read: so" in capsys.readouterr().err) == bool(findings)
    assert (tmp_path / PAGE).read_text() == (DOCS / PAGE).read_text()
