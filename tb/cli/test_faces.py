"""`--face` and `--driver-face`: what the device shows of registers, and what the driver uses of that."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.performance.cases import Case
from ringwalker_sim.performance.report import case_of


def _run(folder: Path, words: str) -> dict[str, Any]:
    assert main([*words.split(), "--json", str(folder / "x.json")]) == 0
    return json.loads((folder / "x.json").read_text())


@pytest.mark.parametrize(
    ("words", "face", "driver_face"),
    [
        ("", "modern", "modern"),
        ("--face transitional", "transitional", "modern"),
        ("--face transitional --driver-face legacy --interrupt intx", "transitional", "legacy"),
        ("--face legacy --ring both", "legacy", "legacy"),
        ("--face legacy --interface 2.6.24", "legacy", "legacy"),
        ("--face legacy --transport memory", None, None),
    ],
)
def test_a_run_says_which_registers_were_used(
    words: str,
    face: str | None,
    driver_face: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run(tmp_path, f"run rng --engine model --bytes 100 {words}")
    assert (result["face"], result["driver_face"], result["errors"]) == (face, driver_face, 0)


def test_a_file_chooses_the_face_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text('face = "transitional"\nlegacy_io = false\n')
    result = _run(tmp_path, "run rng --engine model --config my.toml --driver-face legacy --bytes 64")
    assert (result["face"], result["driver_face"]) == ("transitional", "legacy")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run blk --face legacy --ring packed", "face is 'legacy' and ring is 'packed'"),
        ("run blk --face transitional --ring packed", "face is 'transitional' and ring is 'packed'"),
        ("lspci --face legacy --ring packed", "face is 'legacy' and ring is 'packed'"),
        ("verilog -o x --face legacy --ring packed", "face is 'legacy' and ring is 'packed'"),
        ("serve --face legacy --ring packed", "face is 'legacy' and ring is 'packed'"),
        ("bench --face legacy --ring packed", "face is 'legacy' and ring is 'packed'"),
        ("run blk --driver-face legacy", "driver_face is 'legacy'; a device whose face is 'modern'"),
        ("run net --face legacy --driver-face modern", "driver_face is 'modern'; a device whose face is"),
        ("bench --face legacy --driver-face modern", "driver_face is 'modern'; a device whose face is"),
        ("bench --face sideways", "face is 'sideways'"),
        ("bench --face legacy --in-order", "in_order is True; a legacy driver cannot ask for that"),
        (
            "run blk --face legacy --interrupt msi",
            "--interrupt msi: the device has no MSI; a configuration with",
        ),
        ("run blk --face legacy --in-order", "--in-order: a legacy driver cannot ask for that"),
        ("run blk --transport pipe --driver-face legacy", "--driver-face: a device on transport pipe has no"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(
    words: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ringwalker: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "device", "revision", "bars"),
    [
        ("", 0x1042, 1, {1: "memory", 4: "memory"}),
        ("--face transitional", 0x1001, 0, {0: "io", 1: "memory", 4: "memory"}),
        ("--face legacy", 0x1001, 0, {0: "io", 1: "memory"}),
    ],
)
def test_lspci_shows_what_the_face_makes_of_the_function(
    words: str, device: int, revision: int, bars: dict[int, str], tmp_path: Path
) -> None:
    result = _run(tmp_path, f"lspci --engine model --preset oasis {words}")
    (function,) = result["functions"]
    header = function["header"]
    assert (header["device_id"], header["revision_id"]) == (device, revision)
    assert {bar["index"]: "io" if bar["io"] else "memory" for bar in function["bars"]} == bars


def test_a_row_of_figures_from_before_there_was_a_choice_is_of_the_modern_face() -> None:
    case = Case(size=512)
    row = {name: value for name, value in case.key.items() if "face" not in name}
    assert case_of(row) == case
    assert case.arguments == ["--direction", "read", "--size", "512"]
    other = Case(face="transitional", driver_face="legacy")
    assert case_of(other.key) == other
    assert other.arguments[-4:] == ["--face", "transitional", "--driver-face", "legacy"]
    assert Case(face="legacy").arguments[-2:] == ["--face", "legacy"]
