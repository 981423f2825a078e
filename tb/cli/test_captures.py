"""``--pcap`` and ``--tlp-pcap``: what cannot be captured or written is said before anything is built."""

from pathlib import Path

import pytest

from ringwalker_sim.cli.main import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "blk", "--tlp-pcap", "no/folder/x"), "--tlp-pcap no/folder/x: there is no folder no/folder"),
        (("run", "blk", "--tlp-pcap", "-"), "written to a file, or to a pipe"),
        (("run", "blk", "--pcap", "x"), "--pcap x: blk has no frames; --tlp-pcap has its TLPs"),
        (("run", "net", "--pcap", "x", "--tlp-pcap", "x"), "--pcap writes the same file"),
        (("run", "blk", "--tlp-pcap", "x", "--engine", "cocotb"), "for engine native, not cocotb"),
        (("run", "net", "--pcap", "x", "--transport", "memory"), "for engine native, not model"),
        (("run", "blk", "--tlp-pcap", "x", "--against", "model"), "one device, and --against has two"),
        (("bench", "--tlp-pcap", "x"), "of one row"),
        (("bench", "--pcap", "x", "--direction", "read"), "blk has no frames"),
        (("serve", "--tlp-pcap", "x", "--device", "blk", "--device", "blk"), "for one device"),
        (("serve", "--device", "blk,tlp-pcap=x", "--device", "rng,tlp-pcap=x"), "is given to two devices"),
        (("guest", "--run", "true", "--tlp-pcap", "x", "--own-device"), "no captures"),
        (("guest", "--run", "true", "--tlp-pcap", "x", "--compare"), "one device, and --compare has two"),
    ],
)
def test_a_capture_that_cannot_be(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path
) -> None:
    """One line on standard error, exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]


def test_the_dissector_is_where_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    """It is a file of the package."""
    assert main(["dissector"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.suffix == ".lua"
    assert "Proto(" in path.read_text()
