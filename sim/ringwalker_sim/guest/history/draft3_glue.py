"""Draft III between transports and today's drivers: the bus, and combinations of its parts.

A combination is a driver, a transport (that of the device on the bus) and a configuration space handler.
:func:`combine` makes one; :func:`adapt` chooses the handler by the transport.
"""

import errno
from collections.abc import Callable
from typing import Any

from ringwalker.spec.blk import BLK_CONFIG, BlkFeature
from ringwalker.spec.console import CONSOLE_CONFIG, ConsoleFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NET_CONFIG, NET_CONTROL_QUEUE, NetFeature
from ringwalker.spec.registers import Register, RegisterTable

from ...golden.function import NO_CONFIG
from ..bus import VirtioBus, VirtioDevice, VirtioDriver
from ..errors import BindError, RequestError, VirtioError
from ..port import Port, Task
from .device import device
from .draft3 import (
    ConfigSpaceHandler,
    virtio_config,
    virtio_device,
    virtio_device_id,
    virtio_driver,
    virtqueue,
    virtqueue_ops,
)
from .draft3_handlers import Handler, handler_for
from .queue_adapter import QueueAdapter

__all__ = [
    "adapt",
    "combine",
    "core_driver",
    "virtio_bus_type",
]

_TABLES = {DeviceType.BLK: BLK_CONFIG, DeviceType.NET: NET_CONFIG, DeviceType.CONSOLE: CONSOLE_CONFIG}
_CONTROL = sum(1 << bit for bit in (NetFeature.CTRL_VQ, NetFeature.CTRL_RX, NetFeature.CTRL_MAC_ADDR))
_WANTED = {
    DeviceType.BLK: sum(1 << bit for bit in (BlkFeature.BLK_SIZE, BlkFeature.FLUSH, BlkFeature.MQ)),
    DeviceType.NET: sum(1 << bit for bit in (NetFeature.MAC, NetFeature.STATUS, NetFeature.MTU)) | _CONTROL,
    DeviceType.CONSOLE: 1 << ConsoleFeature.SIZE,
}


class virtio_bus_type:
    """The bus of this stage, for device drivers and host drivers."""

    def __init__(self, bus: VirtioBus, port: Port):
        self._bus = bus
        self._port = port
        self._drivers: dict[int, VirtioDriver] = {}

    async def register_virtio_driver(self, driver: virtio_driver) -> int:
        """Add a device driver: 0, or -EBUSY when it is registered already."""
        if id(driver) in self._drivers:
            return -errno.EBUSY
        self._drivers[id(driver)] = core_driver(driver, handler_for, self._port)
        await self._bus.register_virtio_driver(self._drivers[id(driver)])
        return 0

    async def unregister_virtio_driver(self, driver: virtio_driver) -> None:
        """Remove a device driver from its devices."""
        await self._bus.unregister_virtio_driver(self._drivers.pop(id(driver)))

    async def register_virtio_device(self, host: VirtioDevice) -> None:
        """Add a device of a host driver (a transport)."""
        await self._bus.register_virtio_device(host)

    async def unregister_virtio_device(self, host: VirtioDevice) -> None:
        """Remove a device from the bus."""
        await self._bus.unregister_virtio_device(host)


def combine(
    driver: virtio_driver, handler: Callable[[device, RegisterTable], ConfigSpaceHandler], port: Port
) -> VirtioDriver:
    """A driver of this stage with a configuration space handler, for the bus."""
    return core_driver(driver, lambda _core: handler, port)


def core_driver(driver: virtio_driver, choose: Callable[[VirtioDevice], Any], port: Port) -> VirtioDriver:
    """A driver of this stage, for the bus; ``choose(core)`` gives the handler of a device."""
    known: dict[VirtioDevice, tuple[virtio_device, Task]] = {}

    async def attach(core: VirtioDevice) -> int:
        dev = device(port, core)
        kind = DeviceType(core.id.type) if core.id.type in _TABLES else None
        handler = choose(core)(dev, _TABLES.get(kind, NO_CONFIG) if kind is not None else NO_CONFIG)
        identity = virtio_device_id(core.id.type_name or core.id.type)
        vdev = virtio_device(dev, identity, virtio_config(), virtqueue_ops(), handler)
        vdev.features = await core.config.negotiate(_WANTED.get(kind, 0) if kind is not None else 0)
        await handler.start(vdev)
        count = await core.config.num_queues()
        if vdev.features & _CONTROL and kind is DeviceType.NET:
            count = NET_CONTROL_QUEUE
        await handler.make_vqs(vdev, count)
        await core.config.driver_ok()
        changed = port.event()
        dev.on_change(changed.set)
        watcher = port.start(_watch(driver, vdev, changed))
        result = await driver.probe(vdev)
        if result < 0:
            watcher.cancel()
            await _release(vdev)
            if dev.error is not None:
                raise dev.error
        else:
            known[core] = (vdev, watcher)
        return result

    async def detach(core: VirtioDevice) -> None:
        vdev, watcher = known.pop(core)
        await driver.remove(vdev)
        watcher.cancel()
        await _release(vdev)

    return VirtioDriver(f"{driver.name}-draft3", driver.id_table, attach, detach)


async def _release(vdev: virtio_device) -> None:
    vdev.dev.on_change(None)
    await vdev.handler.stop()


async def _watch(driver: virtio_driver, vdev: virtio_device, changed: Any) -> None:
    """Pass configuration changes to the driver."""
    while True:
        await changed.wait()
        changed.clear()
        try:
            if not await vdev.dev.needs_reset():
                await vdev.handler.refresh(vdev)
        except VirtioError as error:
            vdev.dev.error = error
        driver.config_changed(vdev)


# --- today's drivers on it ---------------------------------------------------------------------------------


class _Config:
    """The configuration operations of a driver, on ``virtio_config`` and the handler."""

    def __init__(self, vdev: virtio_device):
        self._vdev = vdev
        self.changed: Callable[[], None] | None = None

    def find(self, table: RegisterTable, name: str) -> Register | None:
        row = table[name]
        return row if row.offset + row.size <= len(self._vdev.config.driver) else None

    async def get(self, register: Register) -> int:
        content = self._vdev.config.driver[register.offset : register.offset + register.size]
        return int.from_bytes(content, "little")

    async def set(self, register: Register, value: int) -> None:
        result = await self._vdev.handler.tell(self._vdev, register.name, value)
        if result == -errno.EPERM:
            raise BindError(f"{register.name}: this stage cannot write it")
        if result:
            raise RequestError(f"{register.name}: the device refuses {value:#x}")
        # The copy of the configuration follows the write.
        content = bytearray(self._vdev.config.driver)
        content[register.offset : register.offset + register.size] = value.to_bytes(register.size, "little")
        self._vdev.config = virtio_config(self._vdev.config.host, bytes(content))

    async def negotiate(self, wanted: int) -> int:
        return self._vdev.features & (wanted | 1 << Feature.VERSION_1) & ~_masked(self._vdev)

    async def num_queues(self) -> int:
        return len(self._vdev.vqs)

    async def find_vq(self, index: int, callback: Any = None) -> QueueAdapter:
        if index >= len(self._vdev.vqs):
            raise BindError(f"the device has no queue {index}")
        vq: virtqueue = self._vdev.vqs[index]
        face = QueueAdapter(vq, self._vdev.ops, index, vq.priv.size, kick="sync")
        vq.callback = None if callback is None else lambda _vq: callback(face)
        return face

    async def del_vq(self, vq: QueueAdapter) -> None:
        vq.vq.callback = None

    async def driver_ok(self) -> None:
        return

    async def fail(self) -> None:
        return

    async def reset(self) -> None:
        for vq in self._vdev.vqs:
            await self._vdev.ops.shutdown(vq)

    async def needs_reset(self) -> bool:
        if self._vdev.dev.error is not None:
            raise self._vdev.dev.error
        return await self._vdev.dev.needs_reset()

    def on_change(self, callback: Callable[[], None] | None) -> None:
        self.changed = callback


def _masked(vdev: virtio_device) -> int:
    """Features that the handler uses; the driver does not see them."""
    return _CONTROL if vdev.dev.core.id.type == DeviceType.NET else 0


def adapt(driver: VirtioDriver, port: Port, handler: type[Handler] | None = None) -> VirtioDriver:
    """``driver`` on this stage, for the bus, with ``handler`` or that of the transport."""
    children: dict[virtio_device, VirtioDevice] = {}

    async def probe(vdev: virtio_device) -> int:
        core = vdev.dev.core
        child = children[vdev] = VirtioDevice(core.index, core.id, _Config(vdev))
        try:
            result = await driver.probe(child) or 0
        except BindError as error:
            del children[vdev]
            vdev.dev.error = error
            return -errno.ENODEV
        vdev.priv = core.priv = child.priv
        return result

    async def remove(vdev: virtio_device) -> None:
        await driver.remove(children.pop(vdev))
        vdev.priv = vdev.dev.core.priv = None

    def config_changed(vdev: virtio_device) -> None:
        child = children.get(vdev)
        if child is not None and child.config.changed is not None:
            child.config.changed()

    face = virtio_driver(driver.name, driver.id_table, probe, remove, config_changed)
    return core_driver(face, handler_for, port) if handler is None else combine(face, handler, port)
