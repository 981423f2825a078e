"""The operations of each stage by their own names, with their own return values."""

import errno
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import BLK_CONFIG, BlkRequestType
from ringwalker.spec.fields import BlkField, CommonField, NetField
from ringwalker.spec.net import NET_CONFIG, NetRxMode
from ringwalker.transport.field_list import image
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.golden.console import ConsoleModel
from ringwalker_sim.golden.field_image import FieldImage
from ringwalker_sim.golden.net import NetModel
from ringwalker_sim.golden.ring_server import RingServer
from ringwalker_sim.guest.blk import blk_driver
from ringwalker_sim.guest.bus import VirtioBus, virtio_ids
from ringwalker_sim.guest.history import (
    adapt,
    draft3,
    draft3_glue,
    draft3_handlers,
    linux2624,
    linux2624_glue,
    may2007,
    may2007_glue,
    september2007,
    september2007_glue,
)
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory

BLK_IDS = virtio_ids(2, 0x010000)
NET_IDS = virtio_ids(1, 0x020000)


class Guest:
    """A machine with a disk or a network device in Python."""

    def __init__(self, function: str = "blk", transport: str = "memory"):
        self.port = SoftwarePort(GuestMemory(1 << 20))
        self.memory = self.port.memory
        self.machine = Machine(self.port)
        self.disk = np.random.default_rng(2).integers(0, 256, 64 * 512, np.uint8)
        schedule = self.port.schedule
        models: dict[str, Callable[[], Any]] = {
            "blk": lambda: BlkModel(schedule, DiskImage.of(self.disk), queues=2, queue_size=8),
            "net": lambda: NetModel(schedule, queue_size=8),
            "console": lambda: ConsoleModel(schedule, queue_size=8),
        }
        self.model = models[function]()
        self.transport = transport

    async def add(self) -> Any:
        add = self.machine.add_memory_device if self.transport == "memory" else self.machine.add_pipe_device
        return await add(self.model)

    def run(self, main: Any) -> None:
        async def whole() -> None:
            await main()
            await self.machine.close()

        self.port.run(whole())
        assert self.memory.allocated == 0


async def nothing(*_arguments: Any) -> None:
    pass


# --- 31 May 2007 -------------------------------------------------------------------------------------------


def may_driver(guest: Guest, ids: Any, body: Any) -> Any:
    async def probe(vdev: may2007.virtio_device, configuration: may2007_glue.Configuration) -> int:
        await body(vdev, configuration)
        return 0

    return may2007_glue.core_driver("test", ids, guest.port, probe, nothing)


@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_may_used_is_filled_in_and_sync_may_be_missing(transport: str) -> None:
    guest = Guest("net", transport)
    sent: list[bytes] = []
    guest.model.on_frame = sent.append

    async def body(vdev: may2007.virtio_device, configuration: may2007_glue.Configuration) -> None:
        assert configuration.values["mtu"] == 1500
        assert (vdev.ops.sync is None) is (transport == "pipe")
        buffer = guest.memory.allocate(512)
        outward, inward = may2007.Used(), may2007.Used()
        receive = [(buffer.address, 100), (buffer.address + 100, 100)]
        assert vdev.ops.add_inbuf(vdev, receive, 2, inward) > 0
        assert vdev.ops.add_outbuf(vdev, [(buffer.address + 256, 12 + 60)], 1, outward) > 0
        interrupts: list[int] = []
        vdev.dev.request_irq(lambda: interrupts.append(guest.port.now()))
        await may2007.virtio_sync(vdev)
        await guest.port.sleep(2000)
        assert outward.value == 72, "the length sent"
        assert sent == [bytes(60)]
        assert interrupts
        assert inward.value == may2007.UNUSED
        guest.model.receive(guest.model.mac + bytes(54))
        await guest.port.sleep(2000)
        assert inward.value == 72, "the length received, over both pieces"
        buffer.free()

    async def main() -> None:
        await guest.add()
        await guest.machine.bus.register_virtio_driver(may_driver(guest, NET_IDS, body))

    guest.run(main)


@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_may_errors_and_detach(transport: str) -> None:
    guest = Guest("net", transport)

    async def body(vdev: may2007.virtio_device, configuration: may2007_glue.Configuration) -> None:
        assert configuration.queue_size == 8
        buffer = guest.memory.allocate(8 * 128)
        pieces = [(buffer.address + 128 * n, 128) for n in range(8)]
        used = [may2007.Used() for _ in range(8)]
        assert vdev.ops.add_inbuf(vdev, pieces[:1], 2, used[0]) == -errno.EINVAL
        assert vdev.ops.add_outbuf(vdev, [], 0, used[0]) == -errno.EINVAL
        numbers = [vdev.ops.add_inbuf(vdev, [pieces[n]], 1, used[n]) for n in range(8)]
        assert len(set(numbers)) == 8
        assert min(numbers) > 0
        assert vdev.ops.add_inbuf(vdev, pieces[:1], 1, may2007.Used()) == -errno.ENOSPC
        await may2007.virtio_sync(vdev)
        await guest.port.sleep(1000)
        # The first two are detached: the device cannot write them, and takes the third.
        for number in numbers[:2]:
            await vdev.ops.detach_inbuf(vdev, number)
        watch = guest.memory.watch(pieces[0][0], 256)
        guest.model.receive(guest.model.mac + bytes(54))
        await guest.port.sleep(3000)
        assert not watch.hits
        assert [item.value for item in used[:4]] == [may2007.UNUSED] * 2 + [72, may2007.UNUSED]
        # Both are no-ops: it was detached, it was used, it never was.
        for number in (numbers[0], numbers[2], 999):
            await vdev.ops.detach_inbuf(vdev, number)
            await vdev.ops.detach_outbuf(vdev, number)
        assert vdev.ops.add_inbuf(vdev, [pieces[0]], 1, used[0]) > 0
        buffer.free()

    async def main() -> None:
        await guest.add()
        await guest.machine.bus.register_virtio_driver(may_driver(guest, NET_IDS, body))

    guest.run(main)


@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_may_a_request_and_its_answer_are_paired(transport: str) -> None:
    guest = Guest("blk", transport)

    async def body(vdev: may2007.virtio_device, _configuration: Any) -> None:
        ops = vdev.ops
        buffer = guest.memory.allocate(4096)
        base = buffer.address
        for number in range(2):
            header = np.zeros(16, np.uint8)
            header[8] = 5 + number
            guest.memory.write(base + 16 * number, header)
        data, status, out = may2007.Used(), may2007.Used(), may2007.Used()
        assert ops.add_inbuf(vdev, [(base + 1024, 500), (base + 2048, 12)], 2, data) > 0
        waiting = ops.add_inbuf(vdev, [(base + 3000, 1)], 1, status)
        assert ops.add_outbuf(vdev, [(base, 16)], 1, out) > 0
        await may2007.virtio_sync(vdev)
        await guest.port.sleep(3000)
        assert (data.value, status.value, out.value) == (512, 1, 16)
        got = guest.memory.read(base + 1024, 500) + guest.memory.read(base + 2048, 12)
        assert got == guest.disk[5 * 512 : 6 * 512].tobytes()
        # What was written is found in the buffers in their order, as far as it goes.
        guest.memory.write(base, bytes([BlkRequestType.GET_ID]) + bytes(15))
        parts = [may2007.Used() for _ in range(3)]
        for part, place in zip(parts, [(base + 1024, 16), (base + 2048, 13), (base + 3000, 1)], strict=True):
            assert ops.add_inbuf(vdev, [place], 1, part) > 0
        assert ops.add_outbuf(vdev, [(base, 16)], 1, may2007.Used()) > 0
        await may2007.virtio_sync(vdev)
        await guest.port.sleep(3000)
        assert [part.value for part in parts] == [16, 4, 0]
        # An answer that no request has asked for yet is taken back without the device.
        again = ops.add_inbuf(vdev, [(base + 3000, 1)], 1, status)
        assert again > waiting
        await ops.detach_inbuf(vdev, again)
        # Six more descriptors are free for answers, and one for the request.
        assert ops.add_inbuf(vdev, [(base, 1)] * 8, 8, data) == -errno.ENOSPC
        assert ops.add_inbuf(vdev, [(base + 1024, 100)] * 7, 7, data) > 0
        assert ops.add_outbuf(vdev, [(base, 8), (base + 8, 8)], 2, out) == -errno.ENOSPC
        buffer.free()

    async def main() -> None:
        await guest.add()
        await guest.machine.bus.register_virtio_driver(may_driver(guest, BLK_IDS, body))

    guest.run(main)


# --- Draft III ---------------------------------------------------------------------------------------------


def test_draft3_config_is_256_bytes_and_the_drivers_half_is_typed() -> None:
    guest = Guest("blk")
    seen: list[Any] = []

    async def probe(vdev: draft3.virtio_device) -> int:
        assert len(vdev.config.host) + len(vdev.config.driver) == 256
        mine = vdev.config.unpack(draft3.driver_struct(BLK_CONFIG))
        seen.append((int(mine["capacity"]), int(mine["blk_size"]), int(mine["num_queues"]), len(vdev.vqs)))
        return 0

    driver = draft3.virtio_driver("disk", (draft3.virtio_device_id("blk", 7),), probe, nothing)

    async def main() -> None:
        bus = draft3_glue.virtio_bus_type(guest.machine.bus, guest.port)
        assert await bus.register_virtio_driver(driver) == 0
        assert await bus.register_virtio_driver(driver) == -errno.EBUSY
        await guest.add()
        assert seen == [(64, 512, 2, 2)]
        await bus.unregister_virtio_driver(driver)

    guest.run(main)


def test_draft3_changes_are_told_both_ways_through_the_configuration_virtqueue() -> None:
    guest = Guest("net")
    devices: list[draft3.virtio_device] = []
    changes: list[bytes] = []

    async def probe(vdev: draft3.virtio_device) -> int:
        devices.append(vdev)
        return 0

    def changed(vdev: draft3.virtio_device) -> None:
        changes.append(vdev.config.driver)

    driver = draft3.virtio_driver("net", (draft3.virtio_device_id(1),), probe, nothing, changed)

    async def main() -> None:
        await guest.machine.bus.register_virtio_driver(
            draft3_glue.combine(driver, draft3_handlers.virtbus_memory, guest.port)
        )
        await guest.add()
        (vdev,) = devices
        assert await vdev.handler.tell(vdev, "rx_mode", NetRxMode.PROMISCUOUS) == 0
        assert guest.model.rx_mode == NetRxMode.PROMISCUOUS
        mac = bytes.fromhex("020000000009")
        assert await vdev.handler.tell(vdev, "mac", int.from_bytes(mac, "little")) == 0
        assert guest.model.mac == mac
        assert await vdev.handler.tell(vdev, "mtu", 9000) == -errno.EPERM
        frozen = vdev.config
        guest.model.set_link(False)
        await guest.port.sleep(3000)
        assert len(changes) == 1
        struct = draft3.driver_struct(NET_CONFIG)
        assert (int(frozen.unpack(struct)["status"]), int(vdev.config.unpack(struct)["status"])) == (1, 0)
        assert bytes(vdev.config.unpack(struct)["mac"]) == mac

    guest.run(main)


def test_draft3_queue_operations() -> None:
    guest = Guest("console")

    async def probe(vdev: draft3.virtio_device) -> int:
        ops, (receive, transmit) = vdev.ops, vdev.vqs
        calls: list[draft3.virtqueue] = []
        transmit.callback = lambda vq: bool(calls.append(vq))
        buffer = guest.memory.allocate(64)
        buffer.array[:5] = np.frombuffer(b"hello", np.uint8)
        assert ops.add_buf(transmit, [(buffer.address, 5)], 1, 0, "out") == 0
        assert ops.add_buf(receive, [(buffer.address + 16, 16)], 0, 1, "in") == 0
        await ops.sync(transmit)
        await ops.sync(receive)
        await guest.port.sleep(1000)
        assert calls == [transmit]
        assert ops.restart(transmit) is False, "a buffer is pending"
        assert ops.get_buf(transmit) == ("out", 0)
        assert ops.restart(transmit) is True
        assert bytes(guest.model.output) == b"hello"
        assert await ops.shutdown(receive) == ["in"]
        buffer.free()
        return 0

    driver = draft3.virtio_driver("console", (draft3.virtio_device_id("console"),), probe, nothing)

    async def main() -> None:
        await guest.add()
        await draft3_glue.virtio_bus_type(guest.machine.bus, guest.port).register_virtio_driver(driver)

    guest.run(main)


# --- 20 September 2007 -------------------------------------------------------------------------------------


def test_september_without_a_backend_is_enosys() -> None:
    guest = Guest("blk")
    driver = september2007.virtio_driver("disk", BLK_IDS, nothing, nothing)

    async def main() -> None:
        none = september2007.virtio_backend_ops()
        assert await september2007.register_virtio_driver(driver, none) == -errno.ENOSYS
        await september2007.unregister_virtio_driver(driver, none)

    guest.run(main)


@pytest.mark.parametrize("transport", ["memory", "pipe"])
def test_september_a_driver_unpacks_its_configuration_and_makes_its_queues(transport: str) -> None:
    guest = Guest("blk", transport)
    removed: list[Any] = []

    async def probe(dev: Any, config: Any, vqops: september2007.virtqueue_ops) -> Any:
        place = await config.find(BlkField.CAPACITY)
        assert place is not None
        assert int.from_bytes(await config.read(*place), "little") == 64
        assert await config.find(NetField.MODE + 0x30) is None
        off, length = await config.find(CommonField.QUEUE, 1)
        status, _ = await config.find(CommonField.STATUS)
        features, _ = await config.find(CommonField.DRIVER_FEATURES)
        offered = await config.read(*await config.find(CommonField.DEVICE_FEATURES))
        await config.write(features, offered)
        await config.write(status, bytes([11]))
        assert (await config.read(status, 1))[0] & 8, "the device has agreed"
        for place in ((off, length - 4), (off + 4, length), (status, 1)):
            assert await vqops.new_vq(dev, config, *place, None, None) == -errno.EINVAL
        calls: list[str] = []
        vq = await vqops.new_vq(dev, config, off, length, lambda data: bool(calls.append(data)), "mine")
        assert isinstance(vq, september2007.virtqueue)
        assert await vqops.new_vq(dev, config, off, length, None, None) == -errno.EBUSY
        await config.write(status, bytes([15]))
        await one_read(guest, vqops, vq, calls)
        assert await vqops.free_vq(vq) == 0
        again = await vqops.new_vq(dev, config, off, length, None, None)
        assert isinstance(again, september2007.virtqueue)
        assert vqops.add_buf(again, [(0x1000, 1)], 0, 1, "x") == 0
        assert await vqops.free_vq(again) == -errno.EBUSY
        assert await vqops.shutdown(again) == ["x"]
        assert vqops.add_buf(again, [(0x1000, 1)], 0, 1, "y") == 0, "the queue alone was stopped"
        assert await vqops.shutdown(again) == ["y"]
        assert await vqops.free_vq(again) == 0
        return "token"

    async def one_read(guest: Guest, vqops: Any, vq: Any, calls: list[str]) -> None:
        buffer = guest.memory.allocate(1024)
        buffer.array[8] = 3
        pieces = [(buffer.address, 16), (buffer.address + 16, 512), (buffer.address + 600, 1)]
        assert vqops.add_buf(vq, pieces, 1, 2, "read") == 0
        assert buffer.array[0] == BlkRequestType.IN
        await vqops.kick(vq)
        await guest.port.sleep(3000)
        assert calls == ["mine"]
        assert vqops.restart(vq) is False
        assert vqops.get_buf(vq) == ("read", 513)
        assert vqops.get_buf(vq) is None
        assert vqops.restart(vq) is True
        assert buffer.array[16:528].tobytes() == guest.disk[3 * 512 : 4 * 512].tobytes()
        buffer.free()

    async def remove(token: Any) -> None:
        removed.append(token)

    driver = september2007.virtio_driver("disk", (september2007.VIRTIO_DEV_ID(2, 0x0100),), probe, remove)

    async def main() -> None:
        await guest.add()
        backend = september2007_glue.backend(guest.machine.bus, guest.port)
        assert await september2007.register_virtio_driver(driver, backend) == 0
        assert await september2007.register_virtio_driver(driver, backend) == -errno.EBUSY
        await september2007.unregister_virtio_driver(driver, backend)
        assert removed == ["token"]

    guest.run(main)


def test_september_a_negative_number_of_probe_declines_the_device() -> None:
    guest = Guest("blk")

    async def probe(*_arguments: Any) -> Any:
        return -errno.ENODEV

    driver = september2007.virtio_driver("disk", BLK_IDS, probe, nothing)

    async def main() -> None:
        device = await guest.add()
        await guest.machine.bus.register_virtio_driver(september2007_glue.core_driver(driver, guest.port))
        assert device.driver is None

    guest.run(main)


@pytest.mark.parametrize(("function", "queues"), [("blk", 2), ("net", 3), ("console", 2)])
def test_the_list_in_a_string_of_bytes_is_that_of_the_hardware(function: str, queues: int) -> None:
    guest = Guest(function)
    rings = RingServer(guest.model, guest.memory)
    mine = FieldImage(guest.model, rings.register_read, rings.register_write)
    config = DeviceConfig(function=function, queues=queues, queue_size=8)
    assert mine.read(0, mine.size) == image(config, guest.model.features, guest.model.config_bytes())


# --- Linux 2.6.24 ------------------------------------------------------------------------------------------


def test_2624_find_never_gives_the_same_field_twice() -> None:
    guest = Guest("blk")
    devices: list[linux2624.virtio_device] = []

    async def probe(vdev: linux2624.virtio_device) -> int:
        devices.append(vdev)
        config = vdev.config
        found = await config.find(vdev, BlkField.CAPACITY)
        assert found is not None
        token, length = found
        assert int.from_bytes(await config.get(vdev, token, length), "little") == 64
        assert await config.find(vdev, BlkField.CAPACITY) is None
        await config.set(vdev, token, bytes(8))
        assert int.from_bytes(await config.get(vdev, token, length), "little") == 64, "it is read-only"
        status = await config.get_status(vdev)
        assert status == linux2624.VIRTIO_CONFIG_S_ACKNOWLEDGE | linux2624.VIRTIO_CONFIG_S_DRIVER
        for name in (CommonField.DRIVER_FEATURES,):
            features = await config.find(vdev, name)
            assert features is not None
            await config.set(vdev, features[0], guest.model.features.to_bytes(8, "little"))
        calls: list[linux2624.virtqueue] = []
        first = await config.find_vq(vdev, lambda vq: bool(calls.append(vq)))
        second = await config.find_vq(vdev, None)
        assert isinstance(first, linux2624.virtqueue)
        assert isinstance(second, linux2624.virtqueue)
        assert (first.priv.index, second.priv.index, first.vdev) == (0, 1, vdev)
        assert await config.find_vq(vdev, None) == -errno.ENOENT
        await config.set_status(vdev, status | 8 | linux2624.VIRTIO_CONFIG_S_DRIVER_OK)
        await flushes(first, calls)
        for vq in (first, second):
            assert await vq.vq_ops.shutdown(vq) == []
            await config.del_vq(vq)
        return 0

    async def flushes(vq: linux2624.virtqueue, calls: list[linux2624.virtqueue]) -> None:
        buffer = guest.memory.allocate(64)
        buffer.array[0] = BlkRequestType.FLUSH
        ops, sg = vq.vq_ops, [(buffer.address, 16), (buffer.address + 16, 1)]
        for number in range(3):
            assert ops.add_buf(vq, sg, 1, 1, number + 1) == 0
            await ops.kick(vq)
            await guest.port.sleep(1000)
        assert calls == [vq], "after it returned false, callbacks are suppressed"
        assert ops.restart(vq) is False
        assert [ops.get_buf(vq) for _ in range(4)] == [(1, 1), (2, 1), (3, 1), None]
        assert ops.restart(vq) is True
        assert ops.add_buf(vq, sg, 2, 1, "bad") == -errno.EINVAL
        assert ops.add_buf(vq, sg * 4, 4, 4, "out after in is put right by nobody") in (0, -errno.ENOSPC)
        await ops.shutdown(vq)
        buffer.free()

    driver = linux2624.virtio_driver("disk", BLK_IDS, probe, nothing)

    async def main() -> None:
        bus = linux2624_glue.VirtioBus2624(guest.machine.bus, guest.port)
        assert await bus.register_virtio_driver(driver) == 0
        assert await bus.register_virtio_driver(driver) == -errno.EBUSY
        device = await guest.add()
        assert devices[0].index == device.index
        assert await bus.register_virtio_device(device) == -errno.EEXIST
        await bus.unregister_virtio_device(device)
        assert await bus.register_virtio_device(device) == 0
        assert len(devices) == 2
        await bus.unregister_virtio_driver(driver)

    guest.run(main)


def test_an_interface_that_there_is_not() -> None:
    port: Any = None
    with pytest.raises(ValueError, match=r"interface is '2\.4'; it must be one of modern, 2007-05"):
        adapt("2.4", blk_driver(port), port)
    assert VirtioBus().drivers == []
