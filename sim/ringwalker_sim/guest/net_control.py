"""Commands to a network device through its control queue. Ref: virtio 1.4, 5.1.6.5."""

import numpy as np

from ringwalker.spec.net import NetClass, NetControlAck, NetMacCommand, NetRxCommand

from .errors import DeviceError, RequestError, RequestTimeout
from .port import Port
from .virtqueue import Virtqueue

__all__ = ["NetControl"]

_TIMEOUT_CYCLES = 5_000_000


class NetControl:
    """Sends commands one at a time through a queue whose callback is :meth:`answered`."""

    def __init__(self, port: Port):
        self.port = port
        self.vq: Virtqueue | None = None
        self._answered = port.event()
        self._busy = False
        self._free = port.event()

    def answered(self, _vq: Virtqueue) -> bool:
        """The callback of the queue: a command was answered."""
        self._answered.set()
        return True

    async def command(self, group: int, number: int, data: bytes = b"", room: int = 0) -> bytes:
        """Send a command; the bytes that the device writes behind its acknowledgement, at most ``room``.

        Errors: :class:`RequestError` when the device refuses the command, :class:`RequestTimeout` when it
        does not answer, :class:`DeviceError` for an acknowledgement that does not exist.
        """
        while self._busy:
            self._free.clear()
            await self._free.wait()
        self._busy = True
        try:
            return await self._command(bytes([group, number]) + data, room, f"command {group:#x}.{number}")
        finally:
            self._busy = False
            self._free.set()

    async def _command(self, request: bytes, room: int, name: str) -> bytes:
        assert self.vq is not None
        out = self.port.memory.allocate(len(request))
        answer = self.port.memory.allocate(1 + room)
        out.array[:] = np.frombuffer(request, np.uint8)
        answer.array[0] = 0xFF
        self._answered.clear()
        if self.vq.add_buf([*out.sg, *answer.sg], 1, 1, name):
            out.free()
            answer.free()
            raise RequestError(f"{name}: the control queue is full")
        await self.vq.kick()
        while (used := self.vq.get_buf()) is None:
            if not await self._answered.wait(_TIMEOUT_CYCLES):
                # The buffers are not freed: the device may still use them.
                raise RequestTimeout(f"{name} was not answered in {_TIMEOUT_CYCLES} cycles")
            self._answered.clear()
        content = answer.array[: used[1]].tobytes()
        out.free()
        answer.free()
        if content[:1] == bytes([NetControlAck.OK]):
            return content[1:]
        if content[:1] == bytes([NetControlAck.ERR]):
            raise RequestError(f"{name}: ERR")
        raise DeviceError(
            f"{name}: {used[1]} bytes written, acknowledgement {content[:1].hex() or 'missing'}"
        )

    async def set_promiscuous(self, on: bool) -> None:
        """Receive every frame, or not."""
        await self.command(NetClass.RX, NetRxCommand.PROMISCUOUS, bytes([on]))

    async def set_all_multicast(self, on: bool) -> None:
        """Receive every multicast frame, or not."""
        await self.command(NetClass.RX, NetRxCommand.ALL_MULTICAST, bytes([on]))

    async def set_mac(self, mac: bytes) -> None:
        """Set the address, six bytes."""
        await self.command(NetClass.MAC, NetMacCommand.ADDR_SET, mac)

    async def read_config(self, length: int) -> bytes:
        """Read the first ``length`` bytes of device configuration through the queue."""
        return await self.command(NetClass.CONFIG, 0, room=length)
