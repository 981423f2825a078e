"""Enumeration and set-up of a PCI function, on configuration space made from the device's own tables."""

import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR
from ringwalker.spec.pci import HEADER, MSI_CAPABILITY, CapabilityId, Command, MsiControl, MsixControl
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.errors import BindError, DeviceError
from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.guest.port import make_bdf
from ringwalker_sim.memory import GuestMemory


def machine(config: DeviceConfig | None = None, **arguments) -> ModelPort:
    return ModelPort(config or DeviceConfig(), GuestMemory(1 << 20), DiskImage.blank(8), **arguments)


def find(port: ModelPort, assign: bool = True) -> PciDevice:
    (device,) = port.run(enumerate_pci(port, assign))
    return device


@pytest.mark.parametrize("bdf", [make_bdf(0, 0), make_bdf(0, 31), make_bdf(1, 0)])
def test_the_function_is_found_where_it_is(bdf: int) -> None:
    port = machine(bdf=bdf)
    device = find(port)
    assert device.bdf == bdf
    assert (device.id.vendor, device.id.device, device.id.class_) == (0x5000, 2, 0x010000)


def test_nothing_there() -> None:
    port = machine(bdf=make_bdf(9, 0))
    assert port.run(enumerate_pci(port)) == []


def test_oasis_identity() -> None:
    device = find(machine(DeviceConfig(identity=Identity(preset="oasis"))))
    assert (device.id.vendor, device.id.device, device.id.subdevice) == (0x1AF4, 0x1042, 0x42)


def test_bars_are_sized_and_placed_in_the_windows() -> None:
    port = machine()
    device = find(port)
    msix, face = device.bars[MSIX_BAR], device.bars[FACE_BAR]
    assert set(device.bars) == {MSIX_BAR, FACE_BAR}
    assert (msix.size, msix.is_64, msix.io) == (0x1000, False, False)
    assert (face.size, face.is_64, face.io) == (0x8000, True, False)
    assert msix.address in port.mmio32
    assert face.address in port.mmio64
    for bar in (msix, face):
        assert bar.address % bar.size == 0
        assert port.space.locate(bar.address, 4) == (bar.index, 0)
    assert port.space.command() & (Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE) == 6


def test_bars_that_are_assigned_are_kept() -> None:
    port = machine()
    before = find(port)
    accesses = port.accesses["config_write"]
    after = find(port, assign=False)
    assert {i: b.address for i, b in after.bars.items()} == {i: b.address for i, b in before.bars.items()}
    assert {i: b.size for i, b in after.bars.items()} == {i: b.size for i, b in before.bars.items()}
    assert port.accesses["config_write"] > accesses
    assert port.space.command() & Command.MEMORY_ENABLE


def test_no_room_in_a_window() -> None:
    port = machine()
    port.mmio32 = range(0xC000_0000, 0xC000_0800)
    with pytest.raises(BindError, match="no room for BAR 1 of 4096 bytes in window mmio32"):
        find(port)


def test_without_a_64_bit_window_everything_goes_below_4_gib() -> None:
    port = machine()
    port.mmio64 = range(0)
    device = find(port)
    assert device.bars[FACE_BAR].address in port.mmio32


def test_a_bar_that_answers_nonsense_is_an_error() -> None:
    port = machine()
    at = HEADER.bar1.offset
    port.space.writable[at : at + 4] = (0xF0F0_F000).to_bytes(4, "little")
    with pytest.raises(DeviceError, match="BAR 1 reads"):
        find(port)


def test_capabilities_are_walked() -> None:
    device = find(machine())
    ids = [item.id for item in device.capabilities]
    assert ids[:3] == [CapabilityId.POWER_MANAGEMENT, CapabilityId.MSIX, CapabilityId.PCI_EXPRESS]
    assert ids.count(CapabilityId.VENDOR) == 6


def test_a_capability_list_that_runs_in_a_circle_is_an_error() -> None:
    port = machine()
    port.space.bytes[0x41] = 0x40
    with pytest.raises(DeviceError, match="points to 0x40"):
        find(port)


def test_payload_and_read_request_size_are_what_both_sides_can() -> None:
    port = machine(DeviceConfig(max_payload=256))
    port.max_payload, port.max_read_request = 1024, 2048
    device = find(port)
    (express,) = device.find_capabilities(CapabilityId.PCI_EXPRESS)
    control = port.run(device.read(PCIE_CAPABILITY.device_control, express.offset))
    assert 128 << ((control & DeviceControl.MAX_PAYLOAD_SIZE) >> 5) == 256
    assert 128 << ((control & DeviceControl.MAX_READ_REQUEST_SIZE) >> 12) == 2048
    assert control & DeviceControl.EXTENDED_TAG_ENABLE


def test_each_vector_runs_its_own_callback() -> None:
    port = machine(DeviceConfig(queues=3))
    device = find(port)
    arrived: list[int] = []
    port.run(device.enable_msix([lambda vector=vector: arrived.append(vector) for vector in range(4)]))
    for vector in (2, 0, 3):
        port.rings.queues[0].vector = vector
        port.rings.notify(0)
        port.run(port.sleep(10))
    assert arrived == [2, 0, 3]
    assert port.space.command() & Command.INTX_DISABLE
    with pytest.raises(BindError, match="5 MSI-X vectors are needed; the function has 4"):
        port.run(device.enable_msix([lambda: None] * 5))


def test_msi_is_enabled_with_one_message_in_place_of_msix_and_the_line() -> None:
    port = machine(DeviceConfig(pci=PciOptions(msi=2), fields=False))
    device = find(port)
    port.run(device.enable_msix([lambda: None]))
    port.run(device.enable_msi(lambda: None))
    (capability,) = device.find_capabilities(CapabilityId.MSI)
    names = "control", "address_low", "address_high", "data"
    rows = (MSI_CAPABILITY[name] for name in names)
    control, low, high, data = [port.run(device.read(row, capability.offset)) for row in rows]
    assert control & (MsiControl.ENABLE | MsiControl.MESSAGES_ENABLED) == MsiControl.ENABLE
    assert (high << 32 | low, data + 1) == port.msi_target(lambda: None), "the message before the next one"
    assert not port.space.msix_control() & MsixControl.ENABLE
    assert port.space.command() & Command.INTX_DISABLE
    port.run(device.enable_intx(lambda: None))
    assert not port.run(device.read(MSI_CAPABILITY.control, capability.offset)) & MsiControl.ENABLE
    assert not port.space.command() & Command.INTX_DISABLE
    other = machine()
    without = find(other)
    with pytest.raises(BindError, match="the function has no MSI"):
        other.run(without.enable_msi(lambda: None))


def test_a_structure_outside_its_bar_is_refused() -> None:
    device = find(machine())
    with pytest.raises(BindError, match="not inside BAR 4"):
        device.bar(4, 0x7FFF, 2)
    with pytest.raises(BindError, match="BAR 2 is referred to"):
        device.bar(2, 0, 4)
