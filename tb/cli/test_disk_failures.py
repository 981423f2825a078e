"""``ringwalker run blk`` when the store under the image fails in the middle, on every engine."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.engine.engines import run_on_engine
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job


@pytest.mark.parametrize("engine", ["model", "native", pytest.param("cocotb", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_answers_with_an_error(
    small_file_system: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    engine: str,
) -> None:
    monkeypatch.chdir(small_file_system)
    Path("narrow.toml").write_text(SMALL_BLK.to_toml())
    Path("s.img").touch()
    os.truncate("s.img", 8 << 20)
    arguments = ["--workload", "randwrite", "--block-size", "512", "--requests", "400", "--engine", engine]
    output = str(tmp_path / "run.json")
    words = ["run", "blk", "--config", "narrow.toml", "--image", "s.img", *arguments, "--json", output]
    assert cli.main(words) == 1
    result = json.loads(Path(output).read_text())
    assert result["requests"] == 400, "the device lives"
    assert 0 < result["errors"] < 400
    assert all(message.endswith(": IOERR") for message in result["messages"]), result["messages"]
    (line,) = caplog.messages
    assert line.startswith("s.img: writing at byte ")
    assert line.endswith(": No space left on device")


def _cut_soon(engine: str, path: Path, **workload: Any) -> dict[str, Any]:
    """A run in which the image is cut to nothing as soon as it has made progress."""
    path.write_bytes(np.random.default_rng(1).bytes(1 << 20))
    job = Job(BlockTask(Workload(queue_depth=4, **workload)), image=str(path))
    return run_on_engine(engine, SMALL_BLK, job, progress=lambda _name, _done, _total: os.truncate(path, 0))


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        ("model", "randread"),
        ("model", "randrw"),
        ("native", "randread"),
        ("native", "randrw"),
        pytest.param("cocotb", "randrw", marks=pytest.mark.slow),
        pytest.param("cocotb", "randread", marks=pytest.mark.campaign),
    ],
)
def test_an_image_that_is_cut_answers_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, engine: str, kind: str
) -> None:
    path = tmp_path / "disk.img"
    requests = {"model": 100, "native": 2000, "cocotb": 800}[engine]
    result = _cut_soon(engine, path, kind=kind, block_size=512, requests=requests)
    assert result["requests"] == requests, "the device lives"
    assert 0 < result["errors"] <= requests
    assert path.stat().st_size == 0
    assert result["disk_failures"] == caplog.messages
    assert all(f"{path}: " in line and "shorter than it was" in line for line in caplog.messages)
    assert len(caplog.messages) <= 2, "one for reading, one for writing"
    assert all("IOERR" in text or "shorter" in text for text in result["messages"]), result["messages"]
