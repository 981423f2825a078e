"""The stage of 20 September 2007 between transports and today's drivers.

:func:`backend` makes the backend of a machine. :func:`core_driver` makes a driver of this stage that
registers on the bus without a backend, as the answer proposes. :func:`adapt` puts one of today's drivers on
the stage.
"""

import errno
from typing import Any

from ringwalker.spec.fields import CommonField

from ..bus import VirtioBus, VirtioDevice, VirtioDriver
from ..errors import BindError
from ..port import Port
from .device import device
from .field_adapter import FieldAdapter
from .queue_adapter import QueueAdapter
from .september2007 import virtio_backend_ops, virtio_config_space, virtio_driver, virtqueue_ops

__all__ = ["adapt", "backend", "core_driver"]


def core_driver(driver: virtio_driver, port: Port) -> VirtioDriver:
    """A driver of this stage, for the bus."""
    tokens: dict[VirtioDevice, Any] = {}

    async def attach(core: VirtioDevice) -> int:
        dev = device(port, core)
        config = virtio_config_space(await core.config.fields())
        token = await driver.probe(dev, config, virtqueue_ops())
        if isinstance(token, int) and token < 0:
            await _release(core)
            if dev.error is not None:
                raise dev.error
            return token
        tokens[core] = token
        return 0

    async def detach(core: VirtioDevice) -> None:
        await driver.remove(tokens.pop(core))
        await _release(core)

    return VirtioDriver(f"{driver.name}-2007-09", driver.id_table, attach, detach)


async def _release(core: VirtioDevice) -> None:
    core.config.on_change(None)
    await core.config.reset()
    for vq in tuple(core.vqs):
        await core.config.del_vq(vq)


def backend(bus: VirtioBus, port: Port) -> virtio_backend_ops:
    """The backend of a machine: its drivers probe the devices on ``bus``."""
    known: dict[int, VirtioDriver] = {}

    async def register_driver(drv: virtio_driver) -> int:
        if id(drv) in known:
            return -errno.EBUSY
        known[id(drv)] = core_driver(drv, port)
        await bus.register_virtio_driver(known[id(drv)])
        return 0

    async def unregister_driver(drv: virtio_driver) -> None:
        await bus.unregister_virtio_driver(known.pop(id(drv)))

    return virtio_backend_ops(register_driver, unregister_driver)


# --- today's drivers on it ---------------------------------------------------------------------------------


class _Config(FieldAdapter):
    """The configuration operations of a driver, on ``virtio_config_space`` and ``virtqueue_ops``."""

    def __init__(self, dev: device, config: virtio_config_space, vqops: virtqueue_ops):
        super().__init__(dev)
        self._config = config
        self._vqops = vqops

    async def open(self) -> None:
        """Find the fields of the device."""
        self.present = frozenset(field.type for field in await self._config.space.fields())

    async def _find(self, kind: int) -> tuple[int, int]:
        place = await self._config.find(kind)
        if place is None:
            raise BindError(f"the device has no field of type {kind:#x}")
        return place

    async def read_field(self, kind: int) -> bytes:
        return await self._config.read(*await self._find(kind))

    async def write_field(self, kind: int, data: bytes) -> None:
        off, length = await self._find(kind)
        await self._config.write(off, data[:length])

    async def read_status(self) -> int:
        return (await self.read_field(CommonField.STATUS))[0]

    async def write_status(self, value: int) -> None:
        await self.write_field(CommonField.STATUS, bytes([value]))

    async def num_queues(self) -> int:
        return sum(field.type == CommonField.QUEUE for field in await self._config.space.fields())

    async def find_vq(self, index: int, callback: Any = None) -> QueueAdapter:
        place = await self._config.find(CommonField.QUEUE, index)
        if place is None:
            raise BindError(f"the device has no queue {index}")

        def used(queues: list[QueueAdapter]) -> bool:
            return True if callback is None else callback(queues[0])

        queues: list[QueueAdapter] = []
        vq = await self._vqops.new_vq(self._dev, self._config, *place, used, queues)
        if isinstance(vq, int):
            raise self._dev.error or BindError(f"new_vq of queue {index} gives {errno.errorcode[-vq]}")
        queues.append(QueueAdapter(vq, self._vqops, index, vq.core.size))
        self.queues.append(queues[0])
        return queues[0]

    async def del_vq(self, vq: QueueAdapter) -> None:
        self.queues.remove(vq)
        result = await self._vqops.free_vq(vq.vq)
        if result:
            raise BindError(f"free_vq of queue {vq.index} gives {errno.errorcode[-result]}")


def adapt(driver: VirtioDriver, port: Port) -> VirtioDriver:
    """``driver`` on this stage, for the bus."""

    async def probe(dev: device, config: virtio_config_space, vqops: virtqueue_ops) -> Any:
        child = VirtioDevice(dev.core.index, dev.core.id, _Config(dev, config, vqops))
        await child.config.open()
        try:
            result = await driver.probe(child) or 0
        except BindError as error:
            dev.error = error
            return -errno.ENODEV
        if result < 0:
            return result
        dev.core.priv = child.priv
        return (dev, child)

    async def remove(token: Any) -> None:
        dev, child = token
        await driver.remove(child)
        dev.core.priv = None

    return core_driver(virtio_driver(driver.name, driver.id_table, probe, remove), port)
