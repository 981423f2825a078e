"""Disks: whole sectors in a file or in memory.

A file is read and written by system calls and never mapped: an access to a mapping ends the process when the
file was cut or its file system is full, while a system call gives an error that a guest can be told.
"""

import errno
import fcntl
import logging
import os
import stat
from pathlib import Path

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.streams import StorageOp

from .errors import EXIT_FAILED, RingwalkerError
from .image_formats import container_of
from .memory import anonymous

__all__ = ["DiskError", "DiskFailure", "DiskImage", "StoredBytes"]

log = logging.getLogger("ringwalker.disk")

_NO_STORE = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP)
"""What fdatasync gives for a store that has no cache."""

_DOING = {StorageOp.READ: "reading", StorageOp.WRITE: "writing", StorageOp.FLUSH: "flushing"}


class DiskError(RingwalkerError, ValueError):
    """A disk image that cannot be used; the message names the file and why."""


class DiskFailure(RingwalkerError):
    """The store under a file that was fine has refused something; the message names the file and why."""

    exit_code = EXIT_FAILED


def _ended() -> OSError:
    return OSError(0, "the file is shorter than it was")


class StoredBytes:
    """The ``size`` bytes of a regular file or a block device at ``path``. ``descriptor`` is its own.

    With ``writable`` a block device is opened exclusively. Errors: :class:`DiskError` for what does not exist
    or stores no bytes, without waiting for anybody.
    """

    def __init__(self, path: str | Path, writable: bool = False):
        self.path = Path(path)
        self.descriptor = -1
        try:
            block = self._is_block_device(os.stat(path).st_mode)
            flags = os.O_RDWR if writable else os.O_RDONLY
            # Something else may have taken its place, and must not keep us waiting.
            flags |= os.O_NONBLOCK | (os.O_EXCL if block and writable else 0)
            self.descriptor = os.open(path, flags)
            status = os.fstat(self.descriptor)
            self._is_block_device(status.st_mode)
            self.regular = stat.S_ISREG(status.st_mode)
            self.size = os.lseek(self.descriptor, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            if error.errno == errno.EBUSY:
                reason = "it is in use: a file system on it is mounted, or another program has it"
            raise DiskError(f"{path}: {reason}") from None
        except DiskError:
            self.close()
            raise

    def _is_block_device(self, mode: int) -> bool:
        for is_it, name in _NO_STORE:
            if is_it(mode):
                raise DiskError(f"{self.path}: is {name}; it must be a file or a block device")
        return stat.S_ISBLK(mode)

    def read(self, offset: int, length: int) -> np.ndarray:
        """``length`` bytes from ``offset`` on. Errors: ``OSError``, with number 0 if the file ends before."""
        content = np.empty(length, np.uint8)
        view, done = content.data, 0
        while done < length:
            count = os.preadv(self.descriptor, [view[done:]], offset + done)
            if count == 0:
                raise _ended()
            done += count
        return content

    def write(self, offset: int, content: np.ndarray) -> None:
        """Write all of ``content`` (uint8) at ``offset``. Errors: as :meth:`read`; a file does not grow."""
        if self.regular and offset + len(content) > os.fstat(self.descriptor).st_size:
            raise _ended()
        view = np.ascontiguousarray(content).data
        while view:
            count = os.pwrite(self.descriptor, view, offset)
            view, offset = view[count:], offset + count

    def close(self) -> None:
        """Close the file; may be called again."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class DiskImage:
    """A disk of whole 512-byte sectors: those of the file or block device at ``path``, never loaded.

    The file is locked (flock) while it is open: exclusively, or shared with other readers when
    ``read_only``. What looks like the container of a disk image is refused unless it is meant ``raw``.
    ``failures`` has a line for each kind of thing that the store under the file has refused since; the line
    is logged too. Errors: :class:`DiskError` for an image that cannot be used.
    """

    SECTOR = SECTOR_BYTES

    def __init__(self, path: str | Path, read_only: bool = False, raw: bool = False):
        self.path: Path | None = Path(path)
        self.read_only = read_only
        self.failures: list[str] = []
        self._failed: set[tuple[StorageOp, int]] = set()
        self._lost: int = 0
        self._array: np.ndarray | None = None
        self._file: StoredBytes | None = StoredBytes(path, writable=not read_only)
        self.size: int = self._file.size
        try:
            self._lock(self._file.descriptor)
            if self.size == 0:
                raise DiskError(f"{path}: the image is empty")
            if not raw:
                self._refuse_containers(self._file)
            if self.size % self.SECTOR:
                raise DiskError(f"{path}: {self.size} bytes are not a multiple of {self.SECTOR}")
        except OSError as error:
            self._file.close()
            raise DiskError(f"{path}: {error.strerror}") from None
        except DiskError:
            self._file.close()
            raise

    @classmethod
    def of(cls, array: np.ndarray) -> "DiskImage":
        """A disk in memory: ``array``, bytes (uint8) of whole sectors, in place."""
        disk = cls.__new__(cls)
        disk.path, disk.read_only, disk.failures = None, False, []
        disk._failed, disk._lost, disk._file = set(), 0, None
        disk._array, disk.size = array, len(array)
        return disk

    @classmethod
    def blank(cls, sectors: int) -> "DiskImage":
        """A disk of ``sectors`` zero sectors in memory, without a file."""
        if sectors <= 0:
            raise DiskError(f"a disk of {sectors} sectors cannot be made")
        return cls.of(anonymous(sectors * cls.SECTOR))

    def _lock(self, descriptor: int) -> None:
        kind = fcntl.LOCK_SH if self.read_only else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DiskError(f"{self.path}: another process is using the image") from None

    def _refuse_containers(self, file: StoredBytes) -> None:
        container = container_of(file.read, file.size)
        if container is not None:
            raise DiskError(
                f"{self.path}: is {container.name}, not a raw image; convert it with "
                f"{container.command(file.path)} or use its bytes as they are with --format raw"
            )

    @property
    def sectors(self) -> int:
        """Capacity in 512-byte sectors."""
        return self.size // self.SECTOR

    @property
    def in_memory(self) -> bool:
        """Whether the disk has no file."""
        return self._array is not None

    @property
    def array(self) -> np.ndarray:
        """The bytes of a disk in memory, in place. Errors: ``ValueError`` for one in a file."""
        if self._array is None:
            raise ValueError(f"{self.path}: a file has no array; it is read and written")
        return self._array

    @property
    def descriptor(self) -> int:
        """The open file of a disk in a file. Errors: ``ValueError`` for one in memory."""
        if self._file is None:
            raise ValueError("a disk in memory has no file")
        return self._file.descriptor

    def read(self, offset: int = 0, length: int | None = None) -> np.ndarray:
        """``length`` bytes from ``offset`` on, or all from there, shape (length,), uint8; in place of a disk
        in memory. Errors: :class:`DiskFailure`.
        """
        length = self.size - offset if length is None else length
        if self._file is None:
            return self.array[offset : offset + length]
        try:
            return self._file.read(offset, length)
        except OSError as error:
            raise self._refused(StorageOp.READ, offset, error) from None

    def write(self, offset: int, content: np.ndarray) -> None:
        """Write ``content`` (uint8) at ``offset``. Errors: :class:`DiskFailure`, with some of it written."""
        if self._file is None:
            self.array[offset : offset + len(content)] = content
            return
        try:
            self._file.write(offset, content)
        except OSError as error:
            raise self._refused(StorageOp.WRITE, offset, error) from None

    def snapshot(self) -> "DiskImage":
        """The disk as it is now, in memory. Errors: as :meth:`read`."""
        content = self.read()
        return DiskImage.of(content.copy() if self._file is None else content)

    def flush(self) -> None:
        """Bring what was written to the store. Errors: :class:`DiskFailure`, for ever once it has failed,
        since the store may then have lost anything.
        """
        if self._file is None or self._file.descriptor < 0 or self.read_only:
            return
        if not self._lost:
            try:
                os.fdatasync(self._file.descriptor)
            except OSError as error:
                self._lost = 0 if error.errno in _CANNOT_FLUSH else error.errno or errno.EIO
        if self._lost:
            raise DiskFailure(self.failed(StorageOp.FLUSH, 0, self._lost))

    def _refused(self, op: StorageOp, offset: int, error: OSError) -> DiskFailure:
        return DiskFailure(self.failed(op, offset, error.errno or 0))

    def failed(self, op: StorageOp, offset: int, number: int) -> str:
        """The line that says that the store refused ``op`` at byte ``offset`` with error ``number``, 0 for a
        file that ends before. The first of its kind goes into ``failures`` and the log.
        """
        reason = os.strerror(number) if number else f"the file is shorter than it was ({self.size} bytes)"
        text = f"{self.path}: {_DOING[op]} at byte {offset}: {reason}"
        if (op, number) not in self._failed:
            self._failed.add((op, number))
            self.failures.append(text)
            log.error("%s", text)
        return text

    def close(self) -> None:
        """Flush, unlock and close the file; may be called again. Errors: as :meth:`flush`, with it closed."""
        if self._file is None or self._file.descriptor < 0:
            return
        try:
            self.flush()
        finally:
            # An engine may still hold a duplicate of the descriptor, and with it would hold the lock.
            fcntl.flock(self._file.descriptor, fcntl.LOCK_UN)
            self._file.close()

    def __enter__(self) -> "DiskImage":
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()
