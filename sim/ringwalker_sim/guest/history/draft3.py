"""Draft III as a bus, summer 2007: Arnd Bergmann's patch, and Avi Kivity's answer to it.

New was finding: a bus type that knows neither the transport below nor the protocol above, drivers and
devices that register there and match by ``virtio_device_id`` (a string; the answer asked for a constant, and
both work), and ``virtio_config``, 256 bytes that the host fills in before the probe, half for itself and half
typed by the driver. The answer added that configuration changes need telling in both directions, "maybe a
configuration virtqueue for that", and the lego: drivers, transports and configuration space handlers that
are put together by some ten lines for each combination.

What changed next, and why: a structure of fixed size is soon too small and fixes its layout for ever, so the
configuration became a list of typed fields that drivers unpack, in whatever keeps bytes. PCI ids, which hosts
can carry anyway, replaced the string. ``sync`` was renamed ``kick``.

Buffers go through ``virtqueue_ops`` by now. The net device has a configuration virtqueue (its control queue):
the driver tells promiscuous mode and address through it, and when the device says that something changed, the
handler fetches the new configuration with the command READ. Devices without one are read again.
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
"""``device_type``, a string that names the virtio interface or a constant, and ``driver_data``."""


def driver_struct(table: RegisterTable) -> np.dtype:
    """The structure of a driver's half: a field for each register; odd sizes are arrays of bytes."""
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
    """The configuration of a device. Its bytes are read-only for the guest.

    ``host`` is interpreted by the host driver and opaque to the device driver, ``driver`` is interpreted by
    the device driver, by a structure that is part of its ABI.
    """

    host: bytes = bytes(CONFIG_HALF)
    driver: bytes = bytes(CONFIG_HALF)

    def unpack(self, struct: np.dtype) -> Any:
        """The driver's half as the driver's structure."""
        return np.frombuffer(self.driver, struct, 1)[0]


@dataclass
class virtqueue:
    """A queue. ``callback(vq)`` runs when buffers are used; False suppresses it until ``restart``."""

    callback: Callable[["virtqueue"], bool] | None
    vdev: "virtio_device"
    priv: Any = None


class virtqueue_ops:
    """Operations on buffers, for any queue of the machine; ``sync`` is what became ``kick``."""

    def add_buf(self, vq: virtqueue, sg: Sequence, out_num: int, in_num: int, data: Any) -> int:
        """Expose a buffer to the other end; 0 or a negative errno."""
        return vq.priv.add_buf(sg, out_num, in_num, data)

    async def sync(self, vq: virtqueue) -> None:
        """Show the other end what was added."""
        await vq.priv.kick()

    def get_buf(self, vq: virtqueue) -> tuple[Any, int] | None:
        """The next used buffer: its token and the length written, or None."""
        return vq.priv.get_buf()

    def restart(self, vq: virtqueue) -> bool:
        """Allow callbacks again; False, and they stay suppressed, if buffers are pending."""
        return vq.priv.restart()

    async def shutdown(self, vq: virtqueue) -> list[Any]:
        """Take all buffers back; their tokens."""
        return await vq.priv.shutdown()


@dataclass(eq=False)
class virtio_device:
    """A device on the bus: ``id`` is what it was matched by, ``vqs`` are the queues made by its handler."""

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
    """A driver. ``probe(vdev)`` returns 0 or a negative errno; ``config_changed(vdev)`` runs after the
    device has told of another configuration, which ``vdev.config`` then is.
    """

    name: str
    id_table: Sequence[Any]
    probe: Callable[[virtio_device], Awaitable[int]]
    remove: Callable[[virtio_device], Awaitable[None]]
    config_changed: Callable[[virtio_device], None] = lambda _vdev: None


class ConfigSpaceHandler(ABC):
    """A virtual configuration space handler: fills in ``virtio_config`` and is responsible for the queues.

    ``core`` is the device on its transport, ``table`` the structure of the driver's half.
    """

    def __init__(self, dev: device, table: RegisterTable):
        self.dev = dev
        self.core: VirtioDevice = dev.core
        self.table = table

    @abstractmethod
    def host_half(self) -> bytes:
        """What the host driver needs to know; at most 128 bytes."""

    async def read_config(self) -> virtio_config:
        """The configuration as it is now."""
        content = bytearray(CONFIG_HALF)
        for row in self.table:
            if self.core.config.find(self.table, row.name) is not None:
                value = await self.core.config.get(row)
                content[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")
        return virtio_config(self.host_half().ljust(CONFIG_HALF, b"\0"), bytes(content))

    async def start(self, vdev: virtio_device) -> None:
        """The device is set up for ``vdev``: read its configuration."""
        vdev.config = await self.read_config()

    async def refresh(self, vdev: virtio_device) -> None:
        """The device says that its configuration has changed: bring the new one."""
        vdev.config = await self.read_config()

    async def tell(self, vdev: virtio_device, name: str, value: int) -> int:
        """Tell the device of a change of field ``name``: 0, or -EPERM where it cannot be told."""
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
        """Reset the device and forget its queues. Errors are those of the transport."""
        try:
            await self.core.config.reset()
        finally:
            for vq in tuple(self.core.vqs):
                await self.core.config.del_vq(vq)
