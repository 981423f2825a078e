"""`ringwalker run`: which function is run, and what runs of all functions have in common."""

import json
from pathlib import Path

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.cli.options import UsageError
from ringwalker_sim.cli.run import split_function


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("lspci --function a:B", ("lspci --function a:B", None)),
        ("run blk --seed 1", ("run blk --seed 1", None)),
        ("run --function net --seed 1", ("run net --seed 1", None)),
        ("run --function=net --seed 1", ("run net --seed 1", None)),
        ("run --function a.b:C --seed 1", ("run a.b:C --seed 1", "a.b:C")),
        ("run --seed 1 --function a.b:C", ("run a.b:C --seed 1", "a.b:C")),
        ("run a.b:C --seed 1", ("run a.b:C --seed 1", "a.b:C")),
        ("run --help", ("run --help", None)),
    ],
)
def test_the_function_is_found_among_the_words(words: str, wanted: tuple[str, str | None]) -> None:
    found, own = split_function(words.split())
    assert (" ".join(found), own) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run blk --function net", "--function net: the function is blk already"),
        ("run --function", "--function: it needs a name"),
    ],
)
def test_one_function_is_run(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_function(words.split())


@pytest.mark.parametrize("function", ["blk", "net", "console"])
def test_every_result_says_how_it_came_about(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--transport", "memory", "--interface", "2007-09", "--seed", "3", "--json", "x.json"]
    assert main(["run", function, *options]) == 0
    result = json.loads((tmp_path / "x.json").read_text())
    wanted = {"engine": "model", "transport": "memory", "interface": "2007-09", "seed": 3, "errors": 0}
    assert {name: result[name] for name in wanted} == wanted
    assert result["clock_mhz"] == 250
    assert {"tlps", "messages", "wall_s", "cycles_per_second", "cycles_total"} <= set(result)
    assert "shown" not in result


def test_help_names_the_door_for_functions_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    assert "ringwalker run --function crc32:KIND" in capsys.readouterr().out
