"""The guest driver on QEMU's own block device and on this one; what differs is what the docs say."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.guest.loop import StuckError
from ringwalker_sim.testing.devices import BOTH_BLK, SERVED_BLK
from ringwalker_sim.vm import comparison
from ringwalker_sim.vm.cases import CASES, Case
from ringwalker_sim.vm.comparison import compare, document
from ringwalker_sim.vm.differences import DIFFERENCES
from ringwalker_sim.vm.machine import OwnDisk
from ringwalker_sim.vm.observation import disk_content
from ringwalker_sim.vm.qtest import QtestError, qtest_machine
from ringwalker_sim.vm.setup import GuestSetup

PAGE = Path("docs/qemu-comparison.md")


def agree(setup: GuestSetup, case: Case, config: DeviceConfig) -> None:
    """Both devices agree but for what is explained, and all of that shows."""
    result = compare(setup.qemu, case, config)
    assert result.unexplained == []
    assert result.missing == []
    assert result.agreeing > 450


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_both_devices_agree_but_for_what_is_explained(setup: GuestSetup, interrupt: str) -> None:
    agree(setup, Case(interrupt), SERVED_BLK)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.ring == "packed" or case.device != "modern"], ids=str
)
def test_both_devices_agree_on_packed_rings_and_through_the_legacy_face(
    setup: GuestSetup, case: Case
) -> None:
    agree(setup, case, replace(BOTH_BLK, face=case.device))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == document(), f"run python -m ringwalker_sim.vm.comparison {PAGE}"


def test_a_difference_that_is_not_in_the_table_and_an_entry_without_one_are_reported() -> None:
    first = next(iter(DIFFERENCES[0].values))
    theirs, ours = DIFFERENCES[0].values[first]
    result = comparison.judge(
        {first: theirs, "a": 1, "b": 2, "c": 3}, {first: ours, "a": 1, "b": 3}, Case().words
    )
    assert result.agreeing == 1
    assert result.unexplained == ["b: QEMU 2, here 3", "c: QEMU 3, here nothing"]
    assert first not in result.missing
    assert "feature GEOMETRY" in result.missing
    wrong = comparison.judge({first: theirs}, {first: "other"}, Case("intx").words)
    assert wrong.unexplained == [f"{first}: QEMU {theirs}, here other"]
    assert "after requests: isr_status" not in wrong.missing, "that one is for MSI-X only"


def test_a_machine_that_does_not_start_says_why(setup: GuestSetup, tmp_path: Path) -> None:
    with pytest.raises(QtestError, match=r"QEMU did not start.*absent\.img"):
        with qtest_machine(setup.qemu, [OwnDisk(tmp_path / "absent.img")]):
            pass


def test_a_port_whose_machine_is_gone_or_silent_says_so(
    setup: GuestSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "disk.img"
    disk_content().tofile(image)
    monkeypatch.setattr("ringwalker_sim.vm.qtest._HANG_S", 0.2)
    with qtest_machine(setup.qemu, [OwnDisk(image)]) as port:
        event = port.event()
        with pytest.raises(StuckError, match="nothing has happened"):
            port.run(event.wait())
        with pytest.raises(QtestError, match=r"'nonsense' was answered with .FAIL"):
            port.command("nonsense")
    with pytest.raises((QtestError, OSError)):
        port.command("clock_step")
