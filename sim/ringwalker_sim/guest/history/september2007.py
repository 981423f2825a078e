"""20 September 2007: virtio with config abstraction and ring implementation.

New was that drivers unpack their own configuration, from a ``virtio_config_space`` of typed fields that can
be backed by PCI or by a string of bytes, and that queues are described there too: ``new_vq`` makes one from
the offset and length of its field. Matching is by PCI ids (``VIRTIO_DEV_ID``), probes are uniform, ``sync``
is called ``kick``, the ring is a library that transports share, and a console driver joined block and net.
``register_virtio_driver`` punts to the one backend, or returns -ENOSYS when there is none.

What changed next, and why: "there should instead be a pci_driver that automatically binds to all PCI based
virtio implementations and creates a child device" (Arnd Bergmann): with it no backend has to be the only one,
and a machine can have two ways to its devices. And "I rather see config_ops" (Dor Laor): offset and
length assume that everybody keeps bytes, so handles and function pointers took their place.
"""

import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.fields import CommonField
from ringwalker.spec.ids import VENDOR_2007

from ..bus import ANY, VIRTIO_DEV_ID
from ..errors import BindError, DeviceError
from ..transport.field_space import FieldQueue, FieldSpace
from .device import device

__all__ = [
    "PCI_ANY_ID",
    "PCI_VENDOR_ID_VIRTIO",
    "VIRTIO_DEV_ID",
    "register_virtio_driver",
    "unregister_virtio_driver",
    "virtio_backend_ops",
    "virtio_config_space",
    "virtio_driver",
    "virtqueue",
    "virtqueue_ops",
]

PCI_VENDOR_ID_VIRTIO = VENDOR_2007
"""The vendor under a FIXME: 0x5000."""

PCI_ANY_ID = ANY


class virtio_config_space:
    """Configuration as typed fields in ``space``, which PCI backs, or a string of bytes."""

    def __init__(self, space: FieldSpace):
        self.space = space

    async def find(self, type: int, nth: int = 0) -> tuple[int, int] | None:
        """Offset and length of the ``nth`` field of a type; None if there is none."""
        field = await self.space.find(type, nth)
        return None if field is None else (field.offset, field.length)

    async def read(self, off: int, len: int) -> bytes:
        """Bytes of the space, for the driver to unpack."""
        return await self.space.read_bytes(off, len)

    async def write(self, off: int, data: bytes) -> None:
        """Write bytes of the space. What is read-only stays as it is."""
        for field in await self.space.fields():
            if field.offset <= off < field.offset + field.length:
                await self.space.write(field, data, off - field.offset)


@dataclass(eq=False)
class virtqueue:
    """A queue, opaque to drivers."""

    core: Any
    transport: Any


class virtqueue_ops:
    """Operations on queues, handed to ``probe`` by what found the device."""

    async def new_vq(
        self,
        dev: device,
        config: virtio_config_space,
        off: int,
        len: int,
        callback: Callable[[Any], bool] | None,
        cb_data: Any,
    ) -> virtqueue | int:
        """A new queue, described by the field with ``len`` bytes at ``off``; or a negative errno.

        ``callback(cb_data)`` runs when buffers are used. -EINVAL: no queue field is there; -EBUSY: the queue
        is in use; -EIO: the device does what it must not.
        """
        try:
            field = await config.space.at(off, len)
        except BindError:
            return -errno.EINVAL
        if field.type != CommonField.QUEUE:
            return -errno.EINVAL

        def used(_core: Any) -> bool:
            return True if callback is None else callback(cb_data)

        registers = FieldQueue(config.space, field)
        try:
            core = await dev.transport.create_vq(await registers.read("index"), registers, used)
        except BindError as error:
            dev.error = error
            return -errno.EBUSY
        except DeviceError as error:
            dev.error = error
            return -errno.EIO
        return virtqueue(core, dev.transport)

    async def free_vq(self, vq: virtqueue) -> int:
        """Free a queue, which must be unused or empty: -EBUSY if it is not, else 0."""
        if vq.core.held and not vq.core.broken:
            return -errno.EBUSY
        await vq.transport.retire_vq(vq.core)
        return 0

    def add_buf(self, vq: virtqueue, sg: Sequence, out_num: int, in_num: int, data: Any) -> int:
        """Expose a buffer to the other end; 0 or a negative errno."""
        return vq.core.add_buf(sg, out_num, in_num, data)

    async def kick(self, vq: virtqueue) -> None:
        """Kick the virtio layer after one or more ``add_buf``."""
        await vq.core.kick()

    def get_buf(self, vq: virtqueue) -> tuple[Any, int] | None:
        """The next used buffer: its token and the length written, or None."""
        return vq.core.get_buf()

    def restart(self, vq: virtqueue) -> bool:
        """Restart callbacks; False, and they stay off, if there are pending buffers."""
        return vq.core.restart()

    async def shutdown(self, vq: virtqueue) -> list[Any]:
        """Remove everything from the queue; the tokens of what was removed."""
        return await vq.core.shutdown()


@dataclass
class virtio_driver:
    """A driver. ``probe(device, config, vqops)`` returns a token for ``remove``, or a negative errno."""

    name: str
    id_table: Sequence[Any]
    probe: Callable[[device, virtio_config_space, virtqueue_ops], Awaitable[Any]]
    remove: Callable[[Any], Awaitable[None]]
    owner: Any = None


@dataclass
class virtio_backend_ops:
    """What the particular virtio backend supplies; both None as long as there is none."""

    register_driver: Callable[[virtio_driver], Awaitable[int]] | None = None
    unregister_driver: Callable[[virtio_driver], Awaitable[None]] | None = None


async def register_virtio_driver(drv: virtio_driver, backend: virtio_backend_ops) -> int:
    """Register with the backend, which then was one global variable: 0 or a negative errno, -ENOSYS
    without a backend.
    """
    if backend.register_driver is None:
        return -errno.ENOSYS
    return await backend.register_driver(drv)


async def unregister_virtio_driver(drv: virtio_driver, backend: virtio_backend_ops) -> None:
    """Take a driver away from its devices."""
    if backend.unregister_driver is not None:
        await backend.unregister_driver(drv)
