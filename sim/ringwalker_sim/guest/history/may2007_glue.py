"""The stage of 31 May 2007 between transports and today's drivers.

:func:`core_driver` is the code for the hypervisor: it finds the device and calls the driver's probe.
:func:`adapt` puts one of today's drivers on the operations of the stage.
"""

import errno
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.blk import BLK_CONFIG, BlkFeature
from ringwalker.spec.console import CONSOLE_CONFIG, ConsoleFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NET_CONFIG, NetFeature
from ringwalker.spec.registers import Register, RegisterTable

from ..bus import VirtioDevice, VirtioDriver
from ..errors import BindError
from ..port import Port
from ..transport.pipe import PipeTransport
from .device import device
from .may2007 import UNUSED, DescriptorOps, ReadWriteOps, Used, virtio_device, virtio_sync

__all__ = ["Configuration", "adapt", "core_driver"]

_TABLES: dict[int, Any] = {
    DeviceType.BLK: BLK_CONFIG,
    DeviceType.NET: NET_CONFIG,
    DeviceType.CONSOLE: CONSOLE_CONFIG,
}
_FEATURES = {
    DeviceType.BLK: (BlkFeature.BLK_SIZE, BlkFeature.FLUSH, BlkFeature.SEG_MAX, BlkFeature.SIZE_MAX),
    DeviceType.NET: (NetFeature.MAC, NetFeature.MTU, NetFeature.STATUS),
    DeviceType.CONSOLE: (ConsoleFeature.SIZE,),
}
"""Accepted features. None of them needs further queues or writes to device configuration."""

_GIVERS = (DeviceType.ENTROPY,)
"""Devices whose one queue has no requests, only buffers to receive into."""


@dataclass(frozen=True)
class Configuration:
    """The configuration of a device at its probe. It does not change.

    ``values`` are the registers of device configuration by name; ``queue_size`` is the number of pieces that
    each of the ``queues`` queues has room for.
    """

    features: int
    queue_size: int
    queues: int
    values: Mapping[str, int]


Probe = Callable[[virtio_device, Configuration], Awaitable[int]]


def core_driver(
    name: str,
    id_table: Sequence[Any],
    port: Port,
    probe: Probe,
    remove: Callable[[virtio_device], Awaitable[None]],
) -> VirtioDriver:
    """Code for the hypervisor: calls ``probe(vdev, configuration)`` for devices that ``id_table`` matches."""
    known: dict[VirtioDevice, virtio_device] = {}

    async def attach(core: VirtioDevice) -> int:
        transport = core.config
        names = _FEATURES.get(DeviceType(core.id.type), ()) if core.id.type in tuple(DeviceType) else ()
        features = await transport.negotiate(sum(1 << bit for bit in names))
        dev = device(port, core)
        ops = ReadWriteOps(dev) if isinstance(transport, PipeTransport) else DescriptorOps(dev)
        inward = outward = await transport.find_vq(0, ops.harvest)
        if core.id.type in (DeviceType.NET, DeviceType.CONSOLE):
            outward = await transport.find_vq(1, ops.harvest)
        ops.connect(inward, None if core.id.type in _GIVERS else outward)
        await transport.driver_ok()
        vdev = known[core] = virtio_device(dev, ops)
        queues = 1 if inward is outward else 2
        size = min(inward.size, outward.size)
        configuration = Configuration(features, size, queues, await _values(core))
        result = await probe(vdev, configuration)
        if result < 0:
            await _release(known.pop(core))
            if dev.error is not None:
                raise dev.error
        return result

    async def detach(core: VirtioDevice) -> None:
        vdev = known.pop(core)
        await remove(vdev)
        await _release(vdev)

    return VirtioDriver(f"{name}-2007-05", id_table, attach, detach)


async def _values(core: VirtioDevice) -> dict[str, int]:
    table = _TABLES.get(core.id.type, ())
    rows = [row for row in table if core.config.find(table, row.name) is not None]
    return {row.name: await core.config.get(row) for row in rows}


async def _release(vdev: virtio_device) -> None:
    core = vdev.dev.core
    vdev.dev.free_irq()
    vdev.dev.on_change(None)
    await core.config.reset()
    for vq in tuple(core.vqs):
        await core.config.del_vq(vq)


# --- today's drivers on it ---------------------------------------------------------------------------------


class _Request:
    def __init__(self, data: Any, pieces: int):
        self.data = data
        self.pieces = pieces
        self.inward: tuple[int, Used] | None = None
        self.outward: tuple[int, Used] | None = None

    @property
    def done(self) -> bool:
        return all(item is None or item[1].value != UNUSED for item in (self.inward, self.outward))


class _Queue:
    """A queue of a driver over ``add_outbuf`` and ``add_inbuf``; :meth:`get_buf` polls ``used``."""

    def __init__(self, vdev: virtio_device, index: int, size: int, callback: Any):
        self.vdev = vdev
        self.index = index
        self.size = size
        self._callback = callback
        self._suppressed = False
        self._requests: deque[_Request] = deque()
        vdev.dev.request_irq(self._interrupt)

    @property
    def num_free(self) -> int:
        return self.size - sum(request.pieces for request in self._requests)

    @property
    def outstanding(self) -> int:
        return len(self._requests)

    def descriptors(self, pieces: int) -> int:
        return pieces

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        ops, request = self.vdev.ops, _Request(data, len(sg))
        if in_num:
            used = Used()
            number = ops.add_inbuf(self.vdev, sg[out_num:], in_num, used)
            if number < 0:
                return number
            request.inward = (number, used)
        if out_num:
            used = Used()
            number = ops.add_outbuf(self.vdev, sg[:out_num], out_num, used)
            if number < 0:
                if request.inward is not None:
                    # The device has not seen it, so taking it back does not wait.
                    _at_once(ops.detach_inbuf(self.vdev, request.inward[0]))
                return number
            request.outward = (number, used)
        self._requests.append(request)
        return 0

    async def kick(self) -> None:
        await virtio_sync(self.vdev)

    def get_buf(self) -> tuple[Any, int] | None:
        for request in self._requests:
            if request.done:
                self._requests.remove(request)
                return request.data, request.inward[1].value if request.inward is not None else 0
        if isinstance(self.vdev.ops, DescriptorOps) and self.vdev.ops.failure is not None:
            raise self.vdev.ops.failure
        return None

    def restart(self) -> bool:
        self._suppressed = any(request.done for request in self._requests)
        return not self._suppressed

    def _interrupt(self) -> None:
        failed = isinstance(self.vdev.ops, DescriptorOps) and self.vdev.ops.failure is not None
        if self._suppressed or not (failed or any(request.done for request in self._requests)):
            return
        if self._callback is not None and not self._callback(self):
            self._suppressed = True

    async def detach(self, data: Any) -> bool:
        for request in self._requests:
            if request.data is data:
                if request.outward is not None:
                    await self.vdev.ops.detach_outbuf(self.vdev, request.outward[0])
                if request.inward is not None:
                    await self.vdev.ops.detach_inbuf(self.vdev, request.inward[0])
                if request.done:
                    return False
                self._requests.remove(request)
                return True
        return False

    async def shutdown(self) -> list[Any]:
        return [request.data for request in tuple(self._requests) if await self.detach(request.data)]


def _at_once(coroutine: Any) -> None:
    """Run a coroutine that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the operation waits, which it must not")


class _Config:
    """The configuration operations of a driver: the configuration at the probe, as the stage has none."""

    def __init__(self, vdev: virtio_device, configuration: Configuration):
        self._vdev = vdev
        self._configuration = configuration
        self._queues: list[_Queue] = []

    def find(self, table: RegisterTable, name: str) -> Register | None:
        return table[name] if name in self._configuration.values else None

    async def get(self, register: Register) -> int:
        if register.name not in self._configuration.values:
            raise BindError(f"{register.name} was not known at the probe")
        return self._configuration.values[register.name]

    async def set(self, register: Register, value: int) -> None:
        raise BindError(f"{register.name}: the interface of May 2007 cannot write device configuration")

    async def negotiate(self, wanted: int) -> int:
        return self._configuration.features & (wanted | 1 << Feature.VERSION_1)

    async def num_queues(self) -> int:
        return self._configuration.queues

    async def find_vq(self, index: int, callback: Any = None) -> _Queue:
        if index >= self._configuration.queues:
            raise BindError(f"the interface of May 2007 has no queue {index}")
        self._queues.append(_Queue(self._vdev, index, self._configuration.queue_size, callback))
        return self._queues[-1]

    async def del_vq(self, vq: _Queue) -> None:
        self._queues.remove(vq)

    async def driver_ok(self) -> None:
        return

    async def fail(self) -> None:
        return

    async def reset(self) -> None:
        transport = self._vdev.dev.transport
        if transport.legacy:
            # It has no queue reset, so that nothing can be taken back from a device that runs.
            await transport.reset()
        for queue in self._queues:
            await queue.shutdown()

    async def needs_reset(self) -> bool:
        return await self._vdev.dev.needs_reset()

    def on_change(self, callback: Any) -> None:
        self._vdev.dev.on_change(callback)


def adapt(driver: VirtioDriver, port: Port) -> VirtioDriver:
    """``driver`` on this stage, for the bus."""
    children: dict[int, VirtioDevice] = {}

    async def probe(vdev: virtio_device, configuration: Configuration) -> int:
        core = vdev.dev.core
        child = VirtioDevice(core.index, core.id, _Config(vdev, configuration))
        try:
            result = await driver.probe(child) or 0
        except BindError as error:
            vdev.dev.error = error
            return -errno.ENODEV
        children[id(vdev)] = child
        core.priv = child.priv
        return result

    async def remove(vdev: virtio_device) -> None:
        await driver.remove(children.pop(id(vdev)))
        vdev.dev.core.priv = None

    return core_driver(driver.name, driver.id_table, port, probe, remove)
