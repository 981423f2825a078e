"""Configuration space with the options of ``[pci]``, as software sees it."""

import tempfile
from pathlib import Path

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import layout
from ringwalker.pci.config_space import ConfigSpace
from ringwalker.spec.pci import CONFIG_SPACE_BYTES, EXTENDED_CONFIG_SPACE_BYTES, BarType, MsiControl
from ringwalker.spec.pci_extended import ExtendedCapabilityId, ExtendedHeader
from ringwalker.spec.pcie import DeviceCapabilities, DeviceCapabilities2, DeviceControl, DeviceControl2
from ringwalker_sim.testing.devices import every_option
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.option_rom import write_option_rom

_FOLDER = tempfile.TemporaryDirectory()
CONFIG = every_option(write_option_rom(Path(_FOLDER.name)))
SERIAL = 0x0200_00FF_FE00_0001
SPACE = layout(CONFIG)


class Space(Bench):
    @classmethod
    def component(cls):
        return ConfigSpace(CONFIG)

    async def access(self, offset: int, size: int, value: int | None = None) -> int:
        lane = offset % 4
        request = {"register": offset // 4, "strobe": ((1 << size) - 1) << lane, "target_id": 0x0100}
        if value is not None:
            request |= {"write": 1, "data": value << 8 * lane}
        self.put("config.requests", request)
        answer = (await self.get("config.responses"))["data"]
        return answer >> 8 * lane & ((1 << 8 * size) - 1)

    async def get_register(self, structure: str, register: str) -> int:
        row = SPACE[structure].table[register]
        return await self.access(SPACE[structure].offset + row.offset, row.size)

    async def set_register(self, structure: str, register: str, value: int) -> None:
        row = SPACE[structure].table[register]
        await self.access(SPACE[structure].offset + row.offset, row.size, value)


@simulated(Space)
async def test_extended_capabilities_are_found_by_walking(bench):
    found, offset = [], CONFIG_SPACE_BYTES
    while offset:
        header = await bench.access(offset, 4)
        found.append((offset, header & ExtendedHeader.ID, (header & ExtendedHeader.VERSION) >> 16))
        offset = (header & ExtendedHeader.NEXT) >> 20
    assert found == [
        (SPACE["aer"].offset, ExtendedCapabilityId.ADVANCED_ERROR_REPORTING, 2),
        (SPACE["serial_number"].offset, ExtendedCapabilityId.SERIAL_NUMBER, 1),
    ]
    assert await bench.access(EXTENDED_CONFIG_SPACE_BYTES - 4, 4) == 0


@simulated(Space)
async def test_all_base_address_registers_are_sized_by_writing_ones(bench):
    """As firmware does it: an I/O BAR, memory BARs of 32 and 64 bits, and the expansion ROM."""
    sizes: dict[int, int] = {}
    kinds: dict[int, int] = {}
    index = 0
    while index < 6:
        await bench.set_register("header", f"bar{index}", 0xFFFF_FFFF)
        value = await bench.get_register("header", f"bar{index}")
        low = 0b11 if value & BarType.IO else 0b1111
        mask, kinds[index] = value & ~low, value & low
        if value & BarType.MEMORY_64 and not value & BarType.IO:
            await bench.set_register("header", f"bar{index + 1}", 0xFFFF_FFFF)
            mask |= await bench.get_register("header", f"bar{index + 1}") << 32
            sizes[index] = -mask & (1 << 64) - 1
            index += 1
        elif mask:
            sizes[index] = -mask & 0xFFFF_FFFF
        index += 1
    assert sizes == {bar.index: bar.size for bar in SPACE.bars}
    assert [kinds[index] for index in sizes] == [BarType.IO, 0, BarType.MEMORY_64]
    await bench.set_register("header", "expansion_rom", 0xFFFF_F800)
    assert await bench.get_register("header", "expansion_rom") == -2048 & 0xFFFF_FFFF


@simulated(Space)
async def test_the_serial_number_is_that_of_the_configuration_and_cannot_be_written(bench):
    for _ in range(2):
        assert await bench.get_register("serial_number", "serial_high") == SERIAL >> 32
        assert await bench.get_register("serial_number", "serial_low") == SERIAL & 0xFFFF_FFFF
        await bench.set_register("serial_number", "serial_high", 0)


@simulated(Space)
async def test_registers_of_msi_become_its_state(bench):
    control = MsiControl.MASKS | MsiControl.ADDRESS_64 | 1 << 1
    assert await bench.get_register("msi", "control") == control
    for register, value, kept in (
        ("address_low", 0xFEE0_1003, 0xFEE0_1000),
        ("address_high", 0x12, 0x12),
        ("data", 0x4321, 0x4321),
        ("mask", 0xFFFF_FFFF, 0b11),
        ("pending", 0b11, 0),
        ("control", 0xFFFF, control | MsiControl.ENABLE | MsiControl.MESSAGES_ENABLED),
    ):
        await bench.set_register("msi", register, value)
        assert await bench.get_register("msi", register) == kept, register
    state = {name: bench.value(f"msi.{name}") for name in ("enable", "two", "address", "data", "mask")}
    assert state == {"enable": 1, "two": 1, "address": 0x12_FEE0_1000, "data": 0x4321, "mask": 0b11}
    bench.drive("msi_pending", 0b10)
    assert await bench.get_register("msi", "pending") == 0b10
    await bench.set_register("msi", "control", MsiControl.ENABLE)
    assert not bench.value("msi.two")


@simulated(Space)
async def test_software_chooses_the_completion_time_out(bench):
    able = await bench.get_register("pcie", "device_capabilities_2")
    assert able & DeviceCapabilities2.TIMEOUT_RANGES == 0xF
    assert able & DeviceCapabilities2.TIMEOUT_DISABLE
    assert (bench.value("timeout"), bench.value("timeout_disable")) == (0, 0)
    await bench.set_register("pcie", "device_control_2", 0b1010)
    assert (bench.value("timeout"), bench.value("timeout_disable")) == (0b1010, 0)
    await bench.set_register("pcie", "device_control_2", 0xFFFF)
    written = await bench.get_register("pcie", "device_control_2")
    choices = DeviceControl2.TIMEOUT | DeviceControl2.TIMEOUT_DISABLE
    assert written == choices | DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE
    assert bench.value("timeout_disable")
    await bench.set_register("pcie", "device_control", DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
    assert await bench.get_register("pcie", "device_control_2") == 0


@simulated(Space)
async def test_tags_of_ten_bits_are_enabled_by_a_bit_of_their_own_and_are_longer_than_extended_ones(bench):
    able = await bench.get_register("pcie", "device_capabilities_2")
    assert able & DeviceCapabilities2.TEN_BIT_TAG_COMPLETER
    assert able & DeviceCapabilities2.TEN_BIT_TAG_REQUESTER
    for long, extended in ((0, 0), (0, 1), (1, 0), (1, 1)):
        control = DeviceControl.EXTENDED_TAG_ENABLE if extended else 0
        await bench.set_register("pcie", "device_control", control)
        control = DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE if long else 0
        await bench.set_register("pcie", "device_control_2", control)
        assert (bench.value("ten_bit_tags"), bench.value("state.extended_tags")) == (long, long or extended)


def test_tags_of_five_bits_leave_no_choice():
    space = layout(DeviceConfig(pci=PciOptions(tags=5)))
    row, _shift, _width = space["pcie"].locate("device_control")
    assert not space["pcie"].values["device_capabilities"] & DeviceCapabilities.EXTENDED_TAG
    assert not space.dwords[row].writable & DeviceControl.EXTENDED_TAG_ENABLE


def test_a_device_without_options_has_none_of_them():
    space = layout(DeviceConfig())
    assert space.extended == ()
    assert len(space.dwords) == CONFIG_SPACE_BYTES // 4
    row, _shift, _width = space["pcie"].locate("device_capabilities_2")
    assert space.dwords[row].reset == space.dwords[row].writable == space.dwords[row + 1].writable == 0
