"""The vfio-user server: one listening socket, one device, one peer at a time."""

import contextlib
import logging
import os
import select
import threading
from pathlib import Path

from .conversation import Conversation, Device, Step
from .listener import Listener, SocketRemoved
from .peer import Peer, PeerGone
from .protocol import ProtocolError

__all__ = ["Server"]

log = logging.getLogger("ringwalker.vfio_user")

_LOOK_SECONDS = 1.0
"""Between two looks at the path of the socket while no peer is there."""


class Server:
    """Serves ``device`` on the unix socket ``path`` until :meth:`stop`, to one peer after another.

    Peers can connect as soon as the server is made. ``timeout_s`` is what a peer has to go on in the middle
    of a message, and to read answers. Errors: those of :class:`~.listener.Listener`.
    """

    def __init__(self, path: str | Path, device: Device, timeout_s: float = 30.0):
        self.device = device
        self._timeout = timeout_s
        self._stopping = False
        self._listener = Listener(path)
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def path(self) -> Path:
        """Where the socket is."""
        return self._listener.path

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

    def _ready(self, descriptor: int, seconds: float | None = None) -> bool:
        """Whether ``descriptor`` becomes readable or closed before :meth:`stop` and within ``seconds``."""
        poll = select.poll()
        for fd in (descriptor, self._wake):
            poll.register(fd, select.POLLIN)
        return any(fd == descriptor for fd, _events in poll.poll(None if seconds is None else 1000 * seconds))

    def serve(self, once: bool = False) -> None:
        """Serve until :meth:`stop`, or with ``once`` until the first peer that spoke the protocol has gone.

        Errors: :class:`~.listener.SocketRemoved` when nobody is connected and nobody can connect any more.
        """
        while not self._stopping:
            if not self._ready(self._listener.fileno(), _LOOK_SECONDS):
                if not self._listener.there() and not self._stopping:
                    raise SocketRemoved(f"{self.path}: the socket was removed; nobody can connect any more")
                continue
            try:
                connection = self._listener.accept()
            except OSError as error:
                log.warning("%s: a peer cannot connect: %s", self.path, error.strerror)
                self._ready(self._wake, _LOOK_SECONDS)
                continue
            with contextlib.closing(Peer(connection, self._timeout, self._wake)) as peer:
                if self._serve_peer(Conversation(peer, self.device, str(self.path))) and once:
                    return

    def _serve_peer(self, conversation: Conversation) -> bool:
        """Serve a peer until it has gone; whether it spoke the protocol."""
        log.info("%s: peer connected", self.path)
        try:
            self._converse(conversation)
        except PeerGone as error:
            log.info("%s: peer gone: %s", self.path, error)
        except ProtocolError as error:
            log.warning("%s: closed the connection: %s", self.path, error)
        finally:
            if conversation.greeted:
                self.device.detached()
        return conversation.greeted

    def _converse(self, conversation: Conversation) -> None:
        peer = conversation.peer
        step = Step.IDLE
        while not self._stopping:
            if step is Step.IDLE and not self._ready(peer.fileno()):
                continue
            step = self.device.advance() if conversation.greeted else Step.MESSAGE
            if step is not Step.MESSAGE:
                continue
            if peer.wait(0.0):
                conversation.receive()
            else:
                step = Step.IDLE
