"""The network driver. It uses virtqueues and configuration operations, and knows no transport.

Ref: virtio 1.4, 5.1.
"""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetFeature,
    NetRxMode,
    NetStatus,
)

from ..memory import Buffer
from .bus import Matcher, VirtioDevice, VirtioDriver
from .device_driver import device_driver
from .errors import BindError, DeviceError, RequestError, RequestTimeout, VirtioError
from .net_control import NetControl
from .net_header import net_header_bytes
from .port import Port, Task
from .virtqueue import Virtqueue

__all__ = ["NetDevice", "net_driver"]

WANTED = sum(
    1 << NetFeature[name] for name in ("MAC", "STATUS", "MTU", "CTRL_VQ", "CTRL_RX", "CTRL_MAC_ADDR")
)
"""Feature bits that the driver accepts where the device offers them."""

TIMEOUT_CYCLES = 20_000_000
"""Cycles after which a transmit buffer counts as lost."""

_ETHERNET_BYTES = 18
"""Bytes of a frame beside its payload: addresses, type and one VLAN tag."""
_MTU = 1500
_SHORTEST = 14
_BUFFERS = 32
"""Most buffers in each direction."""


class NetDevice:
    """A network interface: ``priv`` of a device that :func:`net_driver` has probed.

    ``mac`` is its address, ``mtu`` the most bytes of frame payload, ``link_up`` the state of the link (True
    without VIRTIO_NET_F_STATUS). ``on_frame(frame)`` runs for received frames, in order;
    ``on_media(link_up)`` runs when the link changes. ``sent``, ``received`` and ``unusable`` count frames.
    ``failure`` is None, or the exception that made the device unusable.
    """

    def __init__(self, port: Port, device: VirtioDevice, ring_features: int = 0):
        self.port = port
        self.device = device
        self.features = 0
        self.mac = bytes(MAC_BYTES)
        self.mtu = _MTU
        self.link_up = True
        self.media_changes = 0
        self.failure: VirtioError | None = None
        self.on_frame: Callable[[bytes], None] = lambda _frame: None
        self.on_media: Callable[[bool], None] = lambda _up: None
        self.sent = self.received = self.unusable = 0
        self._ring_features = ring_features
        self._header_bytes = net_header_bytes(0)
        self._receive: Virtqueue | None = None
        self._transmit: Virtqueue | None = None
        self._control: NetControl | None = None
        self._buffers: list[Buffer] = []
        self._idle: deque[Buffer] = deque()
        self._room = port.event()
        self._drained = port.event()
        self._changed = port.event()
        self._posted = port.event()
        self._tasks: list[Task] = []
        self._closing = False

    # --- life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Negotiate, set up the queues, set DRIVER_OK, and offer the receive buffers."""
        config = self.device.config
        self.features = await config.negotiate(WANTED | self._ring_features)
        self._header_bytes = net_header_bytes(self.features)
        if self.has(NetFeature.MAC):
            self.mac = (await config.get(NET_CONFIG.mac)).to_bytes(MAC_BYTES, "little")
        if self.has(NetFeature.MTU):
            self.mtu = await config.get(NET_CONFIG.mtu)
        await self._read_media()
        self._receive = receive = await config.find_vq(NET_RECEIVE_QUEUE, self._arrived)
        self._transmit = transmit = await config.find_vq(NET_TRANSMIT_QUEUE, self._was_sent)
        if self.has(NetFeature.CTRL_VQ):
            self._control = NetControl(self.port)
            self._control.vq = await config.find_vq(NET_CONTROL_QUEUE, self._control.answered)
        for _ in range(min(transmit.size, _BUFFERS)):
            self._idle.append(self._allocate())
        config.on_change(self._changed.set)
        await config.driver_ok()
        self._tasks = [self.port.start(self._watch()), self.port.start(self._post())]
        for _ in range(min(receive.size, _BUFFERS)):
            self._offer(self._allocate())

    async def close(self) -> None:
        """Reset the device and free all buffers."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        config = self.device.config
        config.on_change(None)
        await config.reset()
        self._fail(RequestError("the device was removed"))
        control = None if self._control is None else self._control.vq
        for vq in (self._receive, self._transmit, control):
            if vq is not None:
                await config.del_vq(vq)
        for buffer in self._buffers:
            buffer.free()
        self._buffers.clear()

    def _allocate(self) -> Buffer:
        buffer = self.port.memory.allocate(self._header_bytes + self.frame_bytes, 64)
        self._buffers.append(buffer)
        return buffer

    @property
    def frame_bytes(self) -> int:
        """Bytes of the longest frame, from destination address to payload."""
        return self.mtu + _ETHERNET_BYTES

    def has(self, feature: NetFeature) -> bool:
        """Whether the driver has accepted ``feature``."""
        return bool(self.features >> feature & 1)

    def _fail(self, error: VirtioError) -> None:
        self.failure = self.failure or error
        self._room.set()
        self._drained.set()

    async def _watch(self) -> None:
        config = self.device.config
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if await config.needs_reset():
                    raise DeviceError("the device has set DEVICE_NEEDS_RESET")
                before = self.link_up
                await self._read_media()
            except VirtioError as error:
                self._fail(error)
                return
            if self.link_up != before:
                self.media_changes += 1
                self.on_media(self.link_up)

    async def _read_media(self) -> None:
        if self.has(NetFeature.STATUS):
            status = await self.device.config.get(NET_CONFIG.status)
            self.link_up = bool(status & NetStatus.LINK_UP)

    # --- receiving -----------------------------------------------------------------------------------------

    def _offer(self, buffer: Buffer) -> None:
        assert self._receive is not None
        if not self._closing and self._receive.add_buf(buffer.sg, 0, 1, buffer) == 0:
            self._posted.set()

    async def _post(self) -> None:
        """Show the device the receive buffers that were added."""
        assert self._receive is not None
        while True:
            await self._posted.wait()
            self._posted.clear()
            await self._receive.kick()

    def _arrived(self, vq: Virtqueue) -> bool:
        try:
            while (used := vq.get_buf()) is not None:
                buffer, length = used
                frame = buffer.array[self._header_bytes : length].tobytes()
                self._offer(buffer)
                if len(frame) < _SHORTEST:
                    self.unusable += 1
                else:
                    self.received += 1
                    self.on_frame(frame)
        except DeviceError as error:
            self._fail(error)
        return True

    # --- sending -------------------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        """Offer a frame to the device. Waits for a free buffer, not for the frame to be sent.

        Errors: ``ValueError`` for a frame that is too short or too long, the ``failure`` of the device,
        :class:`RequestTimeout` when no buffer becomes free.
        """
        if not _SHORTEST <= len(frame) <= self.frame_bytes:
            raise ValueError(f"a frame of {len(frame)} bytes; it must have {_SHORTEST} to {self.frame_bytes}")
        while not self._idle:
            self._room.clear()
            self._check()
            if not await self._room.wait(TIMEOUT_CYCLES):
                raise RequestTimeout(f"no frame was sent in {TIMEOUT_CYCLES} cycles")
        self._check()
        assert self._transmit is not None
        buffer = self._idle.popleft()
        buffer.array[: self._header_bytes] = 0
        buffer.array[self._header_bytes : self._header_bytes + len(frame)] = np.frombuffer(frame, np.uint8)
        result = self._transmit.add_buf([(buffer.address, self._header_bytes + len(frame))], 1, 0, buffer)
        if result:
            self._idle.append(buffer)
            raise RequestError(f"the transmit queue takes no frame: error {-result}")
        await self._transmit.kick()

    async def drain(self) -> None:
        """Wait until the device has sent all frames. Errors: as :meth:`send`."""
        while self._transmit is not None and self._transmit.outstanding:
            self._drained.clear()
            self._check()
            if not await self._drained.wait(TIMEOUT_CYCLES):
                raise RequestTimeout(f"frames were not sent in {TIMEOUT_CYCLES} cycles")
        self._check()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _was_sent(self, vq: Virtqueue) -> bool:
        try:
            while (used := vq.get_buf()) is not None:
                self.sent += 1
                self._idle.append(used[0])
        except DeviceError as error:
            self._fail(error)
        self._room.set()
        self._drained.set()
        return True

    # --- what is received ----------------------------------------------------------------------------------

    async def _set_mode(self, bit: NetRxMode, on: bool) -> None:
        """Write the receive mode to device configuration, for a device without a control queue."""
        config = self.device.config
        if config.find(NET_CONFIG, "rx_mode") is None:
            raise BindError("the device has no control queue and no field for the receive mode")
        mode = await config.get(NET_CONFIG.rx_mode)
        await config.set(NET_CONFIG.rx_mode, mode | bit if on else mode & ~int(bit))

    async def set_promiscuous(self, on: bool) -> None:
        """Receive every frame, or not. Errors: :class:`BindError` when the device has no receive mode."""
        if self._control is not None and self.has(NetFeature.CTRL_RX):
            await self._control.set_promiscuous(on)
        else:
            await self._set_mode(NetRxMode.PROMISCUOUS, on)

    async def set_all_multicast(self, on: bool) -> None:
        """Receive every multicast frame, or not. Errors: as :meth:`set_promiscuous`."""
        if self._control is not None and self.has(NetFeature.CTRL_RX):
            await self._control.set_all_multicast(on)
        else:
            await self._set_mode(NetRxMode.ALL_MULTICAST, on)

    async def set_mac(self, mac: bytes) -> None:
        """Set the address, six bytes. Errors: :class:`BindError` when the device's address is fixed."""
        if len(mac) != MAC_BYTES or mac[0] & 1:
            raise ValueError(f"{mac.hex(':')} is not the address of a station")
        if self._control is not None and self.has(NetFeature.CTRL_MAC_ADDR):
            await self._control.set_mac(mac)
        elif self.device.config.find(NET_CONFIG, "mac") is None:
            raise BindError("the device has no control queue and no writable address")
        else:
            await self.device.config.set(NET_CONFIG.mac, int.from_bytes(mac, "little"))
        self.mac = bytes(mac)


def net_driver(port: Port, *, ids: Sequence[Matcher] = (), ring_features: int = 0) -> VirtioDriver:
    """The network driver, for a bus.

    ``ids`` are further ids that it matches; ``ring_features`` (a mask, of ``RING_FEATURES``) are accepted
    where the device offers them.
    """
    return device_driver(DeviceType.NET, lambda device: NetDevice(port, device, ring_features), ids)
