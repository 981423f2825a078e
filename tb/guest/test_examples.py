"""The examples of the documentation run, and are as short as they say."""

import runpy
from pathlib import Path

import pytest

from ringwalker_sim.guest.history import INTERFACES

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def test_a_device_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    path = EXAMPLES / "crc32.py"
    assert len(path.read_text().splitlines()) < 60
    runpy.run_path(str(path), run_name="__main__")
    expected = [
        f"{interface:8} {kind} device 0x40: 0xcbf43926"
        for interface in INTERFACES
        for kind in ("memory", "pipe")
    ]
    assert capsys.readouterr().out.splitlines() == expected
