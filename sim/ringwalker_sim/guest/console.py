"""The console driver. It uses virtqueues and configuration operations, and knows no transport.

Ref: virtio 1.4, 5.3.
"""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from ringwalker.spec.console import (
    CONSOLE_CONFIG,
    CONSOLE_RECEIVE_QUEUE,
    CONSOLE_TRANSMIT_QUEUE,
    ConsoleFeature,
)
from ringwalker.spec.ids import DeviceType

from ..memory import Buffer
from .bus import Matcher, VirtioDevice, VirtioDriver
from .device_driver import device_driver
from .errors import BindError, DeviceError, RequestError, RequestTimeout, VirtioError
from .port import Port, Task
from .virtqueue import Virtqueue

__all__ = ["ConsoleDevice", "console_driver"]

WANTED = 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE
"""Feature bits that the driver accepts where the device offers them."""

TIMEOUT_CYCLES = 50_000_000
"""Cycles after which a transmit buffer counts as lost."""

_RECEIVE_BUFFERS = 4
_TRANSMIT_BUFFERS = 4
_BUFFER_BYTES = 256


class ConsoleDevice:
    """A terminal: ``priv`` of a device that :func:`console_driver` has probed.

    ``on_bytes(data)`` runs for received bytes, in order. ``size`` is (columns, rows), or (0, 0) without
    VIRTIO_CONSOLE_F_SIZE; ``on_resize(columns, rows)`` runs when it changes. ``failure`` is None, or the
    exception that made the device unusable.
    """

    def __init__(self, port: Port, device: VirtioDevice):
        self.port = port
        self.device = device
        self.features = 0
        self.size = (0, 0)
        self.failure: VirtioError | None = None
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_resize: Callable[[int, int], None] = lambda _columns, _rows: None
        self.written = self.read = 0
        self._receive: Virtqueue | None = None
        self._transmit: Virtqueue | None = None
        self._buffers: list[Buffer] = []
        self._idle: deque[Buffer] = deque()
        self._room = port.event()
        self._changed = port.event()
        self._posted = port.event()
        self._tasks: list[Task] = []
        self._closing = False

    # --- life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Negotiate, set up the queues, set DRIVER_OK, and offer the receive buffers."""
        config = self.device.config
        self.features = await config.negotiate(WANTED)
        await self._read_size()
        self._receive = receive = await config.find_vq(CONSOLE_RECEIVE_QUEUE, self._arrived)
        self._transmit = transmit = await config.find_vq(CONSOLE_TRANSMIT_QUEUE, self._was_sent)
        for _ in range(min(transmit.size, _TRANSMIT_BUFFERS)):
            self._idle.append(self._allocate())
        config.on_change(self._changed.set)
        await config.driver_ok()
        self._tasks = [self.port.start(self._watch()), self.port.start(self._post())]
        for _ in range(min(receive.size, _RECEIVE_BUFFERS)):
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
        for vq in (self._receive, self._transmit):
            if vq is not None:
                await config.del_vq(vq)
        for buffer in self._buffers:
            buffer.free()
        self._buffers.clear()

    def _allocate(self) -> Buffer:
        buffer = self.port.memory.allocate(_BUFFER_BYTES)
        self._buffers.append(buffer)
        return buffer

    def has(self, feature: ConsoleFeature) -> bool:
        """Whether the driver has accepted ``feature``."""
        return bool(self.features >> feature & 1)

    def _fail(self, error: VirtioError) -> None:
        self.failure = self.failure or error
        self._room.set()

    async def _watch(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if await self.device.config.needs_reset():
                    raise DeviceError("the device has set DEVICE_NEEDS_RESET")
                before = self.size
                await self._read_size()
            except VirtioError as error:
                self._fail(error)
                return
            if self.size != before:
                self.on_resize(*self.size)

    async def _read_size(self) -> None:
        if self.has(ConsoleFeature.SIZE):
            config = self.device.config
            self.size = (await config.get(CONSOLE_CONFIG.cols), await config.get(CONSOLE_CONFIG.rows))

    # --- reading -------------------------------------------------------------------------------------------

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
                content = buffer.array[:length].tobytes()
                self._offer(buffer)
                self.read += length
                if content:
                    self.on_bytes(content)
        except DeviceError as error:
            self._fail(error)
        return True

    # --- writing -------------------------------------------------------------------------------------------

    async def write(self, content: bytes) -> None:
        """Send bytes; returns when the device has used all of their buffers.

        Errors: the ``failure`` of the device, :class:`RequestTimeout`.
        """
        assert self._transmit is not None
        for start in range(0, len(content), _BUFFER_BYTES):
            part = content[start : start + _BUFFER_BYTES]
            await self._wait(lambda: bool(self._idle))
            buffer = self._idle.popleft()
            buffer.array[: len(part)] = np.frombuffer(part, np.uint8)
            result = self._transmit.add_buf([(buffer.address, len(part))], 1, 0, buffer)
            if result:
                self._idle.append(buffer)
                raise RequestError(f"the transmit queue takes no bytes: error {-result}")
            self.written += len(part)
            await self._transmit.kick()
        transmit = self._transmit
        await self._wait(lambda: not transmit.outstanding)

    async def _wait(self, ready: Callable[[], bool]) -> None:
        """Wait for used buffers until ``ready()``."""
        while not ready():
            self._room.clear()
            if self.failure is not None:
                raise self.failure
            if not await self._room.wait(TIMEOUT_CYCLES):
                raise RequestTimeout(f"no transmit buffer was used in {TIMEOUT_CYCLES} cycles")
        if self.failure is not None:
            raise self.failure

    def _was_sent(self, vq: Virtqueue) -> bool:
        try:
            while (used := vq.get_buf()) is not None:
                self._idle.append(used[0])
        except DeviceError as error:
            self._fail(error)
        self._room.set()
        return True

    async def emergency_write(self, byte: int) -> None:
        """Send a byte past the queues. Errors: :class:`BindError` without VIRTIO_CONSOLE_F_EMERG_WRITE."""
        config = self.device.config
        if not self.has(ConsoleFeature.EMERG_WRITE) or config.find(CONSOLE_CONFIG, "emerg_wr") is None:
            raise BindError("the device has no emergency write")
        await config.set(CONSOLE_CONFIG.emerg_wr, byte)


def console_driver(port: Port, *, ids: Sequence[Matcher] = ()) -> VirtioDriver:
    """The console driver, for a bus. ``ids`` are further ids that it matches."""
    return device_driver(DeviceType.CONSOLE, lambda device: ConsoleDevice(port, device), ids)
