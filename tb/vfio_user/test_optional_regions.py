"""What regions of a device have as it was configured: the expansion ROM, extended capabilities, MSI. Of the
function only its registers are there.
"""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci import EXTENDED_CONFIG_SPACE_BYTES, HEADER, Command, ExpansionRom, MsiControl
from ringwalker.spec.pci_extended import ADVANCED_ERROR_CAPABILITY
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.vfio_user import bodies, protocol
from ringwalker_sim.vfio_user.bodies import RegionAccess
from ringwalker_sim.vfio_user.conversation import Conversation
from ringwalker_sim.vfio_user.peer import Peer
from ringwalker_sim.vfio_user.protocol import Region
from ringwalker_sim.vfio_user.regions import Regions

SIZE = 2048
SERIAL = "02-00-00-ff-fe-00-00-01"


class Function:
    """An engine with configuration space, and a ROM that it decodes as its registers say."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        self.host = HostParameters()
        self.space = bytearray(EXTENDED_CONFIG_SPACE_BYTES)
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
    before = bytes(range(256)) * 16
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


class Exchange:
    """A peer's messages about the regions of a function, each through the whole protocol."""

    def __init__(self, config: DeviceConfig):
        ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(5)
        self.function: Any = Function(config)
        for n, dword in enumerate(layout(config).dwords):
            self.function.space[4 * n : 4 * n + 4] = dword.reset.to_bytes(4, "little")
        self.peer = Peer(ours)
        self.regions = Regions(self.function)
        self.conversation = Conversation(self.peer, self._device(self.regions), "s")
        self.ask(protocol.Command.VERSION, bodies.version_body({}))

    @staticmethod
    def _device(regions: Regions) -> Any:
        class Device:
            region_size, region_read, region_write = regions.size, regions.read, regions.write

            def attached(self, peer: Peer) -> None:
                """Nothing is to be done."""

        return Device()

    def ask(self, command: int, body: bytes) -> bytes | int:
        """The body of the answer, or its errno."""
        self.theirs.sendall(protocol.message(1, command, body))
        self.conversation.receive()
        header = protocol.Header.unpack(self.theirs.recv(protocol.HEADER_BYTES))
        rest = header.size - protocol.HEADER_BYTES
        return header.error or (self.theirs.recv(rest, socket.MSG_WAITALL) if rest else b"")

    def size(self, region: int) -> int:
        """What the answer to DEVICE_GET_REGION_INFO says."""
        asked = (32).to_bytes(4, "little") + bytes(4) + region.to_bytes(4, "little") + bytes(20)
        answer = self.ask(protocol.Command.DEVICE_GET_REGION_INFO, asked)
        assert isinstance(answer, bytes)
        return int.from_bytes(answer[16:24], "little")

    def read(self, offset: int, count: int) -> bytes | int:
        """Bytes of configuration space, or an errno."""
        access = RegionAccess(offset, Region.CONFIG, count)
        answer = self.ask(protocol.Command.REGION_READ, access.pack())
        return answer[16:] if isinstance(answer, bytes) else answer

    def write(self, offset: int, data: bytes) -> bytes | int:
        """Write configuration space."""
        access = RegionAccess(offset, Region.CONFIG, len(data))
        return self.ask(protocol.Command.REGION_WRITE, access.pack(data))

    def close(self) -> None:
        self.peer.close()
        self.theirs.close()


def test_extended_capabilities_make_configuration_space_longer() -> None:
    options = PciOptions(serial_number=SERIAL, aer=True)
    exchange = Exchange(DeviceConfig(pci=options))
    assert exchange.size(Region.CONFIG) == EXTENDED_CONFIG_SPACE_BYTES
    whole = exchange.read(0, EXTENDED_CONFIG_SPACE_BYTES)
    assert isinstance(whole, bytes)
    assert len(whole) == EXTENDED_CONFIG_SPACE_BYTES
    aer, serial = 0x100, 0x12C
    assert whole[aer : aer + 4] == (0x0001 | 2 << 16 | serial << 20).to_bytes(4, "little")
    assert whole[serial : serial + 4] == (0x0003 | 1 << 16).to_bytes(4, "little")
    assert bytes(reversed(whole[serial + 4 : serial + 12])) == bytes.fromhex(SERIAL.replace("-", ""))
    mask = aer + ADVANCED_ERROR_CAPABILITY.uncorrectable_mask.offset
    assert exchange.write(mask, b"\0\x10") == RegionAccess(mask, Region.CONFIG, 2).pack()
    assert exchange.read(mask, 4) == b"\0\x10\0\0"
    assert exchange.read(EXTENDED_CONFIG_SPACE_BYTES - 2, 4) == errno.EINVAL
    exchange.close()


def test_without_them_it_is_as_long_as_ever() -> None:
    exchange = Exchange(DeviceConfig(pci=PciOptions(msi=2, timeout_ranges=True), fields=False))
    assert exchange.size(Region.CONFIG) == 256
    assert exchange.read(0x100, 4) == errno.EINVAL
    assert exchange.write(0xFE, bytes(4)) == errno.EINVAL
    exchange.close()


class Msi:
    """The MSI capability of a function with two messages, as the guest and as the device have it."""

    def __init__(self):
        config = DeviceConfig(pci=PciOptions(msi=2), fields=False)
        self.exchange = Exchange(config)
        self.capability = layout(config)["msi"]

    def _place(self, name: str) -> tuple[int, int]:
        row = self.capability.table[name]
        return self.capability.offset + row.offset, row.size

    def write(self, name: str, value: int) -> None:
        offset, size = self._place(name)
        assert isinstance(self.exchange.write(offset, value.to_bytes(size, "little")), bytes)

    def read(self, name: str) -> int:
        """The guest's register."""
        answer = self.exchange.read(*self._place(name))
        assert isinstance(answer, bytes)
        return int.from_bytes(answer, "little")

    def device(self, *names: str) -> list[int]:
        """Registers of the device."""
        places = [self._place(name) for name in names]
        space = self.exchange.function.space
        return [int.from_bytes(space[at : at + size], "little") for at, size in places]


@pytest.fixture
def msi() -> Iterator[Msi]:
    msi = Msi()
    yield msi
    msi.exchange.close()


def test_the_guests_message_of_msi_is_its_own_and_the_devices_names_an_eventfd(msi: Msi) -> None:
    msi.exchange.regions.listen(0, [True, True])
    msi.write("address_low", 0xFEE0_1004)
    msi.write("address_high", 0x12)
    msi.write("data", 0x4321)
    msi.write("control", MsiControl.ENABLE | 1 << 4)
    names = "address_low", "address_high", "data", "mask"
    assert [msi.read(name) for name in names] == [0xFEE0_1004, 0x12, 0x4321, 0]
    assert msi.device(*names) == [msi.exchange.regions.msi_address, 0, 0, 0]
    assert msi.device("control")[0] & 0x71 == MsiControl.ENABLE | 1 << 4
    whole = msi.exchange.read(0, 256)
    assert isinstance(whole, bytes)
    assert whole[msi.capability.offset + 4 :][:8] == (0x12_FEE0_1004).to_bytes(8, "little")


def test_what_nobody_listens_to_is_masked_as_well_as_what_the_guest_masks(msi: Msi) -> None:
    msi.write("mask", 0b01)
    assert (msi.device("mask"), msi.read("mask")) == ([0b11], 0b01)
    msi.exchange.regions.listen(0, [True])
    assert msi.device("mask") == [0b11]
    msi.write("mask", 0)
    assert (msi.device("mask"), msi.read("mask")) == ([0b10], 0)
    msi.exchange.regions.listen(1, [True])
    assert msi.device("mask") == [0]
    msi.exchange.regions.listen(0, [False, True])
    assert msi.device("mask") == [0b01]


def test_after_a_reset_the_guests_registers_are_0_and_the_listeners_are_as_before(msi: Msi) -> None:
    msi.exchange.regions.listen(0, [True, False])
    for name in ("address_low", "data", "mask"):
        msi.write(name, 0x100)
    msi.exchange.regions.reset()
    assert [msi.read(name) for name in ("address_low", "data", "mask")] == [0, 0, 0]
    msi.write("control", MsiControl.ENABLE)
    assert msi.device("address_low", "mask") == [msi.exchange.regions.msi_address, 0b10]
