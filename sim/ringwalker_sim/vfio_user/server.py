"""The vfio-user server: one listening socket, one device, one peer at a time.

It handles messages and descriptors. The device is behind :class:`Device`.
"""

import array
import contextlib
import errno
import functools
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..errors import RingwalkerError
from . import protocol
from .protocol import Command, Header, ProtocolError

__all__ = ["Device", "Peer", "PeerGone", "Server", "SocketInUse"]

log = logging.getLogger("ringwalker.vfio_user")


_ANCILLARY_BYTES = socket.CMSG_SPACE(protocol.MAX_FDS * array.array("i").itemsize)


def _ready(descriptors: Sequence[int], seconds: float | None) -> list[int]:
    """The ``descriptors`` that become readable or closed within ``seconds`` (None: without limit)."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [fd for fd, _events in poll.poll(None if seconds is None else 1000 * seconds)]


class PeerGone(ConnectionError):
    """The peer closed the socket, perhaps in the middle of a message."""


class SocketInUse(RingwalkerError):
    """The path of the socket belongs to another server, or is no socket."""


class Device(Protocol):
    """The device behind a server. Methods raise ``ProtocolError`` for invalid requests of the peer."""

    def region_size(self, region: int) -> int:
        """Bytes in a region, 0 if it is absent."""
        ...

    def irq_info(self, index: int) -> tuple[int, int]:
        """Flags and number of vectors of an interrupt kind."""
        ...

    def region_read(self, access: protocol.RegionAccess) -> bytes:
        """Read ``access.count`` bytes, after all earlier writes have reached the device."""
        ...

    def region_write(self, access: protocol.RegionAccess) -> None:
        """Posted."""
        ...

    def dma_map(self, mapping: protocol.DmaMap, fd: int | None) -> None:
        """Map guest memory for the device; takes ownership of ``fd``."""
        ...

    def dma_unmap(self, mapping: protocol.DmaUnmap) -> None:
        """Unmap guest memory; returns when the device no longer accesses it."""
        ...

    def set_irqs(self, request: protocol.IrqSet, fds: list[int]) -> None:
        """Arm, mask, unmask or disarm interrupts; takes ownership of ``fds``."""
        ...

    def reset(self) -> None:
        """A hardware reset."""
        ...

    def attached(self, peer: "Peer") -> None:
        """A peer has connected; DMA messages go to it."""
        ...

    def detached(self) -> None:
        """The peer has gone: drop its mappings and eventfds."""
        ...

    def advance(self) -> bool:
        """Run for a slice of time while no message waits; False when there is no work before the next one."""
        ...


class Peer:
    """One connection: framing, descriptors, and messages of this side.

    ``handler`` is called for each message that arrives while :meth:`call` waits for its answer: when both
    sides send a command at the same time, the peer waits for its answer before it reads ours. Errors:
    :class:`PeerGone` when the peer closes the socket, ``ProtocolError`` for invalid messages.
    """

    def __init__(self, connection: socket.socket, timeout_s: float = 30.0):
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._timeout = timeout_s
        self._next_id = 0
        self.handler: Callable[[Header, bytes, list[int]], None] | None = None
        self.answering = False
        """Whether the peer waits for an answer; :meth:`call` is not allowed then."""

    def wait(self, seconds: float) -> bool:
        """Whether bytes of a message arrive within ``seconds``."""
        return bool(self._poll.poll(1000 * seconds))

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def receive(self) -> tuple[Header, bytes, list[int]]:
        """Receive the next message: header, body, descriptors."""
        raw, fds = self._exactly(protocol.HEADER_BYTES)
        try:
            header = Header.unpack(raw)
            body, more = self._exactly(header.size - protocol.HEADER_BYTES)
        except BaseException:
            _close(fds)
            raise
        return header, body, fds + more

    def _exactly(self, count: int) -> tuple[bytes, list[int]]:
        # Descriptors arrive with the first byte of their message. Reading no more than this message keeps
        # them apart from those of the next one.
        data = bytearray()
        fds: list[int] = []
        deadline = time.monotonic() + self._timeout
        try:
            while len(data) < count:
                try:
                    part, ancillary, _flags, _address = self._socket.recvmsg(
                        count - len(data), _ANCILLARY_BYTES, socket.MSG_DONTWAIT
                    )
                except BlockingIOError:
                    if not self.wait(max(0.0, deadline - time.monotonic())):
                        raise PeerGone(f"the peer stopped after {len(data)} of {count} bytes") from None
                    continue
                for level, kind, content in ancillary:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        received = array.array("i")
                        received.frombytes(content[: len(content) - len(content) % received.itemsize])
                        fds.extend(received)
                if not part:
                    raise PeerGone(f"the peer closed the socket after {len(data)} of {count} bytes")
                data += part
        except PeerGone:
            _close(fds)
            raise
        except OSError as error:
            _close(fds)
            raise PeerGone(str(error)) from None
        return bytes(data), fds

    def send(self, raw: bytes, fds: Sequence[int] = ()) -> None:
        """Send one message in one piece, with copies of ``fds``."""
        try:
            if fds:
                raw = raw[socket.send_fds(self._socket, [raw], list(fds)) :]
            self._socket.sendall(raw)
        except OSError as error:
            raise PeerGone(str(error)) from None

    def call(self, command: Command, body: bytes, fds: Sequence[int] = ()) -> bytes:
        """Send a command with ``fds`` and wait for its answer.

        Errors: ``OSError`` with the peer's errno when it refuses; ``RuntimeError`` while the
        peer waits for an answer.
        """
        if self.answering:
            raise RuntimeError(f"{command.name} while the peer waits for an answer: both would wait for ever")
        self._next_id = (self._next_id + 1) & 0xFFFF
        self.send(protocol.message(self._next_id, command, body), fds)
        while True:
            header, answer, fds = self.receive()
            if not header.is_reply:
                if self.handler is None:
                    raise ProtocolError(f"command {header.command} before anything was set up")
                self.handler(header, answer, fds)
                continue
            _close(fds)
            if header.id != self._next_id or header.command != command:
                raise ProtocolError(f"answer {header.id} to command {header.command} belongs to no command")
            if header.flags & protocol.Flag.ERROR:
                raise OSError(header.error, f"{command.name}: {os.strerror(header.error)}")
            return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _close(fds: list[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class Server:
    """Serves ``device`` on the unix socket ``path`` until :meth:`stop`, to one peer after another.

    Peers can connect as soon as the server is made; ``device`` may be set later, before :meth:`serve`.

    Errors: :class:`SocketInUse` when another server listens there, or the path is no socket; ``OSError`` when
    the socket cannot be made.
    """

    def __init__(self, path: str | Path, device: Device | None = None):
        self.path = Path(path)
        self.device = device
        self._stopping = False
        self._listener = self._listen()
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                listener.close()
                raise OSError(error.errno, error.strerror or str(error), str(self.path)) from None
            if not self.path.is_socket():
                listener.close()
                raise SocketInUse(f"{self.path}: the path exists and is no socket") from None
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(self.path))
                except ConnectionRefusedError:
                    self.path.unlink()  # The socket of a server that was killed.
                    listener.bind(str(self.path))
                else:
                    listener.close()
                    raise SocketInUse(f"{self.path}: another server listens there") from None
        listener.listen(1)
        return listener

    def _device(self) -> Device:
        if self.device is None:
            raise RuntimeError(f"{self.path}: the server has no device")
        return self.device

    def stop(self) -> None:
        """End :meth:`serve`; may be called from a signal handler and from another thread."""
        self._stopping = True
        with self._lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Close the socket and remove its path. May be called again."""
        with self._lock:
            if self._wake < 0:
                return
            os.close(self._wake)
            self._wake = -1
        self._listener.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def serve(self, once: bool = False) -> None:
        """Serve until :meth:`stop`, or with ``once`` until the first peer has gone."""
        device = self._device()
        while not self._stopping:
            if self._listener.fileno() not in _ready([self._listener.fileno(), self._wake], None):
                continue
            connection, _address = self._listener.accept()
            peer = Peer(connection)
            log.info("%s: peer connected", self.path)
            device.attached(peer)
            try:
                self._serve_peer(peer)
            except PeerGone as error:
                log.info("%s: peer gone: %s", self.path, error)
            except ProtocolError as error:
                log.warning("%s: closed the connection: %s", self.path, error)
            finally:
                device.detached()
                peer.close()
            if once:
                return

    def _serve_peer(self, peer: Peer) -> None:
        device = self._device()
        peer.handler = functools.partial(self._handle, peer)
        busy = True
        while not self._stopping:
            if not busy:
                _ready([peer.fileno(), self._wake], None)
            if peer.wait(0.0):
                self._handle(peer, *peer.receive())
                busy = True
            elif busy:
                busy = device.advance()

    def _handle(self, peer: Peer, header: Header, body: bytes, fds: list[int]) -> None:
        try:
            if header.is_reply:
                raise ProtocolError(f"answer {header.id} belongs to no command")
            try:
                peer.answering = True
                answer = self._command(header, body, fds)
            except OSError as error:
                log.warning("%s: command %d: %s", self.path, header.command, error)
                answer = protocol.error_reply(header, error.errno or errno.EIO)
            if header.wants_reply:
                peer.send(answer)
        finally:
            peer.answering = False
            _close(fds)

    def _command(self, header: Header, body: bytes, fds: list[int]) -> bytes:
        """Carry out a command; its answer. Descriptors that the device keeps are removed from ``fds``."""
        device = self._device()
        match header.command:
            case Command.VERSION:
                major, _minor, _capabilities = protocol.version(body)
                if major != 0:
                    raise ProtocolError(f"the peer speaks version {major}, this is version 0")
                offered = {"max_msg_fds": protocol.MAX_FDS, "max_data_xfer_size": protocol.MAX_DATA}
                return protocol.reply(header, protocol.version_body(offered))
            case Command.DMA_MAP:
                mapping = protocol.DmaMap.unpack(body)
                device.dma_map(mapping, fds.pop(0) if fds else None)
                return protocol.reply(header)
            case Command.DMA_UNMAP:
                unmapping = protocol.DmaUnmap.unpack(body)
                device.dma_unmap(unmapping)
                return protocol.reply(header, unmapping.pack())
            case Command.DEVICE_GET_INFO:
                return protocol.reply(header, protocol.device_info(body))
            case Command.DEVICE_GET_REGION_INFO:
                index = protocol.region_info_index(body)
                return protocol.reply(header, protocol.region_info(index, device.region_size(index)))
            case Command.DEVICE_GET_IRQ_INFO:
                index = protocol.irq_info_index(body)
                return protocol.reply(header, protocol.irq_info(index, *device.irq_info(index)))
            case Command.DEVICE_SET_IRQS:
                request = protocol.IrqSet.unpack(body)
                kept = list(fds)
                fds.clear()
                device.set_irqs(request, kept)
                return protocol.reply(header)
            case Command.REGION_READ:
                access = protocol.RegionAccess.unpack(body, write=False)
                return protocol.reply(header, access.pack(device.region_read(access)))
            case Command.REGION_WRITE:
                access = protocol.RegionAccess.unpack(body, write=True)
                device.region_write(access)
                return protocol.reply(header, access.pack())
            case Command.DEVICE_RESET:
                device.reset()
                return protocol.reply(header)
            case _:
                raise OSError(errno.EOPNOTSUPP, f"command {header.command} is not supported")
