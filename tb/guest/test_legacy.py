"""The legacy transport: what it writes and reads, and what it does with a device that it cannot use."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.features import Feature
from ringwalker.spec.fields import BlkField, CommonField
from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_MSIX,
    LEGACY_QUEUE_ALIGN,
    LEGACY_QUEUE_SHIFT,
    legacy_queue_bytes,
)
from ringwalker.spec.modern import DeviceStatus, IsrBit
from ringwalker.spec.net import NetFeature
from ringwalker.spec.ring import avail_event_offset
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.blk import blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.errors import BindError, DeviceError
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.net_header import net_header, net_header_bytes
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.split_queue import SplitVirtqueue
from ringwalker_sim.guest.transport.faces import DRIVER_FACES, bind_face, driver_face
from ringwalker_sim.memory import GuestMemory

DISK = DeviceConfig(data_width=64, queues=2, queue_size=32, face="legacy")
RAM_BYTES = 1 << 20
SIXTEEN_TIB = 1 << 32 + LEGACY_QUEUE_SHIFT


class Bench:
    """A machine with one device; ``reads`` and ``writes`` are of its header: offset, size and value."""

    def __init__(self, config: DeviceConfig = DISK, memory: GuestMemory | None = None):
        self.port: Any = ModelPort(config, memory or GuestMemory(RAM_BYTES), DiskImage.blank(64))
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int, int]] = []
        face, read, write = self.port.legacy, self.port.legacy.read, self.port.legacy.write

        def note_read(offset: int, size: int) -> int:
            self.reads.append((offset, size))
            return read(offset, size)

        def note_write(offset: int, size: int, value: int) -> None:
            self.writes.append((offset, size, value))
            write(offset, size, value)

        face.read, face.write = note_read, note_write
        self.transport: Any = None

    def bind(self, interrupt: str = "msix", face: str | None = "legacy") -> Any:
        async def main() -> Any:
            (pci,) = await enumerate_pci(self.port)
            return await bind_face(pci, interrupt, face)

        self.transport = self.port.run(main())
        return self.transport

    def written(self, name: str) -> list[int]:
        """What was written to a register of the header."""
        return [value for offset, _size, value in self.writes if offset == LEGACY[name].offset]


def test_the_rings_are_one_piece_as_the_specification_lays_them_out() -> None:
    for size in (1, 2, 32, 256, 1024):
        memory = GuestMemory(RAM_BYTES)
        vq = SplitVirtqueue(memory, size, legacy=True)
        driver = vq.desc_address + 16 * size
        used = -(-(driver + 6 + 2 * size) // 4096) * 4096
        assert vq.desc_address % 4096 == 0
        assert (vq.driver_address, vq.device_address) == (driver, used)
        assert used + 6 + 8 * size <= vq.desc_address + legacy_queue_bytes(size)
        assert memory.allocated == legacy_queue_bytes(size)
        vq.free()
        assert memory.allocated == 0


def test_no_ring_is_at_page_0_which_says_that_there_is_no_queue() -> None:
    memory = GuestMemory(RAM_BYTES)
    assert memory.allocate(16, LEGACY_QUEUE_ALIGN).address == 0
    memory.free(0)
    vq = SplitVirtqueue(memory, 8, legacy=True)
    assert vq.desc_address >= LEGACY_QUEUE_ALIGN


def test_the_driver_goes_through_the_states_of_old() -> None:
    bench = Bench()
    transport = bench.bind()
    port = bench.port

    async def main() -> None:
        accepted = await transport.negotiate(~0)
        offered = port.model.features
        assert accepted == offered & 0xFFFF_FFFF | 1 << Feature.ANY_LAYOUT | 1 << Feature.NOTIFY_ON_EMPTY
        vq = await transport.find_vq(1)
        assert bench.written("queue_pfn") == [vq.desc_address >> LEGACY_QUEUE_SHIFT]
        await transport.driver_ok()
        await transport.notify(vq)

    port.run(main())
    states = bench.written("device_status")
    assert states == [0, 1, 3, 7]
    assert not any(state & DeviceStatus.FEATURES_OK for state in states)
    assert bench.written("queue_notify") == [1]
    assert {size for _offset, size, _value in bench.writes} == {1, 2, 4}


def test_the_device_configuration_moves_with_msix() -> None:
    for interrupt, base in (("intx", LEGACY.size), ("msix", LEGACY_MSIX.size)):
        bench = Bench()
        transport = bench.bind(interrupt)
        bench.reads.clear()
        assert bench.port.run(transport.get(BLK_CONFIG.blk_size)) == 512
        assert bench.reads == [(base + BLK_CONFIG.blk_size.offset, 4)]


def test_a_value_that_changes_while_it_is_read_is_read_again() -> None:
    bench = Bench()
    transport = bench.bind()
    model, read, calls = bench.port.model, bench.port.legacy.read, 0
    model.capacity = 0x1_0000_0005

    def change(offset: int, size: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the halves
            model.capacity = 0x2_0000_0006
        return read(offset, size)

    bench.port.legacy.read = change
    assert bench.port.run(transport.get(BLK_CONFIG.capacity)) == 0x2_0000_0006
    assert calls == 6


def test_a_value_that_never_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwalker_sim.guest.transport.legacy_pci.POLLS", 20)
    bench = Bench()
    transport = bench.bind()
    model, read = bench.port.model, bench.port.legacy.read

    def change(offset: int, size: int) -> int:
        model.capacity += 1
        return read(offset, size)

    bench.port.legacy.read = change
    with pytest.raises(DeviceError, match="capacity changes faster"):
        bench.port.run(transport.get(BLK_CONFIG.capacity))


def _odd_size(bench: Bench) -> None:
    bench.port.model.queue_size = 24


def _other_page(bench: Bench) -> None:
    bench.port.legacy._set_page = lambda page: None


def _nothing(_bench: Bench) -> None:
    pass


@pytest.mark.parametrize(
    ("config", "memory", "spoil", "error", "message"),
    [
        (
            replace(DISK, queue_size=32768),
            (RAM_BYTES // 2, 0),
            _nothing,
            BindError,
            "queue 0 of 32768 entries needs 860160 bytes in one piece: no 860160 bytes",
        ),
        (
            DISK,
            (RAM_BYTES, SIXTEEN_TIB),
            _nothing,
            BindError,
            "the rings of queue 0 are at 0x100000000000; the legacy interface reaches addresses below "
            "0x100000000000",
        ),
        (DISK, (RAM_BYTES, 0), _odd_size, DeviceError, "queue 0 has 24 entries, which is no power of two"),
        (
            DISK,
            (RAM_BYTES, 0),
            _other_page,
            DeviceError,
            "the page of queue 0 does not read as it was written",
        ),
    ],
    ids=["does not fit", "above 16 TiB", "odd size", "other page"],
)
def test_a_queue_that_cannot_be(
    config: DeviceConfig,
    memory: tuple[int, int],
    spoil: Callable[[Bench], None],
    error: type[Exception],
    message: str,
) -> None:
    bench = Bench(config, GuestMemory(*memory))
    transport = bench.bind()
    bench.port.run(transport.negotiate(0))
    spoil(bench)
    with pytest.raises(error, match=message):
        bench.port.run(transport.find_vq(0))


def test_rings_right_below_16_tib_are_used() -> None:
    bench = Bench(memory=GuestMemory(RAM_BYTES, SIXTEEN_TIB - RAM_BYTES))
    opened = bench.port.run(open_device(Machine(bench.port), "blk", face="legacy"))
    assert bench.port.run(opened.driven.get_id()) == "ringwalker"
    assert max(bench.written("queue_pfn")) > 0xFFFF_FF00


def test_the_size_of_a_queue_is_not_the_drivers_choice() -> None:
    bench = Bench()
    transport = bench.bind()
    with pytest.raises(ValueError, match="size is 16; by the legacy interface it must be 32"):
        bench.port.run(transport.find_vq(0, size=16))
    with pytest.raises(BindError, match="the device has no queue 2"):
        bench.port.run(transport.find_vq(2))
    bench.port.run(transport.find_vq(1))
    with pytest.raises(BindError, match="queue 1 is in use"):
        bench.port.run(transport.find_vq(1))


def test_features_beyond_bit_31_cannot_be_accepted() -> None:
    bench = Bench()
    transport = bench.bind()
    with pytest.raises(BindError, match="no features beyond bit 31"):
        bench.port.run(transport.accept_features(1 << Feature.VERSION_1))


@pytest.mark.parametrize(
    ("face", "wanted", "message"),
    [
        ("modern", "legacy", "the function has no legacy header, since it has no BAR 0"),
        ("legacy", "modern", "no usable virtio capability of type COMMON"),
    ],
)
def test_a_function_without_the_face_that_is_wanted(face: str, wanted: str, message: str) -> None:
    bench = Bench(replace(DISK, face=face))
    with pytest.raises(BindError, match=message):
        bench.bind(face=wanted)


def test_which_face_a_driver_uses() -> None:
    assert [driver_face(face) for face in ("modern", "legacy", "transitional")] == [
        "modern",
        "legacy",
        "modern",
    ]
    assert [driver_face("transitional", wanted) for wanted in DRIVER_FACES] == ["modern", "legacy"]
    for face, wanted in (("modern", "legacy"), ("legacy", "modern"), ("transitional", "packed")):
        with pytest.raises(ValueError, match=f"driver_face is '{wanted}'; a device whose face is '{face}'"):
            driver_face(face, wanted)


def test_an_oasis_device_is_found_by_its_subsystem() -> None:
    config = replace(DISK, face="transitional", identity=Identity(preset="oasis"))
    bench = Bench(config)

    async def main() -> Any:
        (pci,) = await enumerate_pci(bench.port)
        assert (pci.id.vendor, pci.id.device, pci.id.subdevice) == (0x1AF4, 0x1001, 2)
        return await open_device(Machine(bench.port), "blk", face="legacy")

    assert bench.port.run(main()).driven.capacity == 64


def test_the_interrupt_status_is_in_the_header_and_reading_clears_it() -> None:
    bench = Bench()

    async def main() -> None:
        transport = await bind_face((await enumerate_pci(bench.port))[0], "intx", "legacy")
        bench.port.registers.note(IsrBit.CONFIG)
        await bench.port.sleep(1000)
        assert transport.config_changes == 1
        assert bench.port.registers.isr == 0
        assert (LEGACY.isr_status.offset, 1) in bench.reads

    bench.port.run(main())


def test_the_header_may_be_accessed_in_any_pieces() -> None:
    bench = Bench()
    bench.bind()
    face = bench.port.legacy
    length = LEGACY_MSIX.size + BLK_CONFIG.size
    whole = b"".join(face.read(offset, 1).to_bytes(1, "little") for offset in range(length))
    assert whole[LEGACY.device_status.offset] == 3
    for size in (2, 4, 8):
        for offset in range(length - size):
            assert face.read(offset, size).to_bytes(size, "little") == whole[offset : offset + size]
    face.write(LEGACY.driver_features.offset + 1, 2, 0xFFFF)
    assert face.read(LEGACY.driver_features.offset, 4) == face.read(0, 4) & 0x00FF_FF00
    # A page counts as a whole, so that no half of it enables a queue.
    face.write(LEGACY.queue_pfn.offset, 2, 5)
    assert not bench.port.rings.queues[0].enable


def test_a_queue_stays_where_it_is_until_it_is_freed() -> None:
    bench = Bench()
    bench.bind()
    face, queue = bench.port.legacy, LEGACY.queue_pfn.offset
    face.write(LEGACY.queue_select.offset, 2, 0)
    for page, wanted in ((7, 7), (9, 7), (0, 0), (9, 9)):
        face.write(queue, 4, page)
        assert face.read(queue, 4) == wanted
    assert bench.port.rings.queues[0].device == 9 * 4096 + 4096


def test_the_device_may_be_used_before_driver_ok() -> None:
    bench = Bench()
    opened: list[Any] = []

    async def main() -> None:
        bus = VirtioBus()
        transport = await bind_face((await enumerate_pci(bench.port))[0], face="legacy")
        transport.driver_ok = _never
        await bus.register_virtio_device(transport.device)

        await bus.register_virtio_driver(blk_driver(bench.port))
        opened.append(transport.device.priv)
        assert await opened[0].get_id() == "ringwalker"
        assert not await transport.status() & DeviceStatus.DRIVER_OK

    bench.port.run(main())


async def _never() -> None:
    return


def test_who_begins_first_has_the_device() -> None:
    bench = Bench(replace(DISK, face="transitional"))
    bench.bind(face="modern")
    assert not bench.port.model.legacy
    bench.port.legacy.write(LEGACY.driver_features.offset, 4, 0)
    assert not bench.port.model.legacy
    bench.bind(face="legacy")
    assert bench.port.model.legacy
    bench.bind(face="modern")
    assert not bench.port.model.legacy


def test_what_a_queue_holds_comes_back_with_a_reset_of_the_device_alone() -> None:
    bench = Bench(replace(DISK, function="rng", queues=1, settings=None))
    bench.port.model.latency = 100_000

    async def main() -> None:
        transport = await bind_face((await enumerate_pci(bench.port))[0], face="legacy")
        await transport.negotiate(0)
        vq = await transport.find_vq(0)
        await transport.driver_ok()
        buffer = bench.port.memory.allocate(16)
        assert vq.add_buf(buffer.sg, 0, 1, "mine") == 0
        await vq.kick()
        with pytest.raises(BindError, match="detach needs a device with VIRTIO_F_RING_RESET"):
            await vq.detach("mine")
        bench.writes.clear()
        assert await vq.shutdown() == ["mine"]
        assert bench.written("device_status")[0] == 0
        assert vq.broken
        await transport.del_vq(vq)
        watch = bench.port.memory.watch(buffer.address, 16)
        buffer.free()
        await bench.port.sleep(200_000)
        assert watch.hits == []

    bench.port.run(main())


def test_a_queue_that_runs_out_is_said_so_in_spite_of_suppression() -> None:
    for wanted, interrupts in ((0, 0), (1 << Feature.NOTIFY_ON_EMPTY, 1)):
        bench = Bench(replace(DISK, function="rng", queues=1, settings=None))
        transport = bench.bind()
        heard: list[int] = []

        async def main(
            bench: Bench = bench, transport: Any = transport, heard: list[int] = heard, wanted: int = wanted
        ) -> None:
            await transport.negotiate(wanted)
            vq = await transport.find_vq(0, lambda vq: not heard.append(vq.index))
            await transport.driver_ok()
            vq._ask_interrupts(False)
            with bench.port.memory.allocate(64) as buffer:
                for number in range(4):
                    assert vq.add_buf([(buffer.address + 16 * number, 16)], 0, 1, number) == 0
                await vq.kick()
                await bench.port.sleep(5000)
            assert [vq.get_buf() for _ in range(4)] == [(number, 16) for number in range(4)]

        bench.port.run(main())
        assert len(heard) == interrupts


def test_the_fields_of_2007_are_views_of_the_header() -> None:
    bench = Bench()
    transport = bench.bind()

    async def main() -> None:
        space = await transport.fields()
        kinds = [field.type for field in await space.fields()]
        assert kinds == [
            CommonField.STATUS,
            CommonField.DEVICE_FEATURES,
            CommonField.DRIVER_FEATURES,
            CommonField.GENERATION,
            *BlkField,
            *(CommonField.QUEUE, CommonField.QUEUE),
        ]
        status = await space.find(CommonField.STATUS)
        assert await space.read(status) == b"\x03"
        await space.write(await space.find(CommonField.DRIVER_FEATURES), (64).to_bytes(8, "little"))
        assert bench.written("driver_features") == [64]
        assert transport.features == 64
        capacity = await space.find(BlkField.CAPACITY)
        assert int.from_bytes(await space.read(capacity), "little") == 64
        generation = await space.find(CommonField.GENERATION)
        bench.port.model.changed()
        await bench.port.sleep(100)
        assert await space.read(generation) == b"\x01"
        # The whole list, as somebody reads it who knows no fields.
        content = await space.read_bytes(0, space.size)
        assert content[:5] == bytes([CommonField.STATUS, status.flags, 1, 0, 3])
        await space.write(status, b"\0")
        assert await transport.status() == 0

    bench.port.run(main())


def test_a_frame_has_a_count_of_buffers_in_front_only_where_that_was_agreed_on() -> None:
    for features, size in ((0, 10), (1 << NetFeature.MRG_RXBUF, 12), (1 << Feature.VERSION_1, 12)):
        assert net_header_bytes(features) == size
        assert net_header(features, 1) == bytes(10) + b"\1\0"[: size - 10]


def test_the_event_index_is_inside_the_last_page() -> None:
    vq = SplitVirtqueue(GuestMemory(RAM_BYTES), 512, legacy=True)
    assert vq.device_address + avail_event_offset(512) + 2 <= vq.desc_address + legacy_queue_bytes(512)
