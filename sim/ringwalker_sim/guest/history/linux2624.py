"""Linux 2.6.24, January 2008: the header that was merged.

This stage has a ``struct virtqueue`` with callback, device, operations and a ``priv`` of the implementation,
and ``virtio_device`` and ``virtio_driver`` that register in any order on one bus, without a backend.
Configuration is accessed by handles (``find`` gives a token for ``get`` and ``set``), the status by
operations of its own, and queues are found one after the other, not made from an offset. A callback that
returns false stays suppressed until ``restart``.

Later kernels use a configuration structure with fixed offsets and feature bits, in place of tokens and a
``find`` that consumes fields. ``disable_cb`` and ``enable_cb`` replace the boolean callback and ``restart``;
a device reset replaces ``shutdown``.
"""

import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.fields import CommonField
from ringwalker.spec.modern import DeviceStatus

from ..bus import VirtioDeviceId
from ..errors import BindError, VirtioError
from ..transport.field_space import Field, FieldQueue, FieldSpace
from .device import device

__all__ = [
    "VIRTIO_CONFIG_S_ACKNOWLEDGE",
    "VIRTIO_CONFIG_S_DRIVER",
    "VIRTIO_CONFIG_S_DRIVER_OK",
    "VIRTIO_CONFIG_S_FAILED",
    "virtio_config_ops",
    "virtio_device",
    "virtio_device_id",
    "virtio_driver",
    "virtqueue",
    "virtqueue_ops",
]

VIRTIO_CONFIG_S_ACKNOWLEDGE = DeviceStatus.ACKNOWLEDGE
VIRTIO_CONFIG_S_DRIVER = DeviceStatus.DRIVER
VIRTIO_CONFIG_S_DRIVER_OK = DeviceStatus.DRIVER_OK
VIRTIO_CONFIG_S_FAILED = DeviceStatus.FAILED

virtio_device_id = VirtioDeviceId


class virtqueue_ops:
    """Operations on queues. The driver must serialize its calls."""

    def add_buf(self, vq: "virtqueue", sg: Sequence, out_num: int, in_num: int, data: Any) -> int:
        """Add a buffer; 0 or a negative errno."""
        return vq.priv.add_buf(sg, out_num, in_num, data)

    async def kick(self, vq: "virtqueue") -> None:
        """Show the device the added buffers, and notify it."""
        await vq.priv.kick()

    def get_buf(self, vq: "virtqueue") -> tuple[Any, int] | None:
        """The next used buffer: its token and the bytes written, or None."""
        return vq.priv.get_buf()

    def restart(self, vq: "virtqueue") -> bool:
        """Enable callbacks again; False, and they stay suppressed, when used buffers are waiting."""
        return vq.priv.restart()

    async def shutdown(self, vq: "virtqueue") -> list[Any]:
        """Take all buffers back; their tokens."""
        return await vq.priv.shutdown()


@dataclass(eq=False)
class virtqueue:
    """A queue of ``vdev``. ``callback(vq)`` runs when buffers are used; ``priv`` belongs to the transport."""

    callback: Callable[["virtqueue"], bool] | None
    vdev: "virtio_device"
    vq_ops: virtqueue_ops
    priv: Any = None


class virtio_config_ops:
    """Configuration operations by handles, over the field list ``space`` of a device."""

    def __init__(self, space: FieldSpace, vq_ops: virtqueue_ops):
        self._space = space
        self._vq_ops = vq_ops
        self._used: set[int] = set()

    async def find(self, vdev: "virtio_device", type: int) -> tuple[Field, int] | None:
        """The next field of a type: a token and its length, or None. It returns each field once."""
        for field in await self._space.fields():
            if field.type == type and field.offset not in self._used:
                self._used.add(field.offset)
                return field, field.length
        return None

    async def get(self, vdev: "virtio_device", token: Field, len: int) -> bytes:
        """Read the first ``len`` bytes of a field."""
        return await self._space.read(token, 0, len)

    async def set(self, vdev: "virtio_device", token: Field, buf: bytes) -> None:
        """Write the first bytes of a field."""
        await self._space.write(token, buf)

    async def _status(self) -> Field:
        field = await self._space.find(CommonField.STATUS)
        if field is None:
            raise BindError("the device has no status")
        return field

    async def get_status(self, vdev: "virtio_device") -> int:
        """Read the device status byte."""
        return (await self._space.read(await self._status()))[0]

    async def set_status(self, vdev: "virtio_device", status: int) -> None:
        """Write the device status byte."""
        await self._space.write(await self._status(), bytes([status]))

    async def find_vq(
        self, vdev: "virtio_device", callback: Callable[[virtqueue], bool] | None
    ) -> virtqueue | int:
        """Set up the next queue of the device; -ENOENT after the last one, -EIO when it cannot be set up."""
        found = await self.find(vdev, CommonField.QUEUE)
        if found is None:
            return -errno.ENOENT
        vq = virtqueue(callback, vdev, self._vq_ops)

        def used(_core: Any) -> bool:
            return True if vq.callback is None else vq.callback(vq)

        registers = FieldQueue(self._space, found[0])
        try:
            vq.priv = await vdev.dev.transport.create_vq(await registers.read("index"), registers, used)
        except VirtioError as error:
            vdev.dev.error = error
            return -errno.EIO
        return vq

    async def del_vq(self, vq: virtqueue) -> None:
        """Free an empty queue."""
        await vq.vdev.dev.transport.retire_vq(vq.priv)


@dataclass(eq=False)
class virtio_device:
    """A device: ``index`` is its unique number on the bus, ``priv`` belongs to the driver."""

    index: int
    dev: device
    id: virtio_device_id
    config: virtio_config_ops
    priv: Any = None


@dataclass
class virtio_driver:
    """A driver. ``probe(dev)`` returns 0 or a negative errno."""

    name: str
    id_table: Sequence[Any]
    probe: Callable[[virtio_device], Awaitable[int]]
    remove: Callable[[virtio_device], Awaitable[None]]
