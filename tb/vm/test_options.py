"""What a stock QEMU shows of the options of the PCI function."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci_extended import ADVANCED_ERROR_CAPABILITY, ExtendedHeader
from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.testing.devices import OPTIONAL_RNG as CONFIG
from ringwalker_sim.vfio_user.serving import DeviceHandle, ServedDevice, serve_devices
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.qtest import QtestPort, qtest_machine
from ringwalker_sim.vm.setup import GuestSetup

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceHandle]:
    path = tmp_path_factory.mktemp("options") / "s"
    with serve_devices([ServedDevice(CONFIG, None, path, plain=True)]) as (handle,):
        yield handle


@pytest.fixture
def port(setup: GuestSetup, served: DeviceHandle) -> Iterator[QtestPort]:
    with qtest_machine(setup.qemu, [VfioUserDevice(Path(served.socket))]) as port:
        yield port
    stats = served.stats()
    assert (stats["violations"], stats["faults"]) == (0, 0)


async def find(port: QtestPort) -> PciDevice:
    identity = CONFIG.resolved_identity
    (found,) = [
        item
        for item in await enumerate_pci(port)
        if (item.id.vendor, item.id.device) == (identity.vendor, identity.device)
    ]
    return found


def test_serial_number_and_error_reporting_are_in_extended_configuration_space(port: QtestPort) -> None:
    async def look() -> None:
        bdf = (await find(port)).bdf
        seen, at = {}, 0x100
        while at:
            header = await port.config_read(bdf, at, 4)
            seen[header & ExtendedHeader.ID] = at
            at = header >> 20
        expected = {
            item.values["header"] & ExtendedHeader.ID: item.offset for item in layout(CONFIG).extended
        }
        assert seen == expected
        serial = layout(CONFIG)["serial_number"].offset
        raw = [await port.config_read(bdf, serial + at, 1) for at in range(11, 3, -1)]
        assert "-".join(f"{byte:02x}" for byte in raw) == CONFIG.pci.serial_number
        mask = layout(CONFIG)["aer"].offset + ADVANCED_ERROR_CAPABILITY.uncorrectable_mask.offset
        await port.config_write(bdf, mask, 4, 0xFFFF_FFFF)
        written = layout(CONFIG)["aer"].writable["uncorrectable_mask"]
        assert await port.config_read(bdf, mask, 4) == written

    port.run(look())
