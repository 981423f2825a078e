"""``--timeline``: what cannot be recorded or written is said in one line, before anything is built."""

import pytest

from ringwalker_sim.cli.main import main

BLK = ("run", "blk")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*BLK, "--timeline", "no/folder/x"), "--timeline no/folder/x: there is no folder no/folder"),
        ((*BLK, "--timeline", "-"), "a timeline is written to a file"),
        ((*BLK, "--timeline", "x", "--engine", "cocotb"), "for engine native, not cocotb"),
        ((*BLK, "--timeline", "x", "--transport", "memory"), "for engine native, not model"),
        ((*BLK, "--timeline", "x", "--against", "model"), "one device, and --against has two"),
        (("run", "net", "--timeline", "x", "--inter-guest"), "one device, and --inter-guest has two"),
        (("bench", "--timeline", "x"), "--timeline is of one row"),
        (("serve", "--timeline", "x", "--device", "blk", "--device", "blk"), "for one device"),
        (("guest", "--run", "true", "--timeline", "x", "--own-device"), "no timeline"),
        (("guest", "--run", "true", "--timeline", "x", "--compare"), "one device, and --compare has two"),
    ],
)
def test_a_timeline_that_cannot_be(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path
) -> None:
    """One line on standard error, exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
