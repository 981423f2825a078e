"""The client side of vfio-user, in the place of a virtual machine monitor, for tests and tools."""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from . import bodies, protocol
from .bodies import DmaAccess, DmaMap, RegionAccess
from .peer import Peer
from .protocol import Command, Flag, Header, IrqSetFlag, MapFlag, ProtocolError

__all__ = ["Client"]

_U32X4 = struct.Struct("<IIII")
_REGION_INFO = struct.Struct("<IIIIQQ")
_IRQ_SET = struct.Struct("<IIIII")
_DMA_MAP = struct.Struct("<IIQQQ")
_DMA_UNMAP = struct.Struct("<IIQQ")


class _Memory:
    """Answers DMA_READ and DMA_WRITE of the server from buffers that were mapped without a descriptor."""

    def __init__(self, peer: Peer):
        self._peer = peer
        self.buffers: dict[int, tuple[memoryview, bool]] = {}
        self.messages = 0

    def handle(self, header: Header, body: bytes, fds: list[int]) -> None:
        """Answer one message."""
        for fd in fds:
            os.close(fd)
        if header.command not in (Command.DMA_READ, Command.DMA_WRITE):
            raise ProtocolError(f"the server sent command {header.command}")
        self.messages += 1
        access = DmaAccess.unpack(body)
        write = header.command == Command.DMA_WRITE
        place = self._find(access, write)
        if place is None:
            self._peer.send(protocol.error_reply(header, errno.EFAULT))
        elif write:
            place[:] = access.data
            self._peer.send(protocol.reply(header, DmaAccess(access.address, access.count).pack()))
        else:
            answer = DmaAccess(access.address, access.count, bytes(place))
            self._peer.send(protocol.reply(header, answer.pack()))

    def _find(self, access: DmaAccess, write: bool) -> memoryview | None:
        for start, (buffer, writable) in self.buffers.items():
            at = access.address - start
            if at >= 0 and at + access.count <= len(buffer) and (writable or not write):
                return buffer[at : at + access.count]
        return None


class Client:
    """A connection to the server at ``path``, after the exchange of versions.

    Calls return when the server has answered. While they wait, and in :meth:`poll`, DMA messages of the
    server are answered; ``dma_messages`` counts them. Errors: ``OSError`` with the server's errno when it
    refuses, :class:`~.peer.PeerGone` when it closes the connection, ``ProtocolError`` for invalid messages.
    """

    def __init__(self, path: str | Path, timeout_s: float = 30.0):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        self._peer = Peer(connection, timeout_s)
        self._memory = _Memory(self._peer)
        self._peer.handler = self._memory.handle
        self._posted = 0
        offered = {"max_msg_fds": protocol.MAX_FDS, "max_data_xfer_size": protocol.MAX_DATA}
        try:
            answer = self._peer.call(Command.VERSION, bodies.version_body(offered))
        except BaseException:
            self.close()
            raise
        self.capabilities = bodies.version(answer)[2]
        """Capabilities of the server, by name."""

    @property
    def dma_messages(self) -> int:
        """Number of DMA messages of the server."""
        return self._memory.messages

    def fileno(self) -> int:
        """The descriptor of the socket, readable when a DMA message has arrived."""
        return self._peer.fileno()

    def poll(self, seconds: float = 0.0) -> bool:
        """Answer a message of the server if one arrives within ``seconds``; whether one did."""
        if not self._peer.wait(seconds):
            return False
        received = self._peer.receive()
        if received is not None:
            self._memory.handle(*received)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    # --- the device ---------------------------------------------------------------------------------------

    def region_size(self, region: int) -> int:
        """Bytes in a region, 0 if it is absent."""
        body = _REGION_INFO.pack(_REGION_INFO.size, 0, region, 0, 0, 0)
        return _REGION_INFO.unpack(self._peer.call(Command.DEVICE_GET_REGION_INFO, body))[4]

    def irq_info(self, index: int) -> tuple[int, int]:
        """Flags and number of vectors of an interrupt kind."""
        body = _U32X4.pack(_U32X4.size, 0, index, 0)
        _size, flags, _index, count = _U32X4.unpack(self._peer.call(Command.DEVICE_GET_IRQ_INFO, body))
        return flags, count

    def read(self, region: int, offset: int, count: int) -> bytes:
        """Read bytes of a region."""
        answer = self._peer.call(Command.REGION_READ, RegionAccess(offset, region, count).pack())
        return answer[-count:] if count else b""

    def write(self, region: int, offset: int, data: bytes, posted: bool = False) -> None:
        """Write bytes of a region; ``posted``: without waiting for an answer."""
        body = RegionAccess(offset, region, len(data)).pack(data)
        if posted:
            self._posted = (self._posted + 1) & 0xFFFF
            self._peer.send(protocol.message(self._posted, Command.REGION_WRITE, body, Flag.NO_REPLY))
        else:
            self._peer.call(Command.REGION_WRITE, body)

    def reset(self) -> None:
        """Reset the device."""
        self._peer.call(Command.DEVICE_RESET, b"")

    # --- memory -------------------------------------------------------------------------------------------

    def map(
        self,
        address: int,
        size: int,
        *,
        fd: int | None = None,
        offset: int = 0,
        buffer: memoryview | None = None,
        writable: bool = True,
    ) -> None:
        """Map memory for the device: ``fd`` from ``offset`` on, or ``buffer``, which DMA messages access."""
        flags = MapFlag.READ | (MapFlag.WRITE if writable else 0)
        mapping = DmaMap(flags, offset, address, size)
        body = _DMA_MAP.pack(_DMA_MAP.size, flags, mapping.offset, address, size)
        self._peer.call(Command.DMA_MAP, body, [] if fd is None else [fd])
        if buffer is not None:
            self._memory.buffers[address] = (buffer, writable)

    def unmap(self, address: int, size: int) -> None:
        """Unmap memory; the device no longer accesses it when this returns."""
        self._peer.call(Command.DMA_UNMAP, _DMA_UNMAP.pack(_DMA_UNMAP.size, 0, address, size))
        self._memory.buffers.pop(address, None)

    # --- interrupts ---------------------------------------------------------------------------------------

    def set_irqs(
        self,
        index: int,
        flags: int,
        start: int = 0,
        count: int = 0,
        data: bytes = b"",
        fds: Sequence[int] = (),
    ) -> None:
        """Send DEVICE_SET_IRQS with these values."""
        head = _IRQ_SET.pack(_IRQ_SET.size + len(data), flags, index, start, count)
        self._peer.call(Command.DEVICE_SET_IRQS, head + data, fds)

    def arm(self, index: int, fds: Sequence[int], start: int = 0) -> None:
        """Signal interrupts of a kind by eventfds."""
        flags = IrqSetFlag.ACTION_TRIGGER | IrqSetFlag.DATA_EVENTFD
        for at in range(0, len(fds), protocol.MAX_FDS):
            some = fds[at : at + protocol.MAX_FDS]
            self.set_irqs(index, flags, start + at, len(some), fds=some)

    def disarm(self, index: int) -> None:
        """Disable interrupts of a kind."""
        self.set_irqs(index, IrqSetFlag.ACTION_TRIGGER | IrqSetFlag.DATA_NONE)

    def unmask(self, index: int) -> None:
        """Unmask interrupts of a kind."""
        self.set_irqs(index, IrqSetFlag.ACTION_UNMASK | IrqSetFlag.DATA_NONE, count=1)
