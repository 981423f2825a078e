"""Files that are written whole or not at all, and errors that say which could not be written and why."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import RingwalkerError

__all__ = ["OutputError", "OutputFile", "make_folder", "write_file", "writing"]

_NO_NEW_FILES = (errno.EACCES, errno.EPERM, errno.EROFS)


class OutputError(RingwalkerError):
    """Something that cannot be written; the message names it, and says what the operating system did."""


@contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """What the operating system refuses inside the block is an :class:`OutputError` about ``name``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from None


def make_folder(name: str | Path) -> Path:
    """The folder ``name``, made with those around it if need be. Errors: :class:`OutputError`."""
    with writing(name):
        Path(name).mkdir(parents=True, exist_ok=True)
    return Path(name)


def write_file(name: str | Path, content: str | bytes) -> None:
    """Write a file as :class:`OutputFile` does; text in UTF-8. Errors: :class:`OutputError`."""
    with OutputFile(name) as file:
        file.write(content.encode() if isinstance(content, str) else content)


class OutputFile:
    """A file that is written whole or not at all, open for writing as ``file``.

    A regular file is written beside its place. :meth:`commit` puts it there once it is on the disk, with the
    mode and the owner of what was there; before that, and after :meth:`discard`, all is as it was. A symbolic
    link stays, what it leads to is replaced. A device or a pipe is written at once, as is a file in a folder
    that takes no new ones. Then ``fresh`` is false: what is not written may have another content.

    In a ``with`` block the value is the file, and the end commits, unless an exception ends the block.

    Errors: :class:`OutputError`, from the constructor, from :meth:`commit`, and for what the operating system
    refuses inside of a ``with`` block.
    """

    def __init__(self, name: str | Path):
        self.name = name
        self._place = Path(os.path.realpath(name))
        self._temporary: Path | None = None
        with writing(name):
            self.file: BinaryIO = self._open()

    @property
    def fresh(self) -> bool:
        """Whether the file began empty, and is a regular one."""
        return self._temporary is not None

    def _open(self) -> BinaryIO:
        before = _stat(self.name)
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if (before is not None and not stat.S_ISREG(before.st_mode)) or _names_descriptors(self.name):
            return open(self.name, "wb")
        if before is not None and not os.access(self._place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        temporary = self._place.with_name(f".ringwalker-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if before is None or error.errno not in _NO_NEW_FILES:
                raise
            return open(self.name, "wb")
        self._temporary = temporary
        if before is not None:
            with suppress(OSError):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            with suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        return os.fdopen(descriptor, "wb")

    def commit(self) -> None:
        """Close the file; from now on it is there. Errors: :class:`OutputError`; then nothing has changed."""
        try:
            with writing(self.name):
                with self.file as file:
                    file.flush()
                    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        os.fsync(file.fileno())
                if self._temporary is not None:
                    self._temporary.replace(self._place)
                    self._temporary = None
        finally:
            self.discard()

    def discard(self) -> None:
        """Close the file and forget it. May be called again, and after :meth:`commit`."""
        with suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _where: object) -> None:
        if kind is None:
            self.commit()
            return
        self.discard()
        if isinstance(error, OSError):
            with writing(self.name):
                raise error


def _stat(name: str | Path) -> os.stat_result | None:
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None


def _names_descriptors(name: str | Path) -> bool:
    """Whether ``name`` stands for what this process has open, such as ``/dev/stdout``."""
    folder = os.path.realpath(os.path.dirname(os.path.abspath(name)))
    return folder == "/dev" or folder.startswith("/proc/")
