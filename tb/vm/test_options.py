"""The options of the PCI function behind a stock QEMU, and MSI on every engine without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci_extended import ADVANCED_ERROR_CAPABILITY, ExtendedHeader
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl, DeviceControl2
from ringwalker.spec.tlp import ErrorMessage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.guest.port import Port
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import OPTIONAL_RNG as CONFIG
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
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


async def read_noise(port: Port) -> None:
    """Read from the entropy device with MSI; close it and go on with another kind of interrupt."""
    for interrupt in ("msi", "intx", "msi"):
        opened = await open_device(Machine(port), "rng", interrupt=interrupt)
        for size in (1, 100):
            assert len(await opened.driven.read(size)) == size
        await opened.close()


def test_a_driver_uses_msi_on_the_native_engine() -> None:
    with open_engine("native", CONFIG, GuestMemory(1 << 20), plain=True) as port:
        port.run(read_noise(port))
        assert port.tlps()["up_message"] == 4


def test_reads_with_tags_of_ten_bits_are_answered_on_the_native_engine() -> None:
    with open_engine("native", CONFIG, GuestMemory(1 << 20), plain=True) as port:
        control = layout(CONFIG)["pcie"].offset + PCIE_CAPABILITY.device_control_2.offset

        async def enable() -> int:
            (pci,) = await enumerate_pci(port)
            enabled = int(DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE)
            await port.config_write(pci.bdf, control, 2, enabled)
            return await port.config_read(pci.bdf, control, 2)

        assert port.run(enable()) == DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE
        port.run(read_noise(port))
        assert port.tlps()["up_memory_read"] > 0


def test_the_native_engines_host_hears_of_errors() -> None:
    with open_engine("native", CONFIG, GuestMemory(1 << 20), plain=True) as port:

        async def err() -> None:
            (pci,) = await enumerate_pci(port)
            control = layout(CONFIG)["pcie"].offset + PCIE_CAPABILITY.device_control.offset
            enable = DeviceControl.NON_FATAL_ERROR_ENABLE | DeviceControl.UNSUPPORTED_REQUEST_ENABLE
            await port.config_write(pci.bdf, control, 2, enable)
            await port.memory_write(0x1234_5678, 4, 0)
            await port.sleep(100)

        port.run(err())
        assert port.error_messages == [ErrorMessage.NON_FATAL]
        assert port.tlps()["up_error_message"] == 1


@pytest.mark.parametrize("by_message", [False, True])
def test_a_driver_uses_msi_over_the_socket(served: DeviceHandle, by_message: bool) -> None:
    memory = SharedMemory(1 << 20)
    before = served.stats()["msi"]
    with VfioPort(served.socket, memory, by_message) as port:
        port.run(read_noise(port))
    memory.close()
    assert served.stats()["msi"] - before == 4


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


def test_a_driver_with_msi_gets_its_messages(port: QtestPort, served: DeviceHandle) -> None:
    before = served.stats()["msi"]
    port.run(read_noise(port))
    assert served.stats()["msi"] - before == sum(port.message_counts) > 1
