"""Draft III as a bus, summer 2007: Arnd Bergmann's patch, and Avi Kivity's answer to it.

This stage adds discovery: a bus type that is independent of transport and device type. Drivers and devices
register there and match by ``virtio_device_id`` (a string; the answer proposes a constant, and both work
here). ``virtio_config`` has 256 bytes that the host writes before the probe: one half for itself, one half in
a structure of the driver. The answer proposes notifications of configuration changes in both directions,
through a virtqueue of their own, and drivers, transports and configuration space handlers as parts: a
combination of three of them needs some ten lines of code.

The next stage drops ``virtio_config``, whose size and layout are fixed: the configuration becomes a list of
typed fields that drivers unpack. PCI ids replace the string. ``sync`` is renamed ``kick``.

Buffers use ``virtqueue_ops`` here. The configuration virtqueue of the net device is its control queue: the
driver writes receive mode and address through it, and after a configuration change the handler reads the new
configuration with the command READ. For other devices the handler reads the configuration again.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ringwalker.spec.registers import RegisterTable

from ..bus import TypeId, VirtioDevice
from .device import device

__all__ = [
    "CONFIG_HALF",
    "ConfigSpaceHandler",
    "driver_struct",
    "virtio_config",
    "virtio_device",
    "virtio_device_id",
    "virtio_driver",
    "virtqueue",
    "virtqueue_ops",
]

CONFIG_HALF = 128
"""Bytes of each half of :class:`virtio_config`."""

virtio_device_id = TypeId
"""``device_type``, a string or a constant for the type of the device, and ``driver_data``."""


def driver_struct(table: RegisterTable) -> np.dtype:
    """The structure of a driver's half: a field for each register; an odd size is an array of bytes."""
    formats = [f"<u{row.size}" if row.size in (1, 2, 4, 8) else f"({row.size},)u1" for row in table]
    return np.dtype(
        {
            "names": [row.name for row in table],
            "formats": formats,
            "offsets": [row.offset for row in table],
            "itemsize": table.size,
        }
    )


@dataclass
class virtio_config:
    """The configuration of a device, 256 bytes, read-only for the guest.

    ``host`` belongs to the host driver. ``driver`` belongs to the device driver, which defines its structure.
    """

    host: bytes = bytes(CONFIG_HALF)
    driver: bytes = bytes(CONFIG_HALF)

    def unpack(self, struct: np.dtype) -> Any:
        """The driver's half as a record of ``struct``."""
        return np.frombuffer(self.driver, struct, 1)[0]


@dataclass
class virtqueue:
    """A queue. ``callback(vq)`` runs for used buffers; after False it is suppressed until ``restart``."""

    callback: Callable[["virtqueue"], bool] | None
    vdev: "virtio_device"
    priv: Any = None


class virtqueue_ops:
    """Operations on buffers, for every queue of the machine; later stages call ``sync`` ``kick``."""

    def add_buf(self, vq: virtqueue, sg: Sequence, out_num: int, in_num: int, data: Any) -> int:
        """Add a buffer; 0 or a negative errno."""
        return vq.priv.add_buf(sg, out_num, in_num, data)

    async def sync(self, vq: virtqueue) -> None:
        """Show the device the added buffers."""
        await vq.priv.kick()

    def get_buf(self, vq: virtqueue) -> tuple[Any, int] | None:
        """The next used buffer: its token and the bytes written, or None."""
        return vq.priv.get_buf()

    def restart(self, vq: virtqueue) -> bool:
        """Enable callbacks again; False, and they stay suppressed, when used buffers are waiting."""
        return vq.priv.restart()

    async def shutdown(self, vq: virtqueue) -> list[Any]:
        """Take all buffers back; their tokens."""
        return await vq.priv.shutdown()


@dataclass(eq=False)
class virtio_device:
    """A device on the bus: ``id`` is its id for matching, ``vqs`` are the queues that its handler made."""

    dev: device
    id: virtio_device_id
    config: virtio_config
    ops: virtqueue_ops
    handler: "ConfigSpaceHandler"
    vqs: list[virtqueue] = field(default_factory=list)
    features: int = 0
    priv: Any = None


@dataclass
class virtio_driver:
    """A driver. ``probe(vdev)`` returns 0 or a negative errno. ``config_changed(vdev)`` runs after a
    configuration change, when ``vdev.config`` has the new configuration.
    """

    name: str
    id_table: Sequence[Any]
    probe: Callable[[virtio_device], Awaitable[int]]
    remove: Callable[[virtio_device], Awaitable[None]]
    config_changed: Callable[[virtio_device], None] = lambda _vdev: None


class ConfigSpaceHandler(ABC):
    """A configuration space handler: fills in ``virtio_config`` and makes the queues.

    ``core`` is the device on the bus, ``table`` the structure of the driver's half.
    """

    def __init__(self, dev: device, table: RegisterTable):
        self.dev = dev
        self.core: VirtioDevice = dev.core
        self.table = table

    @abstractmethod
    def host_half(self) -> bytes:
        """The half that belongs to the host driver; at most 128 bytes."""

    async def read_config(self) -> virtio_config:
        """Read the present configuration."""
        content = bytearray(CONFIG_HALF)
        for row in self.table:
            if self.core.config.find(self.table, row.name) is not None:
                value = await self.core.config.get(row)
                content[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")
        return virtio_config(self.host_half().ljust(CONFIG_HALF, b"\0"), bytes(content))

    async def start(self, vdev: virtio_device) -> None:
        """Read the configuration of a new device into ``vdev``."""
        vdev.config = await self.read_config()

    async def refresh(self, vdev: virtio_device) -> None:
        """Read the changed configuration into ``vdev``."""
        vdev.config = await self.read_config()

    async def tell(self, vdev: virtio_device, name: str, value: int) -> int:
        """Write field ``name`` of the device: 0, or -EPERM when it cannot be written."""
        return -errno.EPERM

    async def make_vqs(self, vdev: virtio_device, count: int) -> None:
        """Make the first ``count`` queues; drivers set their callbacks afterwards."""
        for index in range(count):
            vq = virtqueue(None, vdev)

            def used(_core: Any, vq: virtqueue = vq) -> bool:
                return True if vq.callback is None else vq.callback(vq)

            vq.priv = await self.core.config.find_vq(index, used)
            vdev.vqs.append(vq)

    async def stop(self) -> None:
        """Reset the device and free its queues. Errors: those of the transport."""
        try:
            await self.core.config.reset()
        finally:
            for vq in tuple(self.core.vqs):
                await self.core.config.del_vq(vq)
