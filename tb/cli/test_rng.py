"""``ringwalker run rng``: bytes for a file, the same for the same seed whatever carries them."""

import json

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.testing.devices import SMALL_RNG


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rng.toml").write_text(SMALL_RNG.to_toml())


@pytest.mark.parametrize(
    "way",
    [
        ("--engine", "model"),
        pytest.param(("--engine", "native", "--config", "rng.toml"), marks=pytest.mark.slow, id="native"),
        ("--transport", "memory", "--interface", "2007-09"),
        ("--transport", "pipe", "--interface", "2007-05"),
    ],
    ids=lambda way: way[1],
)
def test_the_bytes_of_the_source_arrive(way, tmp_path, capsys):
    assert (
        main(["run", "rng", *way, "--bytes", "20k", "--seed", "5", "--output", "noise", "--json", "-"]) == 0
    )
    assert (tmp_path / "noise").read_bytes() == NoiseSource(5).take(20_000)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["errors"], figures["directions"][0]["bytes"]) == (0, 20_000)


def test_bytes_on_standard_output(capsysbinary):
    assert main(["run", "rng", "--engine", "model", "--bytes", "9", "--output", "-"]) == 0
    assert capsysbinary.readouterr().out == NoiseSource(1).take(9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bytes", "0"), "'0' is not a whole number from 1 up"),
        (("--output", "-", "--json", "-"), "cannot both have standard output"),
        (("--output", "no/where"), "--output no/where: there is no folder no"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(arguments, message, capsys):
    try:
        code = main(["run", "rng", "--engine", "model", *arguments])
    except SystemExit as error:  # argparse's own
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err
