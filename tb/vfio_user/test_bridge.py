"""The project's own driver reads and writes the disk through socket, bridge and hardware."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import BlkRequestType
from ringwalker.spec.modern import FACE_BAR, NOTIFY_BASE
from ringwalker.spec.ring import RingHeader
from ringwalker_sim.disk_image import DiskError
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest
from ringwalker_sim.guest.errors import RequestError, VirtioError
from ringwalker_sim.testing.served_guest import REQUESTS, bind, do_job, submit_reads, with_disk
from ringwalker_sim.vfio_user import serving
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vfio_user.listener import SocketInUse
from ringwalker_sim.vfio_user.peer import PeerGone
from ringwalker_sim.vfio_user.protocol import Region
from ringwalker_sim.vfio_user.recorder import Waves
from ringwalker_sim.vfio_user.serving import DeviceHandle, ServedDevice, serve_devices
from ringwalker_sim.waves.fst import read_fst_signals

SECTOR = 512


def settled(handle: DeviceHandle) -> int:
    """The number of cycles once the clock has stopped, which it must."""
    deadline = time.monotonic() + 10
    before = -1
    while (now := handle.bridge.engine.now) != before and time.monotonic() < deadline:
        before = now
        time.sleep(0.1)
    assert now == before, "the clock runs although there is nothing to do"
    return now


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
@pytest.mark.parametrize("by_message", [False, True], ids=["mapped", "by_message"])
def test_data_is_right_however_memory_and_interrupts_come(
    served: DeviceHandle, memory: SharedMemory, interrupt: str, by_message: bool
) -> None:
    before = served.stats()[interrupt]
    with VfioPort(served.socket, memory, by_message) as port:
        do_job(port, served, interrupt)
        assert (port.client.dma_messages > 0) == by_message
    settled(served)
    # One that nobody asked for would be one without a request; those that come together are seen as one.
    assert 0 < port.interrupts <= served.stats()[interrupt] - before <= REQUESTS + 3


def test_the_clock_runs_only_while_there_is_work(served: DeviceHandle, memory: SharedMemory) -> None:
    with VfioPort(served.socket, memory) as port:
        with_disk(port, lambda _transport, disk: disk.read(0, 1))
        before = settled(served)
        time.sleep(0.3)
        assert served.bridge.engine.now == before
        with_read = port.client.read(Region.CONFIG, 0, 4)
        assert with_read == bytes.fromhex("f41a4210")
        assert served.bridge.engine.now > before


def test_memory_is_taken_away_only_when_the_device_is_done_with_it(
    served: DeviceHandle, memory: SharedMemory
) -> None:
    count = 64

    async def body(_transport: Any, disk: BlkDevice) -> None:
        requests, buffer = submit_reads(port, disk, count)
        await disk.kick(0)
        port.unmap_memory()
        # Everything that was asked for is there, although no time has passed for the driver.
        assert served.disk is not None
        assert (buffer.array == served.disk.read(0, len(buffer.array))).all()
        port.map_memory()
        while not all(request.status == 0 for request in requests):
            await port.sleep(1000)
        assert await disk.read(5, 1) == served.disk.read(5 * SECTOR, SECTOR).tobytes()

    with VfioPort(served.socket, memory) as port:
        with_disk(port, body)
    assert served.stats()["faults"] == 0


def test_the_peer_is_not_asked_for_memory_that_it_has_unmapped(
    served: DeviceHandle, memory: SharedMemory
) -> None:
    """Reads that wait for the peer's attention while it unmaps fail, as if they had come later."""
    before = served.stats()["faults"]

    async def body(transport: Any, disk: BlkDevice) -> bool:
        submit_reads(port, disk, 16)
        await disk.kick(0)
        port.unmap_memory()
        asked = port.client.dma_messages
        for _ in range(20):
            port.client.poll(0.01)
        assert port.client.dma_messages == asked
        return await transport.needs_reset()

    with VfioPort(served.socket, memory, by_message=True) as port:
        assert with_disk(port, body)
    settled(served)
    assert served.bridge.stats()["faults"] > before
    served.bridge._counts["faults"] = before
    with VfioPort(served.socket, memory, by_message=True) as port:
        do_job(port, served)


@pytest.mark.parametrize("by_message", [False, True], ids=["mapped", "by_message"])
def test_a_reset_in_flight_leaves_a_device_like_new(
    served: DeviceHandle, memory: SharedMemory, by_message: bool
) -> None:
    async def body(_transport: Any, disk: BlkDevice) -> None:
        submit_reads(port, disk, 64)
        await disk.kick(0)
        port.client.reset()
        space = port.client.read(Region.CONFIG, 0, 0x40)
        assert space[0x04:0x06] == bytes(2), "the command register"
        assert space[0x14:0x18] == bytes(4), "a base address"

    with VfioPort(served.socket, memory, by_message) as port:
        with_disk(port, body)
    settled(served)
    with VfioPort(served.socket, memory, by_message) as port:
        do_job(port, served)


def test_a_peer_that_goes_in_the_middle_is_followed_by_another(
    served: DeviceHandle, memory: SharedMemory
) -> None:
    async def body(_transport: Any, disk: BlkDevice) -> None:
        submit_reads(port, disk, 64)
        await disk.kick(0)

    for _ in range(3):
        with VfioPort(served.socket, memory) as port:
            with_disk(port, body)
    with VfioPort(served.socket, memory, by_message=True) as port:
        with_disk(port, body)
        while port.client.dma_messages < 20:
            port.client.poll(1.0)
    with VfioPort(served.socket, memory) as port:
        do_job(port, served)
    assert served.stats()["faults"] == 0


def test_a_guest_that_breaks_its_ring_fails_alone_and_the_clock_stops(
    served: DeviceHandle, memory: SharedMemory
) -> None:
    async def body(transport: Any, disk: BlkDevice) -> bool:
        queue = transport.device.vqs[0]
        memory.struct_view(queue.driver_address, RingHeader)["idx"][0] = 0x7000
        for _ in range(3):
            port.client.write(FACE_BAR, NOTIFY_BASE, bytes(2), posted=True)
            await port.sleep(20_000)
        return await transport.needs_reset()

    with VfioPort(served.socket, memory) as port:
        assert with_disk(port, body)
        settled(served)
    with VfioPort(served.socket, memory) as port:
        do_job(port, served)


def test_memory_that_is_not_there_is_logged_and_the_device_fails(
    served: DeviceHandle, memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.stats()["faults"]

    async def body(transport: Any, disk: BlkDevice) -> bool:
        submit_reads(port, disk, 1)
        port.unmap_memory()
        await disk.kick(0)
        await port.sleep(100_000)
        return await transport.needs_reset()

    with VfioPort(served.socket, memory) as port:
        assert with_disk(port, body)
    settled(served)
    assert served.bridge.stats()["faults"] > before
    assert any("which is not mapped for it" in message for message in caplog.messages)
    served.bridge._counts["faults"] = before


def test_memory_that_the_peer_takes_away_fails_those_who_use_it(
    served: DeviceHandle, memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """The file behind guest RAM is cut: an access to what is gone must not end the process of the server."""
    buffer = memory.size - 65536

    async def body(transport: Any, disk: BlkDevice) -> bool:
        os.ftruncate(memory.fd, buffer)
        await disk.request(BlkRequestType.IN, 0, [(buffer, SECTOR)])
        with pytest.raises(VirtioError):
            await disk.request(BlkRequestType.OUT, 0, [(buffer, 4096)])
        return await transport.needs_reset()

    before = served.stats()["faults"]
    assert served.disk is not None
    content = served.disk.read().tobytes()
    with VfioPort(served.socket, memory) as port:
        assert with_disk(port, body)
        settled(served)
    os.ftruncate(memory.fd, memory.size)
    assert served.disk.read().tobytes() == content
    with VfioPort(served.socket, memory) as port:
        do_job(port, served)
    lines = [line for line in caplog.messages if "whose memory the peer has taken away" in line]
    assert any(f"the device wrote 128 bytes at {buffer:#x}" in line for line in lines), lines
    assert any(f"the device read 512 bytes at {buffer:#x}" in line for line in lines), lines
    served.bridge._counts["faults"] = before


def test_a_full_disk_fails_its_own_requests(
    small_file_system: Path, config: DeviceConfig, memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """Another device of the same process goes on."""
    full, fine = small_file_system / "full.img", small_file_system.parent / "fine.img"
    full.touch()
    os.truncate(full, 8 << 20)
    fine.write_bytes(bytes(1 << 20))
    names = [(image, small_file_system.parent / image.stem) for image in (full, fine)]
    devices = [ServedDevice(config, image, socket) for image, socket in names]

    async def body(_transport: Any, disk: BlkDevice) -> int:
        done = 0

        async def fill() -> None:
            nonlocal done
            while True:
                await disk.write(done, bytes(range(256)) * 256)
                done += 128

        with pytest.raises(RequestError, match=r"OUT at sector \d+: IOERR"):
            await fill()
        assert await disk.read(0, 128) == bytes(range(256)) * 256
        return done

    with serve_devices(devices) as handles:
        with VfioPort(names[0][1], memory) as port:
            assert 0 < with_disk(port, body) * 512 <= 1 << 20
        with VfioPort(names[1][1], memory) as port:
            do_job(port, handles[1])
        assert [handle.error for handle in handles] == [None, None]
    (line,) = [line for line in caplog.messages if "No space left on device" in line]
    assert line.startswith(f"{full}: writing at byte ")


@pytest.fixture
def two(config: DeviceConfig, tmp_path: Path) -> Iterator[list[DeviceHandle]]:
    devices = []
    for n in range(2):
        image = tmp_path / f"{n}.img"
        image.write_bytes(np.random.default_rng(n).bytes(1 << 19))
        devices.append(ServedDevice(config, image, tmp_path / f"s{n}"))
    with serve_devices(devices) as handles:
        yield handles
    assert [handle.error for handle in handles] == [None, None]


def test_two_devices_at_once(two: list[DeviceHandle], memory: SharedMemory) -> None:
    other = SharedMemory(4 << 20)
    with VfioPort(two[0].socket, memory) as first, VfioPort(two[1].socket, other) as second:

        async def start(port: VfioPort) -> tuple[list[BlkRequest], Any]:
            _transport, disk = await bind(port)
            requests, buffer = submit_reads(port, disk, 64)
            await disk.kick(0)
            return requests, buffer

        async def finish(port: VfioPort, requests: list[BlkRequest]) -> None:
            while any(request.status for request in requests):
                await port.sleep(1000)

        started = [port.run(start(port)) for port in (first, second)]
        for port, handle, (requests, buffer) in zip((first, second), two, started, strict=True):
            port.run(finish(port, requests))
            assert handle.disk is not None
            assert (buffer.array == handle.disk.read(0, len(buffer.array))).all()
    other.close()


def test_a_disk_whose_image_is_cut_fails_alone(
    two: list[DeviceHandle], memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    image = Path(str(two[0].device.image))
    size = image.stat().st_size

    async def refused(_transport: Any, disk: BlkDevice) -> None:
        os.truncate(image, 4096)
        assert len(await disk.read(7, 1)) == SECTOR
        with pytest.raises(RequestError, match="IN at sector 8: IOERR"):
            await disk.read(8, 1)
        with pytest.raises(RequestError, match="OUT at sector 9: IOERR"):
            await disk.write(9, bytes(SECTOR))
        assert image.stat().st_size == 4096
        os.truncate(image, size)
        assert await disk.read(8, 1) == bytes(SECTOR), "as long as before, with zeros"

    with VfioPort(two[0].socket, memory) as port:
        with_disk(port, refused)
    with VfioPort(two[1].socket, memory) as port:
        do_job(port, two[1])
    assert any(message.startswith(f"{image}: reading at byte 4096") for message in caplog.messages)


def test_what_is_in_use_is_refused_and_nothing_is_left_behind(
    served: DeviceHandle, config: DeviceConfig, tmp_path: Path
) -> None:
    image = served.device.image
    with pytest.raises(DiskError, match="using the image"):
        with serve_devices([ServedDevice(config, image, tmp_path / "s")]):
            pass
    assert not (tmp_path / "s").exists()
    spare = tmp_path / "spare.img"
    spare.write_bytes(bytes(4096))
    with pytest.raises(SocketInUse):
        with serve_devices([ServedDevice(config, spare, served.socket)]):
            pass
    with pytest.raises(SocketInUse, match="no socket"):
        with serve_devices([ServedDevice(config, spare, spare)]):
            pass
    assert spare.read_bytes() == bytes(4096)


def test_the_socket_appears_when_the_device_can_answer(
    config: DeviceConfig, tmp_path: Path, memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building a model takes minutes; who waits for the socket would take a silent one for a dead one."""
    path = tmp_path / "s"
    seen = []

    class Watched(serving.ServedEngine):
        def reset(self, *arguments: Any) -> None:
            super().reset(*arguments)
            seen.append(path.exists())

    monkeypatch.setattr(serving, "ServedEngine", Watched)
    devices = [ServedDevice(config, None, path), ServedDevice(config, None, tmp_path / "t")]
    with serving.serve_devices(devices, built=lambda: seen.append(path.exists())) as handles:
        assert seen == [False, False, False]
        assert [handle.socket.is_socket() for handle in handles] == [True, True]


def test_a_device_that_serves_once_ends_with_its_peer(
    config: DeviceConfig, tmp_path: Path, memory: SharedMemory
) -> None:
    with serve_devices([ServedDevice(config, None, tmp_path / "s")], once=True) as (handle,):
        with VfioPort(handle.socket, memory) as port:
            assert with_disk(port, lambda _transport, disk: disk.read(0, 1)) == bytes(SECTOR)
        assert handle.join(10)
        assert not handle.socket.exists(), "nothing is left to connect to"
        with pytest.raises((PeerGone, OSError)):
            VfioPort(handle.socket, memory)


@pytest.mark.slow
@pytest.mark.parametrize("breaks", [False, True], ids=["well", "broken"])
def test_waves_of_what_went_wrong_are_kept(
    config: DeviceConfig, tmp_path: Path, memory: SharedMemory, breaks: bool
) -> None:
    waves = Waves(tmp_path / "run.fst", last=5000, on_error=True)

    async def body(_transport: Any, disk: BlkDevice) -> None:
        if breaks:
            submit_reads(port, disk, 1)
            port.unmap_memory()
            await disk.kick(0)
        else:
            await disk.read(0, 1)

    with serve_devices([ServedDevice(config, None, tmp_path / "s", waves=waves)]) as (handle,):
        with VfioPort(handle.socket, memory) as port:
            with_disk(port, body)
            settled(handle)
    assert handle.error is None
    assert bool(handle.stats()["faults"]) == breaks
    assert [item.name for item in tmp_path.iterdir()] == (["run.fst"] if breaks else [])
    if breaks:
        assert any(
            signal.name == "requester_request_valid" for signal in read_fst_signals(tmp_path / "run.fst")
        )
