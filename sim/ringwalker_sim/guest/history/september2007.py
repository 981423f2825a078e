"""20 September 2007: configuration as typed fields, and the ring as a library.

In this stage a driver unpacks its configuration from the typed fields of a ``virtio_config_space``, which a
BAR or a string of bytes may hold. A queue is described by a field too: ``new_vq`` makes one from the offset
and the length of its field. Matching is by PCI ids (``VIRTIO_DEV_ID``), all probes have one form, ``sync`` is
named ``kick``, transports share the code of the ring, and there is a console driver.
``register_virtio_driver`` calls the one backend of the machine, or returns -ENOSYS without one.

Two answers shape the next stage. Arnd Bergmann proposes a PCI driver that binds to every virtio function and
makes a child device of it, so that a machine can have several transports instead of one backend. Dor Laor
prefers operations for configuration: offset and length presuppose bytes, so handles and function pointers
replace them.
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
"""0x5000, which the patch marks as provisional."""

PCI_ANY_ID = ANY


class virtio_config_space:
    """Configuration as typed fields in ``space``, which is in a BAR or a string of bytes."""

    def __init__(self, space: FieldSpace):
        self.space = space

    async def find(self, type: int, nth: int = 0) -> tuple[int, int] | None:
        """Offset and length of the ``nth`` field of a type; None without one."""
        field = await self.space.find(type, nth)
        return None if field is None else (field.offset, field.length)

    async def read(self, off: int, len: int) -> bytes:
        """Read bytes of the space, for the driver to unpack."""
        return await self.space.read_bytes(off, len)

    async def write(self, off: int, data: bytes) -> None:
        """Write bytes of the space; read-only bytes keep their value."""
        for field in await self.space.fields():
            if field.offset <= off < field.offset + field.length:
                await self.space.write(field, data, off - field.offset)


@dataclass(eq=False)
class virtqueue:
    """A queue, opaque to drivers."""

    core: Any
    transport: Any


class virtqueue_ops:
    """Operations on queues, passed to ``probe``."""

    async def new_vq(
        self,
        dev: device,
        config: virtio_config_space,
        off: int,
        len: int,
        callback: Callable[[Any], bool] | None,
        cb_data: Any,
    ) -> virtqueue | int:
        """Set up the queue of the field with ``len`` bytes at ``off``; the queue, or a negative errno.

        ``callback(cb_data)`` runs when buffers are used. -EINVAL: there is no queue field at that place;
        -EBUSY: the queue is in use; -EIO: the device broke a rule.
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
        """Free an empty queue: 0, or -EBUSY when it holds buffers."""
        if vq.core.held and not vq.core.broken:
            return -errno.EBUSY
        await vq.transport.retire_vq(vq.core)
        return 0

    def add_buf(self, vq: virtqueue, sg: Sequence, out_num: int, in_num: int, data: Any) -> int:
        """Add a buffer; 0 or a negative errno."""
        return vq.core.add_buf(sg, out_num, in_num, data)

    async def kick(self, vq: virtqueue) -> None:
        """Show the device the added buffers, and notify it."""
        await vq.core.kick()

    def get_buf(self, vq: virtqueue) -> tuple[Any, int] | None:
        """The next used buffer: its token and the bytes written, or None."""
        return vq.core.get_buf()

    def restart(self, vq: virtqueue) -> bool:
        """Enable callbacks again; False, and they stay suppressed, when used buffers are waiting."""
        return vq.core.restart()

    async def shutdown(self, vq: virtqueue) -> list[Any]:
        """Take all buffers back; their tokens."""
        return await vq.core.shutdown()


@dataclass
class virtio_driver:
    """A driver. ``probe(device, config, vqops)`` gives the argument of ``remove``, or a negative errno."""

    name: str
    id_table: Sequence[Any]
    probe: Callable[[device, virtio_config_space, virtqueue_ops], Awaitable[Any]]
    remove: Callable[[Any], Awaitable[None]]
    owner: Any = None


@dataclass
class virtio_backend_ops:
    """The two functions of a backend; None without a backend."""

    register_driver: Callable[[virtio_driver], Awaitable[int]] | None = None
    unregister_driver: Callable[[virtio_driver], Awaitable[None]] | None = None


async def register_virtio_driver(drv: virtio_driver, backend: virtio_backend_ops) -> int:
    """Register with the backend (one global variable in the patch): 0 or a negative errno, -ENOSYS without
    a backend.
    """
    if backend.register_driver is None:
        return -errno.ENOSYS
    return await backend.register_driver(drv)


async def unregister_virtio_driver(drv: virtio_driver, backend: virtio_backend_ops) -> None:
    """Remove a driver from its devices."""
    if backend.unregister_driver is not None:
        await backend.unregister_driver(drv)
