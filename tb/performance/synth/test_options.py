"""Faces and options of a device, and the parts of the page that are measured by themselves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringwalker.config import PciOptions
from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance.synth import measure
from ringwalker_sim.performance.synth.cases import CASES, FACES_AND_OPTIONS, ROM_BYTES, SMALL, Option
from ringwalker_sim.performance.synth.report import page

DOCS = Path(__file__).resolve().parents[3] / "docs"
FIRST, SECOND = (case.name for case in CASES)


def test_an_option_is_called_what_stands_in_the_file():
    assert Option({"suspend": True}).name == "suspend = true"
    assert Option({"face": "legacy", "pci": {"msi": 2}}).name == 'face = "legacy", pci.msi = 2'
    assert Option({"suspend": True}, "rests").name == "rests"


def test_an_option_changes_nothing_else(tmp_path):
    config = Option({"pci": {"rom": "x.rom", "msi": 1}, "suspend": True}).config(SMALL, tmp_path)
    assert (config.suspend, config.pci.msi, len(config.pci.rom_content)) == (True, 1, ROM_BYTES)
    assert replace(config, pci=PciOptions(), suspend=False) == SMALL


def test_the_first_of_the_options_is_the_device_itself(tmp_path):
    (case,) = (case for case in CASES if case.options)
    first, *others = (option.config(case.config, tmp_path) for option in case.options)
    assert first == case.config
    assert all(config != first for config in others)
    assert case.options == FACES_AND_OPTIONS


def test_the_first_option_has_its_blocks_beside_the_whole(monkeypatch):
    def block(name: str, lut: int, *inside: Any) -> dict[str, Any]:
        return {"name": name, "counts": {"lut": lut}, "parts": list(inside)}

    tree = block(
        "device", 9, block("b", 7, block("c", 3, block("d", 2, block("f", 2, block("g", 1))))), block("e", 2)
    )
    monkeypatch.setattr(measure, "verilog_of", lambda config, _say: config.to_toml())
    monkeypatch.setattr(measure, "logic", lambda text, *_rest: {"counts": {"lut": len(text)}})
    monkeypatch.setattr(measure, "area", lambda *_arguments: tree)
    first, *others = measure.measure_options(CASES[0])
    assert first["counts"] == {"lut": len(SMALL.to_toml())}
    assert {path: counts["lut"] for path, counts in first["blocks"].items()} == {
        "b": 7,
        "b.c": 3,
        "b.c.d": 2,
        "b.c.d.f": 2,
        "e": 2,
    }
    assert [item["name"] for item in others] == [option.name for option in FACES_AND_OPTIONS[1:]]
    assert [item["settings"] for item in others] == [option.settings for option in FACES_AND_OPTIONS[1:]]


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """What is measured, in place of measuring it."""
    done: list[str] = []

    def device(case: Any, _progress: Any) -> dict[str, Any]:
        done.append(case.name)
        return {"name": case.name, "age": "new"}

    def options(case: Any, _progress: Any) -> list[str]:
        done.append(f"options of {case.name}")
        return ["new"]

    monkeypatch.setattr(measure, "measure_case", device)
    monkeypatch.setattr(measure, "measure_options", options)
    return done


OLD = [{"name": name, "age": "old", "options": ["old"], "before": "recorded"} for name in (FIRST, SECOND)]


@pytest.mark.parametrize(
    ("only", "done"),
    [
        (None, [FIRST, f"options of {FIRST}", SECOND]),
        ("Options", [f"options of {FIRST}"]),
        ("256", [SECOND]),
        ("bits", [FIRST, SECOND]),
    ],
)
def test_what_is_not_wanted_stays(measured, only, done):
    *_earlier, last = measure.measure_page(measure.parts(only), OLD)
    assert measured == done
    assert [item["age"] for item in last] == ["new" if name in done else "old" for name in (FIRST, SECOND)]
    assert last[0]["options"] == ["new" if f"options of {FIRST}" in done else "old"]
    assert last[0]["before"] == "recorded"


def test_there_is_a_page_after_each_part(measured):
    ages = [[item["age"] for item in found] for found in measure.measure_page(measure.parts(), [])]
    assert ages == [["new"], ["new"], ["new", "new"]]


def _devices() -> list[dict[str, Any]]:
    return json.loads((DOCS / "synthesis.json").read_text())["devices"]


def test_differences_are_to_the_first_line():
    def counts(lut: int) -> dict[str, int]:
        return dict.fromkeys(("lut", "ff", "bram", "lutram", "carry", "mux", "dsp"), 0) | {
            "lut": lut,
            "ff": 7,
        }

    blocks = {"b": counts(90), "b.c": counts(61), "d": counts(5)}
    rows = [
        {"name": "a = 1", "counts": counts(1000), "blocks": blocks},
        {"name": "both", "counts": counts(1200)},
    ]
    before = {
        "subject": "So.",
        "note": "Why.",
        "counts": counts(1005),
        "blocks": {"b.c": counts(60), "b": counts(90)},
    }
    device = {**_devices()[1], "options": rows, "before": before}
    text = page([device])
    assert "|  | LUT | FF |\n|---|---|---|\n| `a = 1` | 1,000 | 7 |\n| both | 1,200 (+200) | 7 |" in text
    assert 'after the commit "So."' in text
    assert "as above. Why.\n" in text
    assert "| **whole** | 1,000 (-5) | 7 |\n| b.c | 61 (+1) | 7 |\n| b | 90 | 7 |" in text
    assert "Faces and options" not in page([_devices()[1]])


def test_only_one_part_by_command(measured, tmp_path, monkeypatch, capsys):
    (tmp_path / "synthesis.json").write_text((DOCS / "synthesis.json").read_text())
    kept = _devices()[1]
    monkeypatch.setattr(
        measure, "measure_case", lambda case, _progress: {**kept, "name": case.name, "block": "x"}
    )
    assert cli.main(["synth", "--docs", str(tmp_path), "--only", "256"]) == 0
    devices = json.loads((tmp_path / "synthesis.json").read_text())["devices"]
    assert [item["block"] for item in devices] == ["", "x"]
    assert (tmp_path / "synthesis.md").read_text() == page(devices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "options"), "--only is about what --docs measures"),
        (("--docs", ".", "--only", "nothing"), f"there is no such part; there are {FIRST}; {SECOND}; faces"),
        (("--docs", ".", "--only", "options"), "synthesis.json: No such file"),
    ],
)
def test_parts_that_cannot_be_measured(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["synth", *arguments]) == 2
    assert message in capsys.readouterr().err
