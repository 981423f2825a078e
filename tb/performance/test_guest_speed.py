"""The comparison of ways of serving a guest's disk, without a guest, and the page made of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance import guest_speed
from ringwalker_sim.vm.boot import GuestError, GuestJob, GuestResult
from ringwalker_sim.vm.fetch import GuestFiles
from ringwalker_sim.vm.qemu import Qemu
from ringwalker_sim.vm.session import LINUX_CONFIG, Disk, Mark, Session
from ringwalker_sim.vm.setup import GuestSetup

DOCS = Path(__file__).parents[2] / "docs"
SETUP = GuestSetup(
    Qemu(("qemu",), (11, 1, 3), "the test"), GuestFiles(Path("vmlinuz-6"), None, Path("userland"))
)
MIB = 1 << 20


def test_the_page_is_made_of_the_figures_and_reads_are_twice_as_fast() -> None:
    figures = json.loads((DOCS / guest_speed.FIGURES).read_text())
    assert (DOCS / guest_speed.PAGE).read_text() == guest_speed.page(figures), "bench-guest --docs docs"
    assert [row["variant"] for row in figures["best"]] == [item.name for item in guest_speed.VARIANTS]
    assert figures["ratios"]["read_mb_s"]["best"] >= 2


class Guests:
    """Guests that read in ``seconds``, the next one each time, and the disks that they were given."""

    def __init__(self, seconds: list[float], status: int = 0):
        self.seconds = iter(seconds)
        self.status = status
        self.disks: list[Disk] = []

    def run(self, _setup: GuestSetup, disks: list[Disk], job: GuestJob, **_options: Any) -> Session:
        (disk,) = disks
        assert disk.image is not None
        assert disk.image.stat().st_size == MIB
        self.disks.append(disk)
        took = next(self.seconds)
        times = {"read-begins": 10.0, "read-ends": 10.0 + took, "small-ends": 11.0 + took}
        assert all(f"mark {name}" in job.command for name in times)
        marks = [Mark(name, at, [{"cycles": int(at), "processor_s": at / 2}]) for name, at in times.items()]
        return Session(GuestResult(status=self.status, boot_s=took + 3), marks)


def test_the_last_variant_is_compared_with_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guests = Guests([4.0, 3.0, 2.0, 1.0, 3.0, 6.0])  # in the second round the last variant is first
    monkeypatch.setattr(guest_speed, "run_guest", guests.run)
    disk = Disk(None, LINUX_CONFIG)
    figures = guest_speed.measure_guest(SETUP, disk, tmp_path, size=MIB, rounds=2)
    assert [(item.plain, item.direct) for item in guests.disks[:3]] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert [item.direct for item in guests.disks[3:]] == [True, False, False]
    assert figures["ratios"]["read_mb_s"] == {"best": 4.0, "median": pytest.approx((2 + 6) / 2)}
    assert figures["ratios"]["boot_s"]["best"] == 4.0 / 7.0
    assert "| change-driven, C++ | 4.0 |" in guest_speed.page(figures)


def test_a_command_that_fails_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_speed, "run_guest", Guests([1.0], status=3).run)
    with pytest.raises(GuestError, match="status 3"):
        guest_speed.measure_guest(SETUP, Disk(None, LINUX_CONFIG), tmp_path, size=MIB, rounds=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "4k"], "--size is 4096; it must be whole MiB"),
        (["--docs", ".", "--data-width", "64"], "--docs: the page is about the usual device"),
        (["--docs", "none"], "--docs none: is not a folder"),
    ],
)
def test_bad_options_are_named(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench-guest", *options]) == 2
    assert says in capsys.readouterr().err
