"""Regions, mappings and the MSI-X table of a simulated device, without a socket."""

import errno
import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.core import TRANSPORT_FEATURES
from ringwalker.pci.capabilities import layout
from ringwalker.queue.split.ring import SPLIT
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, ISR_BASE, MSIX_BAR
from ringwalker.spec.pci import HEADER, MSIX_CAPABILITY, MSIX_ENTRY_BYTES, Command, MsixControl
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker_sim.engine.native.served import ServedEngine
from ringwalker_sim.vfio_user.bodies import DmaMap, DmaUnmap, IrqSet, RegionAccess
from ringwalker_sim.vfio_user.bridge import EngineBridge
from ringwalker_sim.vfio_user.conversation import Step
from ringwalker_sim.vfio_user.protocol import IrqIndex, IrqSetFlag, MapFlag, Region

BASE = 0x40_8000_0000
TRIGGER = IrqSetFlag.ACTION_TRIGGER | IrqSetFlag.DATA_EVENTFD


class Bench:
    """A bridge and short names for what a peer asks of it."""

    def __init__(self, engine: ServedEngine):
        self.engine = engine
        self.bridge = EngineBridge(engine)
        self.layout = layout(engine.config)

    def read(self, region: int, offset: int, count: int) -> bytes:
        return self.bridge.region_read(RegionAccess(offset, region, count))

    def write(self, region: int, offset: int, data: bytes) -> None:
        self.bridge.region_write(RegionAccess(offset, region, len(data), data))

    def decode(self, enable: int = Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE) -> None:
        """Put the BAR of the registers somewhere and let it be decoded."""
        register = HEADER[f"bar{FACE_BAR}"].offset
        self.write(Region.CONFIG, register, BASE.to_bytes(8, "little"))
        self.write(Region.CONFIG, HEADER.command.offset, int(enable).to_bytes(2, "little"))

    def start(self) -> None:
        """What a driver without queues does."""
        self.write(FACE_BAR, COMMON_BASE + COMMON.device_status.offset, b"\x03")
        self.write(FACE_BAR, COMMON_BASE + COMMON.driver_feature_select.offset, (1).to_bytes(4, "little"))
        self.write(FACE_BAR, COMMON_BASE + COMMON.driver_feature.offset, (1).to_bytes(4, "little"))
        for status in (0x0B, 0x0F):
            self.write(FACE_BAR, COMMON_BASE + COMMON.device_status.offset, bytes([status]))
        assert self.read(FACE_BAR, COMMON_BASE + COMMON.device_status.offset, 1) == b"\x0f"
        self.idle()

    def idle(self) -> None:
        for _ in range(10_000):
            if self.bridge.advance() is Step.IDLE:
                return
        raise AssertionError("the clock does not stop")


@pytest.fixture(scope="module")
def engine(config: DeviceConfig) -> Iterator[ServedEngine]:
    with ServedEngine(config) as engine:
        yield engine


@pytest.fixture
def bench(engine: ServedEngine) -> Iterator[Bench]:
    bench = Bench(engine)
    yield bench
    bench.bridge.detached()
    assert bench.bridge.stats()["violations"] == 0


def refusal(function: Any, *arguments: Any) -> int | None:
    with pytest.raises(OSError, match=r".") as caught:
        function(*arguments)
    return caught.value.errno


def test_configuration_space_is_read_in_any_pieces(bench: Bench) -> None:
    whole = bench.read(Region.CONFIG, 0, 256)
    assert whole[:4] == bytes.fromhex("f41a4210")
    assert bench.read(Region.CONFIG, 0, 0) == b""
    for offset, count in ((0, 1), (1, 2), (3, 3), (2, 9), (0x3C, 4), (255, 1), (13, 100)):
        assert bench.read(Region.CONFIG, offset, count) == whole[offset : offset + count]
    for offset, count in ((255, 2), (256, 1), (0, 257), (1 << 63, 4)):
        assert refusal(bench.read, Region.CONFIG, offset, count) == errno.EINVAL


def test_sizes_of_regions_are_those_of_the_bars(bench: Bench) -> None:
    sizes = {bar.index: bar.size for bar in bench.layout.bars}
    for region in range(9):
        expected = 256 if region == Region.CONFIG else sizes.get(region, 0)
        assert bench.bridge.region_size(region) == expected
    assert refusal(bench.read, 0, 0, 1) == errno.EINVAL
    assert bench.read(0, 0, 0) == b""


def test_a_bar_answers_where_and_only_while_it_is_decoded(bench: Bench) -> None:
    select = COMMON_BASE + COMMON.device_feature_select.offset
    feature = COMMON_BASE + COMMON.device_feature.offset
    assert bench.read(FACE_BAR, feature, 4) == b"\xff" * 4
    bench.decode()
    low = bench.read(FACE_BAR, feature, 4)
    assert low not in (b"\xff" * 4, bytes(4))
    bench.write(FACE_BAR, select, (1).to_bytes(4, "little"))
    offered = TRANSPORT_FEATURES | SPLIT.features
    assert bench.read(FACE_BAR, feature, 4) == (offered >> 32).to_bytes(4, "little")
    # While the size of the BAR is found out it is somewhere else, and not decoded.
    bench.decode(Command.BUS_MASTER_ENABLE)
    register = HEADER[f"bar{FACE_BAR}"].offset
    bench.write(Region.CONFIG, register, b"\xff" * 8)
    mask = int.from_bytes(bench.read(Region.CONFIG, register, 8), "little") & ~0xF
    assert (1 << 64) - mask == bench.bridge.region_size(FACE_BAR)
    bench.write(FACE_BAR, select, bytes(4))
    assert bench.read(FACE_BAR, feature, 8) == b"\xff" * 8
    bench.decode()
    assert bench.read(FACE_BAR, select, 1) == b"\1", "the write while it was not decoded was dropped"


def test_a_bar_is_read_and_written_in_any_pieces(bench: Bench) -> None:
    bench.decode()
    size = bench.bridge.region_size(FACE_BAR)
    whole = bench.read(FACE_BAR, 0, size)
    assert len(whole) == size
    for offset, count in ((0, 8), (1, 3), (0xFFE, 4), (0x7FF, 2050), (size - 1, 1)):
        got = bench.read(FACE_BAR, offset, count)
        assert len(got) == count
        if offset < 0x30:
            assert got == whole[offset : offset + count]
    assert refusal(bench.read, FACE_BAR, size - 1, 2) == errno.EINVAL
    assert refusal(bench.write, FACE_BAR, size, b"\0") == errno.EINVAL
    bench.write(FACE_BAR, COMMON_BASE + COMMON.device_feature_select.offset, (1).to_bytes(8, "little"))
    assert bench.read(FACE_BAR, COMMON_BASE + COMMON.device_feature_select.offset, 4) == b"\1\0\0\0"
    # Registers in the middle of a write that is longer than a packet may be, and not at a dword.
    bench.write(FACE_BAR, 0x2001, bytes(600))
    assert bench.read(Region.CONFIG, 0, 4) == bytes.fromhex("f41a4210")


def test_a_reset_takes_everything_back(bench: Bench) -> None:
    bench.decode()
    bench.bridge.reset()
    assert bench.read(Region.CONFIG, HEADER.command.offset, 2) == bytes(2)
    assert bench.read(FACE_BAR, 0, 4) == b"\xff" * 4
    assert bench.bridge.stats()["resets"] == 1


def test_a_function_level_reset_keeps_the_vectors_of_the_peer(bench: Bench) -> None:
    bench.decode()
    bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.MSIX, 0, 1), [os.eventfd(0, os.EFD_NONBLOCK)])
    table = bench.read(MSIX_BAR, 0, MSIX_ENTRY_BYTES)
    assert any(table)
    at = bench.layout["pcie"].offset + PCIE_CAPABILITY.device_control.offset
    control = int.from_bytes(bench.read(Region.CONFIG, at, 2), "little")
    control |= DeviceControl.INITIATE_FUNCTION_LEVEL_RESET
    bench.write(Region.CONFIG, at, control.to_bytes(2, "little"))
    assert bench.read(Region.CONFIG, HEADER.command.offset, 2) == bytes(2)
    assert bench.read(FACE_BAR, 0, 4) == b"\xff" * 4
    bench.decode()
    assert bench.read(MSIX_BAR, 0, MSIX_ENTRY_BYTES) == table
    assert bench.bridge.stats()["resets"] == 1


def test_vectors_are_programmed_whatever_the_guest_does_with_bars(bench: Bench) -> None:
    placed = HEADER.bar0.offset, 24
    for address in (bytes(24), b"\xff" * 24):
        bench.write(Region.CONFIG, placed[0], address)
        before = bench.read(Region.CONFIG, *placed)
        bench.bridge.set_irqs(
            IrqSet(IrqSetFlag.ACTION_TRIGGER | IrqSetFlag.DATA_NONE, IrqIndex.MSIX, 0, 0), []
        )
        listener = os.eventfd(0)
        bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.MSIX, 0, 1), [listener])
        assert bench.read(Region.CONFIG, *placed) == before
        assert bench.read(Region.CONFIG, HEADER.command.offset, 2) == bytes(2)
    bench.write(Region.CONFIG, placed[0], bytes(24))
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    kept = [os.dup(fd) for fd in fds]
    bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.MSIX, 0, 2), fds)

    def table() -> bytes:
        bench.write(Region.CONFIG, HEADER[f"bar{MSIX_BAR}"].offset, (0xFEB0_0000).to_bytes(4, "little"))
        bench.write(Region.CONFIG, HEADER.command.offset, bytes([Command.MEMORY_ENABLE, 0]))
        return bench.read(MSIX_BAR, 0, 32)

    programmed = table()
    address = bench.engine.host.msi_window[0].to_bytes(8, "little")
    assert programmed == b"".join(address + bytes([vector]) + bytes(7) for vector in range(2))
    bench.bridge.reset()
    assert table() == programmed, "a reset of the device is no business of the vectors"
    bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.MSIX, 1, 1), [])
    assert table()[28:32] == bytes([1, 0, 0, 0]), "a vector without listener is masked"
    bench.bridge.set_irqs(IrqSet(IrqSetFlag.ACTION_TRIGGER | IrqSetFlag.DATA_NONE, IrqIndex.MSIX, 0, 0), [])
    assert table()[12] == 1
    for fd in kept:
        os.close(fd)


def test_a_message_becomes_a_write_of_its_eventfd(bench: Bench) -> None:
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    kept = [os.dup(fd) for fd in fds]
    bench.decode()
    control = bench.layout["msix"].offset + MSIX_CAPABILITY.control.offset
    bench.write(Region.CONFIG, control, int(MsixControl.ENABLE).to_bytes(2, "little"))
    bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.MSIX, 0, 2), fds)
    bench.write(FACE_BAR, COMMON_BASE + COMMON.config_msix_vector.offset, (0).to_bytes(2, "little"))
    bench.start()
    bench.engine.ports.storage.set_capacity(77)
    bench.idle()
    assert os.eventfd_read(kept[0]) == 1
    with pytest.raises(BlockingIOError):
        os.eventfd_read(kept[1])
    for fd in kept:
        os.close(fd)


def test_the_line_has_fallen_when_the_guest_unmasks_it_after_the_register_read(bench: Bench) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    bench.decode()
    bench.bridge.set_irqs(IrqSet(TRIGGER, IrqIndex.INTX, 0, 1), [os.dup(fd)])
    bench.start()
    unmask = IrqSet(IrqSetFlag.ACTION_UNMASK | IrqSetFlag.DATA_NONE, IrqIndex.INTX, 0, 1)
    for sectors in (99, 100, 101):
        bench.engine.ports.storage.set_capacity(sectors)
        bench.idle()
        assert os.eventfd_read(fd) == 1
        bench.bridge.set_irqs(unmask, [])
        assert os.eventfd_read(fd) == 1, "nobody has read the register yet"
        assert bench.read(FACE_BAR, ISR_BASE, 1) == b"\x02"
        bench.bridge.set_irqs(unmask, [])
        with pytest.raises(BlockingIOError):
            os.eventfd_read(fd)
    os.close(fd)


def test_mappings_may_not_overlap_and_come_away_whole(bench: Bench) -> None:
    both = MapFlag.READ | MapFlag.WRITE
    fd = os.memfd_create("ram")
    os.ftruncate(fd, 0x4000)
    bridge = bench.bridge
    bridge.dma_map(DmaMap(both, 0x1000, 0x10000, 0x3000), os.dup(fd))
    bridge.dma_map(DmaMap(MapFlag.READ, 0, 0x20000, 0x1000), None)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    assert refusal(bridge.dma_map, DmaMap(both, 0, 0x12000, 0x1000), os.dup(fd)) == errno.EEXIST
    assert refusal(bridge.dma_map, DmaMap(both, 0, 0x1F000, 0x2000), None) == errno.EEXIST
    assert refusal(bridge.dma_map, DmaMap(both, 0, 0x30000, 0x8000), os.dup(fd)) == errno.EINVAL
    assert refusal(bridge.dma_map, DmaMap(both, 17, 0x30000, 0x1000), os.dup(fd)) == errno.EINVAL
    assert refusal(bridge.dma_map, DmaMap(both, 0, 0x30000, 1 << 63), os.dup(fd)) == errno.EINVAL
    assert refusal(bridge.dma_map, DmaMap(both, 0, 0x30000, 0x1000), os.open(os.devnull, os.O_RDWR))
    gc.collect()  # exceptions hold what was on its way
    assert len(os.listdir("/proc/self/fd")) == before
    assert refusal(bridge.dma_unmap, DmaUnmap(0x10000, 0x1000)) == errno.EINVAL
    bridge.dma_unmap(DmaUnmap(0, 0x30000))
    bridge.dma_map(DmaMap(both, 0, 0x12000, 0x1000), os.dup(fd))
    assert bridge.stats()["mappings"] == 3
    os.close(fd)


def test_what_was_never_mapped_is_unmapped_without_a_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As QEMU does with a whole address space when its guest switches an IOMMU on."""
    bridge = bench.bridge
    bridge.dma_map(DmaMap(MapFlag.READ, 0, 0x20000, 0x1000), None)
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "_settle", lambda: pytest.fail("the device was waited for"))
        bridge.dma_unmap(DmaUnmap(0, 0x20000))
        bridge.dma_unmap(DmaUnmap(0x21000, 1 << 40))
    assert refusal(bridge.dma_map, DmaMap(MapFlag.READ, 0, 0x20000, 0x1000), None) == errno.EEXIST
    bridge.dma_unmap(DmaUnmap(0x20000, 0x1000))
    bridge.dma_map(DmaMap(MapFlag.READ, 0, 0x20000, 0x1000), None)


def test_a_device_that_waits_for_ever_does_not_keep_the_clock_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limit = -bench.engine.config.completion_timeout + 5000
    monkeypatch.setattr("ringwalker_sim.vfio_user.bridge.STILL_CYCLES", limit)
    monkeypatch.setattr(bench.engine, "quiet", lambda: False)
    bench.idle()
    assert any("will not come" in message for message in caplog.messages)
