"""One connection of vfio-user: framing, descriptors, and messages of this side."""

import array
import contextlib
import errno
import logging
import os
import select
import socket
import time
from collections.abc import Callable, Sequence

from . import protocol
from .protocol import Command, Header, ProtocolError, SizeError

__all__ = ["Peer", "PeerGone", "close_all"]

log = logging.getLogger("ringwalker.vfio_user")

_ANCILLARY_BYTES = socket.CMSG_SPACE(protocol.MAX_FDS * array.array("i").itemsize)


class PeerGone(ConnectionError):
    """The peer closed the socket, perhaps in the middle of a message, or stopped there."""


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class Peer:
    """One connection: framing, descriptors, and messages of this side.

    ``handler`` is called for each message that arrives while :meth:`call` waits for its answer: when both
    sides send a command at the same time, the peer waits for its answer before it reads ours.

    Nothing waits for the peer for ever: it has ``timeout_s`` to send the rest of a message, to answer, and to
    read; and once the descriptor ``interrupt`` is readable it has no time at all. Errors: :class:`PeerGone`
    then and when the peer closes the socket, ``ProtocolError`` for what cannot be a message.
    """

    def __init__(self, connection: socket.socket, timeout_s: float = 30.0, interrupt: int = -1):
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._timeout = timeout_s
        self._interrupt = interrupt
        self._next_id = 0
        self.handler: Callable[[Header, bytes, list[int]], None] | None = None
        self.answering = False
        """Whether the peer waits for an answer; :meth:`call` is not allowed then."""
        self.max_transfer = protocol.MAX_DATA
        """Most bytes of data in a message to the peer."""

    def wait(self, seconds: float) -> bool:
        """Whether bytes of a message arrive within ``seconds``."""
        return bool(self._poll.poll(1000 * seconds))

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    @property
    def interrupt(self) -> int:
        """The descriptor that ends all waiting for the peer when it is readable; -1 for none."""
        return self._interrupt

    def _await(self, event: int, deadline: float, stopped: str) -> None:
        """Wait until the socket is ready for ``event``. Errors: :class:`PeerGone`, because of ``stopped``."""
        poll = select.poll()
        poll.register(self._socket, event)
        if self._interrupt >= 0:
            poll.register(self._interrupt, select.POLLIN)
        ready = poll.poll(1000 * max(0.0, deadline - time.monotonic()))
        if any(fd == self._interrupt for fd, _events in ready):
            raise PeerGone("the server ends")
        if not ready:
            raise PeerGone(stopped)

    # --- receiving ----------------------------------------------------------------------------------------

    def receive(self) -> tuple[Header, bytes, list[int]] | None:
        """Receive the next message: header, body, descriptors.

        A message that lost some of its descriptors on the way, because this process may have no more or
        because there are too many, would mean something else without them: it is refused here, and None.
        """
        raw, fds, lost = self._exactly(protocol.HEADER_BYTES)
        try:
            header = Header.unpack(raw)
            body, more, more_lost = self._exactly(header.size - protocol.HEADER_BYTES)
        except BaseException as error:
            close_all(fds)
            if isinstance(error, SizeError):
                self._refuse(error.header, errno.EMSGSIZE)
            raise
        fds += more
        if not lost and not more_lost and len(fds) <= protocol.MAX_FDS:
            return header, body, fds
        close_all(fds)
        log.warning("message %d (command %d) lost some of its descriptors", header.id, header.command)
        self._refuse(header, errno.EMFILE)
        return None

    def _exactly(self, count: int) -> tuple[bytes, list[int], bool]:
        """``count`` bytes, the descriptors that came with them, and whether some were lost."""
        # Descriptors arrive with the first byte of their message. Reading no more than this message keeps
        # them apart from those of the next one.
        data = bytearray()
        fds: list[int] = []
        lost = False
        deadline = time.monotonic() + self._timeout
        try:
            while len(data) < count:
                try:
                    part, ancillary, flags, _address = self._socket.recvmsg(
                        count - len(data), _ANCILLARY_BYTES, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                    )
                except BlockingIOError:
                    stopped = f"the peer stopped after {len(data)} of {count} bytes"
                    self._await(select.POLLIN, deadline, stopped)
                    continue
                lost |= bool(flags & socket.MSG_CTRUNC)
                for level, kind, content in ancillary:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        received = array.array("i")
                        received.frombytes(content[: len(content) - len(content) % received.itemsize])
                        fds.extend(received)
                if not part:
                    raise PeerGone(f"the peer closed the socket after {len(data)} of {count} bytes")
                data += part
        except PeerGone:
            close_all(fds)
            raise
        except OSError as error:
            close_all(fds)
            raise PeerGone(str(error)) from None
        return bytes(data), fds, lost

    # --- sending ------------------------------------------------------------------------------------------

    def send(self, raw: bytes, fds: Sequence[int] = ()) -> None:
        """Send one message, in one piece if there is room, with copies of ``fds``."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        deadline = time.monotonic() + self._timeout
        left = memoryview(raw)
        try:
            while left:
                try:
                    sent = self._socket.sendmsg([left], ancillary, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    self._await(select.POLLOUT, deadline, f"the peer has read nothing for {self._timeout} s")
                    continue
                left, ancillary = left[sent:], []
        except PeerGone:
            raise
        except OSError as error:
            raise PeerGone(str(error)) from None

    def _refuse(self, header: Header, number: int) -> None:
        """Answer ``header`` with errno ``number``, if it is a command that wants an answer."""
        if header.is_command and header.wants_reply:
            self.send(protocol.error_reply(header, number))

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
            message = self.receive()
            if message is None:
                continue
            header, answer, received = message
            if not header.is_reply:
                if self.handler is None:
                    close_all(received)
                    raise ProtocolError(f"command {header.command} before anything was set up")
                self.handler(header, answer, received)
                continue
            close_all(received)
            if header.id != self._next_id or header.command != command:
                raise ProtocolError(f"answer {header.id} to command {header.command} belongs to no command")
            if header.flags & protocol.Flag.ERROR:
                raise OSError(header.error, f"{command.name}: {os.strerror(header.error)}")
            return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
