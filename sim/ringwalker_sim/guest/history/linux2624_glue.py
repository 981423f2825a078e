"""The stage of Linux 2.6.24 between transports and today's drivers.

:class:`VirtioBus2624` has the four functions of the header; :func:`adapt` puts one of today's drivers on the
stage.
"""

import errno
from typing import Any

from ringwalker.spec.fields import CommonField

from ..bus import VirtioBus, VirtioDevice, VirtioDriver
from ..errors import BindError
from ..port import Port
from ..transport.field_space import Field
from .device import device
from .field_adapter import FieldAdapter
from .linux2624 import virtio_config_ops, virtio_device, virtio_driver, virtqueue_ops
from .queue_adapter import QueueAdapter

__all__ = ["VirtioBus2624", "adapt", "core_driver"]


def core_driver(driver: virtio_driver, port: Port) -> VirtioDriver:
    """A driver of this stage, for the bus."""
    known: dict[VirtioDevice, virtio_device] = {}

    async def attach(core: VirtioDevice) -> int:
        dev = device(port, core)
        config = virtio_config_ops(await core.config.fields(), virtqueue_ops())
        assert core.index is not None
        vdev = virtio_device(core.index, dev, core.id, config)
        result = await driver.probe(vdev)
        if result < 0:
            await _release(core)
            if dev.error is not None:
                raise dev.error
        else:
            known[core] = vdev
        return result

    async def detach(core: VirtioDevice) -> None:
        await driver.remove(known.pop(core))
        await _release(core)

    return VirtioDriver(f"{driver.name}-2.6.24", driver.id_table, attach, detach)


async def _release(core: VirtioDevice) -> None:
    core.config.on_change(None)
    await core.config.reset()
    for vq in tuple(core.vqs):
        await core.config.del_vq(vq)


class VirtioBus2624:
    """The four functions for registration, on the bus of a machine."""

    def __init__(self, bus: VirtioBus, port: Port):
        self._bus = bus
        self._port = port
        self._drivers: dict[int, VirtioDriver] = {}

    async def register_virtio_device(self, dev: VirtioDevice) -> int:
        """Add a device of a transport: 0, or -EEXIST when it is registered already."""
        if dev in self._bus.devices:
            return -errno.EEXIST
        await self._bus.register_virtio_device(dev)
        return 0

    async def unregister_virtio_device(self, dev: VirtioDevice) -> None:
        """Remove a device from the bus."""
        await self._bus.unregister_virtio_device(dev)

    async def register_virtio_driver(self, drv: virtio_driver) -> int:
        """Add a driver: 0, or -EBUSY when it is registered already."""
        if id(drv) in self._drivers:
            return -errno.EBUSY
        self._drivers[id(drv)] = core_driver(drv, self._port)
        await self._bus.register_virtio_driver(self._drivers[id(drv)])
        return 0

    async def unregister_virtio_driver(self, drv: virtio_driver) -> None:
        """Remove a driver from its devices."""
        await self._bus.unregister_virtio_driver(self._drivers.pop(id(drv)))


# --- today's drivers on it ---------------------------------------------------------------------------------


class _Config(FieldAdapter):
    """The configuration operations of a driver, on ``virtio_config_ops``."""

    def __init__(self, vdev: virtio_device):
        super().__init__(vdev.dev)
        self._vdev = vdev
        self._ops = vdev.config
        self._tokens: dict[int, tuple[Field, int]] = {}

    async def open(self) -> None:
        """Find all fields but the queues."""
        for kind in range(CommonField.END + 1, 0x100):
            if kind != CommonField.QUEUE:
                found = await self._ops.find(self._vdev, kind)
                if found is not None:
                    self._tokens[kind] = found
        self.present = frozenset(self._tokens)

    def _token(self, kind: int) -> tuple[Field, int]:
        if kind not in self._tokens:
            raise BindError(f"the device has no field of type {kind:#x}")
        return self._tokens[kind]

    async def read_field(self, kind: int) -> bytes:
        return await self._ops.get(self._vdev, *self._token(kind))

    async def write_field(self, kind: int, data: bytes) -> None:
        token, length = self._token(kind)
        await self._ops.set(self._vdev, token, data[:length])

    async def read_status(self) -> int:
        return await self._ops.get_status(self._vdev)

    async def write_status(self, value: int) -> None:
        await self._ops.set_status(self._vdev, value)

    async def num_queues(self) -> int:
        return await self._vdev.dev.transport.num_queues()

    async def find_vq(self, index: int, callback: Any = None) -> QueueAdapter:
        """Set up queue ``index``. This stage finds queues in ascending order only."""
        if index != len(self.queues):
            raise BindError(
                f"queue {index} is out of order; find_vq of this stage returns queue {len(self.queues)} next"
            )
        vq = await self._ops.find_vq(self._vdev, None)
        if isinstance(vq, int):
            raise self._vdev.dev.error or BindError(f"the device has no queue {index}")
        face = QueueAdapter(vq, vq.vq_ops, index, vq.priv.size)
        vq.callback = None if callback is None else lambda _vq: callback(face)
        self.queues.append(face)
        return face

    async def del_vq(self, vq: QueueAdapter) -> None:
        await self._ops.del_vq(vq.vq)


def adapt(driver: VirtioDriver, port: Port) -> VirtioDriver:
    """``driver`` on this stage, for the bus."""

    async def probe(vdev: virtio_device) -> int:
        child = VirtioDevice(vdev.index, vdev.id, _Config(vdev))
        await child.config.open()
        try:
            result = await driver.probe(child) or 0
        except BindError as error:
            vdev.dev.error = error
            return -errno.ENODEV
        vdev.priv = child
        vdev.dev.core.priv = child.priv
        return result

    async def remove(vdev: virtio_device) -> None:
        await driver.remove(vdev.priv)
        vdev.priv = vdev.dev.core.priv = None

    return core_driver(virtio_driver(driver.name, driver.id_table, probe, remove), port)
