"""The entropy driver: written against virtqueues and configuration operations, not against a transport.

Ref: virtio 1.4, 5.4.
"""

from collections.abc import Sequence

from ringwalker.spec.ids import DeviceType

from ..memory import Buffer
from .bus import Matcher, VirtioDevice, VirtioDriver
from .device_driver import device_driver
from .errors import DeviceError, RequestError, RequestTimeout, VirtioError
from .port import Port
from .virtqueue import Virtqueue

__all__ = ["RngDevice", "rng_driver"]

TIMEOUT_CYCLES = 50_000_000
"""How long a buffer may take to be filled."""

_BUFFERS = 4


class RngDevice:
    """A source of random bytes; what :func:`rng_driver` puts into ``priv`` of a device.

    ``buffer_bytes`` is the size of a buffer, of which up to four are in flight. ``failure`` is the exception
    that made the device unusable, if any.
    """

    def __init__(self, port: Port, device: VirtioDevice, buffer_bytes: int = 4096):
        self.port = port
        self.device = device
        self.buffer_bytes = buffer_bytes
        self.failure: VirtioError | None = None
        self._vq: Virtqueue | None = None
        self._filled = port.event()
        self._idle: list[Buffer] = []
        self._buffers: list[Buffer] = []
        self._content = bytearray()

    async def open(self) -> None:
        """Set up the queue, and set DRIVER_OK."""
        config = self.device.config
        await config.negotiate(0)
        self._vq = await config.find_vq(0, self._take)
        self._buffers = [self.port.memory.allocate(self.buffer_bytes) for _ in range(_BUFFERS)]
        self._idle = list(self._buffers)
        await config.driver_ok()

    async def close(self) -> None:
        """Reset the device, and free its queue and buffers."""
        config = self.device.config
        await config.reset()
        if self._vq is not None:
            await config.del_vq(self._vq)
        for buffer in self._buffers:
            buffer.free()
        self._buffers.clear()

    def _take(self, vq: Virtqueue) -> bool:
        try:
            while (used := vq.get_buf()) is not None:
                buffer, length = used
                if not length:
                    raise DeviceError("the device has used a buffer without a byte in it")
                self._content += buffer.array[:length].tobytes()
                self._idle.append(buffer)
        except DeviceError as error:
            self.failure = self.failure or error
        self._filled.set()
        return True

    async def read(self, length: int) -> bytes:
        """``length`` random bytes. One call at a time.

        Errors: the ``failure`` of the device, :class:`RequestError`, :class:`RequestTimeout`.
        """
        vq = self._vq
        assert vq is not None
        while len(self._content) < length:
            missing = length - len(self._content) - vq.outstanding * self.buffer_bytes
            added = False
            while self._idle and missing > 0:
                buffer, size = self._idle.pop(), min(missing, self.buffer_bytes)
                result = vq.add_buf([(buffer.address, size)], 0, 1, buffer)
                if result:
                    self._idle.append(buffer)
                    if not vq.outstanding:
                        raise RequestError(f"the queue takes no buffer: error {-result}")
                    break
                missing -= size
                added = True
            self._filled.clear()
            if added:
                await vq.kick()
            if self.failure is None and not await self._filled.wait(TIMEOUT_CYCLES):
                raise RequestTimeout(f"no buffer was filled in {TIMEOUT_CYCLES} cycles")
            if self.failure is not None:
                raise self.failure
        content = bytes(self._content[:length])
        del self._content[:length]
        return content


def rng_driver(port: Port, *, ids: Sequence[Matcher] = (), buffer_bytes: int = 4096) -> VirtioDriver:
    """The entropy driver, for a bus. ``ids`` are further ids that it matches."""
    return device_driver(DeviceType.ENTROPY, lambda device: RngDevice(port, device, buffer_bytes), ids)
