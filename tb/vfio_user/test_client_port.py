"""The guest's port over vfio-user, on devices that are not like this project's."""

from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.vfio_user import client_port
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vfio_user.protocol import IrqIndex, Region


class PlainDevice:
    """The client of a device with a header only: no BAR, no capability, no interrupt."""

    def __init__(self, _path: Any):
        self.space = bytearray(256)
        self.space[0:4] = bytes.fromhex("f41a4510")
        self.armed: list[int] = []

    def region_size(self, region: int) -> int:
        return len(self.space) if region == Region.CONFIG else 0

    def irq_info(self, _index: int) -> tuple[int, int]:
        return 0, 0

    def arm(self, index: int, _fds: Any) -> None:
        self.armed.append(index)

    def read(self, _region: int, offset: int, count: int) -> bytes:
        return bytes(self.space[offset : offset + count])

    def write(self, _region: int, _offset: int, _data: bytes, posted: bool = False) -> None: ...

    def map(self, *_arguments: Any, **_options: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def plain(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> Iterator[VfioPort]:
    monkeypatch.setattr(client_port, "Client", PlainDevice)
    with VfioPort("anywhere", memory) as port:
        yield port


def test_a_device_needs_no_msix_and_no_interrupt(plain: VfioPort) -> None:
    (found,) = plain.run(enumerate_pci(plain))
    assert (found.id.vendor, found.id.device) == (0x1AF4, 0x1045)
    assert not found.has_msix
    assert plain.run(found.msix_vectors()) == 0
    client: Any = plain.client
    assert IrqIndex.INTX not in client.armed
