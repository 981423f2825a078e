"""The suite on QEMU's own devices: what fails is explained, and all that is explained shows."""

from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.conform.check import Way
from ringwalker_sim.conform.medium import ConsoleMedium, DiskMedium, NetMedium
from ringwalker_sim.conform.results.findings import judge
from ringwalker_sim.conform.session import Session
from ringwalker_sim.conform.suite import all_checks
from ringwalker_sim.conform.targets.qemu import QEMU_DEVICES, open_qemu
from ringwalker_sim.vm.qtest import QtestError
from ringwalker_sim.vm.setup import GuestSetup

WAYS = {
    "virtio-blk-pci": Way.PACKED,
    "virtio-net-pci": Way.LEGACY,
    "virtio-serial-pci": Way.LEGACY,
    "virtio-rng-pci": Way.SPLIT,
}
"""The way of each device in the slow run."""


def agree(setup: GuestSetup, device: str, ways: tuple[Way, ...], **properties: Any) -> None:
    """All failures are explained, and all explanations show."""
    named = {name.replace("_", "-"): value for name, value in properties.items()}
    with Session(lambda: open_qemu(device, named, setup.qemu)) as session:
        wanted = [way for way in ways if way in session.device.ways]
        outcomes = session.run(all_checks(), wanted)
    assert judge(device, outcomes) == ([], [])
    assert sum(item.verdict == "passed" for item in outcomes) > 30


@pytest.mark.slow
@pytest.mark.parametrize("device", QEMU_DEVICES)
def test_failures_of_qemus_devices_are_explained(setup: GuestSetup, device: str) -> None:
    agree(setup, device, (WAYS[device],))


@pytest.mark.campaign
@pytest.mark.parametrize("modern", [False, True], ids=["transitional", "modern"])
@pytest.mark.parametrize("device", QEMU_DEVICES)
def test_failures_of_qemus_devices_are_explained_by_every_way(
    setup: GuestSetup, device: str, modern: bool
) -> None:
    agree(setup, device, tuple(Way), disable_legacy=modern)


@pytest.mark.parametrize("device", QEMU_DEVICES)
def test_the_world_behind_qemus_devices(setup: GuestSetup, device: str) -> None:
    with open_qemu(device, qemu=setup.qemu) as target:
        medium = target.medium

        async def look() -> None:
            if isinstance(medium, DiskMedium):
                assert len(await medium.read(1, 2)) == 1024
                assert await medium.resize(2048)
            elif isinstance(medium, NetMedium):
                await medium.send(bytes(60))
                assert await medium.received() == []
                assert await medium.set_link(False)
            elif isinstance(medium, ConsoleMedium):
                await medium.send(b"typed")
                assert await medium.received() == b""

        target.port.run(look())
        found = target.port.run(target.device())
        assert found.ways == tuple(Way)


def test_a_property_that_there_is_not_and_a_machine_that_ends_are_named(
    setup: GuestSetup, tmp_path: Path
) -> None:
    with pytest.raises(QtestError, match="no_such"), open_qemu("virtio-rng-pci", {"no_such": 1}, setup.qemu):
        pass
    with Session(lambda: open_qemu("virtio-rng-pci", qemu=setup.qemu)) as session:
        session.target.port._connection.shutdown(2)
        first, second = session.run(all_checks()[:2], [Way.SPLIT])
    assert first.text == "the check was broken off: QEMU has closed its test socket"
    assert second.verdict == "passed"
