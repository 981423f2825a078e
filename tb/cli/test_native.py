"""The command line on the real device, on the native engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.workload.images import default_image, find_program

NARROW = ("--config", "narrow.toml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    Path("narrow.toml").write_text(SMALL_BLK.to_toml())


def run(*arguments: str) -> dict[str, Any]:
    """``ringwalker run blk`` without an error; the figures."""
    assert cli.main(["run", "blk", *NARROW, "--json", "run.json", *arguments]) == 0
    return json.loads(Path("run.json").read_text())


@pytest.mark.slow
def test_an_ext4_image_survives_the_way_through_the_device() -> None:
    original = default_image(Path("original.img"))
    Path("disk.img").write_bytes(np.random.default_rng(2).bytes(original.stat().st_size))
    result = run("--image", "disk.img", "--write-all", "original.img", "--read-all", "back.img")
    assert result["bytes"] == 2 * original.stat().st_size
    for name in ("disk.img", "back.img"):
        assert Path(name).read_bytes() == original.read_bytes()
    try:
        check = find_program("e2fsck")
    except ToolError:
        pytest.skip("e2fsck is not installed")
    subprocess.run([check, "-fn", "disk.img"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("width", "mib"),
    [
        pytest.param("64", 2, marks=pytest.mark.slow),
        *(pytest.param(width, 16, marks=pytest.mark.campaign) for width in ("64", "128", "256", "512")),
    ],
)
def test_random_images_go_both_ways_at_every_width(width: str, mib: int) -> None:
    random = np.random.default_rng(int(width))
    for name in ("disk.img", "new.img"):
        Path(name).write_bytes(random.bytes(mib << 20))
    disk = Path("disk.img").read_bytes()
    for way in (["--read-all", "before.img"], ["--write-all", "new.img"], ["--read-all", "after.img"]):
        assert cli.main(["run", "blk", "--data-width", width, "--image", "disk.img", *way]) == 0
    assert Path("before.img").read_bytes() == disk
    assert Path("disk.img").read_bytes() == Path("new.img").read_bytes() == Path("after.img").read_bytes()


def test_depth_hides_latency() -> None:
    Path("disk.img").write_bytes(np.random.default_rng(2).bytes(1 << 20))
    cycles = []
    for depth in ("1", "32"):
        arguments = ("--workload", "randread", "--requests", "64", "--queue-depth", depth, "--latency", "500")
        cycles.append(run("--image", "disk.img", *arguments)["cycles"])
    assert cycles[0] > 64 * 500
    # What a width of 64 bits leaves: 4096 bytes take 512 cycles whatever is in flight.
    assert cycles[1] < cycles[0] / 2
    assert cycles[1] < 64 * 600


@pytest.mark.slow
def test_link_clock_and_latency_limit_the_device() -> None:
    Path("disk.img").write_bytes(bytes(2 << 20))
    workload = ("--image", "disk.img", "--workload", "seqread", "--block-size", "32k", "--queue-depth", "8")

    def cycles(*arguments: str) -> int:
        return run(*workload, "--requests", "40", *arguments)["cycles"]

    free, wide, narrow = cycles(), cycles("--link", "gen3x8"), cycles("--link", "gen2x4")
    least = 40 * (32768 / 256) * 280 / (14.44e9 / 8 / 250e6)
    assert free <= wide < narrow
    assert least < narrow < 1.1 * least
    assert cycles("--link", "gen2x4", "--clock-mhz", "500") > 1.9 * narrow
    assert cycles("--latency-ns", "2000") >= free + 1500
    assert cycles("--latency-ns", "500", "--latency-tail-ns", "500") > free


def test_lspci(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lspci", *NARROW]) == 0
    native = capsys.readouterr().out
    assert cli.main(["lspci", *NARROW, "--engine", "model"]) == 0
    assert native == capsys.readouterr().out


@pytest.mark.slow
def test_waves_on_a_disk_that_fills_cost_no_figures(
    small_file_system: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("disk.img").write_bytes(bytes(1 << 20))
    waves = small_file_system / "run.fst"
    (small_file_system / "ballast").write_bytes(bytes((1 << 20) - (24 << 10)))
    arguments = ["run", "blk", *NARROW, "--image", "disk.img", "--requests", "20", "--json", "run.json"]
    assert cli.main([*arguments, "--waves", str(waves)]) == 2
    printed = capsys.readouterr()
    line = f"{waves}: cannot be written: No space left on device"
    assert printed.err == f"ringwalker: {line}\n"
    assert "bytes a cycle" in printed.out
    figures = json.loads(Path("run.json").read_text())
    assert (figures["requests"], figures["errors"], figures["unwritten"]) == (20, 0, [line])
    assert not waves.exists(), "what no viewer can read"


@pytest.mark.slow
def test_ctrl_c_leaves_readable_waves() -> None:
    reader = shutil.which("fst2vcd")
    disk = Path("disk.img")
    disk.write_bytes(bytes(1 << 20))
    arguments = ["--workload", "randwrite", "--requests", "10m", "--waves", "run.fst"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ringwalker_sim.cli.main",
            "run",
            "blk",
            *NARROW,
            "--image",
            "disk.img",
            *arguments,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 400
    while not disk.read_bytes().strip(b"\0") and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "ringwalker: interrupted\n")
    assert Path("run.fst").stat().st_size > 1000
    with DiskImage(disk):
        pass
    assert "data_width = 64" in Path("run.toml").read_text()
    assert cli.main(["waves", "run.fst"]) == 0
    assert "device.core.notify.doorbells__valid" in Path("run.gtkw").read_text()
    if reader:
        done = subprocess.run([reader, "-f", "run.fst"], capture_output=True, check=True)
        assert done.stdout.count(b"$var") > 100
        assert b"\n#" in done.stdout
