"""Configuration space handlers of Draft III: they fill in ``virtio_config`` and write changes to the device.

Each of them works with every driver on every transport; :func:`handler_for` chooses one by the transport.
"""

import errno

from ringwalker.spec.fields import FieldFlag
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import FACE_BAR
from ringwalker.spec.net import NET_CONFIG, NET_CONTROL_QUEUE, NetFeature, NetRxMode
from ringwalker.spec.registers import RegisterTable

from ..bus import VirtioDevice
from ..errors import RequestError
from ..net_control import NetControl
from ..transport.device_fields import device_fields, locate
from ..transport.pci_transport import PciTransport
from ..transport.pipe import PipeTransport
from .device import device
from .draft3 import CONFIG_HALF, ConfigSpaceHandler, virtio_config, virtio_device

__all__ = [
    "HANDLERS",
    "Handler",
    "handler_for",
    "virtbus_fields",
    "virtbus_memory",
    "virtbus_pci",
    "virtbus_pipe",
]


class _NetQueue:
    """The configuration virtqueue of a net device."""

    def __init__(self, handler: ConfigSpaceHandler):
        self._handler = handler
        self._control = NetControl(handler.dev.port)

    async def start(self) -> None:
        self._control.vq = await self._handler.core.config.find_vq(NET_CONTROL_QUEUE, self._control.answered)

    async def read(self) -> bytes:
        return await self._control.read_config(NET_CONFIG.size)

    async def tell(self, name: str, value: int) -> int:
        try:
            if name == "mac":
                await self._control.set_mac(value.to_bytes(NET_CONFIG.mac.size, "little"))
            elif name == "rx_mode":
                await self._control.set_promiscuous(bool(value & NetRxMode.PROMISCUOUS))
                await self._control.set_all_multicast(bool(value & NetRxMode.ALL_MULTICAST))
            else:
                return -errno.EPERM
        except RequestError:
            return -errno.EINVAL
        return 0


class Handler(ConfigSpaceHandler):
    """Base of the handlers: reads changes through the configuration virtqueue of a net device, or again."""

    def __init__(self, dev: device, table: RegisterTable):
        super().__init__(dev, table)
        self._queue: _NetQueue | None = None

    async def start(self, vdev: virtio_device) -> None:
        await super().start(vdev)
        if vdev.dev.core.id.type == DeviceType.NET and vdev.features >> NetFeature.CTRL_VQ & 1:
            self._queue = _NetQueue(self)
            await self._queue.start()

    async def refresh(self, vdev: virtio_device) -> None:
        if self._queue is None:
            await super().refresh(vdev)
        else:
            content = await self._queue.read()
            vdev.config = virtio_config(vdev.config.host, content.ljust(len(vdev.config.driver), b"\0"))

    async def tell(self, vdev: virtio_device, name: str, value: int) -> int:
        return -errno.EPERM if self._queue is None else await self._queue.tell(name, value)


class virtbus_pci(Handler):
    """For PCI functions: the host's half has bus, device and function (0 on other transports) and the BAR."""

    def host_half(self) -> bytes:
        transport = self.core.config
        bdf, bar = 0, FACE_BAR
        if isinstance(transport, PciTransport):
            bdf, bar = transport.pci.bdf, transport.register_bar
        return bdf.to_bytes(2, "little") + bytes([bar])


class virtbus_memory(Handler):
    """For devices without a bus of their own: the host's half has the index of the device."""

    def host_half(self) -> bytes:
        return (self.core.index or 0).to_bytes(4, "little")


class virtbus_pipe(Handler):
    """For devices behind a pipe: the host's half has the name of the device."""

    def host_half(self) -> bytes:
        return self.core.config.name.encode()[:CONFIG_HALF]


class virtbus_fields(virtbus_pipe):
    """For devices with a field list: configuration is read and written there."""

    async def start(self, vdev: virtio_device) -> None:
        vdev.config = await self.read_config()

    async def read_config(self) -> virtio_config:
        space, content = await self.core.config.fields(), bytearray(CONFIG_HALF)
        for entry in device_fields(self.table):
            field = await space.find(entry.kind)
            if field is not None:
                content[entry.start : entry.start + entry.size] = await space.read(field)
        return virtio_config(self.host_half().ljust(CONFIG_HALF, b"\0"), bytes(content))

    async def tell(self, vdev: virtio_device, name: str, value: int) -> int:
        space, place = await self.core.config.fields(), locate(self.table, name)
        field = None if place is None or place[1] else await space.find(place[0])
        if field is None or not field.flags & FieldFlag.WRITABLE:
            return -errno.EPERM
        await space.write(field, value.to_bytes(self.table[name].size, "little")[: field.length])
        return 0


HANDLERS: tuple[tuple[type, type[Handler]], ...] = (
    (PciTransport, virtbus_pci),
    (PipeTransport, virtbus_pipe),
    (object, virtbus_memory),
)
"""The handler for each transport; the first match counts. Each works with every transport, except that
:class:`virtbus_fields` needs a device with a field list.
"""


def handler_for(core: VirtioDevice) -> type[Handler]:
    """The configuration space handler for the transport of a device."""
    return next(handler for kind, handler in HANDLERS if isinstance(core.config, kind))
