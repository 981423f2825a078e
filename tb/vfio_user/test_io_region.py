"""The region of an I/O BAR, in front of a function of which only its registers are there."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.legacy import LEGACY_BAR
from ringwalker.spec.modern import MSIX_BAR
from ringwalker.spec.pci import HEADER, BarType, Command
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.host import HostParameters
from ringwalker_sim.vfio_user.bodies import RegionAccess
from ringwalker_sim.vfio_user.regions import Regions

PLACE = 0xC000
READ, WRITE = RequestKind.IO_READ, RequestKind.IO_WRITE


class Function:
    """An engine with configuration space. ``asked`` has its other requests: kind, address, length, data."""

    def __init__(self, config: DeviceConfig):
        self.config = config
        self.host = HostParameters()
        self.space = bytearray(256)
        self.asked: list[tuple[RequestKind, int, int, bytes]] = []
        self.answers: list[bytes] = []

    def submit(self, kind: RequestKind, address: int, count: int, data: bytes = b"") -> int:
        if kind is RequestKind.CONFIG_WRITE_0:
            self.space[address : address + count] = data
        elif kind is not RequestKind.CONFIG_READ_0:
            self.asked.append((kind, address, count, data))
        found = self.space[address : address + count] if kind is RequestKind.CONFIG_READ_0 else range(count)
        self.answers.append(bytes(found))
        return len(self.answers) - 1

    def read_bytes(self, ticket: int, count: int) -> bytes:
        return self.answers[ticket][:count]

    def wait(self, ticket: int) -> None:
        assert ticket < len(self.answers)


@pytest.fixture
def function() -> Any:
    """A legacy function whose I/O BAR is at PLACE and decoded."""
    made = Function(DeviceConfig(face="legacy"))
    made.space[HEADER.bar0.offset : HEADER.bar0.offset + 4] = (PLACE | BarType.IO).to_bytes(4, "little")
    made.space[HEADER.command.offset] = int(Command.IO_ENABLE)
    return made


def access(offset: int, count: int, data: bytes = b"") -> RegionAccess:
    return RegionAccess(offset, LEGACY_BAR, count, data)


@pytest.mark.parametrize(("offset", "count"), [(0x12, 1), (0x13, 1), (0x0C, 2), (0x0E, 2), (0x08, 4)])
def test_an_access_inside_a_dword_is_one_request_of_io_space(function: Any, offset: int, count: int) -> None:
    regions = Regions(function)
    assert regions.read(access(offset, count)) == bytes(range(count))
    regions.write(access(offset, count, b"\x5a" * count))
    assert function.asked == [
        (READ, PLACE + offset, count, b""),
        (WRITE, PLACE + offset, count, b"\x5a" * count),
    ]


def test_an_access_across_dwords_is_one_request_for_each(function: Any) -> None:
    regions = Regions(function)
    regions.read(access(0x0E, 4))
    regions.write(access(0x03, 2, b"ab"))
    assert function.asked == [
        (READ, PLACE + 0x0E, 2, b""),
        (READ, PLACE + 0x10, 2, b""),
        (WRITE, PLACE + 0x03, 1, b"a"),
        (WRITE, PLACE + 0x04, 1, b"b"),
    ]


def test_a_write_while_io_space_is_not_enabled_is_dropped(function: Any) -> None:
    function.space[HEADER.command.offset] = int(Command.MEMORY_ENABLE)
    Regions(function).write(access(0x12, 1, b"\0"))
    assert function.asked == []


def test_only_memory_bars_are_for_requests_that_are_made_elsewhere(function: Any) -> None:
    function.space[HEADER.command.offset] = int(Command.MEMORY_ENABLE | Command.IO_ENABLE)
    regions = Regions(function)
    regions.read(access(0, 1))
    assert regions.windows[LEGACY_BAR].size == 0
    assert regions.windows[MSIX_BAR].size == regions.size(MSIX_BAR) > 0
