"""`ringwalker run blk` by every interface on every transport: a whole disk, there and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.guest.opening import INTERFACES, TRANSPORTS
from ringwalker_sim.testing.devices import SMALL_BLK

SECTORS = 256


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "device.toml").write_text(SMALL_BLK.to_toml())
    content = np.random.default_rng(4).integers(0, 256, SECTORS * 512, np.uint8).tobytes()
    (tmp_path / "new.img").write_bytes(content)
    (tmp_path / "disk.img").write_bytes(bytes(len(content)))
    return tmp_path


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_disk_goes_there_and_back(interface: str, transport: str) -> None:
    disk = ["--image", "disk.img", "--write-all", "new.img", "--read-all", "back.img"]
    size = ["--block-size", "4k", "--queue-depth", "8"]
    cell = ["--interface", interface, "--transport", transport]
    arguments = ["run", "blk", "--config", "device.toml", *disk, *size, *cell, "--json", "result.json"]
    assert main(arguments) == 0
    wanted = Path("new.img").read_bytes()
    assert Path("disk.img").read_bytes() == wanted
    assert Path("back.img").read_bytes() == wanted
    result = json.loads(Path("result.json").read_text())
    assert (result["interface"], result["transport"]) == (interface, transport)
    assert result["engine"] == ("native" if transport == "pci" else "model")
    assert (result["errors"], result["bytes"]) == (0, 2 * len(wanted))


def test_hardware_is_not_asked_for_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "blk", "--transport", "pipe", "--engine", "native"]) == 2
    assert "--engine native: transport pipe has no hardware" in capsys.readouterr().err
