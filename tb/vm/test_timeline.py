"""``--timeline`` of ``bench``, ``serve`` and ``guest``, on one device: what was done is in the file."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.performance.cases import Case
from ringwalker_sim.testing.devices import SERVED_BLK
from ringwalker_sim.testing.served_guest import with_disk
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.requests import UNKNOWN
from ringwalker_sim.timeline.timeline import Timeline
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vm.setup import GuestSetup

pytestmark = pytest.mark.slow

BUILD_SECONDS = 600
SERVED = ("--data-width", "64")


def whole(path: Path) -> Timeline:
    """A timeline that is complete, whose requests add up."""
    timeline = load(path)
    assert timeline.complete
    assert len(timeline.requests)
    assert (timeline.segments >= 0).all()
    assert (timeline.segments.sum(axis=1) == timeline.latencies).all()
    assert timeline.about["function"] == "blk"
    assert len(timeline.tlps)
    return timeline


def answers_of(timeline: Timeline, size: int) -> int:
    """How many reads of ``size`` bytes the device has answered."""
    return int((timeline.requests["written"] == size + 1).sum())


def test_a_row_of_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its requests is there, and the driver knew it."""
    monkeypatch.setattr(Case, "config", property(lambda _case: SERVED_BLK))
    path = tmp_path / "row.pftrace"
    row = ("--direction", "read", "--size", "512", "--depth", "8", "--requests", "100", "--workers", "1")
    assert main(["bench", *row, "--timeline", str(path)]) == 0
    assert "blk read" in capsys.readouterr().out
    timeline = whole(path)
    assert (timeline.requests["number"] != UNKNOWN).all()
    assert answers_of(timeline, 512) == 100


def test_a_device_that_is_served(tmp_path: Path) -> None:
    """What another process asked of it is written when it is told to end."""
    image, socket, path = tmp_path / "a.img", tmp_path / "s", tmp_path / "run.pftrace"
    image.write_bytes(bytes(1 << 16))
    words = ["serve", *SERVED, "--image", str(image), "--socket", str(socket), "--timeline", str(path)]
    command = [sys.executable, "-m", "ringwalker_sim.cli.main", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        end = time.monotonic() + BUILD_SECONDS
        while not socket.exists():
            assert served.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)

        async def read(_transport: Any, disk: Any) -> None:
            with port.memory.allocate(4096, 4096) as buffer:
                for sector in range(0, 40, 8):
                    await disk.request(0, sector, buffer.sg)

        with VfioPort(socket, memory := SharedMemory(1 << 20)) as port:
            with_disk(port, read)
        memory.close()
        served.send_signal(signal.SIGTERM)
        assert served.stderr is not None
        said = served.stderr.read()
    assert "recording ended" not in said
    timeline = whole(path)
    assert (timeline.requests["number"] == UNKNOWN).all()  # its driver is elsewhere
    assert answers_of(timeline, 4096) == 5


def test_the_disk_of_a_linux(setup: GuestSetup, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the command read, and what Linux did on its own account."""
    image, path = tmp_path / "a.img", tmp_path / "run.pftrace"
    image.write_bytes(bytes(1 << 20))
    command = "dd if=/dev/vda of=/dev/null bs=4k count=64 && echo done"
    words = ["guest", *SERVED, "--image", str(image), "--run", command, "--timeline", str(path)]
    assert main(words) == 0
    assert "done" in capfd.readouterr().out
    timeline = whole(path)
    assert int(timeline.requests["written"].sum()) > 64 * 4096  # in pieces of the size that Linux likes
    assert (timeline.segments.sum(axis=0) > 0).sum() > 5
