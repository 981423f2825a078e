"""What the golden model does as a PCI function, seen by bare accesses."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.core import TRANSPORT_FEATURES
from ringwalker.function.parts import function_parts
from ringwalker.queue.formats import FORMATS
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, ISR_BASE, MSIX_BAR, DeviceStatus, IsrBit
from ringwalker.spec.pci import (
    HEADER,
    MSI_CAPABILITY,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    PM_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    Command,
    MsiControl,
    MsixControl,
    PowerState,
    Status,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.dma import MESSAGE, DmaAccess
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.option_rom import write_option_rom

MSIX, FACE = 0xC000_0000, 0x40_0000_0000
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
QUEUE = 0x1000


class Bench:
    """A golden model whose BARs are assigned; ``sent`` are the messages that it has sent."""

    def __init__(self, config: DeviceConfig | None = None):
        self.config = config or DeviceConfig(queue_size=16)
        self.memory = GuestMemory(1 << 20)
        self.port = ModelPort(self.config, self.memory, DiskImage.blank(64))
        self.sent: list[tuple[int, int]] = []
        self.port.dma.observers.append(self._observe)
        for row, value in ((HEADER["bar1"], MSIX), (HEADER["bar4"], FACE & 0xFFFF_FFFF)):
            self.set_config(row.offset, 4, value)
        self.set_config(HEADER["bar5"].offset, 4, FACE >> 32)
        self.set_command(Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE)

    def _observe(self, access: DmaAccess) -> None:
        if access.kind == MESSAGE:
            self.sent.append((access.address, int.from_bytes(access.content, "little")))

    def config_of(self, offset: int, size: int = 4) -> int:
        return self.port.run(self.port.config_read(self.port.bdf, offset, size))

    def set_config(self, offset: int, size: int, value: int) -> None:
        self.port.run(self.port.config_write(self.port.bdf, offset, size, value))

    def set_command(self, value: int) -> None:
        self.set_config(HEADER["command"].offset, 2, value)

    def read(self, address: int, size: int = 4) -> int:
        return self.port.run(self.port.memory_read(address, size))

    def write(self, address: int, size: int, value: int) -> None:
        self.port.run(self.port.memory_write(address, size, value))

    def common(self, name: str) -> int:
        return self.read(FACE + COMMON_BASE + COMMON[name].offset, min(4, COMMON[name].size))

    def set_common(self, name: str, value: int) -> None:
        row = COMMON[name]
        for half in range(0, row.size, 4):
            size = min(4, row.size - half)
            part = value >> 8 * half & (1 << 8 * size) - 1
            self.write(FACE + COMMON_BASE + row.offset + half, size, part)

    def start(self, features: int = 1 << Feature.VERSION_1, vector: int | None = None) -> None:
        """Bring the device to DRIVER_OK with queue 0 enabled."""
        self.set_common("device_status", DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)
        for word in range(2):
            self.set_common("driver_feature_select", word)
            self.set_common("driver_feature", features >> 32 * word & 0xFFFF_FFFF)
        self.set_common("device_status", STARTED & ~DeviceStatus.DRIVER_OK)
        if vector is not None:
            self.set_common("config_msix_vector", vector)
        for n, name in enumerate(("queue_desc", "queue_driver", "queue_device")):
            self.set_common(name, QUEUE * (1 + n))
        self.set_common("queue_enable", 1)
        self.set_common("device_status", STARTED)

    def enable_msix(self, mask: int = 0) -> None:
        """Enable MSI-X; vector ``n`` has the message (0xFEE00000, n + 1) and the mask bit ``mask``."""
        for vector in range(self.config.vectors):
            entry = MSIX + vector * MSIX_ENTRY_BYTES
            for place, value in enumerate((0xFEE0_0000, 0, vector + 1, mask)):
                self.write(entry + 4 * place, 4, value)
        self.set_msix(MsixControl.ENABLE)

    def set_msix(self, control: int) -> None:
        place = self.port.space.places["msix"] + MSIX_CAPABILITY["control"].offset
        self.set_config(place, 2, control)

    def pending(self) -> int:
        return self.read(MSIX + 2048)


@pytest.mark.parametrize("function", ["blk", "net", "console", "rng"])
@pytest.mark.parametrize("ring", ["split", "packed", "both"])
def test_the_hardware_offers_the_same_features(function: str, ring: str) -> None:
    config = DeviceConfig(function=function, ring=ring, suspend=ring == "both")
    hardware = TRANSPORT_FEATURES | FORMATS[ring].features | function_parts(config).features
    hardware |= config.suspend << Feature.SUSPEND
    if function == "blk":
        hardware &= ~(1 << 5)  # a disk that can be written: the hardware withholds RO
    assert ModelPort(config, GuestMemory(1 << 20)).model.features == hardware


def test_a_masked_vector_is_pending_until_it_is_unmasked() -> None:
    bench = Bench()
    bench.enable_msix(mask=1)
    bench.start(vector=1)
    bench.port.model.changed()
    assert (bench.sent, bench.pending()) == ([], 0b10)
    bench.set_msix(MsixControl.ENABLE | MsixControl.FUNCTION_MASK)
    bench.write(MSIX + MSIX_ENTRY_BYTES + 12, 4, 0)
    assert (bench.sent, bench.pending()) == ([], 0b10)
    bench.set_msix(MsixControl.ENABLE)
    assert (bench.sent, bench.pending()) == ([(0xFEE0_0000, 2)], 0)
    bench.write(MSIX + MSIX_ENTRY_BYTES + 12, 4, 1)
    bench.port.model.changed()
    bench.set_common("device_status", 0)
    assert bench.pending() == 0
    assert bench.read(MSIX + MSIX_ENTRY_BYTES + 12) == 1


def test_intx_and_the_interrupt_status() -> None:
    bench = Bench()
    bench.start()
    raised: list[int] = []
    bench.port.intx_handler(lambda: raised.append(1))
    bench.set_command(bench.config_of(HEADER["command"].offset, 2) | Command.INTX_DISABLE)
    bench.port.model.changed()
    assert bench.config_of(HEADER["status"].offset, 2) & Status.INTERRUPT_STATUS
    assert not raised
    bench.set_command(bench.config_of(HEADER["command"].offset, 2) & ~Command.INTX_DISABLE)
    bench.port.run(bench.port.sleep(10))
    assert raised == [1]
    assert bench.read(FACE + ISR_BASE, 1) == IsrBit.CONFIG
    assert bench.read(FACE + ISR_BASE, 1) == 0
    assert not bench.config_of(HEADER["status"].offset, 2) & Status.INTERRUPT_STATUS


def test_messages_of_msi_stand_for_bits_of_the_isr() -> None:
    bench = Bench(DeviceConfig(queue_size=16, fields=False, pci=PciOptions(msi=2)))
    place = bench.port.space.places["msi"]
    for name, value in (("address_low", 0xFEE0_0000), ("data", 0x41), ("mask", 2)):
        bench.set_config(place + MSI_CAPABILITY[name].offset, MSI_CAPABILITY[name].size, value)
    bench.set_config(place + MSI_CAPABILITY["control"].offset, 2, MsiControl.ENABLE | 1 << 4)
    bench.start()
    bench.port.registers.note(IsrBit.QUEUE)
    bench.port.model.changed()
    assert bench.sent == [(0xFEE0_0000, 0x40)]
    assert bench.config_of(place + MSI_CAPABILITY["pending"].offset) == 2
    bench.set_config(place + MSI_CAPABILITY["mask"].offset, 4, 0)
    assert bench.sent == [(0xFEE0_0000, 0x40), (0xFEE0_0000, 0x41)]


def test_the_window_of_configuration_space() -> None:
    bench = Bench()
    place = bench.port.space.places["window"]
    bench.set_command(0)

    def point(bar: int, offset: int, size: int) -> int:
        for name, value in (("bar", bar), ("offset", offset), ("size", size)):
            row = VIRTIO_PCI_CAPABILITY[name]
            bench.set_config(place + row.offset, row.size, value)
        return place + VIRTIO_PCI_CAPABILITY["window"].offset

    window = point(FACE_BAR, COMMON["num_queues"].offset, 2)
    assert bench.config_of(window) == 1
    window = point(FACE_BAR, COMMON["device_status"].offset, 1)
    bench.set_config(window, 1, DeviceStatus.ACKNOWLEDGE)
    assert bench.port.model.status == DeviceStatus.ACKNOWLEDGE
    for bar, offset, size in ((FACE_BAR, 1, 2), (2, 0, 4), (FACE_BAR, 0, 3), (MSIX_BAR, 1 << 20, 4)):
        assert bench.config_of(point(bar, offset, size)) == 0


def test_a_function_level_reset_and_power_states() -> None:
    bench = Bench()
    bench.enable_msix()
    bench.start(vector=0)
    power = bench.port.space.places["pm"] + PM_CAPABILITY["control_status"].offset
    bench.set_config(power, 2, 1)
    assert bench.config_of(power, 2) & 3 == PowerState.D0
    bench.set_config(power, 2, PowerState.D3HOT)
    assert bench.common("device_status") == 0xFF
    bench.set_config(power, 2, PowerState.D0)
    assert bench.common("device_status") == STARTED
    control = bench.port.space.places["pcie"] + PCIE_CAPABILITY["device_control"].offset
    bench.set_config(control, 2, DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
    assert (bench.port.model.status, bench.port.space.command()) == (0, 0)
    assert bench.port.interrupts.table[12] == 1


def test_a_queue_keeps_to_the_rules_of_its_registers() -> None:
    bench = Bench()
    for size, reads in ((24, 16), (8, 8), (32, 8), (0, 8)):
        bench.set_common("queue_size", size)
        assert bench.common("queue_size") == reads
    bench.set_common("queue_desc", 0x1237)
    assert bench.common("queue_desc") == 0x1230
    bench.set_common("queue_msix_vector", 7)
    assert bench.common("queue_msix_vector") == 0xFFFF
    bench.start(1 << Feature.VERSION_1 | 1 << Feature.RING_RESET | 1 << Feature.NOTIF_CONFIG_DATA)
    bench.set_common("queue_desc", 0x5000)
    assert bench.common("queue_desc") == QUEUE
    assert bench.common("queue_notif_config_data") == 0x8000
    bench.set_common("queue_enable", 0)
    assert bench.common("queue_enable") == 1
    bench.set_common("queue_reset", 1)
    assert [bench.common(name) for name in ("queue_reset", "queue_enable", "queue_size")] == [0, 0, 16]
    bench.set_common("queue_select", 5)
    assert [bench.common(name) for name in ("queue_size", "queue_notify_off", "queue_enable")] == [0, 0, 0]


def test_status_bits_have_conditions() -> None:
    bench = Bench()
    bench.set_common("device_status", DeviceStatus.DRIVER_OK | DeviceStatus.FEATURES_OK)
    assert bench.common("device_status") == 0
    bench.start()
    bench.set_common("driver_feature_select", 0)
    bench.set_common("driver_feature", 1 << Feature.EVENT_IDX)
    assert bench.common("driver_feature") == 0
    bench.set_common("device_status", DeviceStatus.DEVICE_NEEDS_RESET)
    assert bench.common("device_status") == STARTED


def test_without_bus_mastering_the_device_needs_a_reset() -> None:
    bench = Bench()
    bench.enable_msix()
    bench.start(vector=0)
    bench.set_command(Command.MEMORY_ENABLE)
    bench.port.rings.doorbell(0)
    bench.port.run(bench.port.sleep(10))
    assert bench.common("device_status") & DeviceStatus.DEVICE_NEEDS_RESET
    assert bench.sent == []
    bench.set_command(Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE)
    assert bench.sent == [(0xFEE0_0000, 1)]


def test_a_device_that_is_suspended_notifies_of_changes_later() -> None:
    bench = Bench(DeviceConfig(queue_size=16, suspend=True, identity=Identity(preset="oasis")))
    bench.enable_msix()
    bench.start(1 << Feature.VERSION_1 | 1 << Feature.SUSPEND, vector=0)
    bench.set_common("device_status", STARTED | DeviceStatus.SUSPEND)
    resting = STARTED & ~DeviceStatus.DRIVER_OK | DeviceStatus.SUSPEND
    assert bench.common("device_status") == resting
    bench.port.model.set_capacity(8)
    assert bench.sent == []
    bench.set_common("device_status", resting | DeviceStatus.DRIVER_OK)
    assert bench.common("device_status") == STARTED
    assert bench.sent == [(0xFEE0_0000, 1)]


def test_the_expansion_rom_is_read_where_it_is_enabled(tmp_path: Any) -> None:
    rom = write_option_rom(tmp_path)
    bench = Bench(DeviceConfig(pci=PciOptions(rom=str(rom))))
    place = HEADER["expansion_rom"].offset
    bench.set_config(place, 4, 0xC100_0000)
    assert bench.read(0xC100_0000) == 0xFFFF_FFFF
    bench.set_config(place, 4, 0xC100_0001)
    assert bench.read(0xC100_0000) == int.from_bytes(rom.read_bytes()[:4], "little")
    assert bench.read(0xC100_0000 + 1024) == 0
