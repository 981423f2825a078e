"""The guest's serial ports as byte streams, and the wait for the end of QEMU."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..toolchain import ToolError

__all__ = ["Channels"]

Sink = Callable[[bytes], None]

_CHUNK = 65536
_LONGEST_WAIT_S = 60.0


class Channels:
    """A listening socket in ``folder`` for each name in ``sinks``; its function is called with received
    bytes.

    :meth:`path` is the address for the other side; :meth:`pump` receives bytes. Use it as a context manager.
    Errors: :class:`ToolError` when a socket cannot be made.
    """

    def __init__(self, folder: Path, sinks: Mapping[str, Sink]):
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._open: set[socket.socket] = set()
        for name, sink in sinks.items():
            listener = socket.socket(socket.AF_UNIX)
            try:
                listener.bind(str(self.path(name)))
            except OSError as error:
                listener.close()
                self.close()
                raise ToolError(f"{self.path(name)}: {error}; TMPDIR can name a shorter folder") from None
            listener.listen(1)
            self._register(listener, lambda item, sink=sink: self._accept(item, sink))

    def path(self, name: str) -> Path:
        """The path of the socket of channel ``name``."""
        return self._folder / f"{name}.socket"

    def _register(self, item: socket.socket, action: Callable[[socket.socket], None]) -> None:
        item.setblocking(False)
        self._open.add(item)
        self._selector.register(item, selectors.EVENT_READ, action)

    def _close(self, item: socket.socket) -> None:
        self._selector.unregister(item)
        self._open.discard(item)
        item.close()

    def _accept(self, listener: socket.socket, sink: Sink) -> None:
        connection, _ = listener.accept()
        self._close(listener)
        self._register(connection, lambda item: self._receive(item, sink))

    def _receive(self, connection: socket.socket, sink: Sink) -> None:
        try:
            data = connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            sink(data)
        else:
            self._close(connection)

    def pump(self, process: int, deadline: float, stop: Callable[[], bool]) -> bool:
        """Receive bytes until the child process with id ``process`` has ended and all of its output has
        arrived.

        False when ``stop()`` became true before, or ``time.monotonic()`` passed ``deadline``.
        """
        watcher = os.pidfd_open(process)
        try:
            self._selector.register(watcher, selectors.EVENT_READ, None)
            ended = False
            while not ended:
                left = deadline - time.monotonic()
                if left <= 0 or stop():
                    return False
                for key, _ in self._selector.select(min(left, _LONGEST_WAIT_S)):
                    if key.data is None:
                        ended = True
                    else:
                        key.data(key.fileobj)
            self._selector.unregister(watcher)
            while ready := self._selector.select(0):
                for key, _ in ready:
                    key.data(key.fileobj)
            return True
        finally:
            os.close(watcher)

    def close(self) -> None:
        """Close all sockets."""
        for item in tuple(self._open):
            self._close(item)
        self._selector.close()

    def __enter__(self) -> "Channels":
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()
