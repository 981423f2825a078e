"""A listening unix socket: it takes no path away from another server, and removes only its own."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import EXIT_FAILED, RingwalkerError

__all__ = ["Listener", "SocketError", "SocketInUse", "SocketRemoved", "check_path", "somebody_listens"]

_LONGEST = 107
"""Bytes of a path that fit into the address of a unix socket."""

_LOCK_SECONDS = 2.0


class SocketError(RingwalkerError):
    """The socket cannot be made; the message names its path."""


class SocketInUse(SocketError):
    """The path of the socket belongs to another server, or is no socket."""


class SocketRemoved(SocketError):
    """Somebody removed the socket, so nobody can connect any more."""

    exit_code = EXIT_FAILED


def check_path(path: str | Path) -> None:
    """See that a socket can be made at ``path``; that of a server that has died may be there.

    Errors: :class:`SocketError`.
    """
    path = Path(path)
    length = len(os.fsencode(path))
    if length > _LONGEST:
        raise SocketError(f"{path}: the path of a socket is too long: {length} bytes, not {_LONGEST} at most")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        why = "cannot be written" if path.parent.is_dir() else "does not exist"
        raise SocketError(f"{path}: the folder {path.parent} {why}")
    if os.path.lexists(path):
        if not path.is_socket():
            raise SocketInUse(f"{path}: the path exists and is no socket")
        if somebody_listens(path):
            raise SocketInUse(f"{path}: another server listens there")


def somebody_listens(path: Path) -> bool:
    """Whether there is a server behind the socket at ``path``, busy or not. Errors: :class:`SocketError`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except PermissionError as error:
            raise SocketError(f"{path}: {error.strerror}") from None
        except OSError:  # nobody takes more connections now, or the socket is of another type
            return True
        return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other server looks at a socket in ``folder`` and replaces it meanwhile.

    Two that find the socket of a dead one must not remove each other's.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        descriptor = -1  # a folder that cannot be read has no lock
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while descriptor >= 0 and time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


class Listener:
    """A unix socket at ``path`` on which peers can connect from now on.

    Errors: :class:`SocketError` when it cannot be made, :class:`SocketInUse` when the path is taken.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _alone(self.path.parent):
                check_path(self.path)
                self.path.unlink(missing_ok=True)
                self._socket.bind(str(self.path))
                self._socket.listen(1)
                self._identity = self._at_path()
        except OSError as error:
            self._socket.close()
            raise SocketError(f"{self.path}: {error.strerror or error}") from None
        except SocketError:
            self._socket.close()
            raise

    def _at_path(self) -> tuple[int, int] | None:
        try:
            found = self.path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def fileno(self) -> int:
        """The descriptor, readable when a peer waits."""
        return self._socket.fileno()

    def accept(self) -> socket.socket:
        """The connection of the next peer. Errors: ``OSError``, such as no more descriptors."""
        return self._socket.accept()[0]

    def there(self) -> bool:
        """Whether peers find the socket at its path."""
        return self._at_path() == self._identity

    def close(self) -> None:
        """Close the socket and remove its path, unless something else is there."""
        self._socket.close()
        if self.there():
            with contextlib.suppress(OSError):
                self.path.unlink()
