"""The region of the expansion ROM, in front of a function of which only its registers are there."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.spec.pci import HEADER, Command, ExpansionRom
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.vfio_user.bodies import RegionAccess
from ringwalker_sim.vfio_user.protocol import Region
from ringwalker_sim.vfio_user.regions import Regions

SIZE = 2048


class Function:
    """An engine with configuration space, and a ROM that it decodes as its registers say."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        self.space = bytearray(256)
        self.answers: list[bytes] = []

    def submit(self, kind: RequestKind, address: int, count: int, data: bytes = b"") -> int:
        if kind is RequestKind.CONFIG_WRITE_0:
            self.space[address : address + count] = data
        if kind is RequestKind.CONFIG_READ_0:
            self.answers.append(bytes(self.space[address : address + count]))
        elif kind is RequestKind.MEMORY_READ:
            self.answers.append(self._memory(address, count))
        else:
            self.answers.append(b"")
        return len(self.answers) - 1

    def _memory(self, address: int, count: int) -> bytes:
        register = int.from_bytes(self.space[HEADER.expansion_rom.offset :][:4], "little")
        enabled = self.space[HEADER.command.offset] & Command.MEMORY_ENABLE and register & ExpansionRom.ENABLE
        base = register & -SIZE
        if not enabled or not base <= address < base + SIZE:
            return b"\xff" * count
        return self.config.pci.rom_content.ljust(SIZE, b"\0")[address - base :][:count]

    def read_bytes(self, ticket: int, count: int) -> bytes:
        assert len(self.answers[ticket]) == count
        return self.answers[ticket]

    def wait(self, ticket: int) -> None:
        assert self.answers[ticket] == b""


def test_the_rom_is_read_whatever_its_registers_say_and_they_are_kept(tmp_path) -> None:
    rom = write_option_rom(tmp_path)
    function: Any = Function(DeviceConfig(pci=PciOptions(rom=str(rom))))
    before = bytes(range(256))
    function.space[:] = before
    regions = Regions(function)
    assert regions.size(Region.ROM) == SIZE
    whole = regions.read(RegionAccess(0, Region.ROM, SIZE, b""))
    assert whole == rom.read_bytes().ljust(SIZE, b"\0")
    assert regions.read(RegionAccess(26, Region.ROM, 6, b"")) == whole[26:32]
    assert function.space == before
    with pytest.raises(OSError, match="not inside region"):
        regions.read(RegionAccess(SIZE - 2, Region.ROM, 4, b""))


def test_a_function_without_a_rom_has_an_empty_region() -> None:
    function: Any = Function(DeviceConfig())
    assert Regions(function).size(Region.ROM) == 0
